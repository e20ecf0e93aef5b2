/* What load balancers are told of a Service's endpoints on this node, and where. */
#include "planner_world.h"

#include "ipc/health.h"
#include "planner/health.h"

/* What was told, in words, a line each. */
static char told[4096];

static void hear(void *arg, const struct frame *f)
{
	size_t len = strlen(told);
	struct health_addrs addrs;
	struct health_service s;
	char ip[IP_STRLEN];
	struct cursor c;
	unsigned type;

	(void)arg;
	assert_null(frame_open(f->buf, f->len, &type, &c));
	if (type == HEALTH_PUT) {
		assert_null(health_decode_put(&c, &s));
		snprintf(told + len, sizeof(told) - len, "%s/%s:%u %u\n", s.namespace, s.name,
		    s.port, s.endpoints);
	} else if (type == HEALTH_DEL) {
		assert_null(health_decode_del(&c, &s));
		snprintf(told + len, sizeof(told) - len, "-%s/%s\n", s.namespace, s.name);
	} else {
		assert_int_equal(type, HEALTH_ADDRS);
		assert_null(health_decode_addrs(&c, &addrs));
		strlcat(told, "at", sizeof(told));
		for (uint32_t i = 0; i < addrs.count; i++) {
			strlcat(told, " ", sizeof(told));
			strlcat(told, ip_format(&addrs.addrs[i], ip), sizeof(told));
		}
		strlcat(told, "\n", sizeof(told));
	}
}

/* Tells without a sync before. */
static const char *tell(struct world *w)
{
	static struct frame f;

	told[0] = '\0';
	plan_tell_health(w->plan, &f, hear, NULL);
	return told;
}

static const char *synced(struct world *w)
{
	world_sync(w);
	return tell(w);
}

static void put(struct world *w, const char *name, const char *ips, uint16_t port, bool local)
{
	put_words(w, &(struct words){.name = name,
			 .ips = ips,
			 .ports = "http:80/tcp/30080",
			 .health = port,
			 .external_local = local});
}

static void put_node_addrs(struct world *w, const char *words)
{
	static struct node_addrs_part part;
	uint32_t count = 0;
	struct ip_addr *ips = ips_of(words, &count);

	part = (struct node_addrs_part){.first = true, .last = true, .count = count};
	memcpy(part.addrs, ips, count * sizeof(*ips));
	free(ips);
	assert_null(plan_node_addrs(w->plan, &part));
}

static struct world *ready(const char *nodeports)
{
	struct world *w = world_new();
	struct ip_cidr *nets = ranges_of(nodeports, &w->cfg.nodeport_address_count);

	memcpy(w->cfg.nodeport_addresses, nets, w->cfg.nodeport_address_count * sizeof(*nets));
	free(nets);
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	world_snapshot(w);
	return w;
}

static void test_endpoints(void **state)
{
	struct world *w = ready("");

	(void)state;
	/* Nobody who has none is told of. */
	put(w, "a/plain", "10.0.0.1", 0, true);
	put(w, "a/cluster", "10.0.0.2", 30001, false);
	put_slice(w, "a/plain-1", "plain", "http:8080/tcp", "10.1.0.1=rl");
	assert_string_equal(synced(w), "");
	put(w, "a/web", "10.0.0.3", 30002, true);
	assert_string_equal(synced(w), "at 0.0.0.0 ::\na/web:30002 0\n");
	/* On this node, ready; each address once, in whatever slice and port. */
	put_slice(w, "a/web-1", "web", "http:8080/tcp admin:9090/tcp",
	    "10.1.0.1=rl 10.1.0.2=r 10.1.0.3=stl");
	put_slice(w, "a/web-2", "web", "http:8081/tcp", "10.1.0.1=rl 10.1.0.4=rl");
	assert_string_equal(synced(w), "a/web:30002 2\n");
	assert_string_equal(synced(w), "");
	/* What is no port of the Service counts as upstream; what has no port does not. */
	put_slice(w, "a/web-3", "web", "other:1/tcp", "10.1.0.5=rl");
	assert_string_equal(synced(w), "a/web:30002 3\n");
	put_slice(w, "a/web-3", "web", "", "10.1.0.5=rl");
	assert_string_equal(synced(w), "a/web:30002 2\n");
	/* Another number is told once all is programmed. */
	store_slice_del(plan_store(w->plan), "a", "web-2");
	assert_string_equal(tell(w), "");
	assert_string_equal(synced(w), "a/web:30002 1\n");
	/* Another port; then the policy changes, and the Service goes. */
	put(w, "a/web", "10.0.0.3", 30003, true);
	put(w, "a/web2", "10.0.0.4", 30004, true);
	assert_string_equal(synced(w), "a/web2:30004 0\na/web:30003 1\n");
	put(w, "a/web", "10.0.0.3", 30003, false);
	assert_string_equal(synced(w), "-a/web\n");
	store_service_del(plan_store(w->plan), "a", "web2");
	assert_string_equal(synced(w), "-a/web2\n");
	/* One that came and went between two syncs. */
	put(w, "a/web3", "10.0.0.5", 30005, true);
	store_service_del(plan_store(w->plan), "a", "web3");
	assert_string_equal(synced(w), "");
	world_free(w);
}

