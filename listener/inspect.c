#include "listener/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"

/* A query that a client waits for. As many as there are connections. */
struct asked {
	TAILQ_ENTRY(asked) next;
	struct inspect *inspect;
	struct http_pending *pending; /* NULL: the client does not wait any more */
	struct query query;
	bool head;	/* the client wants no body */
	bool streaming; /* the client has the first part */
};

struct inspect {
	struct channel *planner;
	TAILQ_HEAD(, asked) waiting; /* but for NOW in the order they came */
	struct asked *now;	     /* what the planner is answering; NULL: nothing */
	bool awaited;		     /* ... and owes a part of */
	struct event *patience;	     /* with a client that does not take a part */
	struct evbuffer *part;
	struct frame frame;
	struct query_answer answer;
};

/* --- the planner --- */

static void ask_next(struct inspect *i)
{
	i->now = TAILQ_FIRST(&i->waiting);
	if (i->now == NULL)
		return;
	TAILQ_REMOVE(&i->waiting, i->now, next);
	query_encode_ask(&i->frame, &i->now->query);
	channel_send(i->planner, &i->frame);
	i->awaited = true;
}

static void go_on(struct inspect *i, enum query_message type)
{
	query_encode_go_on(&i->frame, type);
	channel_send(i->planner, &i->frame);
	i->awaited = type == QUERY_MORE;
}

static void end(struct inspect *i)
{
	event_del(i->patience);
	free(i->now);
	ask_next(i);
}

/* The client has taken the last part. */
static void on_drained(void *arg)
{
	struct asked *a = arg;

	if (a->inspect->awaited)
		return;
	event_del(a->inspect->patience);
	go_on(a->inspect, QUERY_MORE);
}

/* Others wait, and the client that is being answered does not read. */
static void on_impatience(evutil_socket_t fd, short what, void *arg)
{
	struct inspect *i = arg;

	(void)fd;
	(void)what;
	if (i->now == NULL || i->awaited || TAILQ_EMPTY(&i->waiting))
		return;
	http_abort(i->now->pending);
	go_on(i, QUERY_STOP);
	end(i);
}

/* It is the client's turn to take a part: it may do that at leisure unless others wait. */
static void be_patient(struct inspect *i)
{
	const struct timeval limit = {INSPECT_PATIENCE_SECONDS, 0};

	if (i->now != NULL && i->now->streaming && !i->awaited && !TAILQ_EMPTY(&i->waiting) &&
	    !event_pending(i->patience, EV_TIMEOUT, NULL))
		event_add(i->patience, &limit);
}

static const char *content_type(const struct asked *a)
{
	return a->query.json ? "application/json" : "text/plain; charset=utf-8";
}

/* A part for a client that waits for it. It does no longer if it has everything then. */
static void pass_on(struct asked *a, const struct query_answer *answer, struct evbuffer *part)
{
	struct http_pending *pending = a->pending;

	if (answer->last || a->head)
		a->pending = NULL;
	if (!a->streaming && answer->last) {
		http_finish(pending, answer->status, content_type(a), part);
		return;
	}
	if (!a->streaming)
		http_stream(pending, answer->status, content_type(a), on_drained);
	a->streaming = true;
	http_send(pending, part);
	if (a->pending == NULL)
		http_end(pending);
}

const char *inspect_answer(struct inspect *i, struct cursor *c)
{
	const char *why = query_decode_answer(c, &i->answer);

	if (why == NULL && !i->awaited)
		why = "an answer nobody asked for";
	if (why != NULL)
		return why;
	i->awaited = false;
	evbuffer_drain(i->part, evbuffer_get_length(i->part));
	if (evbuffer_add(i->part, i->answer.text, i->answer.len) != 0)
		fatal(EXIT_FAILED, "out of memory");
	if (i->now->pending != NULL)
		pass_on(i->now, &i->answer, i->part);
	if (i->now->pending != NULL) {
		be_patient(i);
		return NULL;
	}
	if (!i->answer.last)
		go_on(i, QUERY_STOP);
	end(i);
	return NULL;
}

/* --- clients --- */

static void on_cancelled(void *arg)
{
	struct asked *a = arg;
	struct inspect *i = a->inspect;

	a->pending = NULL;
	if (a != i->now) {
		TAILQ_REMOVE(&i->waiting, a, next);
		free(a);
	} else if (!i->awaited) { /* else its part will come, and is the end */
		go_on(i, QUERY_STOP);
		end(i);
	}
}

static void refuse(struct http_reply *reply, int status, const char *why)
{
	reply->status = status;
	evbuffer_add_printf(reply->body, "%s\n", why);
}

static void on_request(void *arg, const struct http_request *r, struct http_reply *reply)
{
	struct inspect *i = arg;
	struct asked *a = calloc(1, sizeof(*a));
	const char *why;

	if (a == NULL) {
		reply->status = 503;
		return;
	}
	a->inspect = i;
	a->head = r->head;
	why = query_parse(&a->query, r->path, r->query);
	if (why != NULL) {
		refuse(reply, 400, why);
		free(a);
		return;
	}
	a->query.json |= http_accepts(r, "application/json") > http_accepts(r, "text/plain");
	a->pending = http_defer(reply, on_cancelled, a);
	if (a->pending == NULL) {
		free(a);
		return;
	}
	TAILQ_INSERT_TAIL(&i->waiting, a, next);
	if (i->now == NULL)
		ask_next(i);
	be_patient(i);
}

const struct http_route inspect_routes[INSPECT_ROUTES] = {
    {"/services", on_request, 0},
    {"/explain", on_request, 0},
    {"/diff", on_request, 0},
};

struct inspect *inspect_new(struct event_base *base, struct channel *channel)
{
	struct inspect *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	i->planner = channel;
	i->part = evbuffer_new();
	i->patience = evtimer_new(base, on_impatience, i);
	TAILQ_INIT(&i->waiting);
	if (i->part != NULL && i->patience != NULL)
		return i;
	if (i->part != NULL)
		evbuffer_free(i->part);
	if (i->patience != NULL)
		event_free(i->patience);
	free(i);
	return NULL;
}
