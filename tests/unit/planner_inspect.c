/* /services, /explain and /diff: what is said of a world, in iptables and nftables mode. Packets
 * judge the same answers in tests/integration/test_service_packets.py. */
#include "planner_ask.h"

#include <math.h>

#define WEB .name = "a/web", .ips = "10.0.0.1 fd00::1", .ports = "http:80/tcp/30080"

/* --- worlds --- */

static const char *nothing_put(void *arg, const struct nft_elem *e)
{
	(void)arg;
	(void)e;
	return NULL;
}

static const char *nothing_family(void *arg, uint8_t family)
{
	(void)arg;
	(void)family;
	return NULL;
}

static const char *nothing_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	(void)arg;
	(void)family;
	(void)number;
	(void)seconds;
	return NULL;
}

static const struct nft_visitor nowhere = {
    nothing_family, nothing_put, nothing_put, nothing_affinity, nothing_put};

static struct world *world_in(enum proxy_mode mode)
{
	struct world *w = world_new();
	struct node n = {.zone = "z", .addr_count = 2};

	w->cfg.mode = (uint8_t)mode;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	assert_int_equal(ip_parse(&n.addrs[0], "192.168.0.1"), 0);
	assert_int_equal(ip_parse(&n.addrs[1], "2001:db8::1"), 0);
	plan_node(w->plan, &n);
	world_listed(w);
	return w;
}

static void program(struct world *w)
{
	static const struct nft_snapshot none = {.families = {true, true}, .last = true};

	if (w->cfg.mode == MODE_IPTABLES) {
		if (!plan_ready(w->plan))
			world_snapshot(w);
		world_sync(w);
		return;
	}
	if (!plan_ready(w->plan))
		assert_null(plan_nft_snapshot(w->plan, &none));
	plan_nft_sync(w->plan, &nowhere, NULL, &w->counts);
}

static const enum proxy_mode modes[] = {MODE_IPTABLES, MODE_NFTABLES};

/* --- /explain --- */

static void test_texts(void **state)
{
	static const char *const wants[] = {
	    "mode: iptables\n"
	    "from: 10.2.0.9\n"
	    "source: outside, by local detection's prefix 10.1.0.0/16\n"
	    "to: 10.0.0.1:80/tcp\n"
	    "local: no\n"
	    "answers:\n"
	    "  - steps:\n"
	    "      - why: the destination is a cluster IP of a service\n"
	    "        at: nat KUBE-SERVICES rule 1\n"
	    "        rule: -A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment "
	    "\"a/web:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-DLS65RHDJD6AUDVS\n"
	    "      - why: the source is no pod by local detection: masqueraded\n"
	    "        at: nat KUBE-SVC-DLS65RHDJD6AUDVS rule 1\n"
	    "        rule: -A KUBE-SVC-DLS65RHDJD6AUDVS ! -s 10.1.0.0/16 -d 10.0.0.1/32 -p tcp -m "
	    "comment --comment \"a/web:http cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n"
	    "      - why: the one endpoint there is\n"
	    "        at: nat KUBE-SVC-DLS65RHDJD6AUDVS rule 2\n"
	    "        rule: -A KUBE-SVC-DLS65RHDJD6AUDVS -m comment --comment "
	    "\"a/web:http -> 10.1.0.1:8080\" -j KUBE-SEP-VE\n",
	    "mode: nftables\n"
	    "from: 10.2.0.9\n"
	    "source: outside, by local detection's prefix 10.1.0.0/16\n"
	    "to: 10.0.0.1:80/tcp\n"
	    "local: no\n"
	    "answers:\n"
	    "  - steps:\n"
	    "      - why: the destination is a frontend of a service\n"
	    "        at: ip kube-proxy nat-prerouting\n"
	    "        rule: ip daddr . meta l4proto . th dport @services goto service; services has "
	    "{ "
	    "10.0.0.1 . tcp . 80 }\n"
	    "      - why: the source is no pod by local detection: masqueraded\n"
	    "        at: ip kube-proxy service\n"
	    "        rule: ip daddr . meta l4proto . th dport @masquerade-outside jump "
	    "mark-outside; "
	    "masquerade-outside has { 10.0.0.1 . tcp . 80 }\n"
	    "      - why: the one endpoint there is\n"
	    "        at: ip kube-proxy choose\n"
	    "        rule: dnat ip to ip daddr . meta l4proto . th dport . numgen random map "
	    "@endpoints-1\n"
	    "    service: a/web:http\n"
	    "    outcome: translated\n"
	    "    meaning: sent to one of the endpoints below\n"
	    "    endpoints:\n"
	    "      - address: 10.1.0.1:8080  percent: 100.00  masqueraded: yes  rule: "
	    "endpoints-1\n",
	};

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);
		char *text;

		put_words(w, &(struct words){WEB});
		put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl");
		program(w);
		text = ask(w, "/explain?src=10.2.0.9&dst=10.0.0.1&port=80");
		/* the names of chains go by a hash that is tested elsewhere */
		if (m == 0) {
			char *want = strdup(wants[0]), *at = strstr(want, "KUBE-SEP-VE");

			assert_non_null(at);
			*at = '\0';
			for (char *p = strstr(want, "KUBE-SVC-"); p != NULL;
			     p = strstr(p + 1, "KUBE-SVC-"))
				memcpy(p, svc("a/web:http"), 25);
			if (strncmp(text, want, strlen(want)) != 0)
				assert_string_equal(text, want);
			free(want);
		} else {
			assert_string_equal(text, wants[1]);
		}
		free(text);
		world_free(w);
	}
}

