/*
 * A planner's core with a kernel that is a list of chains: objects go in, transactions come out as
 * frames, and the frames, decoded, change the kernel. Every rule is checked as the applier would.
 */
#ifndef TESTS_PLANNER_WORLD_H
#define TESTS_PLANNER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/tree.h>

#include <cmocka.h>

#include "applier/ipt_entry.h"
#include "ipc/txn.h"
#include "planner/apply.h"
#include "planner/ipvs_rules.h"
#include "planner/names.h"
#include "planner/plan.h"
#include "planner/print.h"

struct kernel_chain {
	RB_ENTRY(kernel_chain) by_chain;
	struct ipt_chain chain;
	struct ipt_rule *rules;
	size_t count;
	bool put;     /* in this transaction ... */
	uint64_t was; /* ... and what it was before; 0: not there */
};
RB_HEAD(kernel_chains, kernel_chain);

struct world {
	struct config cfg;
	struct plan *plan;
	struct apply apply;
	struct kernel_chains chains;
	struct kernel_chain *last; /* the chain put last: rules follow it */
	uint32_t hooks[FAMILY_COUNT];
	/* of the last transaction */
	char put[64 * 1024]; /* names of chains put, in order, a space behind each */
	char deleted[16 * 1024];
	unsigned puts, deletes, hook_ops;
	struct plan_counts counts;
	/* takes ipvs mode's items; NULL: there are none */
	const char *(*item)(struct world *w, enum txn_op op, const struct ipvs_item *i);
};

/* --- the kernel --- */

static inline int kernel_chain_cmp(const struct kernel_chain *a, const struct kernel_chain *b)
{
	return memcmp(&a->chain, &b->chain, sizeof(a->chain));
}

RB_PROTOTYPE(kernel_chains, kernel_chain, by_chain, kernel_chain_cmp)
RB_GENERATE(kernel_chains, kernel_chain, by_chain, kernel_chain_cmp)

static inline struct kernel_chain *kernel_find(struct world *w, const struct ipt_chain *c)
{
	struct kernel_chain key = {.chain = *c};

	return RB_FIND(kernel_chains, &w->chains, &key);
}

static inline void remember(char *list, size_t size, const struct ipt_chain *c)
{
	char name[CHAIN_NAME_LEN];
	size_t len = strlen(list);

	if (len + CHAIN_NAME_LEN + 4 < size)
		snprintf(list + len, size - len, "%s%s%s ", c->family == FAMILY_6 ? "6:" : "",
		    c->table == IPT_FILTER ? "f:" : "", ipt_chain_name(c, name));
}

static inline uint64_t kernel_digest(const struct world *w, const struct kernel_chain *k)
{
	struct siphash s;
	struct ipt_blob b;

	siphash_init(&s, &w->cfg.key);
	for (size_t i = 0; i < k->count; i++) {
		ipt_entry_encode(&b, &k->rules[i], &k->chain, plan_params(w->plan));
		ipt_blob_digest(&s, &b, k->chain.family);
	}
	return siphash_final(&s);
}

static inline const char *kernel_put(void *arg, const struct ipt_chain *c)
{
	struct world *w = arg;
	struct kernel_chain *k = kernel_find(w, c);

	if (k == NULL) {
		k = calloc(1, sizeof(*k));
		assert_non_null(k);
		k->chain = *c;
		RB_INSERT(kernel_chains, &w->chains, k);
	} else {
		k->was = kernel_digest(w, k);
	}
	k->put = true;
	free(k->rules);
	k->rules = NULL;
	k->count = 0;
	w->last = k;
	w->puts++;
	remember(w->put, sizeof(w->put), c);
	return NULL;
}

static inline const char *kernel_rule(void *arg, const struct ipt_rule *r)
{
	struct world *w = arg;
	struct kernel_chain *k = w->last;
	const char *why = ipt_rule_check(r, &k->chain);

	if (why != NULL)
		return why;
	k->rules = reallocarray(k->rules, k->count + 1, sizeof(*k->rules));
	assert_non_null(k->rules);
	k->rules[k->count++] = *r;
	return NULL;
}

static inline const char *kernel_delete(void *arg, const struct ipt_chain *c)
{
	struct world *w = arg;
	struct kernel_chain *k = kernel_find(w, c);

	if (k == NULL)
		return "deletes a chain that is not there";
	RB_REMOVE(kernel_chains, &w->chains, k);
	free(k->rules);
	free(k);
	w->deletes++;
	remember(w->deleted, sizeof(w->deleted), c);
	return NULL;
}

