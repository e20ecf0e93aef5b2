#include "planner/slots.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

#define FREE UINT32_MAX

void slots_clear(struct slots *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}

/* The sets for COUNT endpoints. */
static void choose_sets(struct slots *s)
{
	unsigned log = NFT_DRAW_FIRST;

	if (s->count <= NFT_EXACT_MAX) {
		s->set = (uint8_t)(NFT_ENDPOINTS + s->count - 1);
		s->drawn = (uint32_t)s->count;
		return;
	}
	while (s->count > UINT32_C(1) << log)
		log++;
	s->set = (uint8_t)(NFT_DRAW + log - NFT_DRAW_FIRST);
	s->drawn = UINT32_C(1) << log;
}

/* An endpoint by the bytes that elements have. */
struct member {
	uint8_t to[16];
	uint16_t port;
	uint32_t index; /* among the chosen */
	bool placed;
};

static int member_cmp(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int n = memcmp(x->to, y->to, sizeof(x->to));

	return n != 0 ? n : x->port - y->port;
}

static struct member *members_of(
    const struct chosen_endpoints *e, enum endpoint_list list, size_t count)
{
	struct member *m = memory_new(count * sizeof(*m));
	size_t n = 0;

	for (uint32_t i = 0; i < e->count && n < count; i++) {
		if (!(e->e[i].lists & 1u << list))
			continue;
		memcpy(m[n].to, e->e[i].addr.b, ip_len(e->e[i].addr.family));
		m[n].port = e->e[i].port;
		m[n++].index = i;
	}
	qsort(m, count, sizeof(*m), member_cmp);
	return m;
}

/* Who stood at a number that still exists stays there. */
static void keep_places(struct slots *s, struct member *m, const struct element *prev, size_t count,
    const struct element *frontend, uint32_t base)
{
	struct element from = *frontend;

	from.set = s->set;
	from.slot = base;
	for (size_t i = elements_from(prev, count, &from);
	     i < count && prev[i].set == s->set && element_same_frontend(&prev[i], frontend) &&
	     prev[i].slot < base + s->count;
	     i++) {
		struct member key = {.port = prev[i].to_port}, *found;

		memcpy(key.to, prev[i].to, sizeof(key.to));
		found = bsearch(&key, m, s->count, sizeof(*m), member_cmp);
		if (found == NULL || found->placed)
			continue;
		found->placed = true;
		s->at[prev[i].slot - base] = found->index;
	}
}

static int by_index(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

void slots_assign(struct slots *s, const struct chosen_endpoints *e, enum endpoint_list list,
    const struct element *prev, size_t count, const struct element *frontend, uint32_t base)
{
	struct member *m;
	size_t next = 0;

	s->count = e->in_list[list] < NFT_ENDPOINTS_MAX ? e->in_list[list] : NFT_ENDPOINTS_MAX;
	if (s->count == 0)
		return;
	choose_sets(s);
	s->at = memory_grow(s->at, &s->room, s->count, sizeof(*s->at));
	memset(s->at, 0xff, s->count * sizeof(*s->at));
	m = members_of(e, list, s->count);
	keep_places(s, m, prev, count, frontend, base);
	qsort(m, s->count, sizeof(*m), by_index);
	for (size_t i = 0; i < s->count; i++) {
		if (m[i].placed)
			continue;
		while (s->at[next] != FREE)
			next++;
		s->at[next] = m[i].index;
	}
	free(m);
}

static void add(struct element_list *out, const struct chosen_endpoint *c,
    const struct element *frontend, unsigned set, uint32_t slot)
{
	struct element x = *frontend;

	x.set = (uint8_t)set;
	x.slot = slot;
	x.to_port = c->port;
	memcpy(x.to, c->addr.b, ip_len(c->addr.family));
	elements_add(out, &x);
}

void slots_elements(struct element_list *out, const struct slots *s,
    const struct chosen_endpoints *e, const struct element *frontend, uint32_t base)
{
	for (uint32_t i = 0; i < s->count; i++)
		add(out, &e->e[s->at[i]], frontend, s->set, base + i);
	if (s->count <= NFT_EXACT_MAX)
		return;
	/*
	 * COUNT is more than half of DRAWN. Which one stands in for a number that is free goes by
	 * the number alone, so that one endpoint more or less moves none of the others.
	 */
	for (uint32_t i = 0; i < s->drawn; i++)
		add(out, &e->e[s->at[i < s->count ? i : i - s->drawn / 2]], frontend,
		    (unsigned)s->set - NFT_DRAW + NFT_ALL, base + i);
}