static void test_outcomes(void **state)
{
	static const struct {
		const char *url, *want;
		unsigned modes; /* bit per mode */
	} cases[] = {
	    {"/explain?src=10.1.0.9&dst=10.0.0.1&port=80", "masqueraded: no", 3},
	    {"/explain?src=10.2.0.9&dst=10.0.0.1&port=80", "masqueraded: yes", 3},
	    {"/explain?src=192.168.0.1&dst=10.0.0.1&port=80", "source: this node itself", 3},
	    {"/explain?src=10.1.0.1&dst=10.0.0.1&port=80",
		"masqueraded: yes  because: it reaches itself", 2},
	    {"/explain?src=10.1.0.1&dst=10.0.0.1&port=80", "masqueraded: yes", 3},
	    {"/explain?src=10.1.0.9&dst=10.0.0.1&port=81", "outcome: passes", 1},
	    {"/explain?src=10.1.0.9&dst=10.0.0.1&port=81", "outcome: rejected", 2},
	    {"/explain?src=10.1.0.9&dst=10.0.0.1&port=80&proto=udp", "outcome: passes", 1},
	    {"/explain?src=10.1.0.9&dst=10.0.0.77&port=80", "outcome: passes", 1},
	    {"/explain?src=10.1.0.9&dst=10.0.0.77&port=80", "@service-cidrs drop", 2},
	    {"/explain?src=10.1.0.9&dst=10.5.5.5&port=80", "outcome: passes", 3},
	    {"/explain?src=10.1.0.9&dst=10.0.0.2&port=53&proto=udp", "outcome: rejected", 3},
	    {"/explain?src=10.1.0.9&dst=10.0.0.2&port=53&proto=udp", "has no endpoint", 3},
	    {"/explain?src=10.9.9.9&dst=192.168.0.1&port=30080", "percent: 100.00", 3},
	    {"/explain?src=10.9.9.9&dst=192.168.0.1&port=30080", "masqueraded: no", 3},
	    {"/explain?src=10.1.0.9&dst=192.168.0.1&port=30080", "percent: 50.00", 3},
	    {"/explain?src=192.168.0.1&dst=192.168.0.1&port=30080", "masqueraded: yes", 3},
	    {"/explain?src=192.168.0.1&dst=192.168.0.1&port=30080", "percent: 50.00", 3},
	    {"/explain?src=198.51.100.1&dst=203.0.113.1&port=80", "outcome: translated", 3},
	    {"/explain?src=198.51.101.1&dst=203.0.113.1&port=80", "in no source range", 3},
	    {"/explain?src=198.51.101.1&dst=203.0.113.1&port=80", "outcome: dropped", 3},
	    {"/explain?src=198.51.101.1&dst=203.0.113.2&port=80", "outcome: translated", 3},
	    {"/explain?src=10.9.9.9&dst=192.168.0.1&port=30081", "outcome: dropped", 3},
	    {"/explain?src=10.9.9.9&dst=192.168.0.1&port=30081", "no endpoint is on this node", 3},
	    {"/explain?src=10.1.0.9&dst=10.0.0.3&port=80", "outcome: dropped", 3},
	    {"/explain?src=10.1.0.9&dst=10.0.0.4&port=80", "in the last 600 seconds", 3},
	    {"/explain?src=2001:db8::9&dst=fd00::1&port=80", "outcome: rejected", 3},
	    {"/explain?src=10.9.9.9&dst=192.168.0.1&port=30100", "outcome: accepted", 1},
	};

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);
		struct ip_cidr net;

		assert_int_equal(ip_cidr_parse(&net, "10.0.0.0/24"), 0);
		plan_service_cidrs(w->plan, &net, 1);
		put_words(
		    w, &(struct words){WEB, .external = "203.0.113.2", .balancer = "203.0.113.1",
			   .ranges = "198.51.100.0/24", .external_local = true, .health = 30100});
		put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
		put_service(w, "a/empty", "10.0.0.2", ":53/udp");
		put_words(w, &(struct words){.name = "a/far",
				 .ips = "10.0.0.3",
				 .ports = ":80/tcp/30081",
				 .internal_local = true,
				 .external_local = true});
		put_slice(w, "a/far-1", "far", ":8080/tcp", "10.1.0.2=r");
		put_words(w, &(struct words){.name = "a/sticky",
				 .ips = "10.0.0.4",
				 .ports = ":80/tcp",
				 .affinity = 600});
		put_slice(w, "a/sticky-1", "sticky", ":8080/tcp", "10.1.0.2=r 10.1.0.3=r");
		program(w);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			if (cases[i].modes & 1u << m)
				assert_says(w, cases[i].url, cases[i].want);
		world_free(w);
	}
}

