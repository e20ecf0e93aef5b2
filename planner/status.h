/*
 * What the service manager shows of us (STATUS=): told to the applier, which has the words and the
 * socket, when it has changed, and at most once a second.
 */
#ifndef PLANNER_STATUS_H
#define PLANNER_STATUS_H

#include <stdbool.h>

#include "ipc/txn.h"

struct event;
struct event_base;
struct planner;

struct status_line {
	struct event *timer; /* runs for a second after each message */
	bool told;	     /* LAST is what the applier was told */
	struct txn_status last;
};

/* P's channels are open. */
void status_start(struct planner *p, struct event_base *base);
/* Something of it may have changed. Not between BEGIN and COMMIT. */
void status_changed(struct planner *p);

#endif