static void test_a_port_goes_on(void **state)
{
	struct world *w = ready("");

	(void)state;
	put(w, "a/one", "10.0.0.1", 30001, true);
	assert_string_equal(synced(w), "at 0.0.0.0 ::\na/one:30001 0\n");
	put(w, "a/an-other", "10.0.0.2", 30001, true);
	store_service_del(plan_store(w->plan), "a", "one");
	assert_string_equal(synced(w), "-a/one\na/an-other:30001 0\n");
	world_free(w);
}

/* A pod of both families is one endpoint. */
static void test_both_families(void **state)
{
	struct world *w = ready("");

	(void)state;
	put(w, "a/web", "10.0.0.1 fd00::1", 30001, true);
	put_slice(w, "a/web-4", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=rl");
	put_slice(w, "a/web-6", "web", "http:8080/tcp", "fd01::1=rl fd01::2=rl fd01::3=rl");
	assert_string_equal(synced(w), "at 0.0.0.0 ::\na/web:30001 3\n");
	world_free(w);
}

static void test_addresses(void **state)
{
	struct world *w = ready("192.0.2.0/24 198.51.100.0/24 fd00::/16");
	struct node n = {.addr_count = 1, .addrs = {{FAMILY_4, {198, 51, 100, 1}}}};

	(void)state;
	put(w, "a/web", "10.0.0.1", 30001, true);
	put_node_addrs(w, "10.0.0.1 192.0.2.1 198.51.100.1 fd00:0:0:1::1 fe80::1");
	assert_string_equal(synced(w), "at 192.0.2.1 198.51.100.1 fd00:0:0:1::1\na/web:30001 0\n");
	/* The machine's addresses change, and no rule does. */
	put_node_addrs(w, "10.0.0.1 192.0.2.1");
	assert_string_equal(tell(w), "at 192.0.2.1\n");
	put_node_addrs(w, "10.0.0.1 192.0.2.1 192.168.0.1");
	assert_string_equal(tell(w), "");
	world_free(w);
	/* Prefixes of one family: all of the other one's. */
	w = ready("192.0.2.0/24");
	put(w, "a/web", "10.0.0.1", 30001, true);
	put_node_addrs(w, "10.0.0.1 192.0.2.1 fd00::1");
	assert_string_equal(synced(w), "at 192.0.2.1 ::\na/web:30001 0\n");
	world_free(w);
	/* The Node's own, and not before it is known. */
	w = ready("");
	w->cfg.nodeport_primary = true;
	put(w, "a/web", "10.0.0.1", 30001, true);
	put_node_addrs(w, "10.0.0.1 198.51.100.1");
	assert_string_equal(synced(w), "");
	plan_node(w->plan, &n);
	assert_string_equal(synced(w), "at 198.51.100.1\na/web:30001 0\n");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_endpoints),
	    cmocka_unit_test(test_a_port_goes_on),
	    cmocka_unit_test(test_both_families),
	    cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests_name("planner_health", tests, NULL, NULL);
}
