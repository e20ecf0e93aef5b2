/*
 * KUBE-SERVICES as a tree: whatever way the addresses came and went it is the tree of those that
 * are there, packets find in it what they would in the flat list, and a change costs little.
 */
#include "planner_world.h"

#include "planner/dispatch.h"
#include "planner/frontends.h"

/* --- random, the same every time --- */

static uint32_t seed;

static uint32_t pick(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* --- a cluster, told to a planner that keeps up and to one that only ever looks at it whole --- */

struct cluster {
	struct world *w;
	struct world *reference; /* its plan counts, its kernel does not */
	bool exists[8192];
};

static struct cluster *cluster_new(void)
{
	struct cluster *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->w = world_new();
	c->reference = world_new();
	world_listed(c->w);
	world_listed(c->reference);
	world_snapshot(c->w);
	assert_true(world_sync(c->w));
	return c;
}

static void cluster_free(struct cluster *c)
{
	world_free(c->w);
	world_free(c->reference);
	free(c);
}

static void give(struct cluster *c, const struct words *x, const char *endpoints)
{
	struct world *both[] = {c->w, c->reference};
	char slice[64];

	snprintf(slice, sizeof(slice), "%s-4", x->name);
	for (int i = 0; i < 2; i++) {
		put_words(both[i], x);
		put_slice(
		    both[i], slice, strchr(x->name, '/') + 1, "a:8080/tcp b:53/udp", endpoints);
	}
	snprintf(slice, sizeof(slice), "%s-6", x->name);
	for (int i = 0; i < 2; i++)
		put_slice(both[i], slice, strchr(x->name, '/') + 1, "a:8080/tcp b:53/udp",
		    *endpoints != '\0' ? "fd01::1=r" : "");
}

static void take(struct cluster *c, const char *ns, const char *name)
{
	store_service_del(plan_store(c->w->plan), ns, name);
	store_service_del(plan_store(c->reference->plan), ns, name);
}

/* Addresses as clusters have them: most in one range, some few anywhere, some of several. */
static void some_addresses(char *text, size_t size, unsigned count)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		char ip[64];

		switch (pick(6)) {
		case 0:
			snprintf(ip, sizeof(ip), "203.0.113.%u", 1 + pick(60));
			break;
		case 1:
			snprintf(ip, sizeof(ip), "%u.%u.%u.%u", 1 + pick(120), pick(256), pick(256),
			    pick(256));
			break;
		case 2:
			snprintf(ip, sizeof(ip), "10.97.%u.%u", pick(4), pick(256));
			break;
		case 3:
			snprintf(ip, sizeof(ip), "2001:db8::%x", 1 + pick(60));
			break;
		case 4:
			snprintf(ip, sizeof(ip), "2%03x:%x:%x::%x", pick(4096), pick(65536), 1u,
			    pick(65536));
			break;
		default:
			snprintf(ip, sizeof(ip), "fd00:97::%x:%x", pick(4), 1 + pick(256));
			break;
		}
		len += (size_t)snprintf(text + len, size - len, "%s ", ip);
	}
}

/* A service by its number, in one of its many states. */
static void random_service(struct cluster *c, unsigned k, bool plain)
{
	char name[32], ips[96], external[400], balancer[400];
	struct words x = {.name = name, .ips = ips};

	snprintf(name, sizeof(name), "n%u/s%u", k % 7, k);
	/* A good half of the IPv4 ones one behind the other, as allocators do it. */
	if (k % 8 < 5)
		snprintf(ips, sizeof(ips), "10.96.%u.%u fd00:96::%x", k / 250, 1 + k % 250, k + 1);
	else
		snprintf(ips, sizeof(ips), "10.%u.%u.%u fd00:96::%x:%x", 100 + k % 11, k * 37 % 256,
		    1 + k * 91 % 254, 1 + k % 4000, k + 1);
	x.ports = plain || pick(3) ? "a:80/tcp" : "a:80/tcp b:53/udp";
	if (!plain) {
		some_addresses(external, sizeof(external), pick(4) ? 0 : pick(4));
		some_addresses(balancer, sizeof(balancer), pick(4) ? 0 : pick(3));
		x.external = external;
		x.balancer = balancer;
		x.ranges = pick(8) ? NULL : "192.0.2.0/24";
		x.external_local = pick(6) == 0;
	}
	give(c, &x, plain || pick(10) ? "10.1.0.1=r" : "");
	c->exists[k] = true;
}

