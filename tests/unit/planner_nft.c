/* nftables mode's plan: elements in a kernel that is a list, judged by where packets would go. */
#include "planner_world.h"

#include "ipc/nft_ops.h"

struct nft_kernel {
	struct nft_elem *e;
	size_t count, room;
	bool installed[FAMILY_COUNT];
	uint32_t timeouts[NFT_AFFINITIES];
	/* of the last transaction */
	unsigned puts, deletes, installs, affinities, forgets;
	struct nft_elem forgotten;
};

static struct nft_kernel k;

/* --- the kernel: stricter than the real one --- */

static bool same_key(const struct nft_elem *a, const struct nft_elem *b)
{
	return a->family == b->family && a->set == b->set && a->proto == b->proto &&
	       a->port == b->port && a->slot == b->slot && ip_cmp(&a->addr, &b->addr) == 0 &&
	       ip_cmp(&a->net.addr, &b->net.addr) == 0 && a->net.bits == b->net.bits;
}

static struct nft_elem *find(const struct nft_elem *e)
{
	for (size_t i = 0; i < k.count; i++)
		if (same_key(&k.e[i], e))
			return &k.e[i];
	return NULL;
}

static const char *nft_kernel_install(void *arg, uint8_t family)
{
	size_t n = 0;

	(void)arg;
	assert_int_equal(k.puts + k.deletes + k.affinities, 0);
	for (size_t i = 0; i < k.count; i++)
		if (k.e[i].family != family)
			k.e[n++] = k.e[i];
	k.count = n;
	k.installed[family] = true;
	k.installs++;
	return NULL;
}

static const char *nft_kernel_put(void *arg, const struct nft_elem *e)
{
	(void)arg;
	assert_true(k.installed[e->family]);
	if (nft_elem_check(e, false) != NULL)
		fail_msg("%s: %s", nft_set(e->set)->name, nft_elem_check(e, false));
	if (k.room > 0 && k.count < 3000) /* quadratic */
		assert_null(find(e));
	if (k.count == k.room) {
		k.room = k.room * 2 + 64;
		k.e = reallocarray(k.e, k.room, sizeof(*k.e));
		assert_non_null(k.e);
	}
	k.e[k.count++] = *e;
	k.puts++;
	return NULL;
}

static const char *nft_kernel_remove(void *arg, const struct nft_elem *e)
{
	struct nft_elem *there = find(e);

	(void)arg;
	assert_null(nft_elem_check(e, true));
	assert_int_equal(k.puts, 0); /* deletions come first */
	assert_non_null(there);
	*there = k.e[--k.count];
	k.deletes++;
	return NULL;
}

static const char *nft_kernel_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	(void)arg;
	(void)family;
	k.timeouts[number] = seconds;
	k.affinities++;
	return NULL;
}

static const char *nft_kernel_forget(void *arg, const struct nft_elem *e)
{
	(void)arg;
	k.forgotten = *e;
	k.forgets++;
	return NULL;
}

static const struct nft_visitor kernel = {
    nft_kernel_install, nft_kernel_put, nft_kernel_remove, nft_kernel_affinity, nft_kernel_forget};

static void nft_kernel_frame(void *arg, const struct frame *f)
{
	struct cursor c;
	unsigned type;

	assert_false(f->overflow);
	assert_null(frame_open(f->buf, f->len, &type, &c));
	if (type == NFT_OPS) {
		const char *why = nft_decode_ops(&c, &kernel, arg);

		if (why != NULL)
			fail_msg("%s", why);
	} else {
		assert_true(type == TXN_BEGIN || type == TXN_COMMIT);
	}
}

/* --- a world --- */

static void snapshot(struct world *w)
{
	struct nft_snapshot *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->families[0] = s->families[1] = true;
	memcpy(s->installed, k.installed, sizeof(s->installed));
	for (unsigned i = 0; i < NFT_AFFINITIES; i++)
		if (k.timeouts[i] != 0)
			s->elems[s->count++] = (struct nft_elem){
			    .set = NFT_TIMEOUTS, .slot = i, .seconds = k.timeouts[i]};
	for (size_t i = 0; i < k.count; i++) {
		s->elems[s->count++] = k.e[i];
		if (s->count == NFT_SNAPSHOT_PART_MAX) {
			assert_null(plan_nft_snapshot(w->plan, s));
			s->count = 0;
		}
	}
	s->last = true;
	assert_null(plan_nft_snapshot(w->plan, s));
	free(s);
}

