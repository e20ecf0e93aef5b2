/* Userspace mode's planner: which relays it asks for, and the rules that lead to them. */
#include "planner_world.h"

#include "ipc/relay.h"

/* --- a listener that is a list of what it was told --- */

static struct {
	char text[8192]; /* "open 0 a/web:http tcp4 cluster" ... */
	uint32_t opened;
} told;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	size_t len = strlen(told.text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(told.text + len, sizeof(told.text) - len, fmt, ap);
	va_end(ap);
}

static void say_endpoints(struct cursor *c)
{
	static struct relay_backends b;
	char ip[IP_STRLEN];

	assert_null(relay_decode_backends(c, &b));
	say("%s %u%s:", b.first ? "endpoints" : "more", b.id,
	    b.affinity_seconds > 0 ? " affine" : "");
	for (uint32_t i = 0; i < b.count && b.count < 10; i++)
		say(" %s:%u", ip_format(&b.endpoints[i].addr, ip), b.endpoints[i].port);
	if (b.count >= 10)
		say(" %u", b.count);
	say(b.last ? "\n" : " ...\n");
}

static void listener(void *arg, const struct frame *f)
{
	struct relay_open o;
	struct cursor c;
	unsigned type;
	uint32_t id;

	(void)arg;
	assert_false(f->overflow);
	assert_null(frame_open(f->buf, f->len, &type, &c));
	if (type == RELAY_PROXY_PORT_OPEN) {
		assert_null(relay_decode_open(&c, &o));
		say("open %u %s %s%d %s", o.id, o.name, names_proto(o.proto),
		    o.family == FAMILY_4 ? 4 : 6, o.local_list ? "local" : "cluster");
		if (o.port != 0)
			say(" at %u", o.port);
		say("\n");
		told.opened++;
	} else if (type == RELAY_BACKENDS) {
		say_endpoints(&c);
	} else {
		assert_int_equal(type, RELAY_PROXY_PORT_CLOSE);
		assert_null(relay_decode_close(&c, &id));
		say("close %u\n", id);
	}
}

/* The listener's answer. */
static const char *got_port(struct world *w, uint32_t id, uint16_t port)
{
	static struct frame f;
	struct cursor c;
	unsigned type;
	const char *why;

	relay_encode_port(&f, id, port);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	why = plan_proxy_port(w->plan, &c);
	return why;
}

static void assert_told(const char *want)
{
	assert_string_equal(told.text, want);
	told.text[0] = '\0';
}

static struct world *relaying(uint8_t mode)
{
	struct world *w = world_in_mode(mode);

	memset(&told, 0, sizeof(told));
	plan_relays_to(w->plan, listener, NULL);
	plan_node(w->plan, NULL);
	world_listed(w);
	world_snapshot(w);
	return w;
}

/* All that were opened get the ports 40000, 40001, ... */
static void answer_all(struct world *w, uint32_t from)
{
	for (uint32_t id = from; id < told.opened; id++)
		assert_null(got_port(w, id, (uint16_t)(40000 + id)));
}

static bool sync(struct world *w)
{
	bool written;

	assert_true(plan_prepare(w->plan));
	written = world_sync(w);
	plan_close_relays(w->plan);
	return written;
}

/* Sixteen relays and more: each of what follows is a rule's whole line. */
#define TO(chain, what, port) "-A " chain " " what " -j REDIRECT --to-ports " port "\n"
#define WEB		      "-p tcp -m comment --comment \"a/web:http\" -m tcp --dport 80"
#define WEB_NODE	      "-p tcp -m comment --comment \"a/web:http\" -m tcp --dport 30080"
#define CONTAINER	      "KUBE-PORTALS-CONTAINER"
#define HOST		      "KUBE-PORTALS-HOST"