static void random_step(struct cluster *c, unsigned k)
{
	char ns[16], name[16];

	if (!c->exists[k] || pick(2)) {
		random_service(c, k, false);
		return;
	}
	snprintf(ns, sizeof(ns), "n%u", k % 7);
	snprintf(name, sizeof(name), "s%u", k);
	take(c, ns, name);
	c->exists[k] = false;
}

/* --- packets --- */

struct packet {
	struct ip_addr dst;
	uint8_t proto;
	uint16_t dport;
};

struct found {
	struct ipt_rule hits[64]; /* services' rules that take it, in order */
	size_t count;
	unsigned looked_at;
	bool at_end; /* it came to what ends KUBE-SERVICES */
};

static bool takes(const struct ipt_rule *r, const struct packet *p)
{
	return ip_cmp(&r->dst, &p->dst) == 0 && r->proto == p->proto && r->dport == p->dport;
}

/* Goes through a chain and what it leads to; services' own chains are taken to return. */
static void pass(
    struct world *w, const struct ipt_chain *chain, const struct packet *p, struct found *f)
{
	struct kernel_chain *k = kernel_find(w, chain);
	struct ipt_chain to;

	assert_non_null(k);
	for (size_t i = 0; i < k->count; i++) {
		const struct ipt_rule *r = &k->rules[i];

		f->looked_at++;
		switch (r->template) {
		case T_SERVICE_NET:
		case T_SERVICE_NET_GOTO:
			if (!ip_cidr_contains(&r->net, &p->dst))
				break;
			assert_true(ipt_rule_target(r, &k->chain, &to));
			pass(w, &to, p, f);
			if (ipt_templates[r->template].verdict == VERDICT_GOTO)
				return;
			break;
		case T_NODEPORTS_LAST:
			f->at_end = true;
			break;
		default:
			if (takes(r, p) && f->count < 64)
				f->hits[f->count++] = *r;
		}
	}
}

static struct found send_packet(struct world *w, const struct packet *p)
{
	struct ipt_chain c = {.family = p->dst.family, .table = IPT_NAT, .kind = CHAIN_SERVICES};
	struct found f = {.count = 0};

	pass(w, &c, p, &f);
	assert_true(f.at_end);
	return f;
}

/* The flat list. */
struct flat {
	struct flat_rule {
		struct ipt_rule r;
		size_t number;
	} * rules;
	size_t count, room;
};

static void flat_add(void *arg, const struct ipt_rule *r)
{
	struct flat *f = arg;

	if (f->count == f->room) {
		f->room = f->room * 2 + 64;
		f->rules = reallocarray(f->rules, f->room, sizeof(*f->rules));
		assert_non_null(f->rules);
	}
	f->rules[f->count] = (struct flat_rule){*r, f->count};
	f->count++;
}

static int by_packet(const void *a, const void *b)
{
	const struct flat_rule *x = a, *y = b;
	int n = ip_cmp(&x->r.dst, &y->r.dst);

	if (n == 0)
		n = x->r.proto - y->r.proto;
	if (n == 0)
		n = x->r.dport - y->r.dport;
	if (n == 0)
		n = x->number < y->number ? -1 : 1;
	return n;
}

static void assert_same(const struct ipt_rule *a, const struct ipt_rule *b)
{
	assert_int_equal(a->template, b->template);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->target_kind, b->target_kind);
	assert_memory_equal(a->target_hash, b->target_hash, sizeof(a->target_hash));
}

/* Every packet that a service's rule takes in the flat list finds the same in the kernel. */
static unsigned check_packets(struct world *w, uint8_t family)
{
	struct flat flat = {0};
	struct rule_sink to = {flat_add, &flat};
	struct stored_service *v;
	unsigned most = 0;

	RB_FOREACH (v, service_tree, &plan_store(w->plan)->services)
		frontends_nat_services(&to, v, family, NULL);
	if (flat.count > 0)
		qsort(flat.rules, flat.count, sizeof(*flat.rules), by_packet);
	for (size_t i = 0, n; i < flat.count; i += n) {
		struct packet p = {
		    flat.rules[i].r.dst, flat.rules[i].r.proto, flat.rules[i].r.dport};
		struct found f = send_packet(w, &p);

		for (n = 0; i + n < flat.count && takes(&flat.rules[i + n].r, &p); n++) {
			assert_true(n < f.count);
			assert_same(&f.hits[n], &flat.rules[i + n].r);
		}
		assert_int_equal(f.count, n);
		if (f.looked_at > most)
			most = f.looked_at;
		/* Another port, and another address nearby: past all of it. */
		p.dport ^= 0x4000;
		assert_int_equal(send_packet(w, &p).count, 0);
		p.dport ^= 0x4000;
		p.dst.b[ip_len(family) - 1] ^= (uint8_t)(1 + pick(255));
		f = send_packet(w, &p);
		for (size_t k = 0; k < f.count; k++)
			assert_true(takes(&f.hits[k], &p));
		if (f.looked_at > most)
			most = f.looked_at;
	}
	free(flat.rules);
	return most;
}

