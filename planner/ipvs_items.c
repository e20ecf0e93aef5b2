#include "planner/ipvs_items.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

_Static_assert(IPVS_KEY_LEN + sizeof(uint32_t) == sizeof(struct ipvs_item), "a key with holes");

static int ipvs_node_cmp(const struct ipvs_node *a, const struct ipvs_node *b)
{
	return memcmp(&a->item, &b->item, IPVS_KEY_LEN);
}

RB_GENERATE(ipvs_tree, ipvs_node, by_key, ipvs_node_cmp)

struct ipvs_node *ipvs_items_need(struct ipvs_items *t, const struct ipvs_item *i)
{
	struct ipvs_node *n = ipvs_items_find(t, i);

	if (n != NULL)
		return n;
	n = memory_new(sizeof(*n));
	n->item = *i;
	RB_INSERT(ipvs_tree, &t->tree, n);
	t->count++;
	return n;
}

struct ipvs_node *ipvs_items_find(struct ipvs_items *t, const struct ipvs_item *key)
{
	struct ipvs_node find = {.item = *key};

	return RB_FIND(ipvs_tree, &t->tree, &find);
}

struct ipvs_node *ipvs_items_from(struct ipvs_items *t, const struct ipvs_item *key)
{
	struct ipvs_node find = {.item = *key};

	return RB_NFIND(ipvs_tree, &t->tree, &find);
}

void ipvs_node_touch(struct ipvs_items *t, struct ipvs_node *n)
{
	if (n->changed)
		return;
	n->changed = true;
	SLIST_INSERT_HEAD(&t->changed, n, changed_next);
}

void ipvs_node_want(struct ipvs_items *t, struct ipvs_node *n, uint32_t value)
{
	n->users++;
	n->item.value = value;
	ipvs_node_touch(t, n);
}

void ipvs_node_drop(struct ipvs_items *t, struct ipvs_node *n)
{
	n->users--;
	ipvs_node_touch(t, n);
}

static int sort_cmp(const void *a, const void *b)
{
	return ipvs_node_cmp(*(struct ipvs_node *const *)a, *(struct ipvs_node *const *)b);
}

struct ipvs_node **ipvs_items_take(struct ipvs_items *t, size_t *count)
{
	struct ipvs_node **list = NULL, *n;
	size_t room = 0;

	*count = 0;
	while ((n = SLIST_FIRST(&t->changed)) != NULL) {
		SLIST_REMOVE_HEAD(&t->changed, changed_next);
		n->changed = false;
		list = memory_grow(list, &room, *count + 1, sizeof(struct ipvs_node *));
		list[(*count)++] = n;
	}
	if (*count > 0)
		qsort(list, *count, sizeof(struct ipvs_node *), sort_cmp);
	return list;
}

void ipvs_node_release(struct ipvs_items *t, struct ipvs_node *n)
{
	if (n->users > 0 || n->there || n->changed)
		return;
	RB_REMOVE(ipvs_tree, &t->tree, n);
	t->count--;
	free(n);
}

void ipvs_items_forget(struct ipvs_items *t)
{
	struct ipvs_node *n;

	RB_FOREACH (n, ipvs_tree, &t->tree) {
		n->there = false;
		n->has = 0;
		ipvs_node_touch(t, n);
	}
}

void ipvs_items_clear(struct ipvs_items *t)
{
	struct ipvs_node *n, *next;

	RB_FOREACH_SAFE (n, ipvs_tree, &t->tree, next) {
		RB_REMOVE(ipvs_tree, &t->tree, n);
		free(n);
	}
	SLIST_INIT(&t->changed);
	t->count = 0;
}
