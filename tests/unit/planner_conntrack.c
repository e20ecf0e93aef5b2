/* Which UDP flows are stale, when they are looked for, and that no good one ever is among them. */
#include "planner_world.h"

#include <errno.h>

#include "planner/conntrack.h"
#include "planner/local.h"

enum { V4 = 1 << FAMILY_4, V6 = 1 << FAMILY_6 };

/* The machine's addresses, in words, sorted. */
static void own_addresses(struct world *w, const char *words)
{
	static struct node_addrs_part part;
	uint32_t count = 0;
	struct ip_addr *ips = ips_of(words, &count);

	part = (struct node_addrs_part){.first = true, .last = true, .count = count};
	memcpy(part.addrs, ips, count * sizeof(*ips));
	free(ips);
	assert_null(udp_node_addrs(plan_udp(w->plan), &part));
}

static struct flow flow_of(const char *dst, uint16_t dst_port, const char *src, uint16_t src_port)
{
	struct flow f = {.dst_port = dst_port, .src_port = src_port};

	assert_int_equal(ip_parse(&f.dst, dst), 0);
	assert_int_equal(ip_parse(&f.src, src), 0);
	return f;
}

static bool stale(
    struct world *w, const char *dst, uint16_t dst_port, const char *src, uint16_t src_port)
{
	struct flow f = flow_of(dst, dst_port, src, src_port);

	return udp_is_stale(plan_udp(w->plan), &f);
}

/* Syncs; the families whose flows may be stale. */
static unsigned synced(struct world *w)
{
	world_sync(w);
	return udp_take_stale(plan_udp(w->plan));
}

static const struct words dns = {.name = "a/dns",
    .ips = "10.96.0.10 fd00:96::10",
    .ports = "dns:53/udp/30053 dns-tcp:53/tcp/30054",
    .external = "203.0.113.1 2001:db8::1",
    .balancer = "192.0.2.1 2001:db8::2"};

static void put_endpoints(struct world *w, const char *four, const char *six)
{
	put_slice(w, "a/dns-4", "dns", "dns:5353/udp dns-tcp:5353/tcp", four);
	put_slice(w, "a/dns-6", "dns", "dns:5353/udp dns-tcp:5353/tcp", six);
}

static struct world *with_dns(void)
{
	struct world *w = world_new();

	world_listed(w);
	put_words(w, &dns);
	put_endpoints(w, "10.1.0.1=rs 10.1.0.2=rs", "fd01::1=rs");
	own_addresses(w, "127.0.0.1 192.168.1.5 ::1 2001:db8:5::1");
	world_snapshot(w);
	assert_int_equal(synced(w), V4 | V6);
	return w;
}

static void every_frontend(void **state)
{
	static const struct {
		const char *dst;
		uint16_t port;
	} frontends[] = {{"10.96.0.10", 53}, {"203.0.113.1", 53}, {"192.0.2.1", 53},
	    {"192.168.1.5", 30053}, {"fd00:96::10", 53}, {"2001:db8::1", 53}, {"2001:db8::2", 53},
	    {"2001:db8:5::1", 30053}};
	struct world *w = with_dns();

	(void)state;
	for (size_t i = 0; i < sizeof(frontends) / sizeof(frontends[0]); i++) {
		const char *dst = frontends[i].dst;
		uint16_t port = frontends[i].port;
		bool v6 = strchr(dst, ':') != NULL;

		assert_false(stale(w, dst, port, v6 ? "fd01::1" : "10.1.0.1", 5353));
		assert_true(stale(w, dst, port, v6 ? "fd01::9" : "10.1.0.9", 5353));
		assert_true(stale(w, dst, port, v6 ? "fd01::1" : "10.1.0.1", 5354));
		assert_true(stale(w, dst, port, dst, port)); /* never translated */
	}
	world_free(w);
}

static void what_is_not_ours(void **state)
{
	struct world *w = with_dns();

	(void)state;
	/* another port of a service's address, another address */
	assert_false(stale(w, "10.96.0.10", 54, "10.96.0.10", 54));
	assert_false(stale(w, "10.96.0.10", 30053, "10.96.0.10", 30053));
	assert_false(stale(w, "10.96.0.11", 53, "10.1.0.9", 5353));
	/* the number of a node port, on a machine we are not, on loopback, of TCP */
	assert_false(stale(w, "192.168.1.6", 30053, "192.168.1.6", 30053));
	assert_false(stale(w, "127.0.0.1", 30053, "127.0.0.1", 30053));
	assert_false(stale(w, "::1", 30053, "::1", 30053));
	assert_false(stale(w, "192.168.1.5", 30054, "192.168.1.5", 30054));
	/* a port of the node that someone else translates */
	assert_false(stale(w, "192.168.1.5", 8053, "10.1.0.9", 5353));
	own_addresses(w, "");
	assert_false(stale(w, "192.168.1.5", 30053, "10.1.0.9", 5353));
	world_free(w);
}

