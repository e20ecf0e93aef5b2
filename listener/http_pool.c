/* What servers share: how many connections there may be, and how much is done for them. */
#include <stdlib.h>

#include "listener/http_conn.h"

/* Turns are counted by slots. */
#define SLOT_MS	       10
#define TURNS_PER_SLOT (HTTP_TURNS_PER_SECOND * SLOT_MS / 1000)

/* An answer as short as those to probes is not worth to be counted. */
#define SHORT_ANSWER 16384

static void begin_slot(struct http_pool *pool)
{
	const struct timeval length = {0, SLOT_MS * 1000L};

	pool->in_slot = true;
	pool->left = TURNS_PER_SLOT;
	event_add(pool->slot, &length);
}

bool http_pool_turn(struct http_pool *pool, struct http_waiter *w)
{
	if (!pool->in_slot)
		begin_slot(pool);
	if (pool->left > 0) {
		pool->left--;
		return true;
	}
	if (!w->waits)
		TAILQ_INSERT_TAIL(&pool->waiters, w, next);
	w->waits = true;
	return false;
}

void http_pool_leave(struct http_pool *pool, struct http_waiter *w)
{
	if (w->waits)
		TAILQ_REMOVE(&pool->waiters, w, next);
	w->waits = false;
}

/* Whoever finds no turn left again is in the queue again, behind the others. */
static void on_slot_end(evutil_socket_t fd, short what, void *arg)
{
	struct http_pool *pool = arg;
	struct http_waiter *w;

	(void)fd;
	(void)what;
	pool->in_slot = false;
	if (TAILQ_EMPTY(&pool->waiters))
		return;
	begin_slot(pool);
	while (pool->left > 0 && (w = TAILQ_FIRST(&pool->waiters)) != NULL) {
		http_pool_leave(pool, w);
		w->resume(w->arg);
	}
}

/* Whose request waits for its turn has done what it can, so that others go first. */
void http_pool_make_room(struct http_pool *pool)
{
	struct http_conn *c;

	if (pool->count < pool->max)
		return;
	TAILQ_FOREACH (c, &pool->conns, next)
		if (!c->turn.waits)
			break;
	http_conn_free(c != NULL ? c : TAILQ_FIRST(&pool->conns));
}

static size_t queued_by(const struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

void http_pool_queued(struct http_pool *pool, const struct http_conn *c)
{
	struct http_conn *i, *following;
	size_t sum = 0;

	if (queued_by(c) <= SHORT_ANSWER)
		return;
	TAILQ_FOREACH (i, &pool->conns, next)
		sum += queued_by(i);
	TAILQ_FOREACH_SAFE (i, &pool->conns, next, following) {
		if (sum <= HTTP_QUEUED_MAX)
			return;
		if (i == c || queued_by(i) == 0)
			continue;
		sum -= queued_by(i);
		http_conn_free(i);
	}
}

struct http_pool *http_pool_new(struct event_base *base, unsigned max)
{
	struct http_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->base = base;
	pool->max = max;
	pool->times = (struct http_times)HTTP_TIMES;
	TAILQ_INIT(&pool->conns);
	TAILQ_INIT(&pool->waiters);
	pool->slot = event_new(base, -1, 0, on_slot_end, pool);
	if (pool->slot == NULL) {
		free(pool);
		return NULL;
	}
	return pool;
}

void http_pool_times(struct http_pool *pool, const struct http_times *times)
{
	pool->times = *times;
}

void http_pool_free(struct http_pool *pool)
{
	if (pool == NULL)
		return;
	event_free(pool->slot);
	free(pool);
}
