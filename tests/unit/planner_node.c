/* What the rules take from the own Node and from what the configuration says of it. */
#include "planner_world.h"

#define WEB  .name = "a/web", .ips = "10.0.0.1 fd00::1", .ports = "http:80/tcp/30080"
#define NAME "a/web:http"
#define LAST                                                                                       \
	"-m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule "   \
	"in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n"
#define IN(net)                                                                                    \
	"-A KUBE-SERVICES -d " net " -m comment --comment \"kubernetes service nodeports\" -m "    \
	"addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n"
#define RETURN                                                                                     \
	"-A KUBE-SERVICES ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \"node ports on "   \
	"loopback are for this node\" -j RETURN\n"
#define LAST4 "-A KUBE-SERVICES ! -d 127.0.0.0/8 " LAST
#define LAST6 "-A KUBE-SERVICES ! -d ::1/128 " LAST

/* A world whose plan is of a configuration that SETS completes. No service, no snapshot yet. */
static struct world *world_with(void (*set)(struct config *cfg))
{
	struct world *w = world_new();

	set(&w->cfg);
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	world_snapshot(w);
	return w;
}

static void set_nodeports(struct config *cfg, const char *nets)
{
	struct ip_cidr *c = ranges_of(nets, &cfg->nodeport_address_count);

	memcpy(cfg->nodeport_addresses, c, cfg->nodeport_address_count * sizeof(*c));
	free(c);
}

static struct node node_of(const char *addrs, const char *pods)
{
	struct node n = {0};
	struct ip_addr *a = ips_of(addrs, &n.addr_count);
	struct ip_cidr *c = ranges_of(pods, &n.pod_cidr_count);

	memcpy(n.addrs, a, n.addr_count * sizeof(*a));
	memcpy(n.pod_cidrs, c, n.pod_cidr_count * sizeof(*c));
	free(a);
	free(c);
	return n;
}

static void put_node(struct world *w, const char *addrs, const char *pods)
{
	struct node n = node_of(addrs, pods);

	plan_node(w->plan, &n);
}

/* --- where node ports answer --- */

static void nothing(struct config *cfg)
{
	(void)cfg;
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *nets;
		bool localhost;
		const char *four, *six;
	} cases[] = {
	    {"", false, LAST4, LAST6},
	    {"", true, RETURN "-A KUBE-SERVICES " LAST, LAST6},
	    {"10.0.0.0/8", false, IN("10.0.0.0/8"), LAST6},
	    {"fd00::/8", false, LAST4, IN("fd00::/8")},
	    {"192.0.2.0/24 fd00::/8 10.0.0.0/8", false, IN("192.0.2.0/24") IN("10.0.0.0/8"),
		IN("fd00::/8")},
	    {"10.0.0.0/8 0.0.0.0/0 ::/0 fd00::/8", false, LAST4, LAST6},
	    {"0.0.0.0/0", true, RETURN "-A KUBE-SERVICES " LAST, LAST6},
	    /* loopback: only where it is asked for, and then as far as it was asked for */
	    {"127.0.0.0/8 127.0.0.1/32 ::1/128", false, "", ""},
	    {"127.0.0.0/8 10.0.0.0/8", true, RETURN IN("127.0.0.0/8") IN("10.0.0.0/8"), LAST6},
	    {"10.0.0.0/8", true, RETURN IN("10.0.0.0/8"), LAST6},
	    {"126.0.0.0/7", false, IN("126.0.0.0/8"), LAST6},
	    {"96.0.0.0/3", false,
		IN("96.0.0.0/4") IN("112.0.0.0/5") IN("120.0.0.0/6") IN("124.0.0.0/7")
		    IN("126.0.0.0/8"),
		LAST6},
	    {"96.0.0.0/3", true, RETURN IN("96.0.0.0/3"), LAST6},
	    {"::/126", true, RETURN "-A KUBE-SERVICES " LAST, IN("::2/127") IN("::/128")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new();

		set_nodeports(&w->cfg, cases[i].nets);
		w->cfg.localhost_nodeports = cases[i].localhost;
		world_listed(w);
		world_snapshot(w);
		assert_true(world_sync(w));
		assert_rules(w, "KUBE-SERVICES", cases[i].four);
		assert_rules(w, "6:KUBE-SERVICES", cases[i].six);
		world_free(w);
	}
}

