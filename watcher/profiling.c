#include "watcher/profiling.h"

#include "ipc/profile.h"
#include "ipc/profiler.h"

/* There is one watcher in a process. */
static struct {
	struct profiler profiler;
	struct channel *planner; /* NULL: profiling is off */
	struct frame frame;
} profiling;

static void send_part(void *arg, bool last, const void *bytes, size_t len)
{
	(void)arg;
	profile_encode_part(&profiling.frame, last, bytes, len);
	channel_send_wait(profiling.planner, &profiling.frame);
}

void profiling_start(struct event_base *base, struct channel *planner)
{
	profiling.planner = planner;
	profiler_init(&profiling.profiler, base, send_part, NULL);
}

const char *profiling_message(void *arg, unsigned type, struct cursor *c)
{
	enum profile_process process;
	unsigned seconds;
	const char *why;

	(void)arg;
	if (type != PROFILE_ASK || profiling.planner == NULL)
		return "the planner has nothing to say to the watcher";
	why = profile_decode_ask(c, &process, &seconds);
	if (why == NULL)
		profiler_run(&profiling.profiler, seconds);
	return why;
}
