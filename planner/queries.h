/*
 * The conversation with the listener about queries: one at a time, a part when it asks for one.
 * The plan is looked at when nothing waits to be planned, so that what is told is what is
 * programmed, or is being programmed.
 */
#ifndef PLANNER_QUERIES_H
#define PLANNER_QUERIES_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "planner/inspection.h"

struct planner;

/* Starts zeroed. */
struct queries {
	bool open;	     /* a query is being answered ... */
	bool owed;	     /* ... and the listener waits for a part of it */
	bool sent;	     /* ... of which it has some */
	bool looking;	     /* a snapshot is awaited to tell differences */
	uint64_t generation; /* when the answer was begun */
	struct inspection now;
	struct diff diff;
	struct event *look_again; /* pending: it is too early for another snapshot */
};

void queries_start(struct planner *p, struct event_base *base);

/* A channel_handler for what the listener says, with a struct planner as its argument. */
const char *queries_message(void *arg, unsigned type, struct cursor *c);
/* Something happened that an answer may have waited for. */
void queries_go_on(struct planner *p);

/* A part of the snapshot that sync_look() asked. NULL, or how it breaks the protocol. */
const char *queries_snapshot(struct planner *p, const struct txn_snapshot *part);
const char *queries_nft_snapshot(struct planner *p, const struct nft_snapshot *part);

#endif
