/*
 * The kernel's UDP flows: shown to the planner a part at a time, each part with what it chooses of
 * it deleted before the next is read. One pass at a time; a pass stands still for as long as the
 * planner does something else. It works with read(2) and write(2) on two netlink sockets that it
 * opened before the lock-down.
 */
#ifndef APPLIER_CONNTRACK_H
#define APPLIER_CONNTRACK_H

#include <linux/netlink.h>
#include <stdbool.h>

#include "applier/policy.h"
#include "ipc/flows.h"

/* A pass. Starts zeroed. */
struct conntrack {
	bool running, last; /* the kernel has shown everything */
	uint8_t family;
	uint32_t number; /* of the pass: what the kernel answers to an earlier one does not count */
	struct flows_end so_far;
	/* Shown last, and the kernel's message about each. */
	struct flows_part part;
	const struct nlmsghdr *messages[FLOWS_PART_MAX];
};

/* Opens the sockets. Where the kernel has none, every pass ends with an error that says so. */
void conntrack_open(void);

/*
 * FLOWS_REQUEST and FLOWS_DELETE: write what is answered, a part or the end, into ANSWER, and an
 * audit line at the end of a pass that deleted something. NULL, or why they are refused.
 */
const char *conntrack_request(
    struct conntrack *ct, const struct policy *p, struct cursor *c, struct frame *answer);
const char *conntrack_delete(
    struct conntrack *ct, const struct policy *p, struct cursor *c, struct frame *answer);

#endif
