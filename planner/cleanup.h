/* --cleanup: in place of a plan, every hook of ours off and every chain of ours deleted. */
#ifndef PLANNER_CLEANUP_H
#define PLANNER_CLEANUP_H

#include <event2/event.h>

#include "ipc/config.h"

/*
 * Talks with the applier on BASE, whose loop the caller runs, until nothing of ours is left: then
 * the process ends with EXIT_OK. With EXIT_FAILED if the kernel cannot be written, or another
 * kube-proxy puts its rules back. CFG's key is that of the
 * digests. fatal() without memory.
 */
void cleanup_start(struct event_base *base, const struct config *cfg);

#endif
