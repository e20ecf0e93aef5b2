/* Messages from the watcher to the planner's store: one decoder and one action per type. */
#ifndef PLANNER_FEED_H
#define PLANNER_FEED_H

#include <stdbool.h>

#include "ipc/frame.h"
#include "ipc/objects.h"
#include "planner/plan.h"
#include "planner/stats.h"

enum feed_node { NODE_UNKNOWN, NODE_ELIGIBLE, NODE_INELIGIBLE };

struct feed {
	struct plan *plan;
	struct stats *stats; /* NULL: nobody counts */
	enum feed_node node; /* may the node get traffic: it exists and is not being deleted */
	bool node_told;	     /* ... or that it does not exist: the watcher has looked */
	bool in_slice;	     /* parts of a slice came, the last one not yet */
	struct slice slice;
};

/* STATS may be NULL. */
void feed_init(struct feed *f, struct plan *plan, struct stats *stats);
void feed_clear(struct feed *f);

/* A channel_handler with a struct feed as its argument. */
const char *feed_message(void *arg, unsigned type, struct cursor *c);

#endif
