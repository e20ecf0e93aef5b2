#include "planner/frontend_index.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

/* What stands for a node port's address, which may be any of the node's. */
#define ANY_ADDRESS FAMILY_COUNT

static int key_cmp(const struct frontend_key *a, const struct frontend_key *b)
{
	const int n = ip_cmp(&a->addr, &b->addr);

	if (n != 0)
		return n;
	if (a->proto != b->proto)
		return a->proto - b->proto;
	return a->port - b->port;
}

/* Who was created first, and of one second whose UID is first. What is not known is last. */
static int age_cmp(const struct stored_service *a, const struct stored_service *b)
{
	int n;

	if (a == b)
		return 0;
	if (a->created != b->created)
		return a->created - 1 < b->created - 1 ? -1 : 1;
	n = memcmp(a->uid, b->uid, sizeof(a->uid));
	if (n == 0)
		n = strcmp(a->namespace, b->namespace);
	return n != 0 ? n : strcmp(a->name, b->name);
}

/* Of claims for one frontend the best is first. */
static int frontend_claim_cmp(const struct frontend_claim *a, const struct frontend_claim *b)
{
	static const uint8_t rank[] = {[FRONTEND_CLUSTER] = 0,
	    [FRONTEND_COUNT] = 1,
	    [FRONTEND_LOAD_BALANCER] = 2,
	    [FRONTEND_EXTERNAL] = 3};
	const int n = key_cmp(&a->key, &b->key);

	if (n != 0)
		return n;
	if (a->kind != b->kind)
		return rank[a->kind] - rank[b->kind];
	return age_cmp(a->v, b->v);
}

RB_PROTOTYPE(frontend_tree, frontend_claim, by_rank, frontend_claim_cmp)
RB_GENERATE(frontend_tree, frontend_claim, by_rank, frontend_claim_cmp)

struct frontend_key frontend_key_address(const struct ip_addr *addr)
{
	return (struct frontend_key){.addr = *addr};
}

struct frontend_key frontend_key_node_port(uint8_t proto, uint16_t port)
{
	return (struct frontend_key){.addr.family = ANY_ADDRESS, .proto = proto, .port = port};
}

bool frontend_key_equal(const struct frontend_key *a, const struct frontend_key *b)
{
	return key_cmp(a, b) == 0;
}

/* --- lookup --- */

/* RB_FIND and its like take no constant tree. */
static struct frontend_tree *tree(const struct store *s)
{
	return (struct frontend_tree *)(uintptr_t)&s->claims;
}

static bool same_key(const struct frontend_claim *a, const struct frontend_claim *b)
{
	return a != NULL && b != NULL && key_cmp(&a->key, &b->key) == 0;
}

struct frontend_claim *frontend_index_best(const struct store *s, const struct frontend_key *key)
{
	/* before every other: a ClusterIP of one created at the beginning of time */
	struct stored_service nobody = {.created = 1, .namespace = "", .name = ""};
	struct frontend_claim first = {.key = *key, .kind = FRONTEND_CLUSTER, .v = &nobody};
	struct frontend_claim *c = RB_NFIND(frontend_tree, tree(s), &first);

	return same_key(c, &first) ? c : NULL;
}

struct frontend_claim *frontend_index_next(const struct store *s, struct frontend_claim *c)
{
	struct frontend_claim *next = RB_NEXT(frontend_tree, tree(s), c);

	(void)s; /* which RB_NEXT does not look at */
	return same_key(c, next) ? next : NULL;
}

struct frontend_claim *frontend_index_at(const struct store *s, const struct ip_addr *addr)
{
	struct stored_service nobody = {.created = 1, .namespace = "", .name = ""};
	struct frontend_claim first = {
	    .key = frontend_key_address(addr), .kind = FRONTEND_CLUSTER, .v = &nobody};
	struct frontend_claim *c = RB_NFIND(frontend_tree, tree(s), &first);

	return c != NULL && ip_cmp(&c->key.addr, addr) == 0 ? c : NULL;
}

struct frontend_claim *frontend_index_next_at(const struct store *s, struct frontend_claim *c)
{
	struct frontend_claim *next = RB_NEXT(frontend_tree, tree(s), c);

	(void)s;
	return next != NULL && ip_cmp(&c->key.addr, &next->key.addr) == 0 ? next : NULL;
}

/* --- changes --- */

static void list(struct store *s, struct frontend_claim *c, frontend_contested *contested)
{
	struct frontend_claim *next;

	c->listed = RB_INSERT(frontend_tree, &s->claims, c) == NULL;
	if (!c->listed)
		return;
	if (same_key(RB_PREV(frontend_tree, &s->claims, c), c)) {
		contested(s, c);
		return;
	}
	next = frontend_index_next(s, c);
	if (next != NULL)
		contested(s, next);
}

static void unlist(struct store *s, struct frontend_claim *c, frontend_contested *contested)
{
	struct frontend_claim *next = frontend_index_next(s, c);

	if (next != NULL && !same_key(RB_PREV(frontend_tree, &s->claims, c), c))
		contested(s, next);
	RB_REMOVE(frontend_tree, &s->claims, c);
	c->listed = false;
}

static void claim(struct stored_service *v, enum frontend kind, struct frontend_key key)
{
	v->claims[v->claim_count++] =
	    (struct frontend_claim){.key = key, .kind = (uint8_t)kind, .v = v};
}

static void claim_address(struct stored_service *v, const struct service_spec *spec,
    enum frontend kind, const struct ip_addr *addr)
{
	struct frontend_key key = frontend_key_address(addr);

	if (!(spec->families & 1u << addr->family))
		return;
	if (kind == FRONTEND_CLUSTER) {
		claim(v, kind, key);
		return;
	}
	for (uint32_t i = 0; i < spec->port_count; i++) {
		key.proto = spec->ports[i].proto;
		key.port = spec->ports[i].port;
		claim(v, kind, key);
	}
}

/* How many claims there can be of SPEC. */
static size_t claims_of(const struct service_spec *spec)
{
	size_t n = spec->ip_counts[FRONTEND_CLUSTER];

	n +=
	    ((size_t)spec->ip_counts[FRONTEND_EXTERNAL] + spec->ip_counts[FRONTEND_LOAD_BALANCER]) *
	    spec->port_count;
	for (uint32_t i = 0; i < spec->port_count; i++)
		n += spec->ports[i].node_port != 0;
	return n;
}

void frontend_index_list(struct store *s, struct stored_service *v, const struct service_spec *spec,
    frontend_contested *contested)
{
	const size_t count = claims_of(spec);

	if (count == 0)
		return;
	v->claims = memory_new(count * sizeof(*v->claims));
	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			claim_address(v, spec, (enum frontend)k, &spec->ips[k][i]);
	for (uint32_t i = 0; i < spec->port_count; i++)
		if (spec->ports[i].node_port != 0)
			claim(v, FRONTEND_COUNT,
			    frontend_key_node_port(spec->ports[i].proto, spec->ports[i].node_port));
	for (uint32_t i = 0; i < v->claim_count; i++)
		list(s, &v->claims[i], contested);
}

void frontend_index_unlist(struct store *s, struct stored_service *v, frontend_contested *contested)
{
	for (uint32_t i = 0; i < v->claim_count; i++)
		if (v->claims[i].listed)
			unlist(s, &v->claims[i], contested);
	free(v->claims);
	v->claims = NULL;
	v->claim_count = 0;
}
