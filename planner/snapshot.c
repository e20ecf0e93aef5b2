#include "planner/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static int chain_cmp(const struct ipt_chain *a, const struct ipt_chain *b)
{
	if (a->family != b->family)
		return a->family - b->family;
	if (a->table != b->table)
		return a->table - b->table;
	if (a->kind != b->kind)
		return a->kind - b->kind;
	return memcmp(a->hash, b->hash, sizeof(a->hash));
}

static int snapshot_chain_cmp(const void *a, const void *b)
{
	const struct snapshot_chain *x = a, *y = b;

	return chain_cmp(&x->chain, &y->chain);
}

void snapshot_clear(struct snapshot *s)
{
	free(s->chains);
	memset(s, 0, sizeof(*s));
}

const char *snapshot_add(struct snapshot *s, const struct txn_snapshot *part)
{
	if (s->complete)
		return "a part after the last one of the snapshot";
	s->chains = memory_grow(s->chains, &s->room, s->count + part->count, sizeof(*s->chains));
	for (uint32_t i = 0; i < part->count; i++)
		s->chains[s->count++] =
		    (struct snapshot_chain){part->chains[i].digest, part->chains[i].chain, false};
	memcpy(s->families, part->families, sizeof(s->families));
	memcpy(s->hooks, part->hooks, sizeof(s->hooks));
	if (!part->last)
		return NULL;
	s->complete = true;
	if (s->count > 0)
		qsort(s->chains, s->count, sizeof(*s->chains), snapshot_chain_cmp);
	return NULL;
}

struct snapshot_chain *snapshot_find(const struct snapshot *s, const struct ipt_chain *c)
{
	struct snapshot_chain key = {.chain = *c};

	if (s->count == 0)
		return NULL;
	return bsearch(&key, s->chains, s->count, sizeof(*s->chains), snapshot_chain_cmp);
}