/* An interface cannot be told from an address: both answers, or the one that was asked for. */
static void test_interfaces(void **state)
{
	static const char url[] = "/explain?src=10.2.0.9&dst=10.0.0.1&port=80";
	char with[128];

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);

		w->cfg.detect_local = DETECT_INTERFACE_PREFIX;
		strlcpy(w->cfg.pod_interface, "veth", sizeof(w->cfg.pod_interface));
		put_words(w, &(struct words){WEB});
		put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
		program(w);
		assert_says(w, url, "give in=INTERFACE");
		assert_says(w, url, "if: it came in by another interface than veth*");
		assert_says(w, url, "if: it came in by no other interface than veth*");
		assert_says(w, url, "masqueraded: yes");
		assert_says(w, url, "masqueraded: no");
		snprintf(with, sizeof(with), "%s&in=veth12", url);
		assert_says(w, with, "source: a pod: interface veth12 is veth*");
		assert_says_not(w, with, "masqueraded: yes");
		assert_says_not(w, with, "if: ");
		snprintf(with, sizeof(with), "%s&in=eth0", url);
		assert_says(w, with, "source: outside: interface eth0 is not veth*");
		assert_says_not(w, with, "masqueraded: no");
		/* nothing depends on it where nothing is sent on */
		assert_says_not(w, "/explain?src=10.2.0.9&dst=10.7.7.7&port=80", "if: ");
		w->cfg.detect_local = DETECT_BRIDGE_INTERFACE;
		snprintf(with, sizeof(with), "%s&in=veth12", url);
		assert_says(w, with, "source: outside: interface veth12 is not veth\n");
		world_free(w);
	}
}

/* A kernel without IPv6: nothing of it is told as if it were programmed. */
static void test_family_that_is_not_there(void **state)
{
	static const struct txn_snapshot ipt = {.families = {true, false}, .last = true};
	static const struct nft_snapshot nft = {.families = {true, false}, .last = true};
	static const char url[] = "/explain?src=fd00::9&dst=fd00::1&port=80";

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);

		put_words(w, &(struct words){WEB});
		assert_null(
		    m == 0 ? plan_snapshot(w->plan, &ipt) : plan_nft_snapshot(w->plan, &nft));
		program(w);
		assert_says(w, url, "note: of this family nothing is programmed");
		assert_says(w, url, "outcome: passes");
		assert_says(w, "/services", "family: IPv4");
		assert_says_not(w, "/services", "family: IPv6");
		assert_says_not(w, "/explain?src=10.9.9.9&dst=10.0.0.1&port=80", "note: ");
		world_free(w);
	}
}

/* The sum and the extremes of the shares in an answer, in percent. */
static double shares(const char *text, unsigned *count, double *least, double *most)
{
	double sum = 0;

	*count = 0;
	*least = 100;
	*most = 0;
	while ((text = strstr(text, "percent: ")) != NULL) {
		const double share = strtod(text + strlen("percent: "), NULL);

		text++;
		sum += share;
		*least = share < *least ? share : *least;
		*most = share > *most ? share : *most;
		++*count;
	}
	return sum;
}