/* Plans and applies; whether there was a transaction. */
static bool sync_nft(struct world *w)
{
	struct txn_result r = {.code = TXN_OK};
	bool applied = false;

	k.puts = k.deletes = k.installs = k.affinities = k.forgets = 0;
	assert_true(plan_ready(w->plan));
	plan_nft_sync(w->plan, &apply_elements, &w->apply, &w->counts);
	if (!apply_commit(&w->apply))
		return false;
	r.generation = w->apply.generation;
	assert_null(apply_result(&w->apply, &r, &applied));
	assert_true(applied);
	assert_int_equal(w->counts.puts, k.puts);
	assert_int_equal(w->counts.deletes, k.deletes);
	return true;
}

static struct world *nft_world(void)
{
	struct world *w = world_new();
	struct node n = {.zone = "z", .addr_count = 1};

	free(k.e);
	memset(&k, 0, sizeof(k));
	w->cfg.mode = MODE_NFTABLES;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	apply_init(&w->apply, nft_kernel_frame, w);
	assert_int_equal(ip_parse(&n.addrs[0], "192.168.0.1"), 0);
	plan_node(w->plan, &n);
	world_listed(w);
	snapshot(w);
	return w;
}

static void nft_world_free(struct world *w)
{
	world_free(w);
	free(k.e);
	memset(&k, 0, sizeof(k));
}

/* --- packets --- */

struct packet {
	struct ip_addr src, dst;
	uint8_t proto;
	uint16_t port;
};

static struct nft_elem key_of(const struct packet *p, unsigned set)
{
	return (struct nft_elem){.family = p->dst.family,
	    .set = (uint8_t)set,
	    .proto = p->proto,
	    .port = p->port,
	    .addr = p->dst};
}

static bool in(const struct packet *p, unsigned set)
{
	struct nft_elem e = key_of(p, set);

	return find(&e) != NULL;
}

static bool in_nets(const struct packet *p, unsigned set)
{
	struct nft_elem e = key_of(p, set);

	for (size_t i = 0; i < k.count; i++)
		if (k.e[i].set == set && k.e[i].family == e.family &&
		    ip_cidr_contains(&k.e[i].net, &p->src) &&
		    (set == NFT_POD_NETWORKS ||
			(ip_cmp(&k.e[i].addr, &e.addr) == 0 && k.e[i].port == e.port)))
			return true;
	return false;
}

static const struct nft_elem *draw(const struct packet *p, unsigned set, uint32_t slot)
{
	struct nft_elem e = key_of(p, set);

	e.slot = slot;
	return find(&e);
}

static const struct nft_elem *choose(const struct packet *p, uint32_t base)
{
	const struct nft_elem *e = NULL;

	for (unsigned set = NFT_ENDPOINTS; e == NULL && set < NFT_DRAW; set++)
		e = draw(p, set, base + (uint32_t)rand() % nft_set(set)->slots);
	for (unsigned c = 0; e == NULL && c < NFT_DRAW_CLASSES; c++) {
		for (unsigned i = 0; e == NULL && i < NFT_DRAWS; i++)
			e = draw(p, NFT_DRAW + c,
			    base + (uint32_t)rand() % nft_set(NFT_DRAW + c)->slots);
		if (e == NULL)
			e = draw(
			    p, NFT_ALL + c, base + (uint32_t)rand() % nft_set(NFT_ALL + c)->slots);
	}
	return e;
}

/* What becomes of P: "pass", "drop", "reject", or the endpoint, with "+" if it is masqueraded. */
static const char *fate(const struct packet *p, bool from_node)
{
	static char text[ENDPOINT_STRLEN + 1];
	bool pod = in_nets(p, NFT_POD_NETWORKS);
	bool masquerade = in(p, NFT_MASQ_ALWAYS) || (in(p, NFT_MASQ_OUTSIDE) && !pod);
	const struct nft_elem *e;
	struct nft_elem address = {.family = p->dst.family, .set = NFT_CLUSTER_IPS, .addr = p->dst};
	uint32_t base = 0;

	if (in(p, NFT_FIREWALL) && !in_nets(p, NFT_ALLOWED))
		return "drop";
	if (!in(p, NFT_SERVICES))
		return in(p, NFT_NO_ENDPOINTS) || find(&address) != NULL ? "reject" : "pass";
	if (in(p, NFT_LOCAL_POLICY) && !pod) {
		masquerade |= from_node;
		base = from_node ? 0 : NFT_LOCAL_SLOT;
	}
	e = choose(p, base);
	if (e == NULL)
		return "drop";
	names_endpoint(text, &e->to, e->to_port);
	if (masquerade)
		strlcat(text, "+", sizeof(text));
	return text;
}

