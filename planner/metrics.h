/* What the listener asks for /metrics: the planner's counts, the watcher's, the applier's, the
 * relay's. */
#ifndef PLANNER_METRICS_H
#define PLANNER_METRICS_H

#include "planner/sync.h"

/* METRICS_REQUEST: answers it, at once or when the relay has told what it uses. NULL, or how it
 * breaks the protocol. */
const char *metrics_answer(struct planner *p, struct cursor *c);
/* METRICS_USE of the relay. */
const char *metrics_relay_use(struct planner *p, struct cursor *c);

#endif