static void put_many(struct world *w, const char *service, unsigned count)
{
	for (unsigned part = 0; part * 500 < count; part++) {
		char name[64], *text = calloc(500, 32);
		size_t len = 0;

		assert_non_null(text);
		snprintf(name, sizeof(name), "a/%s-%u", service, part);
		for (unsigned i = part * 500; i < (part + 1) * 500 && i < count; i++)
			len += (size_t)snprintf(
			    text + len, 500 * 32 - len, "10.1.%u.%u=r ", i / 200 + 1, i % 200 + 1);
		put_slice(w, name, service, ":8080/tcp", text);
		free(text);
	}
}

static void test_shares(void **state)
{
	static const unsigned counts[] = {1, 2, 3, 16, 17, 33, 100, 1001};

	(void)state;
	for (unsigned m = 0; m < 2; m++)
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			struct world *w = world_in(modes[m]);
			double least, most, sum, even = 100.0 / counts[i];
			unsigned n;
			char *text;

			put_service(w, "a/web", "10.0.0.1", ":80/tcp");
			put_many(w, "web", counts[i]);
			program(w);
			text = ask(w, "/explain?src=10.1.1.1&dst=10.0.0.1&port=80");
			sum = shares(text, &n, &least, &most);
			assert_int_equal(n, counts[i]);
			if (fabs(sum - 100) > 0.005 * n + 0.01 || least < even * 0.97 - 0.006 ||
			    most > even * 1.03 + 0.006)
				fail_msg("%u endpoints: %f in all, %f to %f", n, sum, least, most);
			/* the layout of large clusters masquerades hairpins in another place */
			if (strstr(text, m == 0 ? "10.1.1.1:8080" : "@") == NULL ||
			    (m == 0 && strstr(text, "masqueraded: yes") == NULL))
				fail_msg("%s", text);
			free(text);
			world_free(w);
		}
}

/* Above some addresses KUBE-SERVICES is a tree. */
static void test_tree(void **state)
{
	struct world *w = world_in(MODE_IPTABLES);

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		char name[32], ip[32];

		snprintf(name, sizeof(name), "a/s%u", i);
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 200, i % 200 + 1);
		put_service(w, name, ip, ":80/tcp");
		snprintf(name, sizeof(name), "a/s%u-1", i);
		snprintf(ip, sizeof(ip), "s%u", i);
		put_slice(w, name, ip, ":8080/tcp", "10.1.0.1=r");
	}
	program(w);
	assert_says(w, "/explain?src=10.1.0.9&dst=10.0.1.77&port=80", "nat KUBE-NET-");
	assert_says(w, "/explain?src=10.1.0.9&dst=10.0.1.77&port=80", "service: a/s276\n");
	assert_says(
	    w, "/explain?src=10.1.0.9&dst=10.0.1.77&port=80", "10.1.0.1:8080  percent: 100");
	assert_says(w, "/explain?src=10.1.0.9&dst=10.0.1.201&port=80", "outcome: passes");
	/* what the tree does not take comes back to the node ports */
	assert_says(w, "/explain?src=10.1.0.9&dst=192.168.0.1&port=80", "where node ports answer");
	world_free(w);
}

/* --- /services --- */