/* The fates of 64 packets from SRC ("node": the node), each once, in alphabetical order. */
static void assert_fates(const char *src, const char *dst, uint16_t port, const char *want)
{
	static char all[16][ENDPOINT_STRLEN + 1], got[1024];
	struct packet p = {.proto = PROTO_TCP, .port = port};
	size_t n = 0;

	assert_int_equal(ip_parse(&p.dst, dst), 0);
	assert_int_equal(ip_parse(&p.src, strcmp(src, "node") == 0 ? "192.168.0.1" : src), 0);
	for (int i = 0; i < 64; i++) {
		const char *f = fate(&p, strcmp(src, "node") == 0);
		size_t at = 0;

		while (at < n && strcmp(all[at], f) != 0)
			at++;
		if (at == n) {
			assert_true(n < 16);
			strlcpy(all[n++], f, sizeof(all[0]));
		}
	}
	qsort(all, n, sizeof(all[0]), (int (*)(const void *, const void *))strcmp);
	got[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		strlcat(got, all[i], sizeof(got));
		strlcat(got, i + 1 < n ? " " : "", sizeof(got));
	}
	assert_string_equal(got, want);
}

#define POD	"10.1.0.7"
#define OUTSIDE "198.51.100.9"
#define BOTH	"10.1.0.1:8080 10.1.0.2:8080"

/* --- tests --- */

static void cluster_ips(void **state)
{
	struct world *w = nft_world();

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r 10.1.0.3=s");
	put_service(w, "a/empty", "10.0.0.2", "http:80/tcp");
	assert_true(sync_nft(w));
	assert_int_equal(k.installs, 2);
	assert_fates(POD, "10.0.0.1", 80, BOTH);
	assert_fates(OUTSIDE, "10.0.0.1", 80, "10.1.0.1:8080+ 10.1.0.2:8080+");
	assert_fates(POD, "10.0.0.2", 80, "reject");
	assert_fates(POD, "10.0.0.1", 81, "reject");
	assert_fates(POD, "10.0.0.3", 80, "pass");
	/* The last endpoint goes, another comes. */
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=s");
	assert_true(sync_nft(w));
	assert_fates(POD, "10.0.0.1", 80, "reject");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.3=r");
	assert_true(sync_nft(w));
	assert_fates(POD, "10.0.0.1", 80, "10.1.0.3:8080");
	store_service_del(plan_store(w->plan), "a", "web");
	assert_true(sync_nft(w));
	assert_fates(POD, "10.0.0.1", 80, "pass");
	nft_world_free(w);
}

static void policies(void **state)
{
	struct world *w = nft_world();
	struct words x = {.name = "a/web",
	    .ips = "10.0.0.1",
	    .ports = "http:80/tcp/30080",
	    .external = "192.0.2.1",
	    .balancer = "192.0.2.2"};

	(void)state;
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=r");
	assert_true(sync_nft(w));
	assert_fates(OUTSIDE, "192.0.2.1", 80, "10.1.0.1:8080+ 10.1.0.2:8080+");
	assert_fates(POD, "192.168.0.1", 30080, "10.1.0.1:8080+ 10.1.0.2:8080+");
	x.external_local = true;
	put_words(w, &x);
	assert_true(sync_nft(w));
	for (unsigned i = 0; i < 3; i++) {
		const char *const to[] = {"192.0.2.1", "192.0.2.2", "192.168.0.1"};
		uint16_t port = i == 2 ? 30080 : 80;

		assert_fates(OUTSIDE, to[i], port, "10.1.0.1:8080");
		assert_fates(POD, to[i], port, BOTH);
		assert_fates("node", to[i], port, "10.1.0.1:8080+ 10.1.0.2:8080+");
	}
	x.internal_local = true;
	put_words(w, &x);
	assert_true(sync_nft(w));
	assert_fates(POD, "10.0.0.1", 80, "10.1.0.1:8080");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r");
	assert_true(sync_nft(w));
	assert_fates(POD, "10.0.0.1", 80, "drop");
	assert_fates(OUTSIDE, "192.0.2.1", 80, "drop");
	assert_fates(POD, "192.0.2.1", 80, "10.1.0.2:8080");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "");
	assert_true(sync_nft(w));
	assert_fates(OUTSIDE, "192.0.2.1", 80, "reject");
	assert_fates(OUTSIDE, "192.168.0.1", 30080, "reject");
	nft_world_free(w);
}