/* All that a prefix of few bits leaves of IPv6 without its one loopback address. */
static void test_wide_prefix(void **state)
{
	struct world *w = world_new();
	struct ipt_chain c = {.family = FAMILY_6, .table = IPT_NAT, .kind = CHAIN_SERVICES};
	static const char *const in[] = {"::2", "::ffff", "7fff::1", "1::", "::"};
	struct ip_addr a;

	(void)state;
	set_nodeports(&w->cfg, "::/1");
	world_listed(w);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(kernel_find(w, &c)->count, 127);
	for (size_t k = 0; k < sizeof(in) / sizeof(in[0]); k++) {
		unsigned hits = 0;

		assert_int_equal(ip_parse(&a, in[k]), 0);
		for (size_t i = 0; i < 127; i++)
			hits += ip_cidr_contains(&kernel_find(w, &c)->rules[i].net, &a);
		assert_int_equal(hits, 1);
	}
	assert_int_equal(ip_parse(&a, "::1"), 0);
	for (size_t i = 0; i < 127; i++)
		assert_false(ip_cidr_contains(&kernel_find(w, &c)->rules[i].net, &a));
	world_free(w);
}

static void primary(struct config *cfg)
{
	cfg->nodeport_primary = true;
}

/* Nothing is planned before the Node's addresses are known; then the rules follow them. */
static void test_primary(void **state)
{
	struct world *w = world_with(primary);

	(void)state;
	put_words(w, &(struct words){WEB});
	assert_true(plan_waiting(w->plan));
	assert_false(plan_ready(w->plan));
	assert_non_null(plan_missing(w->plan));
	plan_node(w->plan, NULL);
	put_node(w, "", "");
	assert_false(plan_ready(w->plan));
	put_node(w, "192.0.2.1 192.0.2.2 fd00::9", "");
	assert_null(plan_missing(w->plan));
	assert_true(world_sync(w));
	assert_rules(w, "KUBE-SERVICES", IN("192.0.2.1/32"));
	assert_rules(w, "6:KUBE-SERVICES", IN("fd00::9/128"));
	/* Other addresses, another zone: nothing that node ports have to do with. */
	put_node(w, "192.0.2.1 192.0.2.3 fd00::9", "10.1.0.0/24");
	assert_false(plan_waiting(w->plan));
	/* Another first one: the one chain, and no service is looked at. */
	put_node(w, "192.0.2.3 192.0.2.1 fd00::9", "");
	assert_true(plan_waiting(w->plan));
	assert_true(world_sync(w));
	assert_string_equal(w->put, "KUBE-SERVICES ");
	assert_int_equal(w->counts.services, 0);
	assert_rules(w, "KUBE-SERVICES", IN("192.0.2.3/32"));
	/* A Node that is gone or empty moves no node port. */
	plan_node(w->plan, NULL);
	assert_false(plan_waiting(w->plan));
	put_node(w, "fd00::9", "");
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

/* The end of KUBE-SERVICES is the same where that is a tree, and changes by itself. */
static void test_primary_of_a_tree(void **state)
{
	struct world *w = world_with(primary);
	char name[32], ips[64], *text;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "a/s%u", i);
		snprintf(ips, sizeof(ips), "10.0.%u.%u fd00::%x", i / 200, i % 200 + 1, i + 1);
		put_words(w, &(struct words){.name = name, .ips = ips, .ports = ":80/tcp"});
		snprintf(name, sizeof(name), "a/s%u-1", i);
		snprintf(ips, sizeof(ips), "s%u", i);
		put_slice(w, name, ips, ":8080/tcp", "10.1.0.1=r");
	}
	put_node(w, "192.0.2.1 fd00::9", "");
	assert_true(world_sync(w));
	put_node(w, "192.0.2.3 fd00::9", "");
	assert_true(world_sync(w));
	assert_string_equal(w->put, "KUBE-SERVICES ");
	text = rules_of(w, "KUBE-SERVICES");
	assert_non_null(strstr(text, "-j KUBE-NET-"));
	assert_non_null(strstr(text, IN("192.0.2.3/32")));
	assert_null(strstr(text, "192.0.2.1/32"));
	free(text);
	put_node(w, "192.0.2.3 fd00::9", "");
	assert_false(world_sync(w));
	world_free(w);
}

