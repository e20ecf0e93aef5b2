/* /services, /explain and /diff in ipvs mode. Packets judge the same answers in
 * tests/uml/test_ipvs_packets.py. */
#include "planner_ask.h"

#define WEB .name = "a/web", .ips = "10.0.0.1 fd00::1", .ports = "http:80/tcp/30080"

/* --- the kernel --- */

static struct ipvs_snapshot kernel;

static struct ipvs_item *find(const struct ipvs_item *key)
{
	for (uint32_t i = 0; i < kernel.count; i++)
		if (memcmp(&kernel.items[i], key, IPVS_KEY_LEN) == 0)
			return &kernel.items[i];
	return NULL;
}

/* A virtual server takes its real ones with it. */
static void drop(struct ipvs_item *i)
{
	const struct ipvs_item gone = *i;

	*i = kernel.items[--kernel.count];
	for (uint32_t r = 0; gone.kind == IPVS_SERVER && r < kernel.count;)
		if (kernel.items[r].kind == IPVS_REAL &&
		    ipvs_item_same_frontend(&kernel.items[r], &gone))
			kernel.items[r] = kernel.items[--kernel.count];
		else
			r++;
}

static const char *do_item(struct world *w, enum txn_op op, const struct ipvs_item *i)
{
	struct ipvs_item *at = find(i);

	if (op == OP_ITEM_PUT) {
		assert_null(at);
		assert_true(kernel.count < IPVS_SNAPSHOT_PART_MAX);
		kernel.items[kernel.count++] = *i;
	} else if (op == OP_ITEM_CHANGE) {
		assert_non_null(at);
		at->value = i->value;
	} else {
		assert_non_null(at);
		drop(at);
	}
	if (op == OP_ITEM_DELETE)
		w->deletes++;
	else
		w->puts++;
	return NULL;
}

static struct ipvs_item *add(enum ipvs_kind kind, const char *addr, uint16_t port)
{
	struct ipvs_item *i = &kernel.items[kernel.count++];

	*i = (struct ipvs_item){.kind = (uint8_t)kind};
	assert_int_equal(ip_parse(&i->addr, addr), 0);
	i->family = i->addr.family;
	i->port = port;
	i->proto = port != 0 ? PROTO_TCP : 0;
	return i;
}

static struct ipvs_item *the(enum ipvs_kind kind, const char *addr, uint16_t port)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, addr), 0);
	for (uint32_t i = 0; i < kernel.count; i++)
		if (kernel.items[i].kind == kind && kernel.items[i].port == port &&
		    ip_cmp(&kernel.items[i].addr, &a) == 0)
			return &kernel.items[i];
	fail_msg("no item of kind %u, %s port %u", kind, addr, port);
	return NULL;
}

/* --- the world --- */

static struct world *world(void)
{
	struct node_addrs_part addrs = {.first = true, .last = true};
	struct world *w = world_in_mode(MODE_IPVS);
	struct node n = {.zone = "z", .addr_count = 1};

	kernel.count = 0;
	w->item = do_item;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	assert_int_equal(ip_parse(&n.addrs[0], "192.168.0.1"), 0);
	addrs.addrs[addrs.count++] = (struct ip_addr){FAMILY_4, {127, 0, 0, 1}};
	addrs.addrs[addrs.count++] = n.addrs[0];
	plan_node(w->plan, &n);
	assert_null(plan_node_addrs(w->plan, &addrs));
	world_listed(w);
	return w;
}

static void program(struct world *w)
{
	if (!plan_ready(w->plan)) {
		assert_null(plan_ipvs_snapshot(w->plan, &kernel));
		world_snapshot(w);
	}
	world_sync(w);
}

/* --- /explain --- */