/* --- what must hold after every step --- */

static unsigned net_chains(struct world *w, uint8_t family)
{
	struct kernel_chain *k;
	unsigned n = 0;

	RB_FOREACH (k, kernel_chains, &w->chains)
		n += k->chain.kind == CHAIN_NET && k->chain.family == family;
	return n;
}

/* A planner that looks at everything finds the kernel as it should be. */
static void check_equal_to_full(struct cluster *c)
{
	struct plan *mine = c->w->plan;

	plan_forget(c->reference->plan);
	c->w->plan = c->reference->plan;
	world_snapshot(c->w);
	c->w->plan = mine;
	if (world_sync(c->reference))
		fail_msg("not as it should be: put %s; delete %s", c->reference->put,
		    c->reference->deleted);
}

/* How many addresses of services stand in KUBE-SERVICES; those of several services as often. */
static size_t address_count(struct world *w, uint8_t family)
{
	struct dispatch d = {.turn = 0};
	struct stored_service *v;
	size_t count = 0;

	RB_FOREACH (v, service_tree, &plan_store(w->plan)->services) {
		dispatch_after(&d, v, family);
		addresses_sort(&d.after);
		count += d.after.count;
		addresses_clear(&d.after);
	}
	return count;
}

static void check_all(struct cluster *c)
{
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		bool tree = address_count(c->w, f) > DISPATCH_FLAT_MAX;

		assert_int_equal(net_chains(c->w, f) > 0, tree);
		check_packets(c->w, f);
	}
	check_equal_to_full(c);
}

/* --- tests --- */

/* A cluster that grows, changes and shrinks, a few services at a time, through both sizes. */
static void test_any_way_gives_the_same(void **state)
{
	struct cluster *c = cluster_new();
	unsigned count = 600, trees = 0, flats = 0;

	(void)state;
	seed = 1;
	for (unsigned step = 0; step < 90; step++) {
		for (unsigned n = pick(3) ? 1 + pick(5) : pick(60); n > 0; n--)
			random_step(c, pick(count));
		if (step % 30 == 10)
			for (unsigned k = 0; k < count; k++)
				random_step(c, k);
		if (step % 30 == 27)
			for (unsigned k = 0; k < count; k++) {
				char ns[16], name[16];

				snprintf(ns, sizeof(ns), "n%u", k % 7);
				snprintf(name, sizeof(name), "s%u", k);
				if (pick(8))
					take(c, ns, name);
			}
		world_sync(c->w);
		check_all(c);
		trees += net_chains(c->w, FAMILY_4) > 0;
		flats += net_chains(c->w, FAMILY_4) == 0;
	}
	assert_true(trees > 20);
	assert_true(flats > 10);
	cluster_free(c);
}

static void nth(struct cluster *c, unsigned k)
{
	char name[32], ips[64];

	snprintf(name, sizeof(name), "a/s%04u", k);
	snprintf(ips, sizeof(ips), "10.96.%u.%u fd00:96::%x", k / 250, 1 + k % 250, k + 1);
	give(c, &(struct words){.name = name, .ips = ips, .ports = "a:80/tcp"}, "10.1.0.1=r");
}

static void remove_nth(struct cluster *c, unsigned k)
{
	char name[16];

	snprintf(name, sizeof(name), "s%04u", k);
	take(c, "a", name);
}

/* What stands in nat KUBE-SERVICES. */
static struct kernel_chain *services_chain(struct world *w, uint8_t family)
{
	struct ipt_chain c = {.family = family, .table = IPT_NAT, .kind = CHAIN_SERVICES};
	struct kernel_chain *k = kernel_find(w, &c);

	assert_non_null(k);
	return k;
}

