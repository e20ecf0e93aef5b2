/* Sorted lists of the addresses that services have rules for. */
#ifndef PLANNER_ADDRESSES_H
#define PLANNER_ADDRESSES_H

#include <stddef.h>

#include "common/ip.h"
#include "planner/store.h"

struct address_entry {
	const struct stored_service *service;
	struct ip_addr addr;
};

/* Zeroed: an empty one. Sorted: by address, namespace, name, and no entry twice. */
struct address_list {
	struct address_entry *e;
	size_t count, room;
};

/* Entries from LO to before HI. */
struct address_span {
	size_t lo, hi;
};

/* Frees what L holds; it is empty then. */
void addresses_clear(struct address_list *l);
/* Adds an entry at the end. */
void addresses_add(
    struct address_list *l, const struct stored_service *v, const struct ip_addr *addr);
void addresses_sort(struct address_list *l);

/* Takes out of L what is in BEFORE and not in AFTER. All are sorted, and L stays so. */
void addresses_remove(
    struct address_list *l, const struct address_list *before, const struct address_list *after);
/* Puts into L what of ADDED is not in it. Both are sorted, and L stays so. */
void addresses_insert(struct address_list *l, const struct address_list *added);

/* Which entries of L, sorted, are under NET. */
struct address_span addresses_under(const struct address_list *l, const struct ip_cidr *net);

#endif
