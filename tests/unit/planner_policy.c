/* Addresses from outside, traffic policies, source ranges, affinity: which chains, which rules. */
#include "planner_world.h"

/* What the cases ask for unless they say otherwise. */
#define WEB  .name = "a/web", .ips = "10.0.0.1", .ports = "http:80/tcp/30080"
#define NAME "a/web:http"
#define NODEPORTS_LAST                                                                             \
	"-A KUBE-SERVICES ! -d 127.0.0.0/8 -m comment --comment \"kubernetes service nodeports; "  \
	"NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j "        \
	"KUBE-NODEPORTS\n"

static const char *chain(uint8_t kind)
{
	return chain_name(kind, NAME, PROTO_TCP, NULL);
}

/* A world with one service and its endpoints, programmed. */
static struct world *world_of(const struct words *service, const char *endpoints)
{
	struct world *w = world_new();

	world_listed(w);
	put_words(w, service);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", endpoints);
	world_snapshot(w);
	assert_true(world_sync(w));
	return w;
}

/*
 * The rules of chain NAME must be WANT, in which "@SVC" and the like stand for the service's chains
 * and "@1" for the KUBE-SEP- of 10.1.0.1:8080.
 */
static void check(struct world *w, const char *name, const char *want)
{
	static const struct {
		const char *mark;
		uint8_t kind;
	} marks[] = {
	    {"@FW", CHAIN_FW}, {"@EXT", CHAIN_EXT}, {"@SVC", CHAIN_SVC}, {"@SVL", CHAIN_SVL}};
	char text[8192] = "", endpoint[32], of[CHAIN_NAME_LEN + 4];
	size_t len = 0;

	/* NAME may be one of the few that chain_name() keeps. */
	snprintf(of, sizeof(of), "%s", name);

	while (*want != '\0') {
		const char *put = NULL;
		size_t skip = 2;

		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
			if (strncmp(want, marks[i].mark, strlen(marks[i].mark)) == 0) {
				put = chain(marks[i].kind);
				skip = strlen(marks[i].mark);
			}
		if (put == NULL && *want == '@') {
			snprintf(endpoint, sizeof(endpoint), "10.1.0.%c:8080", want[1]);
			put = sep(NAME, endpoint);
		}
		if (put == NULL) {
			text[len++] = *want++;
			continue;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", put);
		want += skip;
	}
	text[len] = '\0';
	if (strcmp(text, "none\n") == 0)
		assert_no_chain(w, of);
	else
		assert_rules(w, of, text);
}

#define MASQ(what)                                                                                 \
	"-A @EXT -m comment --comment \"masquerade " what "traffic for " NAME                      \
	" external destinations\""
#define TO_ANY                                                                                     \
	"-A @SVC -m comment --comment \"" NAME " -> 10.1.0.1:8080\" -m statistic --mode "          \
	"random --probability 0.50000000000 -j @1\n"                                               \
	"-A @SVC -m comment --comment \"" NAME " -> 10.1.0.2:8080\" -j @2\n"
#define TO_1(chain) "-A " chain " -m comment --comment \"" NAME " -> 10.1.0.1:8080\" -j @1\n"
#define TO_2(chain) "-A " chain " -m comment --comment \"" NAME " -> 10.1.0.2:8080\" -j @2\n"
#define PASS_BY                                                                                    \
	MASQ("LOCAL ")                                                                             \
	" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ\n"                                        \
	"-A @EXT -m comment --comment \"route LOCAL traffic for " NAME                             \
	" external destinations\" -m addrtype --src-type LOCAL -j @SVC\n"
#define CLUSTER_IP(target)                                                                         \
	"-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment \"" NAME                      \
	" cluster IP\" -m tcp --dport 80 -j " target "\n"
#define NODE_PORT                                                                                  \
	"-A KUBE-NODEPORTS -p tcp -m comment --comment \"" NAME "\" -m tcp --dport 30080 -j "      \
	"@EXT\n"

/* Every combination of policies with endpoints here and elsewhere: the chains and what they hold.
 */
static void test_policies(void **state)
{
	static const struct {
		bool internal_local, external_local;
		const char *endpoints;
		const char *ext, *svc, *svl, *services;
	} cases[] = {
	    {false, false, "10.1.0.1=rl 10.1.0.2=r",
		MASQ("") " -j KUBE-MARK-MASQ\n-A @EXT -j @SVC\n", TO_ANY, "none\n",
		CLUSTER_IP("@SVC")},
	    {false, true, "10.1.0.1=rl 10.1.0.2=r", PASS_BY "-A @EXT -j @SVL\n", TO_ANY,
		TO_1("@SVL"), CLUSTER_IP("@SVC")},
	    {true, false, "10.1.0.1=rl 10.1.0.2=r",
		MASQ("") " -j KUBE-MARK-MASQ\n-A @EXT -j @SVC\n", TO_ANY, TO_1("@SVL"),
		CLUSTER_IP("@SVL")},
	    {true, true, "10.1.0.1=rl 10.1.0.2=r", PASS_BY "-A @EXT -j @SVL\n", TO_ANY,
		TO_1("@SVL"), CLUSTER_IP("@SVL")},
	    /* none here: pods and the node go on; the filter has the rest */
	    {false, true, "10.1.0.2=r", PASS_BY, TO_2("@SVC"), "none\n", CLUSTER_IP("@SVC")},
	    {true, true, "10.1.0.2=r", PASS_BY, TO_2("@SVC"), "none\n", ""},
	    /* the lists fall back by themselves: the endpoint here serves here only */
	    {true, true, "10.1.0.1=stl 10.1.0.2=r", PASS_BY "-A @EXT -j @SVL\n", TO_2("@SVC"),
		TO_1("@SVL"), CLUSTER_IP("@SVL")},
	    {true, true, "10.1.0.1=sl 10.1.0.2=t", "none\n", "none\n", "none\n", ""},
	};
	char want[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words web = {WEB, .internal_local = cases[i].internal_local,
		    .external_local = cases[i].external_local};
		struct world *w = world_of(&web, cases[i].endpoints);

		check(w, chain(CHAIN_EXT), cases[i].ext);
		check(w, chain(CHAIN_SVC), cases[i].svc);
		check(w, chain(CHAIN_SVL), cases[i].svl);
		check(w, chain(CHAIN_FW), "none\n");
		snprintf(want, sizeof(want), "%s%s", cases[i].services, NODEPORTS_LAST);
		check(w, "KUBE-SERVICES", want);
		check(w, "KUBE-NODEPORTS", strcmp(cases[i].ext, "none\n") == 0 ? "" : NODE_PORT);
		world_free(w);
	}
}

#define REJECT " -j REJECT --reject-with icmp-port-unreachable\n"

/* What has no endpoint is rejected, what has none here dropped: by each way in. */
static void test_filter(void **state)
{
	static const struct {
		bool internal_local, external_local;
		const char *endpoints;
		const char *why, *action; /* of the cluster IP; NULL: nothing in the way */
		const char *external_why, *external_action;
	} cases[] = {
	    {false, false, "", "no endpoints", REJECT, "no endpoints", REJECT},
	    {true, true, "", "no endpoints", REJECT, "no endpoints", REJECT},
	    {false, false, "10.1.0.2=r", NULL, NULL, NULL, NULL},
	    {true, false, "10.1.0.2=r", "no local endpoints", " -j DROP\n", NULL, NULL},
	    {false, true, "10.1.0.2=r", NULL, NULL, "no local endpoints", " -j DROP\n"},
	    {true, true, "10.1.0.1=rl", NULL, NULL, NULL, NULL},
	};
	char want[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words web = {WEB, .external = "192.0.2.1", .balancer = "192.0.2.2",
		    .internal_local = cases[i].internal_local,
		    .external_local = cases[i].external_local};
		struct world *w = world_of(&web, cases[i].endpoints);
		const char *why = cases[i].why, *action = cases[i].action;

		want[0] = '\0';
		if (why != NULL)
			snprintf(want, sizeof(want),
			    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment \"" NAME
			    " has %s\" -m tcp --dport 80%s",
			    why, action);
		check(w, "f:KUBE-SERVICES", want);
		why = cases[i].external_why;
		action = cases[i].external_action;
		want[0] = '\0';
		if (why != NULL)
			snprintf(want, sizeof(want),
			    "-A KUBE-EXTERNAL-SERVICES -d 192.0.2.1/32 -p tcp -m comment "
			    "--comment \"" NAME " has %s\" -m tcp --dport 80%s"
			    "-A KUBE-EXTERNAL-SERVICES -d 192.0.2.2/32 -p tcp -m comment "
			    "--comment \"" NAME " has %s\" -m tcp --dport 80%s"
			    "-A KUBE-EXTERNAL-SERVICES -p tcp -m comment --comment \"" NAME
			    " has %s\" -m addrtype --dst-type LOCAL -m tcp --dport 30080%s",
			    why, action, why, action, why, action);
		check(w, "f:KUBE-EXTERNAL-SERVICES", want);
		world_free(w);
	}
}

#define TO_ADDRESS(ip, what, target)                                                               \
	"-A KUBE-SERVICES -d " ip "/32 -p tcp -m comment --comment \"" NAME " " what               \
	" IP\" -m tcp --dport 80 -j " target "\n"
#define RANGE(range)                                                                               \
	"-A @FW -s " range " -m comment --comment \"" NAME " loadbalancer IP\" -j @EXT\n"

static void test_source_ranges(void **state)
{
	static const struct {
		const char *ranges;
		const char *fw; /* "none\n": everybody may come */
	} cases[] = {
	    {"", "none\n"},
	    {"203.0.113.0/24 10.0.0.0/8", RANGE("203.0.113.0/24") RANGE("10.0.0.0/8")},
	    {"203.0.113.0/24 0.0.0.0/0", "none\n"},
	    {"fd00::/8", "none\n"},
	    {"::/0 203.0.113.0/24", RANGE("203.0.113.0/24")},
	    /* the node is in it, and so what it sends from a balancer's address of its own */
	    {"198.51.100.0/24",
		RANGE("198.51.100.0/24") RANGE("192.0.2.2/32") RANGE("192.0.2.3/32")},
	};
	struct node node = {.addr_count = 2};
	char want[2048];

	(void)state;
	assert_int_equal(ip_parse(&node.addrs[0], "fd00::5"), 0);
	assert_int_equal(ip_parse(&node.addrs[1], "198.51.100.1"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words web = {WEB, .external = "192.0.2.1",
		    .balancer = "192.0.2.2 fd00:b::2 192.0.2.3", .ranges = cases[i].ranges};
		struct world *w = world_of(&web, "10.1.0.1=r");
		bool limited = strcmp(cases[i].fw, "none\n") != 0;

		plan_node(w->plan, &node);
		world_sync(w);
		check(w, chain(CHAIN_FW), cases[i].fw);
		snprintf(want, sizeof(want), "%s%s%s%s%s", CLUSTER_IP("@SVC"),
		    TO_ADDRESS("192.0.2.1", "external", "@EXT"),
		    limited ? TO_ADDRESS("192.0.2.2", "loadbalancer", "@FW")
			    : TO_ADDRESS("192.0.2.2", "loadbalancer", "@EXT"),
		    limited ? TO_ADDRESS("192.0.2.3", "loadbalancer", "@FW")
			    : TO_ADDRESS("192.0.2.3", "loadbalancer", "@EXT"),
		    NODEPORTS_LAST);
		check(w, "KUBE-SERVICES", want);
		check(w, "f:KUBE-PROXY-FIREWALL",
		    !limited ? ""
			     : "-A KUBE-PROXY-FIREWALL -d 192.0.2.2/32 -p tcp -m comment --comment "
			       "\"" NAME " traffic not accepted by its source ranges\" -m tcp "
			       "--dport 80 -j DROP\n"
			       "-A KUBE-PROXY-FIREWALL -d 192.0.2.3/32 -p tcp -m comment --comment "
			       "\"" NAME " traffic not accepted by its source ranges\" -m tcp "
			       "--dport 80 -j DROP\n");
		check(w, "KUBE-NODEPORTS", NODE_PORT);
		world_free(w);
	}
}

/*
 * Who is outside the ranges is dropped, not refused, where there is no endpoint either. Endpoints
 * elsewhere under the policy Local: both are dropped, by the ranges' chain in nat.
 */
#define RETURN(source, dst)                                                                        \
	"-A KUBE-PROXY-FIREWALL -s " source " -d " dst " -p tcp -m comment --comment \"" NAME      \
	" traffic of its source ranges\" -m tcp --dport 80 -j RETURN\n"
#define FIREWALL_DROP(dst)                                                                         \
	"-A KUBE-PROXY-FIREWALL -d " dst " -p tcp -m comment --comment \"" NAME                    \
	" traffic not accepted by its source ranges\" -m tcp --dport 80 -j DROP\n"

static void test_ranges_without_endpoints(void **state)
{
	struct words web = {WEB, .balancer = "192.0.2.2 fd00:b::2 192.0.2.3",
	    .ranges = "203.0.113.0/24 fd00::/8 198.51.100.0/24"};
	struct world *w = world_of(&web, "");
	struct node node = {.addr_count = 1};

	(void)state;
	assert_no_chain(w, chain(CHAIN_FW));
	check(w, "f:KUBE-PROXY-FIREWALL",
	    RETURN("203.0.113.0/24", "192.0.2.2/32") RETURN("198.51.100.0/24", "192.0.2.2/32")
		RETURN("203.0.113.0/24", "192.0.2.3/32") RETURN("198.51.100.0/24", "192.0.2.3/32")
		    FIREWALL_DROP("192.0.2.2/32") FIREWALL_DROP("192.0.2.3/32"));
	assert_int_equal(ip_parse(&node.addrs[0], "203.0.113.5"), 0);
	plan_node(w->plan, &node);
	assert_true(world_sync(w));
	assert_string_equal(w->put, "f:KUBE-PROXY-FIREWALL ");
	check(w, "f:KUBE-PROXY-FIREWALL",
	    RETURN("203.0.113.0/24", "192.0.2.2/32") RETURN("198.51.100.0/24", "192.0.2.2/32")
		RETURN("192.0.2.2/32", "192.0.2.2/32") RETURN("192.0.2.3/32", "192.0.2.2/32")
		    RETURN("203.0.113.0/24", "192.0.2.3/32") RETURN(
			"198.51.100.0/24", "192.0.2.3/32") RETURN("192.0.2.2/32", "192.0.2.3/32")
			RETURN("192.0.2.3/32", "192.0.2.3/32") FIREWALL_DROP("192.0.2.2/32")
			    FIREWALL_DROP("192.0.2.3/32"));
	/* An endpoint comes: who is let in is then said in nat. */
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(world_sync(w));
	check(w, "f:KUBE-PROXY-FIREWALL",
	    FIREWALL_DROP("192.0.2.2/32") FIREWALL_DROP("192.0.2.3/32"));
	web.external_local = true;
	put_words(w, &web);
	assert_true(world_sync(w));
	check(w, "f:KUBE-PROXY-FIREWALL",
	    FIREWALL_DROP("192.0.2.2/32") FIREWALL_DROP("192.0.2.3/32"));
	/* No limit in this family. */
	web.ranges = "fd00::/8";
	put_words(w, &web);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "");
	assert_true(world_sync(w));
	check(w, "f:KUBE-PROXY-FIREWALL", "");
	world_free(w);
}

/* Two long lists multiply: then nobody is told apart, and the rules stay in proportion. */
static void test_many_ranges_without_endpoints(void **state)
{
	struct service s = {
	    .namespace = "a", .name = "web", .cluster_ip_count = 1, .port_count = 1};
	struct ipt_chain c = {.table = IPT_FILTER, .kind = CHAIN_PROXY_FIREWALL};
	struct world *w = world_new();

	(void)state;
	assert_int_equal(ip_parse(&s.cluster_ips[0], "10.0.0.1"), 0);
	s.ports = calloc(1, sizeof(*s.ports));
	s.lb_ips = calloc(SERVICE_IPS_MAX, sizeof(*s.lb_ips));
	s.source_ranges = calloc(SERVICE_IPS_MAX, sizeof(*s.source_ranges));
	assert_true(s.ports != NULL && s.lb_ips != NULL && s.source_ranges != NULL);
	s.ports[0] = (struct service_port){.proto = PROTO_TCP, .port = 80};
	for (s.lb_ip_count = 0; s.lb_ip_count < SERVICE_IPS_MAX; s.lb_ip_count++)
		s.lb_ips[s.lb_ip_count] =
		    (struct ip_addr){FAMILY_4, {192, 0, 2, (uint8_t)s.lb_ip_count}};
	for (uint32_t *n = &s.source_range_count; *n < SERVICE_IPS_MAX; ++*n)
		s.source_ranges[*n] = (struct ip_cidr){{FAMILY_4, {10, (uint8_t)*n}}, 16};
	world_listed(w);
	store_service_put(plan_store(w->plan), &s);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(kernel_find(w, &c)->count, SERVICE_IPS_MAX);
	for (size_t i = 0; i < SERVICE_IPS_MAX; i++)
		assert_int_equal(kernel_find(w, &c)->rules[i].template, T_FIREWALL_DROP);
	service_clear(&s);
	world_free(w);
}

/* Addresses of the node concern services with source ranges, and no others. */
static void test_node_addresses(void **state)
{
	struct words web = {WEB, .balancer = "192.0.2.2", .ranges = "198.51.100.0/24"};
	struct world *w = world_of(&web, "10.1.0.1=r");
	struct node node = {.addr_count = 1};

	(void)state;
	put_words(w, &(struct words){.name = "a/other",
			 .ips = "10.0.0.2",
			 .ports = ":80/tcp/30081",
			 .balancer = "192.0.2.9"});
	assert_true(world_sync(w));
	assert_int_equal(ip_parse(&node.addrs[0], "198.51.100.1"), 0);
	plan_node(w->plan, &node);
	assert_true(world_sync(w));
	assert_int_equal(w->counts.services, 1);
	assert_int_equal(w->puts, 1);
	check(w, chain(CHAIN_FW), RANGE("198.51.100.0/24") RANGE("192.0.2.2/32"));
	plan_node(w->plan, &node);
	assert_false(plan_waiting(w->plan));
	plan_node(w->plan, NULL);
	assert_true(world_sync(w));
	check(w, chain(CHAIN_FW), RANGE("198.51.100.0/24"));
	world_free(w);
}

static void test_local_pods(void **state)
{
	struct words web = {WEB, .external_local = true, .internal_local = true};
	struct world *w = world_new();

	(void)state;
	w->cfg.cluster_cidr_count = 2;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "fd01::/16"), 0);
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[1], "10.1.0.0/16"), 0);
	world_listed(w);
	put_words(w, &web);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	world_snapshot(w);
	assert_true(world_sync(w));
	check(w, chain(CHAIN_EXT),
	    "-A @EXT -s 10.1.0.0/16 -m comment --comment \"pod traffic for " NAME
	    " external destinations\" -j @SVC\n" PASS_BY "-A @EXT -j @SVL\n");
	/* The chain that the cluster IP leads to masquerades what comes from elsewhere. */
	check(w, chain(CHAIN_SVC), TO_ANY);
	check(w, chain(CHAIN_SVL),
	    "-A @SVL ! -s 10.1.0.0/16 -d 10.0.0.1/32 -p tcp -m comment --comment \"" NAME
	    " cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n" TO_1("@SVL"));
	world_free(w);
}