static void source_ranges(void **state)
{
	struct world *w = nft_world();
	struct words x = {.name = "a/web",
	    .ips = "10.0.0.1",
	    .ports = "http:80/tcp",
	    .balancer = "192.0.2.2",
	    .ranges = "198.51.100.0/25 fd00::/8"};

	(void)state;
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(sync_nft(w));
	assert_fates(OUTSIDE, "192.0.2.2", 80, "10.1.0.1:8080+");
	assert_fates("198.51.100.129", "192.0.2.2", 80, "drop");
	assert_fates("198.51.100.129", "10.0.0.1", 80, "10.1.0.1:8080+");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "");
	assert_true(sync_nft(w));
	assert_fates(OUTSIDE, "192.0.2.2", 80, "reject");
	assert_fates("198.51.100.129", "192.0.2.2", 80, "drop");
	x.ranges = "198.51.100.0/25 198.51.100.0/24 198.51.100.9/32 10.0.0.0/8";
	put_words(w, &x);
	assert_true(sync_nft(w));
	for (size_t i = 0; i < k.count; i++)
		assert_false(k.e[i].set == NFT_ALLOWED && k.e[i].net.bits > 24); /* overlaps */
	/* What the node sends to its own balancer's address comes from there. */
	x.ranges = "192.168.0.0/24";
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(sync_nft(w));
	assert_fates("192.0.2.2", "192.0.2.2", 80, "10.1.0.1:8080+");
	nft_world_free(w);
}

static void many(struct world *w, unsigned count, unsigned without)
{
	char *words = malloc(count * 24u + 24);
	size_t len = 0;

	assert_non_null(words);
	words[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		if (i != without)
			len += (size_t)sprintf(words + len, "10.1.%u.%u=r ", i / 250, 1 + i % 250);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", words);
	free(words);
}

/* Each endpoint's share of connections, by the numbers that are drawn. */
static void assert_fair(unsigned count)
{
	double shares[1100] = {0}, missed = 1, ideal = 1.0 / count;
	unsigned draws[1100] = {0}, all[1100] = {0}, m = 0, exact = 0;

	for (size_t i = 0; i < k.count; i++) {
		const struct nft_elem *e = &k.e[i];
		unsigned n = e->to.b[2] * 250u + e->to.b[3] - 1;

		if (e->set < NFT_ENDPOINTS)
			continue;
		assert_true(n < 1100);
		m = nft_set(e->set)->slots;
		exact += e->set < NFT_DRAW;
		if (e->set >= NFT_ALL)
			all[n]++;
		else
			draws[n]++;
	}
	for (unsigned i = 0; exact == 0 && i < NFT_DRAWS; i++)
		missed *= 1 - (double)count / m;
	for (unsigned i = 0; i < count; i++) {
		if (exact > 0) {
			assert_int_equal(draws[i], 1);
			continue;
		}
		shares[i] = (1 - missed) * draws[i] / count + missed * all[i] / m;
		assert_true(shares[i] > ideal * 0.98 && shares[i] < ideal * 1.02);
	}
	assert_int_equal(exact, count <= NFT_EXACT_MAX ? count : 0);
}

static void fair_choice(void **state)
{
	static const unsigned counts[] = {
	    1, 2, 3, 15, 16, 17, 18, 31, 32, 33, 64, 65, 100, 257, 1000};
	struct world *w = nft_world();

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		many(w, counts[i], UINT32_MAX);
		assert_true(sync_nft(w));
		assert_fair(counts[i]);
	}
	/* One of a thousand goes and comes back: few elements move, and it stays fair. */
	for (unsigned i = 0; i < 1000; i += 101) {
		many(w, 1000, i);
		assert_true(sync_nft(w));
		assert_true(k.puts + k.deletes <= 12);
		many(w, 1000, UINT32_MAX);
		assert_true(sync_nft(w));
		assert_true(k.puts + k.deletes <= 12);
		assert_fair(1000);
	}
	nft_world_free(w);
}

