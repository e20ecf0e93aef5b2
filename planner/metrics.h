/* What the listener asks for /metrics: the planner's counts, the watcher's, the applier's. */
#ifndef PLANNER_METRICS_H
#define PLANNER_METRICS_H

#include "planner/sync.h"

/* METRICS_REQUEST: answers it. NULL, or how it breaks the protocol. */
const char *metrics_answer(struct planner *p, struct cursor *c);

#endif