static void test_text(void **state)
{
	struct world *w = world();
	char *text;

	(void)state;
	put_words(w, &(struct words){WEB, .affinity = 600});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	program(w);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl");
	program(w);
	text = ask(w, "/explain?src=10.1.0.1&dst=192.168.0.1&port=30080");
	assert_string_equal(text,
	    "mode: ipvs\n"
	    "from: 10.1.0.1\n"
	    "source: a pod, by local detection's prefix 10.1.0.0/16\n"
	    "to: 192.168.0.1:30080/tcp\n"
	    "local: yes\n"
	    "answers:\n"
	    "  - steps:\n"
	    "      - why: the destination is an address of this node, where node ports answer\n"
	    "        at: nat KUBE-SERVICES rule 6\n"
	    "        rule: -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT\n"
	    "      - why: a node port, and externalTrafficPolicy Cluster: masqueraded, to come "
	    "back by this node\n"
	    "        at: nat KUBE-NODE-PORT rule 7\n"
	    "        rule: -A KUBE-NODE-PORT -p tcp -m comment --comment \"Kubernetes nodeport "
	    "for masquerade purpose\" -m set --match-set KUBE-NODE-PORT-TCP dst -j "
	    "KUBE-MARK-MASQ; KUBE-NODE-PORT-TCP has { 30080 }\n"
	    "      - why: the address and port are a virtual server\n"
	    "        at: IPVS, behind filter INPUT\n"
	    "        rule: -A -t 192.168.0.1:30080 -s rr -p 600\n"
	    "      - why: a real server that leaves: it has connections, and gets no new one\n"
	    "        at: IPVS, behind filter INPUT\n"
	    "        rule: -a -t 192.168.0.1:30080 -r 10.1.0.2:8080 -m -w 0\n"
	    "    service: a/web:http\n"
	    "    outcome: translated\n"
	    "    meaning: sent to one of the endpoints below\n"
	    "    affinity: a client that was here in the last 600 seconds goes where it went "
	    "then\n"
	    "    endpoints:\n"
	    "      - address: 10.1.0.1:8080  percent: 100.00  masqueraded: yes  by: nat "
	    "KUBE-POSTROUTING rule 1  rule: virtual server 192.168.0.1:30080\n");
	free(text);
	world_free(w);
}

