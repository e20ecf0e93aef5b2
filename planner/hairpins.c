#include "planner/hairpins.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static int hairpin_cmp(const struct hairpin *a, const struct hairpin *b)
{
	if (a->family != b->family)
		return a->family - b->family;
	return memcmp(a->addr, b->addr, sizeof(a->addr));
}

RB_GENERATE(hairpin_tree, hairpin, by_address, hairpin_cmp)

static struct hairpin key_of(const struct element *e)
{
	struct hairpin x = {.family = e->family};

	memcpy(x.addr, e->addr, sizeof(x.addr));
	return x;
}

void hairpins_clear(struct hairpins *h)
{
	struct hairpin *x, *next;

	RB_FOREACH_SAFE (x, hairpin_tree, &h->tree, next) {
		RB_REMOVE(hairpin_tree, &h->tree, x);
		free(x);
	}
}

bool hairpins_take(
    struct hairpins *h, const struct element *e, struct stored_service *v, uint32_t stamp)
{
	struct hairpin key = key_of(e), *x = RB_FIND(hairpin_tree, &h->tree, &key);

	if (x == NULL) {
		x = memory_new(sizeof(*x));
		*x = key;
		x->owner = v;
		RB_INSERT(hairpin_tree, &h->tree, x);
	} else if (x->owner != v) {
		x->contended = true;
		return false;
	}
	x->stamp = stamp;
	return true;
}

bool hairpins_release(
    struct hairpins *h, const struct element *e, const struct stored_service *v, uint32_t stamp)
{
	struct hairpin key = key_of(e), *x = RB_FIND(hairpin_tree, &h->tree, &key);
	bool contended;

	if (x == NULL || x->owner != v || x->stamp == stamp)
		return false;
	contended = x->contended;
	RB_REMOVE(hairpin_tree, &h->tree, x);
	free(x);
	return contended;
}

struct stored_service *hairpins_owner(struct hairpins *h, const struct element *e)
{
	struct hairpin key = key_of(e), *x = RB_FIND(hairpin_tree, &h->tree, &key);

	return x != NULL ? x->owner : NULL;
}