static void test_flat_up_to_a_size(void **state)
{
	struct cluster *c = cluster_new();
	struct kernel_chain *k;

	(void)state;
	for (unsigned i = 0; i < DISPATCH_FLAT_MAX; i++)
		nth(c, i);
	assert_true(world_sync(c->w));
	for (int turn = 0; turn < 2; turn++) {
		/* As operators know it: a rule for each, by namespace and name. */
		k = services_chain(c->w, FAMILY_4);
		assert_int_equal(k->count, DISPATCH_FLAT_MAX + 1);
		for (unsigned i = 0; i < DISPATCH_FLAT_MAX; i++) {
			char name[32];

			snprintf(name, sizeof(name), "a/s%04u:a", i);
			assert_string_equal(k->rules[i].name, name);
			assert_int_equal(k->rules[i].template, T_CLUSTER_IP);
		}
		check_all(c);

		nth(c, DISPATCH_FLAT_MAX);
		assert_true(world_sync(c->w));
		for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
			k = services_chain(c->w, f);
			assert_in_range(k->count, 3, 5);
			for (size_t i = 0; i + 1 < k->count; i++)
				assert_int_equal(k->rules[i].template, T_SERVICE_NET);
			assert_int_equal(k->rules[k->count - 1].template, T_NODEPORTS_LAST);
		}
		check_all(c);

		remove_nth(c, DISPATCH_FLAT_MAX);
		assert_true(world_sync(c->w));
	}
	cluster_free(c);
}

/* Large: few rules on a packet's way, few chains for a change. */
static void test_large(void **state)
{
	struct cluster *c = cluster_new();

	(void)state;
	seed = 2;
	for (unsigned k = 0; k < 5000; k++)
		random_service(c, k, true);
	assert_true(world_sync(c->w));
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		assert_in_range(check_packets(c->w, f), 10, 40);
	check_equal_to_full(c);

	/* Nothing of the tree for an endpoint's change. */
	put_slice(c->w, "n3/s10-4", "s10", "a:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	assert_true(world_sync(c->w));
	assert_string_equal(c->w->deleted, "");
	assert_int_equal(c->w->puts, 1);
	put_slice(c->reference, "n3/s10-4", "s10", "a:8080/tcp", "10.1.0.1=r 10.1.0.2=r");

	/* One service with an address of either family: its chains, a leaf, and one node or two. */
	for (unsigned i = 0; i < 10; i++) {
		char name[32], ips[64];

		snprintf(name, sizeof(name), "x/new%u", i);
		snprintf(ips, sizeof(ips), "10.%u.7.%u fd00:96::%x:1234", 100 + i, 1 + i * 20, i);
		give(c, &(struct words){.name = name, .ips = ips, .ports = "a:80/tcp"},
		    "10.1.0.1=r");
		assert_true(world_sync(c->w));
		assert_true(c->w->puts <= 4 + 2 * 3);
		assert_true(c->w->deletes <= 2);
		check_equal_to_full(c);
	}
	for (unsigned i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), "new%u", i);
		take(c, "x", name);
		assert_true(world_sync(c->w));
		assert_true(c->w->puts <= 2 * 3);
		assert_true(c->w->deletes <= 4 + 2 * 2);
	}
	check_equal_to_full(c);
	cluster_free(c);
}

struct counter {
	unsigned digests, puts, gone;
};

static uint64_t count_digest(void *arg, const struct ip_cidr *net, uint32_t *rules)
{
	((struct counter *)arg)->digests++;
	*rules = 3;
	return net->bits;
}

static void count_put(void *arg, const struct ip_cidr *net, uint64_t digest, bool fresh)
{
	(void)fresh;
	assert_int_equal(digest, net->bits);
	((struct counter *)arg)->puts++;
}

static void count_gone(void *arg, const struct ip_cidr *net)
{
	(void)net;
	((struct counter *)arg)->gone++;
}

/* A change looks at the way to its addresses, and at nothing else. */
static void test_looks_at_little(void **state)
{
	struct cluster *c = cluster_new();
	struct dispatch d = {.turn = 0};
	struct counter n = {.digests = 0};
	const struct dispatch_visitor v = {count_digest, count_put, count_gone, &n};
	struct stored_service *s;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		nth(c, i);
	world_sync(c->w);
	RB_FOREACH (s, service_tree, &plan_store(c->w->plan)->services)
		dispatch_after(&d, s, FAMILY_4);
	dispatch_update(&d, &v);
	assert_int_equal(d.entries.count, 3000);
	assert_true(n.digests > 750); /* leaves, if all were full */
	assert_int_equal(n.digests, n.puts);
	RB_FOREACH (s, service_tree, &plan_store(c->w->plan)->services) {
		memset(&n, 0, sizeof(n));
		dispatch_before(&d, s, s->spec, FAMILY_4);
		dispatch_after(&d, s, FAMILY_4);
		dispatch_update(&d, &v);
		assert_in_range(n.digests, 1, 8); /* 3,000 are six levels of four */
		assert_int_equal(n.puts + n.gone, 0);
	}
	/* All go, one after the other: every chain goes with them, or when the list is flat. */
	memset(&n, 0, sizeof(n));
	RB_FOREACH (s, service_tree, &plan_store(c->w->plan)->services) {
		dispatch_before(&d, s, s->spec, FAMILY_4);
		dispatch_update(&d, &v);
	}
	assert_int_equal(d.entries.count, 0);
	assert_true(RB_EMPTY(&d.known));
	dispatch_clear(&d);
	cluster_free(c);
}