static void test_outcomes(void **state)
{
	static const struct {
		const char *src, *dst, *want;
	} cases[] = {
	    {"10.1.0.9", "10.0.0.1&port=80", "masqueraded: no"},
	    {"10.1.0.9", "10.0.0.1&port=80", "percent: 50.00"},
	    {"10.1.0.9", "10.0.0.1&port=80", "KUBE-CLUSTER-IP has { 10.0.0.1,tcp:80 }"},
	    {"10.2.0.9", "10.0.0.1&port=80", "masqueraded: yes  by: nat KUBE-POSTROUTING rule 4"},
	    {"10.2.0.9", "10.0.0.1&port=80", "! -s 10.1.0.0/16"},
	    /* the node has the ClusterIP's own address then */
	    {"10.0.0.1", "10.0.0.1&port=80", "source: this node itself"},
	    {"10.0.0.1", "10.0.0.1&port=80", "at: IPVS, behind nat OUTPUT"},
	    {"10.0.0.1", "10.0.0.1&port=80", "masqueraded: yes"},
	    {"10.1.0.1", "10.0.0.1&port=80",
		"masqueraded: yes  because: it reaches itself  by: nat KUBE-POSTROUTING rule 1"},
	    {"10.1.0.9", "10.0.0.1&port=81", "no service has this port of the address"},
	    {"10.1.0.9", "10.0.0.1&port=81", "outcome: rejected"},
	    {"10.1.0.9", "10.0.0.1&port=80&proto=udp", "outcome: rejected"},
	    {"10.1.0.9", "10.0.0.77&port=80", "outcome: passes"},
	    {"10.1.0.9", "10.0.0.77&port=80", "local: no"},
	    {"10.1.0.9", "10.0.0.2&port=53&proto=udp", "outcome: rejected"},
	    {"10.1.0.9", "10.0.0.2&port=53&proto=udp", "no endpoint takes new connections"},
	    {"10.1.0.9", "10.0.0.2&port=53&proto=udp", "service: a/empty"},
	    {"10.9.9.9", "192.168.0.1&port=30080", "percent: 100.00  masqueraded: no"},
	    {"10.9.9.9", "192.168.0.1&port=30080", "KUBE-NODE-PORT-LOCAL-TCP has { 30080 }"},
	    {"192.168.0.1", "192.168.0.1&port=30080", "percent: 100.00  masqueraded: yes"},
	    {"198.51.100.1", "203.0.113.1&port=80", "outcome: translated"},
	    {"198.51.100.1", "203.0.113.1&port=80",
		"KUBE-LOAD-BALANCER-SOURCE-CIDR has { 203.0.113.1,tcp:80,198.51.100.0/24 }"},
	    {"198.51.101.1", "203.0.113.1&port=80", "in no source range of the service"},
	    {"198.51.101.1", "203.0.113.1&port=80", "outcome: dropped"},
	    {"198.51.101.1", "203.0.113.1&port=80", "service: a/web:http"},
	    {"203.0.113.1", "203.0.113.1&port=80", "outcome: translated"},
	    {"198.51.101.1", "203.0.113.2&port=80", "outcome: translated"},
	    {"10.9.9.9", "192.168.0.1&port=30081", "outcome: dropped"},
	    {"10.9.9.9", "192.168.0.1&port=30081", "Local, and no endpoint is on this node"},
	    {"10.1.0.9", "192.168.0.1&port=30081", "10.1.0.2:8080  percent: 100.00"},
	    {"192.168.0.1", "192.168.0.1&port=30081", "10.1.0.2:8080  percent: 100.00"},
	    {"10.1.0.9", "10.0.0.3&port=80", "outcome: dropped"},
	    {"10.1.0.9", "10.0.0.3&port=80", "Local, and no endpoint is on this node"},
	    {"10.0.0.3", "10.0.0.3&port=80", "outcome: rejected"},
	    {"10.1.0.9", "10.0.0.4&port=80", "in the last 600 seconds"},
	    {"2001:db8::9", "fd00::1&port=80", "outcome: rejected"},
	    {"2001:db8::9", "fd00::1&port=80", "rule: -A -t [fd00::1]:80 -s rr\n"},
	    {"10.9.9.9", "192.168.0.1&port=30100", "outcome: accepted"},
	    {"10.9.9.9", "192.168.0.1&port=30100", "KUBE-HEALTH-CHECK-NODE-PORT has { 30100 }"},
	    {"10.9.9.9", "192.168.0.1&port=22", "outcome: passes"},
	    /* an endpoint of the node's own: what came in stays in */
	    {"10.2.0.9", "10.0.0.5&port=80", "192.168.0.1:8080  percent: 100.00  masqueraded: no"},
	    {"10.0.0.5", "10.0.0.5&port=80", "192.168.0.1:8080  percent: 100.00  masqueraded: yes"},
	};
	struct world *w = world();

	(void)state;
	put_words(w, &(struct words){WEB, .external = "203.0.113.2", .balancer = "203.0.113.1",
			 .ranges = "198.51.100.0/24", .external_local = true, .health = 30100});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	put_service(w, "a/empty", "10.0.0.2", ":53/udp");
	put_words(w, &(struct words){.name = "a/far",
			 .ips = "10.0.0.3",
			 .ports = ":80/tcp/30081",
			 .internal_local = true,
			 .external_local = true});
	put_slice(w, "a/far-1", "far", ":8080/tcp", "10.1.0.2=r");
	put_words(
	    w, &(struct words){
		   .name = "a/sticky", .ips = "10.0.0.4", .ports = ":80/tcp", .affinity = 600});
	put_slice(w, "a/sticky-1", "sticky", ":8080/tcp", "10.1.0.2=r 10.1.0.3=r");
	put_service(w, "a/host", "10.0.0.5", ":80/tcp");
	put_slice(w, "a/host-1", "host", ":8080/tcp", "192.168.0.1=rl");
	program(w);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char url[128];

		snprintf(url, sizeof(url), "/explain?src=%s&dst=%s", cases[i].src, cases[i].dst);
		assert_says(w, url, cases[i].want);
	}
	world_free(w);
}

/* Only of those that go round is it known which share each endpoint has. */
static void test_schedulers(void **state)
{
	static const struct {
		const char *name;
		bool shares;
	} all[] = {{"", true}, {"rr", true}, {"wrr", true}, {"lc", false}, {"wlc", false},
	    {"lblc", false}, {"lblcr", false}, {"dh", false}, {"sh", false}, {"mh", false},
	    {"sed", false}, {"nq", false}, {"fo", false}, {"ovf", false}};
	static const char url[] = "/explain?src=10.1.0.9&dst=10.0.0.1&port=80";

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct world *w = world();

		strlcpy(w->cfg.ipvs_scheduler, all[i].name, sizeof(w->cfg.ipvs_scheduler));
		put_words(w, &(struct words){WEB});
		put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
		program(w);
		(all[i].shares ? assert_says_not : assert_says)(w, url, "chosen: ");
		(all[i].shares ? assert_says : assert_says_not)(w, url, "percent: 50.00");
		assert_says(w, url, "address: 10.1.0.1:8080");
		assert_says(w, url, "address: 10.1.0.2:8080");
		world_free(w);
	}
}

