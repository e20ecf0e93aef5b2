#include "planner/profiling.h"

#include "ipc/profile.h"

static void send_part(void *arg, bool last, const void *bytes, size_t len)
{
	struct planner *p = arg;

	if (last)
		p->profiled = false;
	profile_encode_part(&p->frame, last, bytes, len);
	channel_send(p->listener, &p->frame);
}

void profiling_start(struct planner *p, struct event_base *base)
{
	if (p->cfg.profiling)
		profiler_init(&p->profiler, base, send_part, p);
}

const char *profiling_ask(struct planner *p, struct cursor *c)
{
	enum profile_process process;
	unsigned seconds;
	const char *why = profile_decode_ask(c, &process, &seconds);

	if (why == NULL && !p->cfg.profiling)
		why = "a profile without --profiling";
	if (why == NULL && (p->profiled || process == PROFILE_LISTENER))
		why = "a profile during another one, or of the listener";
	if (why != NULL)
		return why;
	p->profiled = true;
	if (process == PROFILE_PLANNER) {
		profiler_run(&p->profiler, seconds);
		return NULL;
	}
	if (process == PROFILE_RELAY && p->relay == NULL) {
		send_part(p, true, NULL, 0);
		return NULL;
	}
	profile_encode_ask(&p->frame, process, seconds);
	channel_send(process == PROFILE_RELAY ? p->relay : p->watcher, &p->frame);
	return NULL;
}

const char *profiling_part(struct planner *p, struct cursor *c)
{
	static struct profile_part part;
	const char *why = profile_decode_part(c, &part);

	if (why == NULL && !p->profiled)
		why = "a profile nobody asked for";
	if (why == NULL)
		send_part(p, part.last, part.bytes, part.len);
	return why;
}
