/*
 * The service manager's watchdog: the listener says that /livez would be 200, the watcher is asked
 * and answers, then the relay if there is one, and the applier tells. It hears only of a proxy of
 * which all processes go on.
 */
#ifndef PLANNER_ALIVE_H
#define PLANNER_ALIVE_H

#include "planner/sync.h"

/* ALIVE, from the listener, the watcher or the relay: NULL, or how it breaks the protocol. */
const char *alive_listener(struct planner *p, struct cursor *c);
const char *alive_watcher(struct planner *p, struct cursor *c);
const char *alive_relay(struct planner *p, struct cursor *c);

#endif