static inline const char *kernel_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct world *w = arg;

	if (w->cfg.mode == MODE_IPVS)
		assert_int_equal(on, IPVS_HOOKS >> number & 1);
	else if (w->cfg.mode != MODE_USERSPACE)
		assert_int_equal(on, number < IPT_HOOK_LEFTOVERS);
	assert_true(((w->hooks[family] & 1u << number) != 0) != on);
	w->hooks[family] ^= 1u << number;
	w->hook_ops++;
	return NULL;
}

static inline void kernel_check_jumps(struct world *w)
{
	struct kernel_chain *k;
	struct ipt_chain to;

	RB_FOREACH (k, kernel_chains, &w->chains) {
		for (size_t r = 0; r < k->count; r++)
			if (ipt_rule_target(&k->rules[r], &k->chain, &to))
				assert_non_null(kernel_find(w, &to));
	}
}

/* Nothing was put that was there as it is. */
static inline void kernel_check_puts(struct world *w)
{
	struct kernel_chain *k;

	RB_FOREACH (k, kernel_chains, &w->chains) {
		if (k->put)
			assert_int_not_equal(kernel_digest(w, k), k->was);
		k->put = false;
	}
}

static inline const char *kernel_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	struct world *w = arg;

	if (w->item != NULL)
		return w->item(w, op, i);
	fail_msg("an item of ipvs mode");
	return NULL;
}

/* The planner knows how many rules there are without asking. */
static inline void kernel_check_rules(struct world *w)
{
	uint64_t rules[FAMILY_COUNT][IPT_TABLE_COUNT] = {0};
	struct metrics_planner m;
	struct kernel_chain *k;

	plan_describe(w->plan, &m);
	RB_FOREACH (k, kernel_chains, &w->chains)
		rules[k->chain.family][k->chain.table] += k->count;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned t = 0; t < IPT_TABLE_COUNT; t++)
			assert_int_equal(m.rules[f][t], rules[f][t]);
}

/* What the planner sends, as the applier gets it. */
static inline void world_frame(void *arg, const struct frame *f)
{
	static const struct txn_visitor kernel = {
	    kernel_put, kernel_rule, kernel_delete, kernel_hook, kernel_item};
	struct cursor c;
	unsigned type;

	assert_false(f->overflow);
	assert_null(frame_open(f->buf, f->len, &type, &c));
	if (type == TXN_OPS) {
		const char *why = txn_decode_ops(&c, &kernel, arg);

		if (why != NULL)
			fail_msg("refused: %s", why);
	}
}

/* --- the world --- */

/* Gives the plan the kernel's snapshot, in parts. */
static inline void world_snapshot(struct world *w)
{
	struct txn_snapshot *s = calloc(1, sizeof(*s));
	struct kernel_chain *k;

	assert_non_null(s);
	s->families[FAMILY_4] = s->families[FAMILY_6] = true;
	memcpy(s->hooks, w->hooks, sizeof(s->hooks));
	RB_FOREACH (k, kernel_chains, &w->chains) {
		s->chains[s->count++] = (struct txn_chain_digest){k->chain, kernel_digest(w, k)};
		if (s->count == 7) {
			assert_null(plan_snapshot(w->plan, s));
			s->count = 0;
		}
	}
	s->last = true;
	assert_null(plan_snapshot(w->plan, s));
	free(s);
}

static inline struct world *world_in_mode(uint8_t mode)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->cfg.mode = mode;
	w->cfg.masquerade_bit = 14;
	memcpy(w->cfg.node_name, "me", 3);
	w->cfg.key = (struct siphash_key){1, 2};
	w->plan = plan_new(&w->cfg);
	apply_init(&w->apply, world_frame, w);
	return w;
}

static inline struct world *world_new(void)
{
	return world_in_mode(0);
}

static inline void world_free(struct world *w)
{
	struct kernel_chain *k, *next;

	RB_FOREACH_SAFE (k, kernel_chains, &w->chains, next) {
		RB_REMOVE(kernel_chains, &w->chains, k);
		free(k->rules);
		free(k);
	}
	plan_free(w->plan);
	free(w);
}

/* Plans and applies. Returns whether a transaction was sent; false as well if it may not be yet. */
static inline bool world_sync(struct world *w)
{
	struct txn_result r = {.code = TXN_OK};
	bool applied = false;

	w->put[0] = w->deleted[0] = '\0';
	w->puts = w->deletes = w->hook_ops = 0;
	if (!plan_ready(w->plan))
		return false;
	plan_sync(w->plan, &apply_operations, &w->apply, &w->counts);
	if (!apply_commit(&w->apply))
		return false;
	kernel_check_jumps(w);
	kernel_check_puts(w);
	kernel_check_rules(w);
	r.generation = w->apply.generation;
	assert_null(apply_result(&w->apply, &r, &applied));
	assert_true(applied);
	assert_int_equal(w->counts.puts, w->puts);
	assert_int_equal(w->counts.deletes, w->deletes);
	assert_int_equal(w->counts.hooks, w->hook_ops);
	return true;
}

