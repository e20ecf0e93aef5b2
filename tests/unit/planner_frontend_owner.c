/* Whose an address is: what a service may not have, whatever comes first. */
#include "planner_world.h"

#define EVIL_ADDRS "10.96.0.1 203.0.113.1 10.96.7.7 10.244.1.5 10.244.200.1"

static void set_clusters(struct world *w)
{
	struct ip_cidr *c = ranges_of("10.244.0.0/16", &w->cfg.cluster_cidr_count);

	w->cfg.cluster_cidrs[0] = c[0];
	free(c);
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	world_snapshot(w);
}

static void put_kubernetes(struct world *w)
{
	put_service(w, "default/kubernetes", "10.96.0.1", "https:443/tcp");
	put_slice(w, "default/kubernetes-1", "kubernetes", "https:6443/tcp", "192.168.0.1=r");
}

static void put_evil(struct world *w)
{
	put_words(w, &(struct words){.name = "aaa/evil",
			 .ips = "10.96.0.66",
			 .ports = "x:443/tcp",
			 .external = EVIL_ADDRS,
			 .balancer = "10.96.0.1 203.0.113.2"});
	put_slice(w, "aaa/evil-1", "evil", "x:8443/tcp", "10.1.0.66=r");
}

static void put_ranges(struct world *w)
{
	uint32_t n = 0;
	struct ip_cidr *c = ranges_of("10.96.0.0/16 0.0.0.0/0 ::/0 10.0.0.0/7", &n);

	plan_service_cidrs(w->plan, c, n);
	free(c);
}

static void (*const events[])(struct world *w) = {put_kubernetes, put_evil, put_ranges};
#define EVENTS 3

/* The destinations of nat KUBE-SERVICES that lead to the service of HASH, sorted by the rules'
 * order. */
static void assert_served(struct world *w, const char *addresses, const char *service)
{
	char *rules = rules_of(w, "KUBE-SERVICES"), *line, *save = NULL, got[1024] = "", dst[64];

	for (line = strtok_r(rules, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, service) != NULL && strstr(line, "-j KUBE-") != NULL &&
		    sscanf(line, "-A KUBE-SERVICES -d %63[^/]", dst) == 1)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", dst);
	assert_string_equal(got, addresses);
	free(rules);
}

static uint64_t refused(struct world *w)
{
	struct metrics_planner m;

	plan_describe(w->plan, &m);
	return m.refused;
}

static void check_order(const unsigned order[EVENTS], bool sync_between)
{
	struct world *w = world_new();

	set_clusters(w);
	for (unsigned i = 0; i < EVENTS; i++) {
		events[order[i]](w);
		if (sync_between)
			world_sync(w);
	}
	world_sync(w);
	assert_served(w, "10.96.0.1 ", "default/kubernetes:https cluster IP");
	assert_served(w, "10.96.0.66 203.0.113.1 203.0.113.2 ", "aaa/evil:x");
	assert_int_equal(refused(w), 5);

	/* It is asked for again, in vain; the wide ranges were none, or this would not be served.
	 */
	put_evil(w);
	assert_false(world_sync(w));

	/* The winner goes, and with it the ranges: what is the pods' stays theirs. */
	store_service_del(plan_store(w->plan), "default", "kubernetes");
	world_sync(w);
	assert_served(w, "10.96.0.66 203.0.113.1 203.0.113.2 ", "aaa/evil:x");
	plan_service_cidrs(w->plan, NULL, 0);
	world_sync(w);
	assert_served(w, "10.96.0.66 203.0.113.1 10.96.7.7 10.96.0.1 203.0.113.2 ", "aaa/evil:x");
	assert_int_equal(refused(w), 3); /* one of them as it is the load-balancer IP */

	put_kubernetes(w);
	world_sync(w);
	assert_served(w, "10.96.0.1 ", "default/kubernetes:https cluster IP");
	assert_served(w, "10.96.0.66 203.0.113.1 10.96.7.7 203.0.113.2 ", "aaa/evil:x");
	store_service_del(plan_store(w->plan), "aaa", "evil");
	world_sync(w);
	assert_int_equal(refused(w), 0);
	assert_served(w, "", "aaa/evil:x");
	world_free(w);
}

static void test_every_order(void **state)
{
	static const unsigned orders[][EVENTS] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		check_order(orders[i], false);
		check_order(orders[i], true);
	}
}

static void test_feature_gate(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->cfg.no_external_ips = true;
	set_clusters(w);
	put_evil(w);
	assert_true(world_sync(w));
	assert_served(w, "10.96.0.66 10.96.0.1 203.0.113.2 ", "aaa/evil:x");
	world_free(w);
}

/* A service that has its ClusterIP as an external IP too loses nothing but the repetition. */
static void test_own_cluster_ip(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_listed(w);
	world_snapshot(w);
	put_words(w, &(struct words){.name = "a/web",
			 .ips = "10.0.0.1",
			 .ports = "http:80/tcp",
			 .external = "10.0.0.1 203.0.113.1 203.0.113.1"});
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(world_sync(w));
	assert_served(w, "10.0.0.1 203.0.113.1 203.0.113.1 ", "a/web:http");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_order),
	    cmocka_unit_test(test_feature_gate),
	    cmocka_unit_test(test_own_cluster_ip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