static void test_masquerade_rules(void **state)
{
	static const char url[] = "/explain?src=10.2.0.9&dst=10.0.0.1&port=80";
	struct world *w = world();

	(void)state;
	w->cfg.detect_local = DETECT_INTERFACE_PREFIX;
	strlcpy(w->cfg.pod_interface, "veth", sizeof(w->cfg.pod_interface));
	put_words(w, &(struct words){WEB});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	program(w);
	assert_says(w, url, "if: it came in by another interface than veth*");
	assert_says(w, url, "masqueraded: yes");
	assert_says(w, url, "masqueraded: no");
	assert_says_not(
	    w, "/explain?src=10.2.0.9&dst=10.0.0.1&port=80&in=veth1", "masqueraded: yes");
	/* nothing is asked of the interface where no ipset has the packet */
	assert_says_not(w, "/explain?src=10.2.0.9&dst=192.168.0.1&port=30080", "if: ");
	world_free(w);

	w = world();
	w->cfg.cluster_cidr_count = 0;
	put_words(w, &(struct words){WEB});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	program(w);
	assert_says(w, url, "masqueraded: no");
	assert_says(w, "/explain?src=10.0.0.1&dst=10.0.0.1&port=80",
	    "--match-set KUBE-CLUSTER-IP src,dst -j KUBE-MARK-MASQ; KUBE-CLUSTER-IP has { "
	    "10.0.0.1,tcp:80 }");
	assert_says(w, "/explain?src=10.0.0.1&dst=10.0.0.1&port=80", "masqueraded: yes");
	w->cfg.masquerade_all = true;
	assert_says(w, url, "--masquerade-all");
	assert_says(w, url, "masqueraded: yes");
	world_free(w);
}

/* Of a virtual server of another program nothing is promised. */
static void test_what_is_others(void **state)
{
	struct world *w = world();

	(void)state;
	w->cfg.ipvs_exclude_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.ipvs_exclude[0], "10.0.0.1/32"), 0);
	add(IPVS_SERVER, "10.0.0.2", 80)->value = IPVS_FOREIGN;
	add(IPVS_REAL, "10.0.0.2", 80)->value = 1;
	kernel.items[kernel.count - 1].to = (struct ip_addr){FAMILY_4, {10, 7, 7, 7}};
	kernel.items[kernel.count - 1].to_port = 7;
	put_words(w, &(struct words){WEB});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	put_service(w, "a/two", "10.0.0.2", ":80/tcp");
	put_slice(w, "a/two-1", "two", ":8080/tcp", "10.1.0.1=r");
	put_words(w, &(struct words){.name = "a/third",
			 .ips = "10.0.0.3",
			 .ports = ":80/tcp",
			 .external = "203.0.113.9"});
	put_words(w,
	    &(struct words){
		.name = "a/zzz", .ips = "10.0.0.4", .ports = ":80/tcp", .external = "203.0.113.9"});
	program(w);
	assert_says(w, "/explain?src=10.2.0.9&dst=10.0.0.1&port=80", "at: --ipvs-exclude-cidrs");
	assert_says(w, "/explain?src=10.2.0.9&dst=10.0.0.1&port=80", "outcome: passes");
	assert_says(
	    w, "/explain?src=192.168.0.1&dst=10.0.0.2&port=80", "another program's virtual server");
	assert_says(w, "/explain?src=192.168.0.1&dst=10.0.0.2&port=80", "outcome: passes");
	assert_says(w, "/services", "10.0.0.1:80  is: others': in --ipvs-exclude-cidrs\n");
	assert_says(w, "/services", "10.0.0.2:80  is: another program's virtual server\n");
	assert_says(w, "/services?name=zzz",
	    "203.0.113.9:80  is: refused: a/third has it as its external IP, and is first by name, "
	    "both having no UID\n");
	assert_says(w, "/explain?src=10.2.0.9&dst=203.0.113.9&port=80",
	    "service: a/zzz  kind: external IP  because: a/third has it as its external IP, ");
	assert_says(
	    w, "/services?name=third", "203.0.113.9:80  is: rejected: no endpoints  ipsets: ");
	world_free(w);
}

