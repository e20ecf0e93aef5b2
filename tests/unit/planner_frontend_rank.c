/* Who of several services has a frontend, against the plain definition, in every order of events.
 */
#include "planner/frontend_owner.h"
#include "planner_world.h"

#define NODE	"192.168.0.1" /* an address of the node */
#define ELSE	"203.0.113.1"
#define PORT	30080
#define CLAIMS	6 /* what a service may ask for */
#define WORKERS 3

/* How a service asks for the frontend. */
struct claim {
	enum frontend kind;
	uint64_t created;
	uint8_t uid;
};

static const char *const names[WORKERS] = {"a/one", "b/two", "c/three"};

static void addresses(struct world *w, const char *text)
{
	struct node_addrs_part part = {.first = true, .last = true};
	struct ip_addr *ips = ips_of(text, &part.count);

	memcpy(part.addrs, ips, part.count * sizeof(*ips));
	free(ips);
	assert_null(plan_node_addrs(w->plan, &part));
}

static struct world *world_on(const char *text)
{
	struct world *w = world_new();

	world_listed(w);
	addresses(w, text);
	world_snapshot(w);
	return w;
}

/* Service I asks for PORT at ADDR as X says. */
static void put_claim(struct world *w, unsigned i, const struct claim *x, const char *addr)
{
	char ips[32], ports[32], slice[32];

	snprintf(ips, sizeof(ips), "10.96.0.%u", i + 1);
	snprintf(
	    ports, sizeof(ports), x->kind == FRONTEND_COUNT ? "p:80/tcp/%u" : "p:%u/tcp", PORT);
	put_words(w, &(struct words){.name = names[i],
			 .ips = x->kind == FRONTEND_CLUSTER ? addr : ips,
			 .ports = ports,
			 .external = x->kind == FRONTEND_EXTERNAL ? addr : NULL,
			 .balancer = x->kind == FRONTEND_LOAD_BALANCER ? addr : NULL,
			 .created = x->created,
			 .uid = x->uid});
	snprintf(slice, sizeof(slice), "%s-1", names[i]);
	put_slice(w, slice, names[i] + 2, "p:8080/tcp", "10.1.0.1=r");
}

/* Does X of service I come before Y of service K? Written from the definition. */
static bool comes_first(const struct claim *x, unsigned i, const struct claim *y, unsigned k)
{
	static const int order[] = {[FRONTEND_CLUSTER] = 0,
	    [FRONTEND_COUNT] = 1,
	    [FRONTEND_LOAD_BALANCER] = 2,
	    [FRONTEND_EXTERNAL] = 3};

	if (x->kind != y->kind)
		return order[x->kind] < order[y->kind];
	if (x->created != y->created)
		return x->created != 0 && (y->created == 0 || x->created < y->created);
	if (x->uid != y->uid)
		return x->uid < y->uid;
	return i < k;
}

/* Whose the frontend is: WORKERS if nobody's. */
static unsigned expected(const struct claim *c, const bool *there)
{
	unsigned best = WORKERS;

	for (unsigned i = 0; i < WORKERS; i++)
		if (there[i] && (best == WORKERS || comes_first(&c[i], i, &c[best], best)))
			best = i;
	return best;
}

static unsigned owner(struct world *w, const char *addr)
{
	enum frontend kind;
	struct stored_service *v;
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, addr), 0);
	v = frontend_owner_of(plan_store(w->plan), &a, PROTO_TCP, PORT, &kind);
	for (unsigned i = 0; i < WORKERS; i++)
		if (v != NULL && strcmp(v->name, names[i] + 2) == 0)
			return i;
	return WORKERS;
}

/* The rules: which services' lead to the frontend? */
static void check_rules(struct world *w, const char *addr, unsigned want)
{
	char *services = rules_of(w, "KUBE-SERVICES"), *node = rules_of(w, "KUBE-NODEPORTS");
	char to[64], port[32];

	snprintf(to, sizeof(to), "-d %s/32 ", addr);
	snprintf(port, sizeof(port), "--dport %u ", PORT);
	for (unsigned i = 0; i < WORKERS; i++) {
		char *all[] = {services, node}, *line, *save;
		bool leads = false;

		for (unsigned k = 0; k < 2; k++) {
			char *copy = strdup(all[k]);

			for (line = strtok_r(copy, "\n", &save); line != NULL;
			     line = strtok_r(NULL, "\n", &save))
				leads |= strstr(line, names[i]) != NULL &&
					 strstr(line, port) != NULL &&
					 (k == 1 || strstr(line, to) != NULL);
			free(copy);
		}
		assert_int_equal(leads, i == want);
	}
	free(services);
	free(node);
}