static void test_services(void **state)
{
	static const char *const both[] = {
	    "10.1.0.1:8080  cluster: in, ready  local: in, ready\n",
	    "10.1.0.2:8080  cluster: in, ready  local: out, not on this node\n",
	    "10.1.0.3:8080  cluster: out, not ready  local: out, not ready\n",
	    "10.1.0.4:8080  cluster: out, terminating, and others are ready  local: out, "
	    "terminating, and others are ready\n",
	    "10.1.0.5:8080  cluster: out, terminating and not serving  local: out, not on this "
	    "node\n",
	    "externalTrafficPolicy: Local\n",
	    "affinitySeconds: 600\n    sourceRanges:\n      - 198.51.100.0/24\n    frontends:\n",
	    "note: all of it is of one moment\n",
	};
	static const char *const ours[][4] = {
	    {"kind: cluster IP  address: 10.0.0.1:80  is: to the endpoints  chain: nat "
	     "KUBE-SERVICES  target: KUBE-SVC-",
		"kind: node port  port: 30080  is: to the endpoints on this node; from pods",
		"is: dropped, unless from its source ranges  chain: filter KUBE-PROXY-FIREWALL",
		"is: rejected: no endpoints  chain: filter KUBE-SERVICES"},
	    {"kind: cluster IP  address: 10.0.0.1:80  is: to the endpoints  sets: services "
	     "masquerade-outside affine-0\n",
		"kind: node port  address: 192.168.0.1:30080  is: to the endpoints on this node; "
		"from pods",
		"from its source ranges alone  sets: services local-policy firewall affine-0",
		"is: rejected: no endpoints  sets: no-endpoints"},
	};

	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);

		put_words(
		    w, &(struct words){WEB, .balancer = "203.0.113.1", .ranges = "198.51.100.0/24",
			   .external_local = true, .affinity = 600});
		put_slice(w, "a/web-1", "web", "http:8080/tcp",
		    "10.1.0.1=rl 10.1.0.2=r 10.1.0.3=l 10.1.0.4=stl 10.1.0.5=t");
		program(w);
		for (unsigned i = 0; i < sizeof(both) / sizeof(both[0]); i++)
			assert_says(w, "/services", both[i]);
		for (unsigned i = 0; i < 4; i++)
			assert_says(w, "/services", ours[m][i]);
		assert_says(w, "/services?namespace=b",
		    "error: there is no namespace \"b\", or no Service in it; did you mean "
		    "namespace \"a\"?\n");
		assert_says(w, "/services?namespace=b&name=web",
		    "or no Service in it; namespace \"a\" has a Service \"web\"\n");
		assert_says(w, "/services?namespace=kube-system", "no Service in it\n");
		assert_says(
		    w, "/services?namespace=a&name=wbe", "no Service \"wbe\" in namespace \"a\"\n");
		assert_says(w, "/services?namespace=a&name=web", "a/web:http\n");
		assert_says(w, "/services?name=we",
		    "there is no Service \"we\"; did you mean \"web\" in \"a\"?\n");
		assert_says(w, "/services?name=we&format=json",
		    "{\"error\":\"there is no Service \\\"we\\\"; did you mean");
		assert_says_not(w, "/services?name=we", "services:");
		world_free(w);
	}
}

static void test_hints(void **state)
{
	struct world *w = world_in(MODE_IPTABLES);

	(void)state;
	put_service(w, "a/web", "10.0.0.1", ":80/tcp");
	put_slice(w, "a/web-1", "web", ":8080/tcp", "10.1.0.1=r@z 10.1.0.2=r@y");
	put_service(w, "a/node", "10.0.0.2", ":80/tcp");
	put_slice(w, "a/node-1", "node", ":8080/tcp", "10.1.0.1=rho 10.1.0.2=rh");
	put_service(w, "a/end", "10.0.0.3", ":80/tcp");
	put_slice(w, "a/end-1", "end", ":8080/tcp", "10.1.0.1=st 10.1.0.2=t");
	program(w);
	assert_says(w, "/services?name=web", "10.1.0.1:8080  cluster: in, ready");
	assert_says(w, "/services?name=web",
	    "10.1.0.2:8080  cluster: out, its hints are for other "
	    "zones");
	assert_says(w, "/services?name=node",
	    "10.1.0.2:8080  cluster: out, its hints are for other "
	    "nodes");
	assert_says(w, "/services?name=end",
	    "10.1.0.1:8080  cluster: in, terminating and serving, "
	    "as none is ready");
	world_free(w);
}