static void restart(void **state)
{
	struct world *w = nft_world();
	struct words x = {.name = "a/web",
	    .ips = "10.0.0.1 fd00::1",
	    .ports = "http:80/tcp/30080 dns:53/udp",
	    .external = "192.0.2.1",
	    .balancer = "192.0.2.2",
	    .ranges = "198.51.100.0/25",
	    .affinity = 600,
	    .external_local = true};

	(void)state;
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp dns:53/udp", "10.1.0.1=rl 10.1.0.2=r");
	put_slice(w, "a/web-2", "web", "http:8080/tcp dns:53/udp", "fd01::1=rl fd01::2=r");
	put_service(w, "a/empty", "10.0.0.2", "http:80/tcp");
	put_service(w, "a/big", "10.0.0.3", "http:80/tcp");
	put_slice(w, "a/big-1", "big", "http:80/tcp",
	    "10.1.1.1=r 10.1.1.2=r 10.1.1.3=r 10.1.1.4=r 10.1.1.5=r 10.1.1.6=r 10.1.1.7=r "
	    "10.1.1.8=r 10.1.1.9=r 10.1.1.10=r 10.1.1.11=r 10.1.1.12=r 10.1.1.13=r 10.1.1.14=r "
	    "10.1.1.15=r 10.1.1.16=r 10.1.1.17=r 10.1.1.18=r");
	assert_true(sync_nft(w));
	assert_int_equal(k.affinities, 2);
	plan_forget(w->plan);
	snapshot(w);
	assert_false(sync_nft(w));
	/* What is too much, missing or other is put right, and that alone. */
	k.e[3].to_port ^= k.e[3].set >= NFT_ENDPOINTS;
	k.e[k.count - 1].port ^= 1;
	plan_forget(w->plan);
	snapshot(w);
	assert_true(sync_nft(w));
	assert_true(k.puts <= 2 && k.deletes <= 2 && k.puts > 0);
	/* A table that is not ours as it should be is made anew, with everything. */
	k.installed[FAMILY_4] = false;
	plan_forget(w->plan);
	snapshot(w);
	assert_true(sync_nft(w));
	assert_int_equal(k.installs, 1);
	assert_fates(OUTSIDE, "192.0.2.1", 80, "10.1.0.1:8080");
	plan_forget(w->plan);
	snapshot(w);
	assert_false(sync_nft(w));
	nft_world_free(w);
}

/* Two services ask for one address and port: the first by name, if nothing else tells. */
static void contended(void **state)
{
	struct world *w = nft_world();

	(void)state;
	put_words(w, &(struct words){.name = "b/two",
			 .ips = "10.0.0.2",
			 .ports = "http:80/tcp",
			 .external = "192.0.2.1"});
	put_slice(w, "b/two-1", "two", "http:8080/tcp", "10.1.0.2=rl");
	assert_true(sync_nft(w));
	assert_fates(POD, "192.0.2.1", 80, "10.1.0.2:8080+");
	put_words(w, &(struct words){.name = "a/one",
			 .ips = "10.0.0.1",
			 .ports = "http:80/tcp",
			 .external = "192.0.2.1"});
	put_slice(w, "a/one-1", "one", "http:8080/tcp", "10.1.0.1=rl 10.1.0.2=rl");
	assert_true(sync_nft(w));
	assert_fates(POD, "192.0.2.1", 80, "10.1.0.1:8080+ 10.1.0.2:8080+");
	assert_fates(POD, "10.0.0.2", 80, "10.1.0.2:8080");
	plan_forget(w->plan);
	snapshot(w);
	assert_false(sync_nft(w));
	store_service_del(plan_store(w->plan), "a", "one");
	assert_true(sync_nft(w));
	assert_fates(POD, "192.0.2.1", 80, "10.1.0.2:8080+");
	nft_world_free(w);
}