static void check(struct world *w, const struct claim *c, const bool *there, const char *addr)
{
	struct metrics_planner m;
	unsigned claims = 0, want = expected(c, there);

	world_sync(w);
	for (unsigned i = 0; i < WORKERS; i++)
		claims += there[i];
	plan_describe(w->plan, &m);
	assert_int_equal(m.refused, claims > 0 ? claims - 1 : 0);
	assert_int_equal(owner(w, addr), want);
	check_rules(w, addr, want);
}

/* They come in each order, with or without a plan in between; then the owner goes, one by one. */
static unsigned try_orders(const struct claim *c, const char *addr)
{
	static const unsigned orders[][WORKERS] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	unsigned tried = 0;

	for (unsigned o = 0; o < 2 * sizeof(orders) / sizeof(orders[0]); o++, tried++) {
		struct world *w = world_on(NODE);
		bool there[WORKERS] = {false};
		unsigned last;

		for (unsigned i = 0; i < WORKERS; i++) {
			const unsigned next = orders[o / 2][i];

			put_claim(w, next, &c[next], addr);
			there[next] = true;
			if (o % 2 == 0)
				check(w, c, there, addr);
		}
		check(w, c, there, addr);
		while ((last = owner(w, addr)) < WORKERS) {
			store_service_del(
			    plan_store(w->plan), (char[]){names[last][0], '\0'}, names[last] + 2);
			there[last] = false;
			check(w, c, there, addr);
		}
		world_free(w);
	}
	return tried;
}

/* Each kind against each, each age against each. */
static void test_every_order(void **state)
{
	/* A ClusterIP is no address of the node; there is no node port elsewhere. */
	static const enum frontend on_node[] = {FRONTEND_COUNT, FRONTEND_LOAD_BALANCER,
	    FRONTEND_EXTERNAL},
				   elsewhere[] = {
				       FRONTEND_CLUSTER, FRONTEND_LOAD_BALANCER, FRONTEND_EXTERNAL};
	static const struct claim ages[][WORKERS] = {
	    {{0, 1, 3}, {0, 2, 2}, {0, 3, 1}},
	    {{0, 3, 1}, {0, 2, 2}, {0, 1, 3}},
	    {{0, 1, 3}, {0, 1, 2}, {0, 1, 1}},
	    {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}},
	    {{0, 0, 0}, {0, 9, 9}, {0, 0, 5}},
	};
	unsigned tried = 0;

	(void)state;
	for (unsigned n = 0; n < 27 * 2; n++)
		for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
			const enum frontend *kinds = n % 2 == 0 ? on_node : elsewhere;
			struct claim c[WORKERS];

			memcpy(c, ages[i], sizeof(c));
			c[0].kind = kinds[n / 2 % 3];
			c[1].kind = kinds[n / 2 / 3 % 3];
			c[2].kind = kinds[n / 2 / 9];
			tried += try_orders(c, n % 2 == 0 ? NODE : ELSE);
		}
	print_message("%u orders of events\n", tried);
}

