/*
 * Health check node ports: which Services have one, how many of their endpoints are ready on this
 * node, and on which of its addresses load balancers may ask. Tells what changed. Pure.
 */
#ifndef PLANNER_HEALTH_H
#define PLANNER_HEALTH_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "ipc/health.h"
#include "planner/local.h"
#include "planner/own_node.h"
#include "planner/store.h"

struct health_entry;
RB_HEAD(health_tree, health_entry);

/* Starts with health_init(). */
struct health_index {
	struct health_tree services;
	STAILQ_HEAD(, health_entry) changed; /* what the listener is not told yet */
	bool addrs_moved;
	struct health_addrs addrs; /* that it was told */
};

void health_init(struct health_index *h);
void health_clear(struct health_index *h);

/*
 * V is as it is now. A Service has a health check node port if its external policy is Local.
 * Endpoints count by address, whatever their ports, and only those that are ready, as upstream has
 * it; of a Service of both families those of the one that has more.
 */
void health_update(struct health_index *h, const struct stored_service *v);
/* The Node's or the machine's addresses may be others. */
void health_addrs_moved(struct health_index *h);

/*
 * Tells what changed since the last time, in frames built in F and given to SEND: deletions first,
 * so that a port that goes from one Service to another is free. The addresses are those of the
 * node's own that answer on node ports; told once there is a Service.
 */
void health_tell(struct health_index *h, const struct own_node *own,
    const struct local_addrs *local, struct frame *f,
    void (*send)(void *arg, const struct frame *f), void *arg);

#endif