/* Without an address of a family all of it count; one that comes is heard of. */
static void test_primary_of_one_family(void **state)
{
	struct world *w = world_with(primary);

	(void)state;
	put_node(w, "192.0.2.1", "");
	assert_true(world_sync(w));
	assert_rules(w, "KUBE-SERVICES", IN("192.0.2.1/32"));
	assert_rules(w, "6:KUBE-SERVICES", LAST6);
	put_node(w, "192.0.2.1 fd00::9", "");
	assert_true(world_sync(w));
	assert_rules(w, "6:KUBE-SERVICES", IN("fd00::9/128"));
	world_free(w);
}

/* --bind-address stands before the Node's. */
static void test_primary_is_told(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->cfg.nodeport_primary = true;
	assert_int_equal(ip_parse(&w->cfg.bind_address, "192.0.2.77"), 0);
	world_listed(w);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_rules(w, "KUBE-SERVICES", IN("192.0.2.77/32"));
	put_node(w, "192.0.2.1 fd00::9", "");
	assert_true(world_sync(w));
	assert_rules(w, "KUBE-SERVICES", IN("192.0.2.77/32"));
	assert_rules(w, "6:KUBE-SERVICES", IN("fd00::9/128"));
	world_free(w);
}

/* A restart with the same Node writes nothing. */
static void test_restart(void **state)
{
	struct world *w = world_with(primary);

	(void)state;
	put_node(w, "192.0.2.1 fd00::9", "");
	assert_true(world_sync(w));
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	put_node(w, "192.0.2.1 fd00::9", "");
	world_snapshot(w);
	assert_false(world_sync(w));
	world_free(w);
}

/* What route_localnet would let in from outside is dropped first of all, in IPv4. */
static void localhost(struct config *cfg)
{
	cfg->localhost_nodeports = true;
}

static void test_localnet(void **state)
{
	struct world *w = world_with(localhost);

	(void)state;
	put_words(w, &(struct words){WEB, .external_local = true, .health = 32000});
	assert_true(world_sync(w));
	assert_rules(w, "f:KUBE-NODEPORTS",
	    "-A KUBE-NODEPORTS ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \"block "
	    "incoming localnet connections\" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j "
	    "DROP\n"
	    "-A KUBE-NODEPORTS -p tcp -m comment --comment \"a/web:http health check node port\" "
	    "-m tcp --dport 32000 -j ACCEPT\n");
	assert_rules(w, "6:f:KUBE-NODEPORTS",
	    "-A KUBE-NODEPORTS -p tcp -m comment --comment \"a/web:http health check node port\" "
	    "-m tcp --dport 32000 -j ACCEPT\n");
	world_free(w);
}

/* --- who is a pod --- */

static void check_begins(struct world *w, const char *name, const char *want)
{
	char *text = rules_of(w, name);

	assert_non_null(text);
	if (strncmp(text, want, strlen(want)) != 0)
		assert_string_equal(text, want);
	free(text);
}

/* The service's chains of FAMILY begin with what tells pods: MATCH as printed, NULL: nothing. */
static void check_pods(struct world *w, uint8_t family, const char *match)
{
	const char *six = family == FAMILY_6 ? "6:" : "";
	const char *ext = chain_name(CHAIN_EXT, NAME, PROTO_TCP, NULL);
	char name[64], want[512];

	if (match != NULL)
		snprintf(want, sizeof(want),
		    "-A %s %s-m comment --comment \"pod traffic for " NAME
		    " external destinations\" -j %s\n",
		    ext, match, svc(NAME));
	else
		snprintf(want, sizeof(want),
		    "-A %s -m comment --comment \"masquerade LOCAL traffic for ", ext);
	snprintf(name, sizeof(name), "%s%s", six, ext);
	check_begins(w, name, want);
	if (match != NULL) /* a source stands before the destination, an interface behind it */
		snprintf(want, sizeof(want),
		    "-A %s %s%s-d %s %s%s-p tcp -m comment --comment \"" NAME
		    " cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n",
		    svc(NAME), match[1] == 's' ? "! " : "", match[1] == 's' ? match : "",
		    family == FAMILY_6 ? "fd00::1/128" : "10.0.0.1/32", match[1] == 'i' ? "! " : "",
		    match[1] == 'i' ? match : "");
	else
		snprintf(
		    want, sizeof(want), "-A %s -m comment --comment \"" NAME " -> ", svc(NAME));
	snprintf(name, sizeof(name), "%s%s", six, svc(NAME));
	check_begins(w, name, want);
}

static void put_web(struct world *w)
{
	put_words(w, &(struct words){WEB, .external_local = true});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl");
	put_slice(w, "a/web-2", "web", "http:8080/tcp", "fd01::1=rl");
}

