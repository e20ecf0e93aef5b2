#include "ipc/profiler.h"

#include <stdint.h>

#include "common/heap.h"
#include "common/log.h"
#include "common/profile.h"
#include "ipc/profile.h"

static void hand_out(const struct profiler *p, const uint8_t *bytes, size_t len)
{
	size_t part;

	if (len == 0)
		p->sink(p->arg, true, NULL, 0);
	for (; len > 0; bytes += part, len -= part) {
		part = len < PROFILE_PART_MAX ? len : PROFILE_PART_MAX;
		p->sink(p->arg, part == len, bytes, part);
	}
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	const uint8_t *bytes;
	size_t len;

	(void)fd, (void)what;
	bytes = profile_end(&len);
	hand_out(arg, bytes, len);
}

void profiler_init(struct profiler *p, struct event_base *base, profiler_sink sink, void *arg)
{
	p->sink = sink;
	p->arg = arg;
	p->end = evtimer_new(base, on_end, p);
	if (p->end == NULL)
		fatal(EXIT_FAILED, "out of memory for a timer");
	profile_prepare();
	if (heap_begin != NULL)
		heap_begin();
}

void profiler_run(struct profiler *p, unsigned seconds)
{
	const struct timeval tv = {.tv_sec = seconds};
	const uint8_t *bytes = NULL;
	size_t len = 0;

	if (seconds == 0) {
		if (heap_profile != NULL)
			bytes = heap_profile(&len);
		hand_out(p, bytes, len);
	} else if (p->end != NULL && profile_begin())
		event_add(p->end, &tv);
	else
		p->sink(p->arg, true, NULL, 0);
}
