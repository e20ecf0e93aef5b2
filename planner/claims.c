#include "planner/claims.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static int claim_cmp(const struct claim *a, const struct claim *b)
{
	if (a->family != b->family)
		return a->family - b->family;
	if (a->proto != b->proto)
		return a->proto - b->proto;
	if (a->port != b->port)
		return a->port - b->port;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

RB_GENERATE(claim_tree, claim, by_key, claim_cmp)

static struct claim key_of(const struct element *e)
{
	struct claim c = {.family = e->family, .proto = e->proto, .port = e->port};

	memcpy(c.addr, e->addr, sizeof(c.addr));
	return c;
}

static bool before(const struct stored_service *a, const struct stored_service *b)
{
	int n = strcmp(a->namespace, b->namespace);

	return n != 0 ? n < 0 : strcmp(a->name, b->name) < 0;
}

void claims_clear(struct claims *c)
{
	struct claim *x, *next;

	RB_FOREACH_SAFE (x, claim_tree, &c->tree, next) {
		RB_REMOVE(claim_tree, &c->tree, x);
		free(x);
	}
}

bool claims_take(struct claims *c, const struct element *e, struct stored_service *v,
    uint32_t stamp, struct stored_service **evicted)
{
	struct claim key = key_of(e), *x = RB_FIND(claim_tree, &c->tree, &key);

	*evicted = NULL;
	if (x == NULL) {
		x = memory_new(sizeof(*x));
		*x = key;
		RB_INSERT(claim_tree, &c->tree, x);
	} else if (x->owner != v) {
		x->contended = true;
		if (before(x->owner, v))
			return false;
		*evicted = x->owner;
	}
	x->owner = v;
	x->stamp = stamp;
	return true;
}

bool claims_release(
    struct claims *c, const struct element *e, const struct stored_service *v, uint32_t stamp)
{
	struct claim key = key_of(e), *x = RB_FIND(claim_tree, &c->tree, &key);
	bool contended;

	if (x == NULL || x->owner != v || x->stamp == stamp)
		return false;
	contended = x->contended;
	RB_REMOVE(claim_tree, &c->tree, x);
	free(x);
	return contended;
}

struct stored_service *claims_owner(struct claims *c, const struct element *e)
{
	struct claim key = key_of(e), *x = RB_FIND(claim_tree, &c->tree, &key);

	return x != NULL ? x->owner : NULL;
}