/* A flow is to a node port only where these answer. */
static void where_node_ports_answer(void **state)
{
	struct world *w = world_new();
	struct node n = {.name = "me", .addr_count = 1};

	(void)state;
	w->cfg.nodeport_address_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.nodeport_addresses[0], "192.168.1.0/24"), 0);
	world_listed(w);
	put_words(w, &dns);
	put_endpoints(w, "10.1.0.1=rs", "fd01::1=rs");
	own_addresses(w, "10.9.9.9 127.0.0.1 192.168.1.5 2001:db8:5::1");
	world_snapshot(w);
	synced(w);
	assert_true(stale(w, "192.168.1.5", 30053, "10.1.0.9", 5353));
	assert_false(stale(w, "10.9.9.9", 30053, "10.1.0.9", 5353));
	assert_true(
	    stale(w, "2001:db8:5::1", 30053, "fd01::9", 5353)); /* no limit of this family */
	/* on loopback, if asked for */
	w->cfg.localhost_nodeports = true;
	assert_false(stale(w, "127.0.0.1", 30053, "10.1.0.9", 5353));
	w->cfg.nodeport_address_count = 0;
	assert_true(stale(w, "127.0.0.1", 30053, "10.1.0.9", 5353));
	/* on the Node's own address, which changes */
	w->cfg.nodeport_primary = true;
	n.addrs[0] = flow_of("10.9.9.9", 1, "10.9.9.9", 1).dst;
	plan_node(w->plan, &n);
	assert_int_equal(synced(w), V4 | V6);
	assert_true(stale(w, "10.9.9.9", 30053, "10.1.0.9", 5353));
	assert_false(stale(w, "192.168.1.5", 30053, "10.1.0.9", 5353));
	world_free(w);
}

