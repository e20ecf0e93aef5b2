#include "ipc/profiler.h"

#include <stdint.h>

#include "common/log.h"
#include "common/profile.h"
#include "ipc/profile.h"

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	const struct profiler *p = arg;
	const uint8_t *bytes;
	size_t len, part;

	(void)fd, (void)what;
	bytes = profile_end(&len);
	for (; len > 0; bytes += part, len -= part) {
		part = len < PROFILE_PART_MAX ? len : PROFILE_PART_MAX;
		p->sink(p->arg, part == len, bytes, part);
	}
}

void profiler_init(struct profiler *p, struct event_base *base, profiler_sink sink, void *arg)
{
	p->sink = sink;
	p->arg = arg;
	p->end = evtimer_new(base, on_end, p);
	if (p->end == NULL)
		fatal(EXIT_FAILED, "out of memory for a timer");
	profile_prepare();
}

void profiler_run(struct profiler *p, unsigned seconds)
{
	const struct timeval tv = {.tv_sec = seconds};

	if (p->end != NULL && profile_begin())
		event_add(p->end, &tv);
	else
		p->sink(p->arg, true, NULL, 0);
}
