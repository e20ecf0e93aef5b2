/*
 * --profiling: /debug/pprof/profile?process=planner&seconds=10, a CPU profile, and
 * /debug/pprof/heap?process=planner, what holds memory. pprof reads both.
 */
#ifndef LISTENER_PROFILING_H
#define LISTENER_PROFILING_H

#include "ipc/channel.h"
#include "ipc/profiler.h"
#include "listener/http.h"

struct profiling {
	struct channel *planner;
	struct profiler profiler;     /* of this process */
	struct http_pending *pending; /* who waits; NULL: went away, or nobody did */
	struct evbuffer *body;
	bool running; /* one at a time, until its end has come */
	struct frame frame;
};

/* Before the walls go up. */
void profiling_init(struct profiling *p, struct event_base *base, struct channel *planner);
/* http_handlers with a struct profiling as their argument. */
void profiling_answer(void *arg, const struct http_request *r, struct http_reply *reply);
void profiling_answer_heap(void *arg, const struct http_request *r, struct http_reply *reply);
/* PROFILE_PART came. NULL, or how it breaks the protocol. */
const char *profiling_told(struct profiling *p, struct cursor *c);

#endif