/* Who serves: by conditions, not by who is chosen for new clients. */
static void conditions(void **state)
{
	static const struct {
		const char *flags;
		bool serves;
	} cases[] = {{"rs", true}, {"r", true}, {"s", true}, {"st", true}, {"rst", true},
	    {"", false}, {"t", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = with_dns();
		char text[64];

		/* Another one is ready: new clients go there. */
		snprintf(text, sizeof(text), "10.1.0.1=%s 10.1.0.2=rs", cases[i].flags);
		put_endpoints(w, text, "");
		synced(w);
		assert_int_equal(stale(w, "10.96.0.10", 53, "10.1.0.1", 5353), !cases[i].serves);
		assert_false(stale(w, "10.96.0.10", 53, "10.1.0.2", 5353));
		world_free(w);
	}
}

/* Policies and hints choose among those who serve; flows stay with whom they have. */
static void policies_cut_nothing(void **state)
{
	struct words local = dns;
	struct world *w = with_dns();

	(void)state;
	local.internal_local = local.external_local = true;
	put_words(w, &local);
	put_endpoints(w, "10.1.0.1=rsl 10.1.0.2=rs@far 10.1.0.3=rs@near", "");
	synced(w);
	assert_false(stale(w, "10.96.0.10", 53, "10.1.0.2", 5353));
	assert_false(stale(w, "192.0.2.1", 53, "10.1.0.3", 5353));
	world_free(w);
}

/* Two services that ask for one address: its owner's endpoints alone are good. */
static void a_shared_address(void **state)
{
	struct words other = {
	    .name = "b/x", .ips = "10.96.0.20", .ports = ":53/udp", .external = "203.0.113.1"};
	struct world *w = with_dns();

	(void)state;
	put_words(w, &other);
	put_slice(w, "b/x-1", "x", ":53/udp", "10.7.0.1=rs");
	synced(w);
	assert_false(stale(w, "203.0.113.1", 53, "10.1.0.1", 5353));
	assert_true(stale(w, "203.0.113.1", 53, "10.7.0.1", 53));
	assert_true(stale(w, "10.96.0.20", 53, "10.1.0.1", 5353));
	store_service_del(plan_store(w->plan), "a", "dns");
	synced(w);
	assert_true(stale(w, "203.0.113.1", 53, "10.1.0.1", 5353));
	assert_false(stale(w, "203.0.113.1", 53, "10.7.0.1", 53));
	/* An external IP that is the node's own, with a node port's number. */
	other.ports = ":30053/udp";
	other.external = "192.168.1.5";
	put_words(w, &dns);
	put_words(w, &other);
	put_slice(w, "b/x-1", "x", ":53/udp", "10.7.0.1=rs");
	synced(w);
	assert_true(stale(w, "192.168.1.5", 30053, "10.7.0.1", 53)); /* which has it */
	assert_false(stale(w, "192.168.1.5", 30053, "10.1.0.1", 5353));
	assert_true(stale(w, "192.168.1.5", 30053, "10.7.0.2", 53));
	world_free(w);
}

/* What makes a pass worth while, and what does not. */
static void when(void **state)
{
	struct world *w = with_dns();
	struct words changed = dns;

	(void)state;
	assert_int_equal(synced(w), 0); /* told once */
	put_endpoints(w, "10.1.0.1=rs 10.1.0.2=rs 10.1.0.3=rs", "fd01::1=rs fd01::2=rs");
	assert_int_equal(synced(w), 0); /* more than before */
	put_endpoints(w, "10.1.0.1=rs 10.1.0.2=st 10.1.0.3=rs", "fd01::1=rs fd01::2=rs");
	assert_int_equal(synced(w), 0); /* it ends, but serves */
	put_endpoints(w, "10.1.0.1=rs 10.1.0.2=t 10.1.0.3=rs", "fd01::1=rs fd01::2=rs");
	assert_int_equal(synced(w), V4); /* not a rule changes: new clients went elsewhere before */
	put_endpoints(w, "10.1.0.1=rs 10.1.0.3=rs", "fd01::2=rs fd01::3=rs");
	assert_int_equal(synced(w), V6); /* exchanged */
	put_endpoints(w, "10.1.0.1=rs 10.1.0.3=rs", "");
	assert_int_equal(synced(w), V6); /* none left */
	assert_true(stale(w, "fd00:96::10", 53, "fd01::2", 5353));
	put_endpoints(w, "10.1.0.1=rs 10.1.0.3=rs", "fd01::4=rs");
	assert_int_equal(synced(w), V6); /* the first */
	changed.balancer = "192.0.2.1 192.0.2.2 2001:db8::2";
	put_words(w, &changed);
	assert_int_equal(synced(w), V4); /* a new address: it may have been tried already */
	changed.ports = "dns:53/udp/30055 dns-tcp:53/tcp/30054";
	put_words(w, &changed);
	assert_int_equal(synced(w), V4 | V6); /* another node port */
	assert_false(stale(w, "192.168.1.5", 30053, "10.1.0.9", 5353));
	assert_true(stale(w, "192.168.1.5", 30055, "10.1.0.9", 5353));
	changed.affinity = 600;
	put_words(w, &changed);
	assert_int_equal(synced(w), 0);
	put_service(w, "a/web", "10.96.0.30", ":80/tcp"); /* no UDP */
	put_slice(w, "a/web-1", "web", ":80/tcp", "10.1.0.7=rs");
	assert_int_equal(synced(w), 0);
	store_slice_del(plan_store(w->plan), "a", "web-1");
	assert_int_equal(synced(w), 0);
	/* Looked at anew, nothing has changed. */
	plan_forget(w->plan);
	world_snapshot(w);
	assert_int_equal(synced(w), 0);
	/* A service without endpoints: whoever sent before it was there shall be refused. */
	put_service(w, "a/new", "10.96.0.31", ":53/udp");
	assert_int_equal(synced(w), V4);
	assert_true(stale(w, "10.96.0.31", 53, "10.96.0.31", 53));
	store_service_del(plan_store(w->plan), "a", "new");
	assert_int_equal(synced(w), 0);
	assert_false(stale(w, "10.96.0.31", 53, "10.96.0.31", 53));
	world_free(w);
}

/* Flows to a deleted Service lead to whom it had, until a pass that began afterwards has ended. */
static void a_deleted_service(void **state)
{
	struct world *w = with_dns();
	struct udp_index *x = plan_udp(w->plan);

	(void)state;
	store_service_del(plan_store(w->plan), "a", "dns");
	assert_int_equal(synced(w), V4 | V6);
	for (int pass = 0; pass < 2; pass++) {
		const bool there = pass == 0;

		assert_int_equal(stale(w, "10.96.0.10", 53, "10.1.0.1", 5353), there);
		assert_int_equal(stale(w, "192.168.1.5", 30053, "10.1.0.2", 5353), there);
		assert_false(stale(w, "10.96.0.10", 53, "10.1.0.9", 5353)); /* another's */
		assert_false(stale(w, "10.96.0.10", 53, "10.96.0.10", 53));
		udp_pass_ended(x, FAMILY_4); /* one that began before */
		assert_int_equal(stale(w, "10.96.0.10", 53, "10.1.0.1", 5353), there);
		udp_pass_begins(x, FAMILY_4);
		udp_pass_ended(x, FAMILY_4);
		assert_int_equal(stale(w, "fd00:96::10", 53, "fd01::1", 5353), there);
		udp_pass_begins(x, FAMILY_6);
		udp_pass_ended(x, FAMILY_6);
	}
	assert_int_equal(synced(w), 0);
	put_words(w, &dns);
	put_endpoints(w, "10.1.0.1=rs", "fd01::1=rs");
	assert_int_equal(synced(w), V4 | V6);
	assert_false(stale(w, "10.96.0.10", 53, "10.1.0.1", 5353));
	store_service_del(plan_store(w->plan), "a", "dns");
	assert_int_equal(synced(w), V4 | V6); /* and the world is freed before a pass */
	world_free(w);
}

/* A family the kernel does not offer is not looked at. */
static void one_family(void **state)
{
	struct txn_snapshot *s = calloc(1, sizeof(*s));
	struct world *w = world_new();

	(void)state;
	assert_non_null(s);
	world_listed(w);
	put_words(w, &dns);
	put_endpoints(w, "10.1.0.1=rs", "fd01::1=rs");
	s->families[FAMILY_4] = s->last = true;
	assert_null(plan_snapshot(w->plan, s));
	free(s);
	assert_int_equal(synced(w), V4);
	assert_false(stale(w, "fd00:96::10", 53, "fd00:96::10", 53));
	world_free(w);
}

static void the_nodes_addresses(void **state)
{
	static struct node_addrs_part part;
	struct local_addrs l = {.count = 0};
	struct ip_addr a;
	unsigned grew;

	(void)state;
	assert_int_equal(ip_parse(&a, "10.0.0.1"), 0);
	part = (struct node_addrs_part){.first = true, .count = 1, .addrs = {a}};
	assert_null(local_addrs_add(&l, &part, &grew));
	assert_false(node_is_local(&l, &a)); /* the list is not whole */
	assert_non_null(local_addrs_add(&l, &part, &grew));
	part.first = false;
	assert_int_equal(ip_parse(&part.addrs[0], "fe80::1"), 0);
	part.last = true;
	assert_null(local_addrs_add(&l, &part, &grew));
	assert_int_equal(grew, V4); /* link-local ones come with every interface */
	assert_true(node_is_local(&l, &a) && node_is_local(&l, &part.addrs[0]));
	assert_non_null(local_addrs_add(&l, &part, &grew)); /* without the first */
	part = (struct node_addrs_part){.first = true, .last = true, .count = 2, .addrs = {a, a}};
	assert_non_null(local_addrs_add(&l, &part, &grew)); /* not sorted */
	local_addrs_clear(&l);

	part = (struct node_addrs_part){.first = true, .last = true, .count = 1, .addrs = {a}};
	assert_null(local_addrs_add(&l, &part, &grew));
	assert_int_equal(grew, V4);
	assert_null(local_addrs_add(&l, &part, &grew));
	assert_int_equal(grew, 0);
	part.count = 0;
	assert_null(local_addrs_add(&l, &part, &grew));
	assert_int_equal(grew, 0);
	assert_false(node_is_local(&l, &a));
	local_addrs_clear(&l);
}

/* --- at random: every flow that may be, against the plain definition --- */

#define SERVICES  6
#define ENDPOINTS 6
#define PORTS	  2

static struct {
	bool there, udp[PORTS];
	unsigned external; /* last byte of its external IP, which others may have as well */
	uint8_t flags[ENDPOINTS];
	bool in_slice[ENDPOINTS];
} model[SERVICES];

static unsigned random_below(unsigned n)
{
	static uint32_t x = 88172645;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % n;
}

static void change_one(struct world *w)
{
	unsigned s = random_below(SERVICES);
	char name[32], slice[32], ip[32], external[32], ports[64], eps[512] = "";
	struct words x = {.name = name, .ips = ip, .ports = ports, .external = external};

	snprintf(name, sizeof(name), "a/s%u", s);
	snprintf(slice, sizeof(slice), "a/s%u-1", s);
	snprintf(ip, sizeof(ip), "10.96.0.%u", s + 1);
	model[s].there = random_below(8) != 0;
	model[s].external = random_below(3);
	snprintf(external, sizeof(external), "203.0.113.%u", model[s].external + 1);
	for (unsigned i = 0; i < PORTS; i++)
		model[s].udp[i] = random_below(3) != 0;
	snprintf(ports, sizeof(ports), "a:53/%s/%u b:54/%s/%u", model[s].udp[0] ? "udp" : "tcp",
	    30000 + s * PORTS, model[s].udp[1] ? "udp" : "tcp", 30000 + s * PORTS + 1);
	for (unsigned e = 0; e < ENDPOINTS; e++) {
		model[s].in_slice[e] = random_below(2) != 0;
		model[s].flags[e] = (uint8_t)random_below(8);
		if (!model[s].in_slice[e])
			continue;
		snprintf(eps + strlen(eps), sizeof(eps) - strlen(eps), "10.1.%u.%u=%s%s%s ", s,
		    e + 1, model[s].flags[e] & EP_READY ? "r" : "",
		    model[s].flags[e] & EP_SERVING ? "s" : "",
		    model[s].flags[e] & EP_TERMINATING ? "t" : "");
	}
	if (model[s].there)
		put_words(w, &x);
	else
		store_service_del(plan_store(w->plan), "a", name + 2);
	snprintf(ports, sizeof(ports), "a:8053/%s b:8054/%s", model[s].udp[0] ? "udp" : "tcp",
	    model[s].udp[1] ? "udp" : "tcp");
	put_slice(w, slice, name + 2, ports, eps);
}

/* Does endpoint E of service S serve its port P? */
static bool model_serves(unsigned s, unsigned e, unsigned p)
{
	return model[s].there && model[s].udp[p] && model[s].in_slice[e] &&
	       model[s].flags[e] & (EP_READY | EP_SERVING);
}

/* Flows to port P of service S by each of its ways in, answered by endpoint E of service T. */
static void check_flow(struct world *w, unsigned s, unsigned p, unsigned t, unsigned e)
{
	bool ours = model[s].there && model[s].udp[p];
	unsigned owner = SERVICES;
	char dst[32], src[32];

	snprintf(src, sizeof(src), "10.1.%u.%u", t, e + 1);
	snprintf(dst, sizeof(dst), "10.96.0.%u", s + 1);
	assert_int_equal(stale(w, dst, (uint16_t)(53 + p), src, (uint16_t)(8053 + p)),
	    ours && !(s == t && model_serves(s, e, p)));
	assert_int_equal(
	    stale(w, "192.168.1.5", (uint16_t)(30000 + s * PORTS + p), src, (uint16_t)(8053 + p)),
	    ours && !(s == t && model_serves(s, e, p)));
	assert_false(
	    stale(w, "192.168.1.6", (uint16_t)(30000 + s * PORTS + p), src, (uint16_t)(8053 + p)));
	for (unsigned i = SERVICES; i-- > 0;) /* the first by name has it */
		if (model[i].external == model[s].external && model[i].there && model[i].udp[p])
			owner = i;
	snprintf(dst, sizeof(dst), "203.0.113.%u", model[s].external + 1);
	assert_int_equal(stale(w, dst, (uint16_t)(53 + p), src, (uint16_t)(8053 + p)),
	    owner < SERVICES && !(owner == t && model_serves(t, e, p)));
}

static void at_random(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_listed(w);
	own_addresses(w, "192.168.1.5");
	world_snapshot(w);
	for (int round = 0; round < 1000; round++) {
		for (unsigned n = random_below(4); n > 0; n--)
			change_one(w);
		synced(w);
		for (uint8_t f = 0; f < FAMILY_COUNT; f++) { /* deleted Services' are forgotten */
			udp_pass_begins(plan_udp(w->plan), f);
			udp_pass_ended(plan_udp(w->plan), f);
		}
		for (unsigned i = 0; i < 40; i++)
			check_flow(w, random_below(SERVICES), random_below(PORTS),
			    random_below(SERVICES), random_below(ENDPOINTS));
		if (round % 100 == 99) { /* as after a failure */
			plan_forget(w->plan);
			world_snapshot(w);
		}
	}
	world_free(w);
}

/* --- passes --- */

static struct {
	unsigned type;
	uint8_t family;
	struct flows_choice choice;
	unsigned count;
} said; /* last, by the planner */

static void hear(void *arg, const struct frame *f)
{
	struct cursor c;

	(void)arg;
	said.count++;
	assert_null(frame_open(f->buf, f->len, &said.type, &c));
	if (said.type == TXN_FLOWS_REQUEST)
		assert_null(flows_decode_request(&c, &said.family));
	else
		assert_null(flows_decode_choice(&c, &said.choice));
}

static const char *tell(struct conntrack *ct, const struct frame *f)
{
	struct cursor c;
	unsigned type;
	const char *why;

	assert_null(frame_open(f->buf, f->len, &type, &c));
	why = type == TXN_FLOWS ? conntrack_part(ct, &c) : conntrack_end(ct, &c);
	return why;
}

static struct frame frame;

static const char *tell_part(struct conntrack *ct, const struct flow *flows, uint32_t count)
{
	static struct flows_part part;

	part.count = count;
	if (count > 0)
		memcpy(part.flows, flows, count * sizeof(*flows));
	flows_encode_part(&frame, &part);
	return tell(ct, &frame);
}

static const char *tell_end(struct conntrack *ct, int32_t error)
{
	flows_encode_end(&frame, &(struct flows_end){3, 1, error});
	return tell(ct, &frame);
}

static void passes(void **state)
{
	static struct conntrack ct;
	struct world *w = with_dns();
	const struct flow flows[] = {flow_of("10.96.0.10", 53, "10.1.0.1", 5353),
	    flow_of("10.96.0.10", 53, "10.1.0.9", 5353), flow_of("8.8.8.8", 53, "8.8.8.8", 53),
	    flow_of("192.168.1.5", 30053, "192.168.1.5", 30053)};

	(void)state;
	memset(&said, 0, sizeof(said));
	conntrack_init(&ct, plan_udp(w->plan), hear, NULL);
	conntrack_want(&ct, 0);
	assert_int_equal(said.count, 0);
	conntrack_want(&ct, V4 | V6);
	assert_true(said.count == 1 && said.type == TXN_FLOWS_REQUEST && said.family == FAMILY_4);
	assert_null(tell_part(&ct, flows, 4));
	assert_true(said.count == 2 && said.type == TXN_FLOWS_DELETE && said.choice.count == 2);
	assert_true(said.choice.places[0] == 1 && said.choice.places[1] == 3);
	/* What changes in the middle: one more pass behind, however often. */
	conntrack_want(&ct, V4);
	conntrack_want(&ct, V4);
	assert_int_equal(said.count, 2);
	assert_null(tell_part(&ct, flows, 0));
	assert_true(said.count == 3 && said.choice.count == 0);
	assert_null(tell_end(&ct, 0));
	assert_true(said.count == 4 && said.type == TXN_FLOWS_REQUEST && said.family == FAMILY_4);
	assert_null(tell_end(&ct, 0));
	assert_true(said.count == 5 && said.type == TXN_FLOWS_REQUEST && said.family == FAMILY_6);
	/* The plan as it is now counts: no flow to one who came in the middle is cut. */
	put_endpoints(w, "10.1.0.1=rs", "fd01::1=rs fd01::2=rs");
	assert_int_equal(synced(w), V4);
	assert_null(
	    tell_part(&ct, (const struct flow[]){flow_of("fd00:96::10", 53, "fd01::2", 5353)}, 1));
	assert_int_equal(said.choice.count, 0);
	assert_null(tell_end(&ct, EOPNOTSUPP)); /* said, and no end of anything */
	assert_int_equal(said.count, 6);
	conntrack_want(&ct, V6);
	assert_true(said.count == 7 && said.family == FAMILY_6);
	assert_null(tell_end(&ct, 0));
	/* Nobody asked. */
	assert_string_equal(tell_end(&ct, 0), "the end of flows nobody asked for");
	assert_string_equal(tell_part(&ct, flows, 4), "flows nobody asked for");
	assert_int_equal(said.count, 7);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_frontend),
	    cmocka_unit_test(what_is_not_ours),
	    cmocka_unit_test(where_node_ports_answer),
	    cmocka_unit_test(conditions),
	    cmocka_unit_test(policies_cut_nothing),
	    cmocka_unit_test(a_shared_address),
	    cmocka_unit_test(when),
	    cmocka_unit_test(a_deleted_service),
	    cmocka_unit_test(one_family),
	    cmocka_unit_test(the_nodes_addresses),
	    cmocka_unit_test(at_random),
	    cmocka_unit_test(passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
