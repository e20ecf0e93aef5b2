/* --profiling: this process's profiles, and those of watcher and relay, for the listener. */
#ifndef PLANNER_PROFILING_H
#define PLANNER_PROFILING_H

#include "planner/sync.h"

/* Before the walls go up. */
void profiling_start(struct planner *p, struct event_base *base);
/* PROFILE_ASK of the listener, PROFILE_PART of the watcher or the relay. NULL, or how they break
 * the protocol.
 */
const char *profiling_ask(struct planner *p, struct cursor *c);
const char *profiling_part(struct planner *p, struct cursor *c);

#endif
