/* The chains one transaction puts and deletes, and the order in which it does. */
#ifndef PLANNER_CHANGES_H
#define PLANNER_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "planner/names.h"
#include "planner/store.h"

struct change {
	struct ipt_chain chain;
	bool fresh; /* not in the kernel yet */
	uint8_t key[NAMES_KEY_LEN];
	/* What a service's chain is made of again when it is written; NULL: a chain of no one's. */
	const struct stored_service *service;
	uint32_t port_index;
	uint16_t port;	     /* the endpoint's */
	struct ip_addr addr; /* the endpoint's; a KUBE-NET-'s prefix and ... */
	uint8_t bits;	     /* ... its length */
};

struct change_list {
	struct change *c;
	size_t count, room;
};

struct changes {
	struct change_list puts, deletes;
};

/* Adds a change of CHAIN, zeroed but for the chain and its key. Valid until the next is added. */
struct change *changes_add(struct change_list *l, const struct ipt_chain *chain);
/*
 * Brings both lists into the order of the transaction. By table; first what is new, in descending
 * order of names, since libiptc creates chains in any other order in super-linear time; then what
 * changed.
 */
void changes_sort(struct changes *c);
void changes_clear(struct changes *c);

#endif