#define AFFINE(n)                                                                                  \
	"-A @SVC -m comment --comment \"" NAME " -> 10.1.0." n ":8080\" -m recent --rcheck "       \
	"--seconds 600 --reap --name @" n " --mask 255.255.255.255 --rsource -j @" n "\n"

static void test_affinity(void **state)
{
	struct words web = {WEB, .affinity = 600};
	struct world *w = world_of(&web, "10.1.0.1=r 10.1.0.2=r");

	(void)state;
	check(w, chain(CHAIN_SVC), AFFINE("1") AFFINE("2") TO_ANY);
	check(w, sep(NAME, "10.1.0.1:8080"),
	    "-A @1 -s 10.1.0.1/32 -m comment --comment \"" NAME "\" -j KUBE-MARK-MASQ\n"
	    "-A @1 -p tcp -m comment --comment \"" NAME "\" -m recent --set --name @1 --mask "
	    "255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.1.0.1:8080\n");
	web.affinity = 0;
	put_words(w, &web);
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 3);
	check(w, chain(CHAIN_SVC), TO_ANY);
	/* The longest there is, whatever a watcher says. */
	web.affinity = 90000;
	put_words(w, &web);
	assert_true(world_sync(w));
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

static void test_health_check_port(void **state)
{
	struct words web = {WEB, .health = 32000};
	struct world *w = world_of(&web, "");

	(void)state;
	check(w, "f:KUBE-NODEPORTS", ""); /* only the policy Local has a use for it */
	web.external_local = true;
	put_words(w, &web);
	assert_true(world_sync(w));
	check(w, "f:KUBE-NODEPORTS",
	    "-A KUBE-NODEPORTS -p tcp -m comment --comment \"" NAME
	    " health check node port\" -m tcp --dport 32000 -j ACCEPT\n");
	world_free(w);
}