/* A planner that starts on a tree writes nothing; what others broke of it is put right. */
static void test_restart(void **state)
{
	struct cluster *c = cluster_new();
	struct ipt_chain stray = {.table = IPT_NAT, .kind = CHAIN_NET, .hash = {7, 1}};
	struct kernel_chain *k, *net = NULL, *leaf = NULL;
	struct plan *first;
	char want[256], name[CHAIN_NAME_LEN];

	(void)state;
	for (unsigned i = 0; i < 700; i++)
		nth(c, i);
	assert_true(world_sync(c->w));
	check_equal_to_full(c);
	/* The reference becomes the planner, and keeps up from the snapshot on. */
	first = c->w->plan;
	c->w->plan = c->reference->plan;
	c->reference->plan = first;
	assert_false(world_sync(c->w));
	nth(c, 700);
	assert_true(world_sync(c->w));
	check_all(c);

	RB_FOREACH (k, kernel_chains, &c->w->chains)
		if (k->chain.kind == CHAIN_NET && k->rules[0].template == T_SERVICE_NET_GOTO)
			net = k;
		else if (k->chain.kind == CHAIN_NET)
			leaf = k;
	assert_non_null(net);
	assert_non_null(leaf);
	net->count--;
	snprintf(want, sizeof(want), "%s%s ", net->chain.family == FAMILY_6 ? "6:" : "",
	    ipt_chain_name(&net->chain, name));
	kernel_put(c->w, &stray);
	plan_forget(c->w->plan);
	world_snapshot(c->w);
	assert_true(world_sync(c->w));
	assert_string_equal(c->w->put, want);
	assert_int_equal(c->w->deletes, 1);
	stray = leaf->chain;
	kernel_delete(c->w, &stray);
	plan_forget(c->w->plan);
	world_snapshot(c->w);
	assert_true(world_sync(c->w));
	assert_int_equal(c->w->puts, 1);
	check_all(c);
	cluster_free(c);
}

/* What was a node is all there is, and the other way round. */
static void test_a_node_becomes_the_root(void **state)
{
	struct cluster *c = cluster_new();
	struct words far = {.name = "b/far", .ips = "192.168.0.1 2001:db8::1", .ports = "a:80/tcp"};

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		nth(c, i);
	assert_true(world_sync(c->w));
	check_all(c);
	for (int turn = 0; turn < 2; turn++) {
		give(c, &far, "10.1.0.1=r");
		assert_true(world_sync(c->w));
		assert_int_equal(services_chain(c->w, FAMILY_4)->count, 3);
		check_all(c);
		take(c, "b", "far");
		assert_true(world_sync(c->w));
		assert_in_range(c->w->deletes, 4 + 2 * 2, 4 + 2 * 2);
		check_all(c);
	}
	cluster_free(c);
}

/* A single address of many services is a single leaf. */
static void test_one_address_of_all(void **state)
{
	struct cluster *c = cluster_new();

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		char name[32], ports[32], ips[64];

		snprintf(name, sizeof(name), "a/s%u", i);
		snprintf(ports, sizeof(ports), "a:%u/tcp", 1000 + i);
		snprintf(ips, sizeof(ips), "10.97.%u.%u fd00:1::%x", i / 256, i % 256, i);
		/* without a local endpoint its ClusterIPs have no rule there */
		give(c,
		    &(struct words){.name = name,
			.ips = ips,
			.ports = ports,
			.balancer = "10.96.0.1 fd00::1",
			.internal_local = true},
		    "10.1.0.1=r");
	}
	assert_true(world_sync(c->w));
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		assert_int_equal(net_chains(c->w, f), 1);
		assert_int_equal(services_chain(c->w, f)->count, 2);
	}
	check_all(c);
	nth(c, 7); /* another address */
	assert_true(world_sync(c->w));
	check_all(c);
	remove_nth(c, 7);
	assert_true(world_sync(c->w));
	check_all(c);
	cluster_free(c);
}