static void bridge(struct config *cfg)
{
	cfg->detect_local = DETECT_BRIDGE_INTERFACE;
	snprintf(cfg->pod_interface, sizeof(cfg->pod_interface), "cni0");
}

static void prefix(struct config *cfg)
{
	cfg->detect_local = DETECT_INTERFACE_PREFIX;
	snprintf(cfg->pod_interface, sizeof(cfg->pod_interface), "veth");
	/* What tells pods is one thing. */
	cfg->cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&cfg->cluster_cidrs[0], "10.0.0.0/8"), 0);
}

static void bridge_unnamed(struct config *cfg)
{
	cfg->detect_local = DETECT_BRIDGE_INTERFACE;
}

static void masquerade_all(struct config *cfg)
{
	prefix(cfg);
	cfg->masquerade_all = true;
}

static void test_interfaces(void **state)
{
	struct world *w = world_with(bridge);
	char want[256];

	(void)state;
	put_web(w);
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, "-i cni0 ");
	check_pods(w, FAMILY_6, "-i cni0 ");
	world_free(w);

	w = world_with(prefix);
	put_web(w);
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, "-i veth+ ");
	check_pods(w, FAMILY_6, "-i veth+ ");
	world_free(w);

	w = world_with(bridge_unnamed);
	put_web(w);
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, NULL);
	world_free(w);

	w = world_with(masquerade_all);
	put_web(w);
	assert_true(world_sync(w));
	snprintf(want, sizeof(want),
	    "-A %s -d 10.0.0.1/32 -p tcp -m comment --comment \"" NAME
	    " cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n",
	    svc(NAME));
	check_begins(w, svc(NAME), want);
	world_free(w);
}

static void node_cidr(struct config *cfg)
{
	cfg->detect_local = DETECT_NODE_CIDR;
	cfg->cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&cfg->cluster_cidrs[0], "10.0.0.0/8"), 0);
}

static void test_node_cidr(void **state)
{
	struct world *w = world_with(node_cidr);

	(void)state;
	put_web(w);
	put_node(w, "192.0.2.1", "");
	assert_false(world_sync(w));
	assert_non_null(plan_missing(w->plan));
	put_node(w, "192.0.2.1", "10.1.0.0/24");
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, "-s 10.1.0.0/24 ");
	check_pods(w, FAMILY_6, NULL);
	put_node(w, "192.0.2.1", "10.2.0.0/24 fd01::/64");
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, "-s 10.2.0.0/24 ");
	check_pods(w, FAMILY_6, "-s fd01::/64 ");
	plan_node(w->plan, NULL);
	put_node(w, "192.0.2.1", "");
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

/* podCIDRs are nobody's business in another mode. */
static void test_other_modes_wait_for_nothing(void **state)
{
	struct world *w = world_with(nothing);

	(void)state;
	put_web(w);
	assert_true(world_sync(w));
	check_pods(w, FAMILY_4, NULL);
	put_node(w, "192.0.2.1", "10.2.0.0/24");
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

/* --- segments outside the window --- */

#define FORWARD                                                                                    \
	"-A KUBE-FORWARD -m conntrack --ctstate DNAT -m comment --comment "                        \
	"\"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT\n"                 \
	"-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "         \
	"\"kubernetes forwarding conntrack rule\" -j ACCEPT\n"

static void liberal(struct config *cfg)
{
	cfg->conntrack_tcp_be_liberal = true;
}

static void test_liberal(void **state)
{
	struct world *w = world_with(nothing);

	(void)state;
	assert_true(world_sync(w));
	assert_rules(w, "f:KUBE-FORWARD",
	    "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n" FORWARD);
	world_free(w);
	w = world_with(liberal);
	assert_true(world_sync(w));
	assert_rules(w, "f:KUBE-FORWARD", FORWARD);
	assert_rules(w, "6:f:KUBE-FORWARD", FORWARD);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_wide_prefix),
	    cmocka_unit_test(test_primary),
	    cmocka_unit_test(test_primary_of_a_tree),
	    cmocka_unit_test(test_primary_of_one_family),
	    cmocka_unit_test(test_primary_is_told),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_localnet),
	    cmocka_unit_test(test_interfaces),
	    cmocka_unit_test(test_node_cidr),
	    cmocka_unit_test(test_other_modes_wait_for_nothing),
	    cmocka_unit_test(test_liberal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