/* --- /services --- */

static void test_services(void **state)
{
	static const char *const wants[] = {
	    "service: a/web:http\n    family: IPv4\n",
	    "kind: cluster IP  address: 10.0.0.1:80  is: to the endpoints  ipsets: "
	    "KUBE-CLUSTER-IP, KUBE-IPVS-IPS  scheduler: rr  realServers: 2\n",
	    "kind: external IP  address: 203.0.113.2:80  is: to the endpoints on this node, from "
	    "pods and the node as well  ipsets: KUBE-EXTERNAL-IP-LOCAL, KUBE-IPVS-IPS  scheduler: "
	    "rr  realServers: 1\n",
	    "kind: load-balancer IP  address: 203.0.113.1:80  is: to the endpoints on this node, "
	    "from pods and the node as well, from its source ranges alone  ipsets: "
	    "KUBE-LOAD-BALANCER, KUBE-LOAD-BALANCER-LOCAL, KUBE-LOAD-BALANCER-FW, KUBE-IPVS-IPS  "
	    "scheduler: rr  realServers: 1\n",
	    "kind: node port  address: 192.168.0.1:30080  is: to the endpoints on this node, from "
	    "pods and the node as well  ipsets: KUBE-NODE-PORT-TCP, KUBE-NODE-PORT-LOCAL-TCP  "
	    "scheduler: rr  realServers: 1\n",
	    "kind: node port  port: 30100  is: accepted: the health check node port  ipsets: "
	    "KUBE-HEALTH-CHECK-NODE-PORT\n",
	    "sourceRanges:\n      - 198.51.100.0/24\n",
	    "10.1.0.2:8080  cluster: in, ready  local: out, not on this node\n",
	    "kind: cluster IP  address: [fd00::1]:80  is: rejected: no endpoints  ipsets: "
	    "KUBE-6-CLUSTER-IP, KUBE-6-IPVS-IPS  scheduler: rr  realServers: 0\n",
	    "kind: cluster IP  address: 10.0.0.3:80  is: dropped: no endpoints on this node; "
	    "rejected to the node itself  ipsets: KUBE-CLUSTER-IP, KUBE-LOAD-BALANCER-FW, "
	    "KUBE-IPVS-IPS  scheduler: rr  realServers: 0\n",
	    "kind: node port  address: 192.168.0.1:30081  is: dropped: no endpoints on this node; "
	    "from pods and the node itself to all  ipsets: KUBE-LOAD-BALANCER-FW, "
	    "KUBE-NODE-PORT-SCTP-HASH, KUBE-NODE-PORT-LOCAL-SCTP-HASH  scheduler: rr  realServers: "
	    "1\n",
	    "kind: cluster IP  address: 10.0.0.4:80  is: to the endpoints  ipsets: "
	    "KUBE-CLUSTER-IP, KUBE-IPVS-IPS  scheduler: rr  realServers: 1  leaving: "
	    "10.1.0.1:8080\n",
	    "kind: external IP  address: 203.0.113.4:80  is: to the endpoints, masqueraded",
	};
	struct world *w = world();

	(void)state;
	put_words(w, &(struct words){WEB, .external = "203.0.113.2", .balancer = "203.0.113.1",
			 .ranges = "198.51.100.0/24", .external_local = true, .health = 30100});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	put_words(w, &(struct words){.name = "a/far",
			 .ips = "10.0.0.3",
			 .ports = ":80/sctp/30081",
			 .internal_local = true,
			 .external_local = true});
	put_slice(w, "a/far-1", "far", ":8080/sctp", "10.1.0.2=r");
	put_words(w, &(struct words){.name = "a/left",
			 .ips = "10.0.0.4",
			 .ports = ":80/tcp",
			 .external = "203.0.113.4"});
	put_slice(w, "a/left-1", "left", ":8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	program(w);
	put_slice(w, "a/left-1", "left", ":8080/tcp", "10.1.0.2=r");
	program(w);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		assert_says(w, "/services", wants[i]);
	assert_says(w, "/services?name=none", "error: there is no Service \"none\"\n");
	w->cfg.masquerade_all = true;
	assert_says(w, "/services?name=left", "10.0.0.4:80  is: to the endpoints, masqueraded");
	world_free(w);
}

/* --- /diff --- */

/* The kernel's items are those of PARTS, its chains those that were put. */
static char *diff_of(struct world *w, const struct ipvs_snapshot *items, uint64_t *found)
{
	static struct ipvs_snapshot part;
	static struct txn_snapshot chains;
	const struct plan_view view = plan_view(w->plan);
	struct inspection i = {0};
	struct kernel_chain *kc;
	struct diff d = {0};
	struct query q;
	char *text;

	diff_begin(&d, &view);
	for (uint32_t k = 0; k < items->count; k += part.count) { /* in parts, and in no order */
		part.count = 0;
		while (part.count < 7 && k + part.count < items->count) {
			part.items[part.count] = items->items[items->count - 1 - k - part.count];
			part.count++;
		}
		diff_add_ipvs(&d, &part);
	}
	chains = (struct txn_snapshot){.families = {true, true}, .last = true};
	memcpy(chains.hooks, w->hooks, sizeof(chains.hooks));
	RB_FOREACH (kc, kernel_chains, &w->chains)
		chains.chains[chains.count++] =
		    (struct txn_chain_digest){kc->chain, kernel_digest(w, kc)};
	assert_null(diff_add(&d, &chains));
	assert_null(query_parse_url(&q, "/diff"));
	inspection_begin(&i, &q);
	*found = inspection_differences(&i, &view, &d);
	text = strndup(i.out.text, i.out.len);
	inspection_clear(&i);
	diff_clear(&d);
	return text;
}

static void differs(struct world *w, unsigned count, const char *want)
{
	uint64_t found;
	char *text = diff_of(w, &kernel, &found);

	if (found != count || strstr(text, want) == NULL)
		fail_msg("%u and \"%s\", not %s", count, want, text);
	free(text);
}

static void test_differences(void **state)
{
	static struct ipvs_snapshot before;
	struct world *w = world();
	struct ipvs_item *i;

	(void)state;
	add(IPVS_SERVER, "10.0.0.2", 80)->value = IPVS_FOREIGN;
	add(IPVS_REAL, "10.0.0.2", 80)->value = 1;
	put_words(w, &(struct words){WEB, .affinity = 600});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	put_service(w, "a/two", "10.0.0.2", ":80/tcp");
	program(w);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl");
	program(w);
	before = kernel;
	differs(w, 0, "mode: ipvs\ndifferences: none\ncount: 0\nmeaning: nothing differs");
	/* what connections there are is no difference, nor another program's doings */
	for (uint32_t n = 0; n < kernel.count; n++)
		if (kernel.items[n].kind == IPVS_REAL)
			kernel.items[n].value |= IPVS_BUSY;
	drop(the(IPVS_REAL, "10.0.0.2", 80));
	add(IPVS_SERVER, "10.9.9.9", 80)->value = IPVS_FOREIGN;
	add(IPVS_REAL, "10.9.9.9", 80)->value = 1;
	differs(w, 0, "nothing differs");
	drop(the(IPVS_SERVER, "10.0.0.2", 80));
	differs(w, 0, "nothing differs");

	kernel = before;
	drop(the(IPVS_ADDRESS, "10.0.0.1", 0));
	differs(w, 1, "- is: missing  interface: kube-ipvs0  address: 10.0.0.1\n");
	kernel = before;
	drop(the(IPVS_CLUSTER_IP, "fd00::1", 80));
	differs(
	    w, 1, "- is: missing  ipset: KUBE-6-CLUSTER-IP  entry: fd00::1,tcp:80  of: a/web\n");
	kernel = before;
	drop(the(IPVS_SERVER, "10.0.0.1", 80));
	differs(w, 3, "- is: missing  server: -t 10.0.0.1:80  of: a/web\n"); /* and its real ones */
	kernel = before;
	drop(the(IPVS_REAL, "10.0.0.1", 80));
	differs(w, 1, "- is: missing  server: -t 10.0.0.1:80  real: 10.1.0.");
	kernel = before;
	the(IPVS_SERVER, "10.0.0.1", 80)->value = 0;
	differs(w, 1,
	    "- is: changed  server: -t 10.0.0.1:80  affinitySeconds: 0 in place of 600  of: "
	    "a/web\n");
	kernel = before;
	the(IPVS_SERVER, "10.0.0.1", 80)->value |= IPVS_OTHER;
	differs(w, 1, "what: its scheduler or options");
	the(IPVS_SERVER, "10.0.0.1", 80)->value |= IPVS_FOREIGN;
	differs(w, 1, "what: it is another program's now");
	kernel = before;
	for (i = kernel.items; i->kind != IPVS_REAL || i->value != 0; i++)
		continue; /* the one that leaves */
	i->value = 1;
	differs(w, 1, "real: 10.1.0.2:8080  weight: 1 in place of 0");
	i->value = IPVS_OTHER;
	differs(w, 1, "real: 10.1.0.2:8080  what: its weight or way of forwarding");
	kernel = before;
	add(IPVS_NODE_PORT, "10.0.0.1", 31111)->proto = 0;
	kernel.items[kernel.count - 1].addr = (struct ip_addr){0};
	differs(w, 1, "- is: too many  ipset: KUBE-NODE-PORT-TCP  entry: 31111\n");
	kernel = before;
	add(IPVS_SERVER, "10.0.0.1", 81); /* ours: it will be deleted */
	add(IPVS_REAL, "10.0.0.1", 81)->value = 1;
	differs(w, 1, "- is: too many  server: -t 10.0.0.1:81\n");
	kernel = before;
	add(IPVS_REAL, "10.0.0.1", 80)->to = (struct ip_addr){FAMILY_4, {10, 1, 0, 7}};
	differs(w, 1, "- is: too many  server: -t 10.0.0.1:80  real: 10.1.0.7:0  of: a/web\n");
	/* chains as well */
	kernel = before;
	w->hooks[FAMILY_4] ^= 1u << 16;
	differs(w, 1,
	    "is: missing  family: IPv4  table: filter  jump: from INPUT to KUBE-IPVS-FILTER\n");
	w->hooks[FAMILY_4] ^= 1u << 16;
	kernel.count = 0;
	differs(w, before.count - 2, "is: missing");
	world_free(w);
}

/* Whatever comes and goes, what was written is what there should be, and what others did is told.
 */
static void test_differences_of_a_changing_world(void **state)
{
	static const char *const endpoints[] = {"", "10.1.0.1=rl", "10.1.0.1=r 10.1.0.2=rl",
	    "10.1.0.2=st 10.1.0.3=t", "10.1.0.3=rl 10.1.0.4=r 10.1.0.5=st"};
	struct world *w = world();
	uint32_t seed = 7, told = 0, count;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		const unsigned k = (seed = seed * 1103515245 + 12345) >> 16;
		char name[16], ip[32], slice[16];

		snprintf(name, sizeof(name), "a/s%u", k % 7);
		snprintf(slice, sizeof(slice), "a/s%u-1", k % 7);
		snprintf(ip, sizeof(ip), "10.0.0.%u fd00::%u", k % 7 + 1, k % 7 + 1);
		if (k / 7 % 8 == 0)
			store_service_del(plan_store(w->plan), "a", name + 2);
		else
			put_words(w, &(struct words){.name = name,
					 .ips = ip,
					 .ports = k % 2 ? ":80/tcp/30080" : ":80/tcp :53/udp",
					 .external = k / 3 % 3 ? NULL : "203.0.113.1",
					 .affinity = k / 5 % 2 * 600,
					 .external_local = k / 11 % 2});
		put_slice(w, slice, name + 2, k % 2 ? ":8080/tcp" : ":8080/tcp :53/udp",
		    endpoints[k / 13 % 5]);
		program(w);
		differs(w, 0, "nothing differs");
		/* now and then others take something, a connection ends, and the plan looks */
		if (round % 5 == 0 && kernel.count > 0) {
			for (uint32_t i = 0; i < kernel.count; i++)
				if (kernel.items[i].kind == IPVS_REAL && (k + i) % 3 == 0)
					kernel.items[i].value ^= IPVS_BUSY;
			differs(w, 0, "nothing differs");
			count = kernel.count;
			drop(&kernel.items[k % kernel.count]);
			differs(w, count - kernel.count, "is: missing");
			told++;
			plan_forget(w->plan);
			program(w);
			differs(w, 0, "nothing differs");
		}
	}
	assert_true(told > 300);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_schedulers),
	    cmocka_unit_test(test_masquerade_rules),
	    cmocka_unit_test(test_what_is_others),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_differences),
	    cmocka_unit_test(test_differences_of_a_changing_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