/* An answer in parts, between which services come and go. */
static void test_changes_between_parts(void **state)
{
	(void)state;
	for (unsigned m = 0; m < 2; m++) {
		struct world *w = world_in(modes[m]);
		const struct plan_view view = plan_view(w->plan);
		struct inspection i = {0};
		unsigned parts = 0, seen = 0;
		struct query q;

		for (unsigned k = 0; k < 800; k++) {
			char name[32], ip[32];

			snprintf(name, sizeof(name), "a/s%03u", k);
			snprintf(ip, sizeof(ip), "10.0.%u.%u", k / 200, k % 200 + 1);
			put_service(w, name, ip, "x:80/tcp y:81/tcp");
		}
		program(w);
		assert_null(query_parse_url(&q, "/services?format=json"));
		inspection_begin(&i, &q);
		while (!i.ended) {
			size_t before = i.out.len;

			inspection_write(&i, &view);
			assert_true(i.out.len > before || i.ended);
			assert_true(i.out.len < QUERY_PART_MAX);
			i.out.text[i.out.len - 1] = '\0';
			for (const char *at = i.out.text; (at = strstr(at, "\"service\":")) != NULL;
			     at++)
				seen++;
			report_take(&i.out, i.out.len);
			/* the one it stands at goes, and the one after; one comes before and behind
			 */
			store_service_del(plan_store(w->plan), "a", i.at.name);
			store_service_del(plan_store(w->plan), "a", "s799");
			put_service(w, "a/a", "10.0.9.1", ":80/tcp");
			put_service(w, "b/z", "10.0.9.2", ":80/tcp");
			program(w);
			i.changed = true;
			parts++;
		}
		assert_true(parts > 3);
		assert_in_range(seen, 1500, 1601);
		inspection_clear(&i);
		world_free(w);
	}
}

/* --- /diff --- */

static char *diff_of(struct world *w, const struct txn_snapshot *s, uint64_t *found)
{
	const struct plan_view view = plan_view(w->plan);
	struct inspection i = {0};
	struct diff d = {0};
	struct query q;
	char *text;

	diff_begin(&d, &view);
	assert_null(diff_add(&d, s));
	assert_null(query_parse_url(&q, "/diff"));
	inspection_begin(&i, &q);
	*found = inspection_differences(&i, &view, &d);
	text = strndup(i.out.text, i.out.len);
	inspection_clear(&i);
	diff_clear(&d);
	return text;
}

static void test_differences(void **state)
{
	struct world *w = world_in(MODE_IPTABLES);
	struct txn_snapshot *s = calloc(1, sizeof(*s));
	struct kernel_chain *kc;
	uint64_t found;
	char *text;

	(void)state;
	assert_non_null(s);
	put_words(w, &(struct words){WEB});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	program(w);
	s->families[0] = s->families[1] = s->last = true;
	memcpy(s->hooks, w->hooks, sizeof(s->hooks));
	RB_FOREACH (kc, kernel_chains, &w->chains)
		s->chains[s->count++] = (struct txn_chain_digest){kc->chain, kernel_digest(w, kc)};
	text = diff_of(w, s, &found);
	assert_int_equal(found, 0);
	assert_string_equal(text, "mode: iptables\ndifferences: none\ncount: 0\nmeaning: nothing "
				  "differs: the kernel has what was written\n");
	free(text);
	/* one is gone, one changed, one is nobody's, a hook is off and a leftover's on */
	for (uint32_t i = 0; i < s->count; i++) {
		struct ipt_chain *c = &s->chains[i].chain;

		if (c->kind == CHAIN_SVC && c->family == FAMILY_4)
			c->hash[0] ^= 1;
		if (c->kind == CHAIN_MARK_MASQ && c->family == FAMILY_6)
			s->chains[i].digest ^= 1;
	}
	s->hooks[FAMILY_4] ^= 1u << 11 | 1u << IPT_HOOK_LEFTOVERS;
	text = diff_of(w, s, &found);
	assert_int_equal(found, 5);
	assert_non_null(strstr(text, svc("a/web:http")));
	assert_non_null(strstr(text, "is: missing  family: IPv4  table: nat  chain: KUBE-SVC-"));
	assert_non_null(strstr(text, "  of: a/web\n"));
	assert_non_null(
	    strstr(text, "is: changed  family: IPv6  table: nat  chain: KUBE-MARK-MASQ\n"));
	assert_non_null(strstr(text, "is: too many  family: IPv4  table: nat  chain: KUBE-SVC-"));
	assert_non_null(strstr(text,
	    "is: missing  family: IPv4  table: nat  jump: from POSTROUTING to KUBE-POSTROUTING\n"));
	assert_non_null(strstr(text,
	    "is: too many  family: IPv4  table: filter  jump: from INPUT to KUBE-SERVICES\n"));
	assert_non_null(strstr(text, "count: 5\n"));
	free(text);
	free(s);
	world_free(w);
}