/* A service that was deleted and made anew between two lists is the youngest. */
static void test_identity(void **state)
{
	struct claim c[WORKERS] = {
	    {FRONTEND_EXTERNAL, 1, 1}, {FRONTEND_EXTERNAL, 2, 2}, {FRONTEND_EXTERNAL, 3, 3}};
	bool there[WORKERS] = {true, true};
	struct world *w = world_on(NODE);

	(void)state;
	put_claim(w, 0, &c[0], ELSE);
	put_claim(w, 1, &c[1], ELSE);
	check(w, c, there, ELSE);
	c[0].created = 4;
	put_claim(w, 0, &c[0], ELSE);
	assert_true(plan_waiting(w->plan));
	check(w, c, there, ELSE);
	assert_int_equal(owner(w, ELSE), 1);
	/* It is a change of those who contend, and of nobody else. */
	c[0].created = 5;
	put_claim(w, 0, &c[0], ELSE);
	assert_false(world_sync(w));
	store_service_del(plan_store(w->plan), "b", "two");
	there[1] = false;
	check(w, c, there, ELSE);
	c[0].created = 6;
	c[0].uid = 7;
	put_claim(w, 0, &c[0], ELSE);
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

/* An address comes to the node and goes: node ports have it as long as it is there. */
static void test_address_of_the_node(void **state)
{
	struct claim c[WORKERS] = {{FRONTEND_EXTERNAL, 1, 1}, {FRONTEND_COUNT, 2, 2}};
	struct world *w = world_on(NODE);
	struct node node = {.addr_count = 1};

	(void)state;
	put_claim(w, 0, &c[0], ELSE);
	put_claim(w, 1, &c[1], ELSE);
	for (unsigned round = 0; round < 2; round++) {
		world_sync(w);
		assert_int_equal(owner(w, ELSE), 0);
		addresses(w, NODE " " ELSE);
		world_sync(w);
		assert_int_equal(owner(w, ELSE), 1);
		addresses(w, NODE);
	}
	world_free(w);

	/* Before the machine's addresses are known the Node's are. */
	w = world_new();
	world_listed(w);
	world_snapshot(w);
	put_claim(w, 0, &c[0], ELSE);
	put_claim(w, 1, &c[1], ELSE);
	world_sync(w);
	assert_int_equal(owner(w, ELSE), 0);
	assert_int_equal(ip_parse(&node.addrs[0], ELSE), 0);
	plan_node(w->plan, &node);
	world_sync(w);
	assert_int_equal(owner(w, ELSE), 1);
	addresses(w, NODE);
	world_sync(w);
	assert_int_equal(owner(w, ELSE), 0);
	world_free(w);
}

/* Ports that the node needs are nobody's on its addresses, except as node ports. */
static void test_reserved(void **state)
{
	static const enum frontend kinds[] = {FRONTEND_LOAD_BALANCER, FRONTEND_EXTERNAL};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct claim c = {kinds[i], 1, 1}, port = {FRONTEND_COUNT, 1, 1};
		struct world *w = world_on(NODE);
		struct metrics_planner m;

		snprintf(w->cfg.reserved_node_ports, sizeof(w->cfg.reserved_node_ports), "22,%u-%u",
		    PORT - 1, PORT + 1);
		put_claim(w, 0, &c, NODE);
		world_sync(w);
		assert_int_equal(owner(w, NODE), WORKERS);
		check_rules(w, NODE, WORKERS);
		plan_describe(w->plan, &m);
		assert_int_equal(m.refused, 1);
		/* the address goes, and comes */
		addresses(w, ELSE);
		world_sync(w);
		assert_int_equal(owner(w, NODE), 0);
		addresses(w, NODE);
		world_sync(w);
		assert_int_equal(owner(w, NODE), WORKERS);
		put_claim(w, 0, &c, ELSE);
		world_sync(w);
		assert_int_equal(owner(w, ELSE), 0);
		put_claim(w, 0, &port, NODE);
		world_sync(w);
		assert_int_equal(owner(w, NODE), 0);
		world_free(w);
	}
}

/* Ports of one address are their owners' one by one; so are protocols and families. */
static void test_parts(void **state)
{
	struct world *w = world_on(NODE);
	struct metrics_planner m;
	char *rules;

	(void)state;
	put_words(w, &(struct words){.name = "a/old",
			 .ips = "10.96.0.1",
			 .ports = "x:80/tcp y:53/udp",
			 .balancer = ELSE " 2001:db8::1",
			 .created = 1});
	put_slice(w, "a/old-1", "old", "x:8080/tcp y:53/udp", "10.1.0.1=r");
	put_words(w, &(struct words){.name = "b/new",
			 .ips = "10.96.0.2 fd00::2",
			 .ports = "x:80/tcp y:53/tcp z:81/tcp",
			 .balancer = ELSE " 2001:db8::1",
			 .created = 2});
	put_slice(w, "b/new-1", "new", "x:8080/tcp y:53/tcp z:81/tcp", "10.1.0.2=r");
	put_slice(w, "b/new-2", "new", "x:8080/tcp y:53/tcp z:81/tcp", "fd01::2=r");
	assert_true(world_sync(w));
	plan_describe(w->plan, &m);
	assert_int_equal(m.refused, 1);
	rules = rules_of(w, "KUBE-SERVICES");
	assert_non_null(strstr(rules, "\"a/old:x loadbalancer IP\""));
	assert_non_null(strstr(rules, "\"a/old:y loadbalancer IP\""));
	assert_null(strstr(rules, "-d " ELSE "/32 -p tcp -m comment --comment \"b/new:x"));
	assert_non_null(strstr(rules, "\"b/new:y loadbalancer IP\""));
	assert_non_null(strstr(rules, "\"b/new:z loadbalancer IP\""));
	free(rules);
	rules = rules_of(w, "6:KUBE-SERVICES");
	assert_non_null(strstr(rules, "\"b/new:x loadbalancer IP\""));
	free(rules);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_order),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_address_of_the_node),
	    cmocka_unit_test(test_reserved),
	    cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
