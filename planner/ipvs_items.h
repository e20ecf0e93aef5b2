/*
 * The items of ipvs mode: who wants each, and what the kernel has. Several services may want the
 * same (an address, a port of the node); it goes when none does. Pure.
 */
#ifndef PLANNER_IPVS_ITEMS_H
#define PLANNER_IPVS_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "applier/ipvs_tables.h"

struct ipvs_node {
	RB_ENTRY(ipvs_node) by_key;
	SLIST_ENTRY(ipvs_node) changed_next;
	struct ipvs_item item; /* its value: what is wanted */
	uint32_t users;	       /* how often it is wanted */
	uint32_t has;	       /* the kernel's value, if it is THERE */
	bool there;	       /* in the kernel, as far as is known */
	bool changed;	       /* on the list */
	bool draining;	       /* counted as such by the plan */
	bool foreign;	       /* a virtual server that is not ours */
	bool told;	       /* ... which the log knows */
};

RB_HEAD(ipvs_tree, ipvs_node);
RB_PROTOTYPE(ipvs_tree, ipvs_node, by_key, ipvs_node_cmp)

/* Starts zeroed. */
struct ipvs_items {
	struct ipvs_tree tree;
	SLIST_HEAD(, ipvs_node) changed;
	size_t count;
};

/* The node of I's key, made if there is none. */
struct ipvs_node *ipvs_items_need(struct ipvs_items *t, const struct ipvs_item *i);
/* ... NULL if there is none. */
struct ipvs_node *ipvs_items_find(struct ipvs_items *t, const struct ipvs_item *key);
/* The first node that is not before KEY. */
struct ipvs_node *ipvs_items_from(struct ipvs_items *t, const struct ipvs_item *key);

/* Order of keys. */
static inline int ipvs_item_cmp(const struct ipvs_item *a, const struct ipvs_item *b)
{
	return memcmp(a, b, IPVS_KEY_LEN);
}
/* Are A and B of one frontend: family, address, protocol and port? */
bool ipvs_item_same_frontend(const struct ipvs_item *a, const struct ipvs_item *b);

/* The node with that key, if the kernel has it; else NULL. */
struct ipvs_node *ipvs_items_there(
    struct ipvs_items *t, enum ipvs_kind kind, const struct ipvs_item *of);
/* A source's entry: a prefix that OF's frontend may be reached from, and that has OF's TO. */
struct ipvs_node *ipvs_items_source(struct ipvs_items *t, const struct ipvs_item *of);
/* The first real server of OF's frontend, and the next one behind REAL; NULL: no more. */
struct ipvs_node *ipvs_items_first_real(struct ipvs_items *t, const struct ipvs_item *of);
struct ipvs_node *ipvs_items_next_real(struct ipvs_node *real);

/* One more user wants N with VALUE, and one less does. */
void ipvs_node_want(struct ipvs_items *t, struct ipvs_node *n, uint32_t value);
void ipvs_node_drop(struct ipvs_items *t, struct ipvs_node *n);
/* N has to be looked at. */
void ipvs_node_touch(struct ipvs_items *t, struct ipvs_node *n);

/* Takes all changed nodes off the list and into an array sorted by key, which the caller frees. */
struct ipvs_node **ipvs_items_take(struct ipvs_items *t, size_t *count);
/* Frees N if nobody wants it and the kernel has it not. */
void ipvs_node_release(struct ipvs_items *t, struct ipvs_node *n);

/* The kernel is not known any more. */
void ipvs_items_forget(struct ipvs_items *t);
void ipvs_items_clear(struct ipvs_items *t);

#endif