/* Both lists began and ended, without an object. */
static inline void world_listed(struct world *w)
{
	struct store *s = plan_store(w->plan);

	store_list_begin(s, KIND_SERVICE);
	store_list_begin(s, KIND_SLICE);
	assert_null(store_list_end(s, KIND_SERVICE));
	assert_null(store_list_end(s, KIND_SLICE));
}

/* --- objects in words --- */

static inline uint8_t proto_of(const char *p)
{
	return strcmp(p, "udp") == 0 ? PROTO_UDP : strcmp(p, "sctp") == 0 ? PROTO_SCTP : PROTO_TCP;
}

static inline struct ip_addr *ips_of(const char *words, uint32_t *count)
{
	struct ip_addr *ips = calloc(16, sizeof(*ips));
	char text[512], *at, *save = NULL;

	assert_non_null(ips);
	snprintf(text, sizeof(text), "%s", words != NULL ? words : "");
	for (at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save))
		assert_int_equal(ip_parse(&ips[(*count)++], at), 0);
	return ips;
}

static inline struct ip_cidr *ranges_of(const char *words, uint32_t *count)
{
	struct ip_cidr *ranges = calloc(16, sizeof(*ranges));
	char text[512], *at, *save = NULL;

	assert_non_null(ranges);
	snprintf(text, sizeof(text), "%s", words != NULL ? words : "");
	for (at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save))
		assert_int_equal(ip_cidr_parse(&ranges[(*count)++], at), 0);
	return ranges;
}

/* "http:80/tcp dns:53/udp"; an unnamed port is ":80/tcp", one with a node port ":80/tcp/30080". */
static inline struct service_port *ports_of(const char *words, uint32_t *count)
{
	struct service_port *ports = calloc(16, sizeof(*ports));
	char text[512], *at, *save = NULL, proto[8];

	assert_non_null(ports);
	snprintf(text, sizeof(text), "%s", words);
	for (at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save)) {
		struct service_port *p = &ports[(*count)++];
		unsigned port, node_port = 0;
		size_t len = strcspn(at, ":");

		memcpy(p->name, at, len);
		assert_true(sscanf(at + len, ":%u/%7[a-z]/%u", &port, proto, &node_port) >= 2);
		p->port = (uint16_t)port;
		p->node_port = (uint16_t)node_port;
		p->proto = proto_of(proto);
	}
	return ports;
}

/* A service in words; NULL: none. */
struct words {
	const char *name, *ips, *ports, *external, *balancer, *ranges;
	uint32_t affinity;
	uint16_t health;
	bool internal_local, external_local;
	uint64_t created;
	uint8_t uid; /* the last byte of it */
};

static inline void put_words(struct world *w, const struct words *x)
{
	struct service s = {.affinity_seconds = x->affinity,
	    .health_check_node_port = x->health,
	    .internal_local = x->internal_local,
	    .external_local = x->external_local,
	    .created = x->created,
	    .uid[SERVICE_UID_LEN - 1] = x->uid};
	struct ip_addr *ips = ips_of(x->ips, &s.cluster_ip_count);

	assert_int_equal(sscanf(x->name, "%63[^/]/%63s", s.namespace, s.name), 2);
	memcpy(s.cluster_ips, ips, sizeof(s.cluster_ips));
	free(ips);
	s.ports = ports_of(x->ports, &s.port_count);
	s.external_ips = ips_of(x->external, &s.external_ip_count);
	s.lb_ips = ips_of(x->balancer, &s.lb_ip_count);
	s.source_ranges = ranges_of(x->ranges, &s.source_range_count);
	store_service_put(plan_store(w->plan), &s);
	service_clear(&s);
}

static inline void put_service(
    struct world *w, const char *name, const char *ips, const char *ports)
{
	put_words(w, &(struct words){.name = name, .ips = ips, .ports = ports});
}

/*
 * ENDPOINTS: "10.1.0.1=r 10.1.0.2=st@zone-a,zone-b": addresses with flags r(eady), s(erving),
 * t(erminating), h(as node hints), o(urs among them), l(ocal), and zone hints.
 */
