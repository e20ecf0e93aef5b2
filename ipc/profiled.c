#include "ipc/profiled.h"

#include "ipc/profile.h"
#include "ipc/profiler.h"

/* Of this process. */
static struct {
	struct profiler profiler;
	struct channel *planner; /* NULL: profiling is off */
	void (*send)(struct channel *ch, const struct frame *f);
	struct frame frame;
} profiled;

static void send_part(void *arg, bool last, const void *bytes, size_t len)
{
	(void)arg;
	profile_encode_part(&profiled.frame, last, bytes, len);
	profiled.send(profiled.planner, &profiled.frame);
}

void profiled_start(struct event_base *base, struct channel *planner,
    void (*send)(struct channel *ch, const struct frame *f))
{
	profiled.send = send;
	profiled.planner = planner;
	profiler_init(&profiled.profiler, base, send_part, NULL);
}

const char *profiled_message(unsigned type, struct cursor *c)
{
	enum profile_process process;
	unsigned seconds;
	const char *why;

	if (type != PROFILE_ASK || profiled.planner == NULL)
		return "a message that this process does not take";
	why = profile_decode_ask(c, &process, &seconds);
	if (why == NULL)
		profiler_run(&profiled.profiler, seconds);
	return why;
}