/* Nothing is written before the ports are known; then the rules lead there. */
static void ports_before_rules(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);

	(void)state;
	put_service(w, "a/web", "10.0.0.1 fd00::1", "http:80/tcp/30080");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.1=r 10.1.0.3=");
	assert_false(plan_prepare(w->plan));
	assert_told("open 0 a/web:http tcp4 cluster\nendpoints 0: 10.1.0.1:8080 10.1.0.2:8080\n");
	assert_false(plan_prepare(w->plan));
	assert_told("");
	answer_all(w, 0);
	assert_true(sync(w));
	assert_rules(w, CONTAINER, TO(CONTAINER, "-d 10.0.0.1/32 " WEB, "40000"));
	assert_rules(w, HOST, TO(HOST, "-d 10.0.0.1/32 " WEB, "40000"));
	assert_rules(
	    w, "KUBE-NODEPORT-CONTAINER", TO("KUBE-NODEPORT-CONTAINER", WEB_NODE, "40000"));
	assert_rules(w, "KUBE-NODEPORT-HOST", TO("KUBE-NODEPORT-HOST", WEB_NODE, "40000"));
	assert_rules(w, "6:" CONTAINER, "");
	assert_rules(w, "6:f:KUBE-SERVICES",
	    "-A KUBE-SERVICES -d fd00::1/128 -p tcp -m comment --comment \"a/web:http has no "
	    "endpoints\" -m tcp --dport 80 -j REJECT --reject-with icmp6-port-unreachable\n");
	assert_rules(w, "f:KUBE-EXTERNAL-SERVICES",
	    "-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment \"a/web:http is not reached by "
	    "the port of its relay\" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -m addrtype "
	    "--dst-type LOCAL -m tcp --dport 40000 -j REJECT --reject-with "
	    "icmp-port-unreachable\n");
	/* nothing of iptables mode's own */
	assert_no_chain(w, "KUBE-SERVICES");
	assert_no_chain(w, "KUBE-POSTROUTING");
	assert_no_chain(w, svc("a/web:http"));
	assert_no_chain(w, sep("a/web:http", "10.1.0.1:8080"));
	assert_told("");
	world_free(w);
}

/* Who comes or goes behind a relay is no rule's affair; the last one is, and the service. */
static void changes(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_false(plan_prepare(w->plan));
	answer_all(w, 0);
	assert_true(sync(w));
	told.text[0] = '\0';
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.4=r");
	assert_false(sync(w));
	assert_told("endpoints 0: 10.1.0.1:8080 10.1.0.4:8080\n");
	/* the same again, in another order */
	put_slice(w, "a/web-2", "web", "http:8080/tcp", "10.1.0.4=r 10.1.0.1=r");
	assert_false(sync(w));
	assert_told("");
	put_words(
	    w, &(struct words){
		   .name = "a/web", .ips = "10.0.0.1", .ports = "http:80/tcp", .affinity = 60});
	assert_false(sync(w));
	assert_told("endpoints 0 affine: 10.1.0.1:8080 10.1.0.4:8080\n");
	/* the rules go first, then what they lead to */
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=");
	put_slice(w, "a/web-2", "web", "http:8080/tcp", "10.1.0.1=");
	assert_true(plan_prepare(w->plan));
	assert_told("");
	assert_true(world_sync(w));
	assert_rules(w, CONTAINER, "");
	plan_close_relays(w->plan);
	assert_told("close 0\n");
	assert_null(got_port(w, 0, 40009)); /* an answer that was on its way */
	store_service_del(plan_store(w->plan), "a", "web");
	assert_true(sync(w));
	assert_told("");
	world_free(w);
}

