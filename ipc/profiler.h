/* A process of libevent's that is profiled for a while, and hands the profile out in parts. */
#ifndef IPC_PROFILER_H
#define IPC_PROFILER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

/* Takes LEN bytes of the profile; the last ones with LAST. LEN 0: there is none. */
typedef void (*profiler_sink)(void *arg, bool last, const void *bytes, size_t len);

struct profiler {
	struct event *end; /* NULL: profiling is off */
	profiler_sink sink;
	void *arg;
};

/* Before the walls go up; only with --profiling. P lives as long as the process. */
void profiler_init(struct profiler *p, struct event_base *base, profiler_sink sink, void *arg);
/* Profiles for SECONDS, then calls the sink, some times; at once if it cannot. */
void profiler_run(struct profiler *p, unsigned seconds);

#endif