/* Addresses that branch at every bit: the deepest tree, down to the last rank. */
static void test_deepest(void **state)
{
	struct cluster *c = cluster_new();
	struct kernel_chain *k;
	unsigned rank = 0;

	(void)state;
	for (unsigned i = 3; i < 128; i++)
		for (unsigned j = 0; j < 3; j++) {
			struct ip_addr a = {.family = FAMILY_6, .b = {0x20}};
			char name[32], ip[IP_STRLEN];

			a.b[i / 8] ^= (uint8_t)(0x80u >> i % 8);
			a.b[15] ^= (uint8_t)(j << 2);
			snprintf(name, sizeof(name), "a/s%u-%u", i, j);
			give(c,
			    &(struct words){
				.name = name, .ips = ip_format(&a, ip), .ports = "a:80/tcp"},
			    "10.1.0.1=r");
		}
	assert_true(world_sync(c->w));
	check_all(c);
	RB_FOREACH (k, kernel_chains, &c->w->chains)
		if (k->chain.kind == CHAIN_NET && k->chain.hash[0] > rank)
			rank = k->chain.hash[0];
	assert_true(rank > 110);
	for (unsigned i = 3; i < 128; i += 2) {
		char name[32];

		snprintf(name, sizeof(name), "s%u-1", i);
		take(c, "a", name);
		world_sync(c->w);
		check_equal_to_full(c);
	}
	check_all(c);
	cluster_free(c);
}

/* What ends KUBE-SERVICES is behind the tree as it is behind the list, and changes alone. */
static void test_node_ports_behind_it(void **state)
{
	struct cluster *c = cluster_new();
	struct node n = {.addr_count = 1};
	struct kernel_chain *k;

	(void)state;
	c->w->cfg.nodeport_primary = c->reference->cfg.nodeport_primary = true;
	assert_int_equal(ip_parse(&n.addrs[0], "192.0.2.1"), 0);
	plan_node(c->w->plan, &n);
	plan_node(c->reference->plan, &n);
	for (unsigned i = 0; i < 300; i++)
		nth(c, i);
	assert_true(world_sync(c->w));
	for (unsigned turn = 1; turn < 4; turn++) {
		k = services_chain(c->w, FAMILY_4);
		assert_in_range(k->count, 3, 5);
		assert_int_equal(k->rules[k->count - 1].template, T_NODEPORTS_IN);
		assert_memory_equal(
		    &k->rules[k->count - 1].net.addr, &n.addrs[0], sizeof(n.addrs[0]));
		check_equal_to_full(c);
		n.addrs[0].b[3] = (uint8_t)(turn + 1);
		plan_node(c->w->plan, &n);
		plan_node(c->reference->plan, &n);
		assert_true(world_sync(c->w));
		assert_string_equal(c->w->put, "KUBE-SERVICES ");
	}
	cluster_free(c);
}

/* Services of the tree that change their every address. */
static void test_changed_before_it_was_planned(void **state)
{
	struct cluster *c = cluster_new();

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		nth(c, i);
	assert_true(world_sync(c->w));
	for (unsigned i = 0; i < 300; i += 3) {
		char name[32], ips[64];

		/* Twice, or away and back, within one transaction. */
		snprintf(name, sizeof(name), "a/s%04u", i);
		for (unsigned turn = 0; turn < 2; turn++) {
			if (i % 2 == 0)
				remove_nth(c, i);
			snprintf(ips, sizeof(ips), "10.%u.0.%u fd00:%x::%x", 98 + turn, 1 + i % 250,
			    0x98 + turn, i + 1);
			give(c, &(struct words){.name = name, .ips = ips, .ports = "a:80/tcp"},
			    "10.1.0.1=r");
		}
	}
	assert_true(world_sync(c->w));
	check_all(c);
	for (unsigned i = 0; i < 300; i++)
		remove_nth(c, i);
	assert_true(world_sync(c->w));
	check_all(c);
	cluster_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_way_gives_the_same),
	    cmocka_unit_test(test_flat_up_to_a_size),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_looks_at_little),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_a_node_becomes_the_root),
	    cmocka_unit_test(test_one_address_of_all),
	    cmocka_unit_test(test_deepest),
	    cmocka_unit_test(test_node_ports_behind_it),
	    cmocka_unit_test(test_changed_before_it_was_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