/* One that has no port is left out, and nobody else; it follows when it gets one. */
static void a_relay_without_a_port(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);

	(void)state;
	put_service(w, "a/dns", "10.0.0.2", ":53/udp");
	put_slice(w, "a/dns-1", "dns", ":53/udp", "10.1.0.1=r");
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_false(plan_prepare(w->plan));
	assert_null(got_port(w, 0, 0));
	assert_false(plan_prepare(w->plan));
	assert_null(got_port(w, 1, 40001));
	assert_true(sync(w));
	assert_rules(w, CONTAINER, TO(CONTAINER, "-d 10.0.0.1/32 " WEB, "40001"));
	assert_rules(w, "f:KUBE-SERVICES", "");
	assert_null(got_port(w, 0, 40077));
	assert_true(sync(w));
	assert_rules(w, CONTAINER,
	    TO(CONTAINER, "-d 10.0.0.2/32 -p udp -m comment --comment \"a/dns\" -m udp --dport 53",
		"40077") TO(CONTAINER, "-d 10.0.0.1/32 " WEB, "40001"));
	world_free(w);
}

/* Policy Local: outsiders to the node's own endpoints; pods and the node to all. Ranges as well. */
static void policies(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);

	(void)state;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	put_words(w, &(struct words){.name = "a/web",
			 .ips = "10.0.0.1",
			 .ports = "http:80/tcp",
			 .external = "203.0.113.1",
			 .balancer = "203.0.113.2",
			 .ranges = "10.1.2.0/24 192.0.2.0/24",
			 .external_local = true});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=rl");
	assert_false(plan_prepare(w->plan));
	assert_told("open 0 a/web:http tcp4 cluster\nendpoints 0: 10.1.0.1:8080 10.1.0.2:8080\n"
		    "open 1 a/web:http tcp4 local\nendpoints 1: 10.1.0.2:8080\n");
	answer_all(w, 0);
	assert_true(sync(w));
	assert_rules(w, CONTAINER,
	    TO(CONTAINER, "-d 10.0.0.1/32 " WEB, "40000")
		TO(CONTAINER, "-s 10.1.0.0/16 -d 203.0.113.1/32 " WEB, "40000")
		    TO(CONTAINER, "-d 203.0.113.1/32 " WEB, "40001")
			TO(CONTAINER, "-s 10.1.2.0/24 -d 203.0.113.2/32 " WEB, "40000")
			    TO(CONTAINER, "-s 10.1.2.0/24 -d 203.0.113.2/32 " WEB, "40001")
				TO(CONTAINER, "-s 192.0.2.0/24 -d 203.0.113.2/32 " WEB, "40001"));
	assert_rules(w, HOST,
	    TO(HOST, "-d 10.0.0.1/32 " WEB, "40000") TO(HOST, "-d 203.0.113.1/32 " WEB, "40000")
		TO(HOST, "-s 10.1.2.0/24 -d 203.0.113.2/32 " WEB, "40000")
		    TO(HOST, "-s 192.0.2.0/24 -d 203.0.113.2/32 " WEB, "40000"));
	/* no local endpoint: outsiders get nowhere, and the filter drops */
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(sync(w));
	assert_rules(w, CONTAINER,
	    TO(CONTAINER, "-d 10.0.0.1/32 " WEB, "40000")
		TO(CONTAINER, "-s 10.1.0.0/16 -d 203.0.113.1/32 " WEB, "40000")
		    TO(CONTAINER, "-s 10.1.2.0/24 -d 203.0.113.2/32 " WEB, "40000"));
	world_free(w);
}

/* Pods told by their interface; node ports at addresses that are listed. */
static void interfaces_and_addresses(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);
	struct node_addrs_part part = {.first = true, .last = true, .count = 2};

	(void)state;
	w->cfg.detect_local = DETECT_BRIDGE_INTERFACE;
	strlcpy(w->cfg.pod_interface, "cni0", sizeof(w->cfg.pod_interface));
	w->cfg.nodeport_address_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.nodeport_addresses[0], "192.0.2.0/24"), 0);
	assert_int_equal(ip_parse(&part.addrs[0], "127.0.0.1"), 0);
	assert_int_equal(ip_parse(&part.addrs[1], "192.0.2.7"), 0);
	put_words(w, &(struct words){.name = "a/web",
			 .ips = "10.0.0.1",
			 .ports = "http:80/tcp/30080",
			 .external_local = true});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=rl");
	assert_false(plan_ready(w->plan)); /* what answers on node ports is not known yet */
	assert_null(plan_node_addrs(w->plan, &part));
	assert_false(plan_prepare(w->plan));
	answer_all(w, 0);
	assert_true(sync(w));
	assert_rules(w, "KUBE-NODEPORT-CONTAINER",
	    "-A KUBE-NODEPORT-CONTAINER -d 192.0.2.7/32 -i  -p tcp -m comment --comment "
	    "\"a/web:http\" -m tcp --dport 30080 -j REDIRECT --to-ports 40000\n" TO(
		"KUBE-NODEPORT-CONTAINER", "-d 192.0.2.7/32 " WEB_NODE, "40001"));
	assert_rules(w, "KUBE-NODEPORT-HOST",
	    TO("KUBE-NODEPORT-HOST", "-d 192.0.2.7/32 " WEB_NODE, "40000"));
	world_free(w);
}