static void test_nft_differences(void **state)
{
	static struct nft_snapshot s;
	struct world *w = world_in(MODE_NFTABLES);
	struct plan_view view = plan_view(w->plan);
	const struct nft_plan *p = view.nft;
	struct inspection i = {0};
	struct diff d = {0};
	struct query q;

	(void)state;
	put_words(w, &(struct words){WEB, .affinity = 600});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	program(w);
	for (unsigned pass = 0; pass < 2; pass++) {
		struct stored_service *v;

		s = (struct nft_snapshot){
		    .families = {true, true}, .installed = {true, pass == 0}, .last = true};
		s.elems[s.count++] =
		    (struct nft_elem){.set = NFT_TIMEOUTS, .seconds = pass == 0 ? 600 : 0};
		RB_FOREACH (v, service_tree, &view.store->services)
			for (uint32_t k = 0; k < v->elem_count; k++)
				if (s.elems[0].seconds != 0 || v->elems[k].set != NFT_ENDPOINTS)
					element_to_wire(&s.elems[s.count++], &v->elems[k],
					    v->elems[k].name != 0 ? "a/web:http" : "");
		for (size_t k = 0; k < p->node.count; k++)
			element_to_wire(&s.elems[s.count++], &p->node.e[k], "");
		if (pass == 1) {
			s.elems[s.count] = s.elems[1];
			s.elems[s.count++].port = 99;
		}
		diff_begin(&d, &view);
		diff_add_nft(&d, &w->cfg, &s);
		assert_null(query_parse_url(&q, "/diff?format=json"));
		inspection_begin(&i, &q);
		inspection_differences(&i, &view, &d);
		i.out.text[i.out.len - 1] = '\0';
		if (pass == 0) {
			assert_string_equal(i.out.text,
			    "{\"mode\":\"nftables\",\"differences\":[],\"count\":0,\"meaning\":"
			    "\"nothing differs: the kernel has what was written\"}");
		} else {
			assert_non_null(strstr(i.out.text,
			    "{\"is\":\"missing\",\"table\":\"ip "
			    "kube-proxy\",\"set\":\"endpoints-1\","
			    "\"element\":\"10.0.0.1 . tcp . 80 . 0 : 10.1.0.1 . 8080\",\"of\":\"a/"
			    "web\"}"));
			assert_non_null(strstr(i.out.text, "\"is\":\"too many\""));
			assert_non_null(strstr(i.out.text, "0 seconds in place of 600"));
			assert_non_null(strstr(i.out.text,
			    "rules are not those of this program\",\"table\":\"ip6 "
			    "kube-proxy\""));
		}
		inspection_clear(&i);
		diff_clear(&d);
	}
	world_free(w);
}

/* --- the writer --- */

static void write_sample(struct report *r, bool json)
{
	report_begin(r, json);
	report_str(r, "a", "say \"\\\n\x01\"");
	report_list(r, "none");
	report_close(r);
	report_list(r, "words");
	report_str(r, NULL, "x");
	report_uint(r, NULL, 7);
	report_list(r, NULL);
	report_bool(r, NULL, true);
	report_close(r);
	report_close(r);
	report_object(r, "o");
	report_bool(r, "b", false);
	report_line(r, "line");
	report_percent(r, "p", 33.333);
	report_list(r, "in it");
	report_str(r, NULL, "1");
	report_str(r, NULL, "2");
	report_finish(r);
}

static void test_report(void **state)
{
	struct report r = {0};

	(void)state;
	write_sample(&r, true);
	assert_int_equal(r.depth, 0);
	r.text[r.len - 1] = '\0';
	assert_string_equal(r.text,
	    "{\"a\":\"say \\\"\\\\\\u000a\\u0001\\\"\",\"none\":[],\"words\":[\"x\",7,[true]],"
	    "\"o\":{\"b\":false,\"line\":{\"p\":33.33,\"in it\":[\"1\",\"2\"]}}}");
	report_clear(&r);
	write_sample(&r, false);
	r.text[r.len - 1] = '\0';
	assert_string_equal(r.text, "a: say \"\\\n\x01\"\n"
				    "none: none\n"
				    "words:\n"
				    "  - x\n"
				    "  - 7\n"
				    "  - \n"
				    "    - yes\n"
				    "o:\n"
				    "  b: no\n"
				    "  line: p: 33.33  in it: 1, 2");
	report_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_interfaces),
	    cmocka_unit_test(test_family_that_is_not_there),
	    cmocka_unit_test(test_shares),
	    cmocka_unit_test(test_tree),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_changes_between_parts),
	    cmocka_unit_test(test_differences),
	    cmocka_unit_test(test_nft_differences),
	    cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