static inline void put_slice(struct world *w, const char *name, const char *service,
    const char *ports, const char *endpoints)
{
	static const char letters[] = "rstho";
	struct slice s = {
	    .ports = calloc(16, sizeof(*s.ports)), .endpoints = calloc(1024, sizeof(*s.endpoints))};
	char text[32768], *at, *save = NULL, proto[8], ip[64], flags[16], zones[128];
	unsigned port;

	assert_int_equal(sscanf(name, "%63[^/]/%253s", s.namespace, s.name), 2);
	snprintf(s.service, sizeof(s.service), "%s", service);
	snprintf(text, sizeof(text), "%s", ports);
	for (at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save)) {
		struct slice_port *p = &s.ports[s.port_count++];

		if (*at != ':') {
			assert_int_equal(sscanf(at, "%63[^:]:%u/%7s", p->name, &port, proto), 3);
		} else {
			assert_int_equal(sscanf(at, ":%u/%7s", &port, proto), 2);
		}
		p->port = (uint16_t)port;
		p->proto = proto_of(proto);
	}
	snprintf(text, sizeof(text), "%s", endpoints);
	for (at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save)) {
		struct endpoint *e = &s.endpoints[s.endpoint_count++];

		zones[0] = flags[0] = '\0';
		assert_true(sscanf(at, "%63[^=]=%15[^@]@%127s", ip, flags, zones) >= 1);
		assert_int_equal(ip_parse(&e->addr, ip), 0);
		s.family = e->addr.family;
		for (int i = 0; letters[i] != '\0'; i++)
			if (strchr(flags, letters[i]) != NULL)
				e->flags |= (uint8_t)(1 << i);
		snprintf(e->node, sizeof(e->node), "%s",
		    strchr(flags, 'l') != NULL ? w->cfg.node_name : "other");
		for (char *z = strtok(zones, ","); z != NULL; z = strtok(NULL, ","))
			snprintf(e->zone_hints[e->zone_hint_count++], NAME_MAX_LABEL, "%s", z);
	}
	store_slice_put(plan_store(w->plan), &s);
	slice_clear(&s);
}

/* --- what came of it --- */

/* The rules of the chain called NAME ("6:" and "f:" before it: IPv6, filter), a line each. */
static inline char *rules_of(struct world *w, const char *name)
{
	struct ipt_chain c = {.table = IPT_NAT};
	struct kernel_chain *k;
	char *text = NULL;
	size_t len;
	FILE *out;

	if (strncmp(name, "6:", 2) == 0) {
		c.family = FAMILY_6;
		name += 2;
	}
	if (strncmp(name, "f:", 2) == 0) {
		c.table = IPT_FILTER;
		name += 2;
	}
	assert_true(ipt_chain_parse(&c, name));
	k = kernel_find(w, &c);
	if (k == NULL)
		return NULL;
	out = open_memstream(&text, &len);
	assert_non_null(out);
	for (size_t i = 0; i < k->count; i++)
		print_rule(out, &k->rules[i], &k->chain, plan_params(w->plan));
	fclose(out);
	return text;
}

static inline void assert_rules(struct world *w, const char *name, const char *want)
{
	char *text = rules_of(w, name);

	if (text == NULL)
		fail_msg("no chain %s", name);
	else
		assert_string_equal(text, want);
	free(text);
}

static inline void assert_no_chain(struct world *w, const char *name)
{
	char *text = rules_of(w, name);

	assert_null(text);
}

/* --- chains of a TCP port, and a world to begin with --- */

static inline const char *chain_name(
    uint8_t kind, const char *port, uint8_t proto, const char *endpoint)
{
	static char names[8][CHAIN_NAME_LEN];
	static unsigned turn;
	struct ipt_chain c = {.table = IPT_NAT, .kind = kind};

	if (kind == CHAIN_SEP)
		names_sep_hash(c.hash, port, proto, endpoint);
	else
		names_svc_hash(c.hash, port, proto);
	return ipt_chain_name(&c, names[turn++ % 8]);
}

static inline const char *svc(const char *port)
{
	return chain_name(CHAIN_SVC, port, PROTO_TCP, NULL);
}

static inline const char *sep(const char *port, const char *endpoint)
{
	return chain_name(CHAIN_SEP, port, PROTO_TCP, endpoint);
}

/* A world that is programmed: a/web with two endpoints, a/empty with none. */
static inline struct world *programmed(void)
{
	struct world *w = world_new();

	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	put_service(w, "a/empty", "10.0.0.2", ":53/udp");
	store_list_begin(plan_store(w->plan), KIND_SERVICE);
	store_list_begin(plan_store(w->plan), KIND_SLICE);
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	put_service(w, "a/empty", "10.0.0.2", ":53/udp");
	assert_null(store_list_end(plan_store(w->plan), KIND_SERVICE));
	assert_null(store_list_end(plan_store(w->plan), KIND_SLICE));
	world_snapshot(w);
	assert_true(world_sync(w));
	return w;
}

#endif