/* Other modes: node ports on loopback addresses, where the kernel has no way; no rule leads there.
 */
static void loopback(void **state)
{
	struct world *w = world_in_mode(MODE_IPTABLES);

	(void)state;
	plan_free(w->plan);
	w->cfg.localhost_nodeports = true;
	w->plan = plan_new(&w->cfg);
	memset(&told, 0, sizeof(told));
	plan_relays_to(w->plan, listener, NULL);
	world_listed(w);
	world_snapshot(w);
	put_service(w, "a/web", "10.0.0.1 fd00::1", "http:80/tcp/30080 https:443/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp https:8443/tcp", "10.1.0.1=r");
	put_slice(w, "a/web-2", "web", "http:8080/tcp https:8443/tcp", "fd00:1::1=r");
	assert_true(sync(w)); /* whoever listens */
	assert_told("open 0 a/web:http tcp6 cluster at 30080\nendpoints 0: fd00:1::1:8080\n");
	assert_null(got_port(w, 0, 0));
	assert_null(got_port(w, 0, 30080));
	assert_false(plan_waiting(w->plan));
	put_service(w, "a/web", "10.0.0.1 fd00::1", "http:80/tcp https:443/tcp");
	assert_true(sync(w));
	assert_told("close 0\n");
	world_free(w);
}

static void many_endpoints(void **state)
{
	static char endpoints[32768];
	struct world *w = relaying(MODE_USERSPACE);
	size_t len = 0;

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	for (unsigned s = 0; s < 4; s++) {
		char name[16];

		len = 0;
		for (unsigned i = 0; i < 1000; i++)
			len += (size_t)snprintf(endpoints + len, sizeof(endpoints) - len,
			    "10.%u.%u.%u=r ", 1 + s, i / 250, 1 + i % 250);
		snprintf(name, sizeof(name), "a/web-%u", s);
		put_slice(w, name, "web", "http:8080/tcp", endpoints);
	}
	assert_false(plan_prepare(w->plan));
	assert_told("open 0 a/web:http tcp4 cluster\nendpoints 0: 3000 ...\nmore 0: 1000\n");
	world_free(w);
}

static void a_listener_that_lies(void **state)
{
	struct world *w = relaying(MODE_USERSPACE);

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_false(plan_prepare(w->plan));
	assert_non_null(strstr(got_port(w, 0, 22), "none of this mode's"));
	assert_non_null(strstr(got_port(w, RELAYS_MAX, 40000), "out of range"));
	assert_null(got_port(w, 5, 40000)); /* that it is not asked for is nobody's harm */
	assert_false(plan_prepare(w->plan));
	world_free(w);
	w = world_in_mode(MODE_NFTABLES);
	assert_non_null(got_port(w, 0, 40000));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ports_before_rules),
	    cmocka_unit_test(changes),
	    cmocka_unit_test(a_relay_without_a_port),
	    cmocka_unit_test(policies),
	    cmocka_unit_test(interfaces_and_addresses),
	    cmocka_unit_test(loopback),
	    cmocka_unit_test(many_endpoints),
	    cmocka_unit_test(a_listener_that_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