static void affinity(void **state)
{
	struct world *w = nft_world();
	struct words x = {
	    .name = "a/web", .ips = "10.0.0.1", .ports = "http:80/tcp", .affinity = 600};

	(void)state;
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	assert_true(sync_nft(w));
	assert_int_equal(k.timeouts[0], 600);
	assert_int_equal(k.forgets, 0);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.3=r");
	assert_true(sync_nft(w));
	assert_int_equal(k.forgets, 1);
	assert_int_equal(k.forgotten.set, NFT_AFFINITY);
	assert_int_equal(k.forgotten.to.b[3], 1);
	put_words(w, &(struct words){
			 .name = "a/x", .ips = "10.0.0.2", .ports = "http:80/tcp", .affinity = 7});
	put_slice(w, "a/x-1", "x", "http:8080/tcp", "10.1.0.1=r");
	assert_true(sync_nft(w));
	assert_int_equal(k.timeouts[1], 7);
	/* An endpoint that went while nobody looked. */
	plan_forget(w->plan);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r");
	snapshot(w);
	assert_true(sync_nft(w));
	assert_int_equal(k.forgets, 1);
	assert_int_equal(k.forgotten.to.b[3], 3);
	/* With the policy Local nobody outside stays with an endpoint elsewhere. */
	x.external = "192.0.2.1";
	put_words(w, &x);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=rl 10.1.0.4=r");
	assert_true(sync_nft(w));
	assert_int_equal(k.forgets, 0);
	x.external_local = true;
	put_words(w, &x);
	assert_true(sync_nft(w));
	assert_int_equal(k.forgets, 1);
	assert_int_equal(k.forgotten.to.b[3], 4);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.4=rl");
	assert_true(sync_nft(w));
	assert_int_equal(k.forgets, 1);
	assert_int_equal(k.forgotten.to.b[3], 2);
	/* A number that nobody uses is another's. */
	store_service_del(plan_store(w->plan), "a", "x");
	for (uint32_t i = 0; i < 7; i++) {
		char name[8], ip[16];

		snprintf(name, sizeof(name), "c/s%u", i);
		snprintf(ip, sizeof(ip), "10.0.1.%u", i + 1);
		put_words(
		    w, &(struct words){
			   .name = name, .ips = ip, .ports = "h:80/tcp", .affinity = 100 + i});
	}
	sync_nft(w);
	assert_int_equal(k.timeouts[0], 600);
	for (unsigned i = 1; i < NFT_AFFINITIES; i++)
		assert_true(k.timeouts[i] >= 100 && k.timeouts[i] < 107);
	nft_world_free(w);
}

static void node_changes(void **state)
{
	struct world *w = nft_world();
	struct node n = {.zone = "z", .addr_count = 1};

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp/30080");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r");
	assert_true(sync_nft(w));
	assert_fates(POD, "192.168.0.1", 30080, "10.1.0.1:8080+");
	assert_int_equal(ip_parse(&n.addrs[0], "192.168.0.2"), 0);
	plan_node(w->plan, &n);
	assert_true(sync_nft(w));
	assert_fates(POD, "192.168.0.1", 30080, "pass");
	assert_fates(POD, "192.168.0.2", 30080, "10.1.0.1:8080+");
	nft_world_free(w);
}

/* Whatever comes and goes in whatever order, packets go where they would if it all came at once. */
static void any_order(void **state)
{
	struct world *w = nft_world();

	(void)state;
	srand(7);
	for (unsigned round = 0; round < 300; round++) {
		unsigned s = (unsigned)rand() % 6, live = (unsigned)rand() % 5;
		char name[16], ip[16], words[128] = "";
		struct words x = {.name = name, .ips = ip, .ports = "http:80/tcp"};

		snprintf(name, sizeof(name), "a/s%u", s);
		snprintf(ip, sizeof(ip), "10.0.0.%u", s + 1);
		x.external = rand() % 2 ? "192.0.2.1" : "192.0.2.2";
		x.external_local = rand() % 2;
		x.affinity = rand() % 3 ? 0 : 60;
		for (unsigned i = 0; i < live; i++)
			snprintf(words + strlen(words), sizeof(words) - strlen(words),
			    "10.1.0.%u=%s ", (unsigned)rand() % 9 + 1, rand() % 2 ? "rl" : "r");
		put_words(w, &x);
		if (rand() % 6 == 0)
			store_service_del(plan_store(w->plan), "a", name + 2);
		snprintf(ip, sizeof(ip), "a/s%u-1", s);
		put_slice(w, ip, name + 2, "http:8080/tcp", words);
		if (rand() % 3 > 0)
			continue;
		sync_nft(w);
		plan_forget(w->plan); /* everything, compared with what came of the changes */
		snapshot(w);
		assert_false(sync_nft(w));
	}
	nft_world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cluster_ips),
	    cmocka_unit_test(policies),
	    cmocka_unit_test(source_ranges),
	    cmocka_unit_test(fair_choice),
	    cmocka_unit_test(restart),
	    cmocka_unit_test(contended),
	    cmocka_unit_test(affinity),
	    cmocka_unit_test(node_changes),
	    cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
