/*
 * Stale UDP flows: asks the applier for the kernel's, one family after the other, and chooses which
 * to delete. One pass at a time, a part at a time, between whatever else there is to say; what
 * changes during a pass has one more follow it.
 */
#ifndef PLANNER_CONNTRACK_H
#define PLANNER_CONNTRACK_H

#include "ipc/flows.h"
#include "ipc/txn.h"
#include "planner/udp.h"

struct conntrack {
	struct udp_index *udp;
	txn_sink send;
	void *arg;
	unsigned wanted; /* a bit per family */
	bool running;
	uint8_t family;
	bool failed;	  /* the last pass; said once */
	uint64_t deleted; /* by it */
	struct flows_part part;
	struct frame frame;
};

/* Requests go to SEND. */
void conntrack_init(struct conntrack *c, struct udp_index *udp, txn_sink send, void *arg);
/* Flows of FAMILIES (a bit each) may be stale, and what is planned is programmed. */
void conntrack_want(struct conntrack *c, unsigned families);

/* FLOWS, FLOWS_END. NULL, or how they break the protocol. */
const char *conntrack_part(struct conntrack *c, struct cursor *in);
const char *conntrack_end(struct conntrack *c, struct cursor *in);

#endif