/* Each shared chain is written when its own content changed, and no other. */
static void test_shared_chains_change_alone(void **state)
{
	struct words web = {.name = "a/web", .ips = "10.0.0.1", .ports = "http:80/tcp"};
	struct world *w = world_of(&web, "10.1.0.1=r");
	static const struct {
		const char *field;
		const char *put; /* of the shared chains */
	} steps[] = {
	    {"node port", "KUBE-NODEPORTS "},
	    {"balancer", "KUBE-SERVICES "},
	    {"ranges", "KUBE-SERVICES f:KUBE-PROXY-FIREWALL "},
	    {"local", "f:KUBE-EXTERNAL-SERVICES "},
	    {"health", "f:KUBE-NODEPORTS "},
	    {"internal", "KUBE-SERVICES f:KUBE-SERVICES "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char shared[256] = "", *save = NULL;

		web.ports = "http:80/tcp/30080";
		web.balancer = i >= 1 ? "192.0.2.2" : NULL;
		web.ranges = i >= 2 ? "10.0.0.0/8" : NULL;
		web.external_local = i >= 3;
		web.health = i >= 4 ? 32000 : 0;
		web.internal_local = i >= 5;
		put_words(w, &web);
		assert_true(world_sync(w));
		for (char *at = strtok_r(w->put, " ", &save); at != NULL;
		     at = strtok_r(NULL, " ", &save))
			if (strchr(at, '-') == strrchr(at, '-') || strstr(at, "KUBE-PROXY") ||
			    strstr(at, "KUBE-EXTERNAL"))
				snprintf(shared + strlen(shared), sizeof(shared) - strlen(shared),
				    "%s ", at);
		if (strcmp(shared, steps[i].put) != 0)
			fail_msg("%s: %s and not %s", steps[i].field, shared, steps[i].put);
	}
	store_service_del(plan_store(w->plan), "a", "web");
	assert_true(world_sync(w));
	check(w, "KUBE-NODEPORTS", "");
	check(w, "f:KUBE-NODEPORTS", "");
	check(w, "f:KUBE-EXTERNAL-SERVICES", "");
	check(w, "f:KUBE-PROXY-FIREWALL", "");
	check(w, "f:KUBE-SERVICES", "");
	check(w, "KUBE-SERVICES", NODEPORTS_LAST);
	world_free(w);
}

/* An address of one family makes no port of the other external. */
static void test_families_apart(void **state)
{
	struct words web = {.name = "a/web",
	    .ips = "10.0.0.1 fd00::1",
	    .ports = "http:80/tcp",
	    .external = "fd00:e::1"};
	struct world *w = world_of(&web, "10.1.0.1=r");
	char name[64];

	(void)state;
	put_slice(w, "a/web-6", "web", "http:8080/tcp", "fd01::1=r");
	assert_true(world_sync(w));
	assert_no_chain(w, chain(CHAIN_EXT));
	snprintf(name, sizeof(name), "6:%s", chain(CHAIN_EXT));
	check(w, name, MASQ("") " -j KUBE-MARK-MASQ\n-A @EXT -j @SVC\n");
	world_free(w);
}

/* What cannot be programmed is left out; the rest stands. */
static void test_bad_addresses(void **state)
{
	struct words web = {
	    WEB, .external = "127.0.0.1 192.0.2.1", .balancer = "224.0.0.1 169.254.169.254"};
	struct world *w = world_of(&web, "10.1.0.1=r");

	(void)state;
	check(w, "KUBE-SERVICES",
	    CLUSTER_IP("@SVC") TO_ADDRESS("192.0.2.1", "external", "@EXT") NODEPORTS_LAST);
	world_free(w);
}

/* A planner that starts on all of this writes nothing. */
static void test_restart(void **state)
{
	struct words web = {WEB, .external = "192.0.2.1", .balancer = "192.0.2.2",
	    .ranges = "198.51.100.0/24", .external_local = true, .affinity = 600, .health = 32000};
	struct world *w = world_of(&web, "10.1.0.1=rl 10.1.0.2=r");

	(void)state;
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.1=rl");
	put_words(w, &web);
	world_snapshot(w);
	assert_false(world_sync(w));
	assert_int_equal(w->counts.endpoints, 2);
	put_words(w, &web);
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_policies),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_source_ranges),
	    cmocka_unit_test(test_ranges_without_endpoints),
	    cmocka_unit_test(test_many_ranges_without_endpoints),
	    cmocka_unit_test(test_node_addresses),
	    cmocka_unit_test(test_local_pods),
	    cmocka_unit_test(test_affinity),
	    cmocka_unit_test(test_health_check_port),
	    cmocka_unit_test(test_shared_chains_change_alone),
	    cmocka_unit_test(test_families_apart),
	    cmocka_unit_test(test_bad_addresses),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
