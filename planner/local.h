/* The machine's own addresses: where node ports may answer. */
#ifndef PLANNER_LOCAL_H
#define PLANNER_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/objects.h"

/* Starts zeroed: no address is known to be ours. */
struct local_addrs {
	struct ip_addr *addrs, *coming; /* sorted; the list whose last part has not come */
	size_t count, room, coming_count, coming_room;
	size_t before_count; /* of the list before, which is where the next will come */
	bool in_list;
};

/*
 * Adds a part. NULL, or how it breaks the protocol. GREW gets a bit per family in which the
 * machine has an address now that it had not (link-local ones, which come with every interface,
 * aside).
 */
const char *local_addrs_add(
    struct local_addrs *l, const struct node_addrs_part *part, unsigned *grew);
/*
 * After the last part: FN is called with each address that this list has and the one before had
 * not, or the other way round.
 */
void local_addrs_moved(
    const struct local_addrs *l, void (*fn)(void *arg, const struct ip_addr *addr), void *arg);
/* Is ADDR one of the machine's own? */
bool node_is_local(const struct local_addrs *l, const struct ip_addr *addr);
void local_addrs_clear(struct local_addrs *l);

#endif
