/* --profiling: this process's CPU profile, for the planner, who has it for the listener. */
#ifndef WATCHER_PROFILING_H
#define WATCHER_PROFILING_H

#include <event2/event.h>

#include "ipc/channel.h"

/* Before the walls go up. */
void profiling_start(struct event_base *base, struct channel *planner);
/* A channel_handler for what the planner says; without profiling_start() it may say nothing. */
const char *profiling_message(void *arg, unsigned type, struct cursor *c);

#endif
