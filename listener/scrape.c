#include "listener/scrape.h"

#include <stdlib.h>

#include "listener/metrics.h"

/* A client that waits; in the list of its scrape. */
struct scrape_waiter {
	LIST_ENTRY(scrape_waiter) others;
	struct http_pending *pending;
};

void scrape_init(struct scrape *s)
{
	LIST_INIT(&s->waiters);
	process_open(&s->self);
}

static void forget(struct scrape_waiter *w)
{
	LIST_REMOVE(w, others);
	free(w);
}

static void on_cancelled(void *arg)
{
	forget(arg);
}

void scrape_answer(void *arg, const struct http_request *r, struct http_reply *reply)
{
	struct scrape *s = arg;
	struct scrape_waiter *w = calloc(1, sizeof(*w));

	(void)r;
	if (w != NULL)
		w->pending = http_defer(reply, on_cancelled, w);
	if (w == NULL || w->pending == NULL) {
		free(w);
		reply->status = 503;
		return;
	}
	LIST_INSERT_HEAD(&s->waiters, w, others);
	if (s->asked)
		return;
	s->asked = true;
	metrics_encode_request(&s->frame);
	channel_send(s->planner, &s->frame);
}

const char *scrape_told(struct scrape *s, struct cursor *c)
{
	const char *why = metrics_decode_all(c, &s->told.all);
	struct scrape_waiter *w;

	if (why == NULL && !s->asked)
		why = "metrics nobody asked for";
	if (why != NULL)
		return why;
	s->asked = false;
	process_read(&s->self, &s->told.listener.process);
	while ((w = LIST_FIRST(&s->waiters)) != NULL) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it misses LIST_REMOVE's le_prev */
		struct http_pending *pending = w->pending;
		struct evbuffer *body = evbuffer_new();

		forget(w);
		if (body != NULL)
			metrics_print(body, &s->told, s->mode);
		http_finish(pending, body != NULL ? 200 : 503, METRICS_CONTENT_TYPE, body);
		if (body != NULL)
			evbuffer_free(body);
	}
	return NULL;
}
