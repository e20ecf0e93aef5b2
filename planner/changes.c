#include "planner/changes.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

struct change *changes_add(struct change_list *l, const struct ipt_chain *chain)
{
	struct change *c;

	l->c = memory_grow(l->c, &l->room, l->count + 1, sizeof(*l->c));
	c = &l->c[l->count++];
	memset(c, 0, sizeof(*c));
	c->chain = *chain;
	names_hash_key(c->key, chain->hash);
	return c;
}

static int change_cmp(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int n;

	if (x->chain.family != y->chain.family)
		return x->chain.family - y->chain.family;
	if (x->chain.table != y->chain.table)
		return x->chain.table - y->chain.table;
	if (x->fresh != y->fresh)
		return x->fresh ? -1 : 1;
	n = strcmp(ipt_chain_kinds[y->chain.kind].name, ipt_chain_kinds[x->chain.kind].name);
	return n != 0 ? n : memcmp(y->key, x->key, sizeof(x->key));
}

static void sort(struct change_list *l)
{
	if (l->count > 0)
		qsort(l->c, l->count, sizeof(*l->c), change_cmp);
}

void changes_sort(struct changes *c)
{
	sort(&c->puts);
	sort(&c->deletes);
}

void changes_clear(struct changes *c)
{
	free(c->puts.c);
	free(c->deletes.c);
	memset(c, 0, sizeof(*c));
}
