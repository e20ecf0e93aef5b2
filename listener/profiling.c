#include "listener/profiling.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/profile.h"
#include "ipc/profile.h"

#define SECONDS_STANDARD 10

static const char *const names[PROFILE_PROCESSES] = {"listener", "planner", "watcher", "relay"};

static void take(void *arg, bool last, const void *bytes, size_t len)
{
	struct profiling *p = arg;
	bool none = last && len == 0;

	evbuffer_add(p->body, bytes, len);
	if (!last)
		return;
	p->running = false;
	if (p->pending != NULL)
		http_finish(p->pending, none ? 503 : 200,
		    none ? "text/plain; charset=utf-8" : "application/octet-stream",
		    none ? NULL : p->body);
	p->pending = NULL;
	evbuffer_drain(p->body, evbuffer_get_length(p->body));
}

void profiling_init(struct profiling *p, struct event_base *base, struct channel *planner)
{
	p->planner = planner;
	p->body = evbuffer_new();
	if (p->body == NULL)
		fatal(EXIT_FAILED, "out of memory");
	profiler_init(&p->profiler, base, take, p);
}

static void on_cancelled(void *arg)
{
	((struct profiling *)arg)->pending = NULL;
}

/* False, and REPLY says what is wrong, if R asks for what there is not. */
static bool read_query(const struct http_request *r, struct http_reply *reply,
    enum profile_process *process, unsigned *seconds, bool heap)
{
	char name[16], number[8] = "", *end = number;
	unsigned i = 0;
	int named = http_query(r, "process", name, sizeof(name));
	int given = heap ? 0 : http_query(r, "seconds", number, sizeof(number));
	unsigned long value = given > 0 ? strtoul(number, &end, 10) : SECONDS_STANDARD;

	if (named == 0)
		strlcpy(name, names[PROFILE_PLANNER], sizeof(name));
	while (i < PROFILE_PROCESSES && strcmp(name, names[i]) != 0)
		i++;
	if (named < 0 || i == PROFILE_PROCESSES || given < 0 || *end != '\0' || value < 1 ||
	    value > PROFILE_SECONDS_MAX) {
		reply->status = 400;
		evbuffer_add_printf(reply->body,
		    "process: planner, watcher, listener or relay; seconds: 1 to %d\n",
		    PROFILE_SECONDS_MAX);
		return false;
	}
	*process = (enum profile_process)i;
	*seconds = heap ? 0 : (unsigned)value;
	return true;
}

static void answer(
    struct profiling *p, const struct http_request *r, struct http_reply *reply, bool heap)
{
	enum profile_process process;
	unsigned seconds;

	if (!read_query(r, reply, &process, &seconds, heap))
		return;
	if (p->running) {
		reply->status = 503;
		evbuffer_add_printf(reply->body, "another profile is being taken\n");
		return;
	}
	p->pending = http_defer(reply, on_cancelled, p);
	if (p->pending == NULL)
		return;
	p->running = true;
	if (process == PROFILE_LISTENER) {
		profiler_run(&p->profiler, seconds);
		return;
	}
	profile_encode_ask(&p->frame, process, seconds);
	channel_send(p->planner, &p->frame);
}

void profiling_answer(void *arg, const struct http_request *r, struct http_reply *reply)
{
	answer(arg, r, reply, false);
}

void profiling_answer_heap(void *arg, const struct http_request *r, struct http_reply *reply)
{
	answer(arg, r, reply, true);
}

const char *profiling_told(struct profiling *p, struct cursor *c)
{
	static struct profile_part part;
	const char *why = profile_decode_part(c, &part);

	if (why == NULL && !p->running)
		why = "a profile nobody asked for";
	if (why == NULL)
		take(p, part.last, part.bytes, part.len);
	return why;
}
