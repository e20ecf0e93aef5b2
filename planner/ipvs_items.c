#include "planner/ipvs_items.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

_Static_assert(IPVS_KEY_LEN + sizeof(uint32_t) == sizeof(struct ipvs_item), "a key with holes");

static int ipvs_node_cmp(const struct ipvs_node *a, const struct ipvs_node *b)
{
	return ipvs_item_cmp(&a->item, &b->item);
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

/* --- what stands for what --- */

bool ipvs_item_same_frontend(const struct ipvs_item *a, const struct ipvs_item *b)
{
	return a->family == b->family && a->proto == b->proto && a->port == b->port &&
	       ip_cmp(&a->addr, &b->addr) == 0;
}

struct ipvs_node *ipvs_items_there(
    struct ipvs_items *t, enum ipvs_kind kind, const struct ipvs_item *of)
{
	const struct ipvs_item key = ipvs_item_key(kind, of);
	struct ipvs_node *n = ipvs_items_find(t, &key);

	return n != NULL && n->there ? n : NULL;
}

struct ipvs_node *ipvs_items_source(struct ipvs_items *t, const struct ipvs_item *of)
{
	const struct ipvs_item first = {
	    .kind = IPVS_SOURCE_CIDR, .family = of->family, .addr = of->addr, .proto = of->proto};
	struct ipvs_node *n = ipvs_items_from(t, &first);

	/* those of the address's other ports stand between: a key has the bits before the port */
	for (; n != NULL && n->item.kind == IPVS_SOURCE_CIDR && n->item.proto == of->proto &&
	       n->item.family == of->family && ip_cmp(&n->item.addr, &of->addr) == 0;
	     n = RB_NEXT(ipvs_tree, &t->tree, n)) {
		const struct ip_cidr net = {n->item.to, n->item.bits};

		if (n->there && n->item.port == of->port && ip_cidr_contains(&net, &of->to))
			return n;
	}
	return NULL;
}

static struct ipvs_node *if_real_of(struct ipvs_node *n, const struct ipvs_item *of)
{
	return n != NULL && n->item.kind == IPVS_REAL && ipvs_item_same_frontend(&n->item, of)
		   ? n
		   : NULL;
}

struct ipvs_node *ipvs_items_first_real(struct ipvs_items *t, const struct ipvs_item *of)
{
	const struct ipvs_item first = {.kind = IPVS_REAL,
	    .family = of->family,
	    .addr = of->addr,
	    .proto = of->proto,
	    .port = of->port};

	return if_real_of(ipvs_items_from(t, &first), of);
}

struct ipvs_node *ipvs_items_next_real(struct ipvs_node *real)
{
	return if_real_of(RB_NEXT(ipvs_tree, , real), &real->item);
}

/* --- what is wanted --- */

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
		n->there = n->foreign = false;
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
