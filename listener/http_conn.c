#include "listener/http_conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void http_conn_enter(struct http_conn *c, enum http_stage stage, unsigned ms)
{
	const struct timeval limit = {ms / 1000, (suseconds_t)(ms % 1000 * 1000)};

	c->stage = stage;
	event_add(c->deadline, &limit);
}

/* --- events --- */

void http_conn_free(struct http_conn *c)
{
	http_cancel(c);
	http_pool_leave(c->pool, &c->turn);
	TAILQ_REMOVE(&c->pool->conns, c, next);
	c->pool->count--;
	event_free(c->deadline);
	bufferevent_free(c->bev); /* closes the socket */
	free(c);
}

void http_abort(struct http_pending *pending)
{
	struct http_conn *c = pending->conn;

	c->pending = NULL;
	free(pending);
	http_conn_free(c);
}

/*
 * After the last answer the rest of what the client sends is read and dropped until it hangs up: a
 * close with unread bytes makes the kernel send a reset, which may overtake the answer.
 */
static void discard(struct http_conn *c, struct evbuffer *in)
{
	size_t len = evbuffer_get_length(in);

	evbuffer_drain(in, len);
	c->discarded += len;
	if (c->discarded > HTTP_DISCARD_MAX)
		http_conn_free(c);
}

/* Answers the next request of those that have come, if it is whole and has its turn. */
static void read_request(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = evbuffer_get_length(in);
	const char *data = (const char *)evbuffer_pullup(in, -1);
	struct ip_addr peer = c->request.peer;
	int status;

	if (len == 0 || data == NULL)
		return;
	if (!c->began) {
		c->began = true;
		http_conn_enter(c, HTTP_READING, c->pool->times.request_ms);
	}
	status = http_parse(data, len, &c->request);
	c->request.peer = peer;
	if (status == HTTP_INCOMPLETE || !http_pool_turn(c->pool, &c->turn))
		return;
	TAILQ_REMOVE(&c->pool->conns, c, next);
	TAILQ_INSERT_TAIL(&c->pool->conns, c, next);
	evbuffer_drain(in, c->request.keep_alive ? c->request.len : len);
	if (status == 200)
		http_answer(c);
	else
		http_send_status(c, status);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	if (c->stage != HTTP_READING && !c->request.keep_alive)
		discard(c, bufferevent_get_input(bev));
	else if (c->stage == HTTP_READING && !c->turn.waits)
		read_request(c);
}

/* All of an answer is in the socket. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	if (c->stage == HTTP_SENDING)
		c->pending->drained(c->pending->arg);
	if (c->stage != HTTP_WRITING || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (!c->request.keep_alive) {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		http_conn_enter(c, HTTP_ENDING, c->pool->times.request_ms);
	} else {
		c->began = false;
		http_conn_enter(c, HTTP_READING, c->pool->times.idle_ms);
		read_request(c);
	}
	/* Some hang up their side at once, and still want their answers. */
	if (c->hung_up && ((c->stage == HTTP_READING && !c->turn.waits) || c->stage == HTTP_ENDING))
		http_conn_free(c);
}

/* Its turn has come. */
static void on_turn(void *arg)
{
	struct http_conn *c = arg;

	read_request(c);
	if (c->hung_up && c->stage == HTTP_READING && !c->turn.waits)
		http_conn_free(c);
}

/* The client hung up, or broke off. */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	c->hung_up = true;
	if ((what & BEV_EVENT_ERROR) != 0 || (c->stage == HTTP_READING && !c->turn.waits) ||
	    c->stage == HTTP_ENDING)
		http_conn_free(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->stage != HTTP_DEFERRED) {
		http_conn_free(c);
		return;
	}
	http_cancel(c);
	c->request.keep_alive = false;
	http_send_status(c, 503);
}

/* --- beginning and end --- */

static void peer_address(const struct sockaddr *sa, struct ip_addr *peer)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;

	if (sa->sa_family == AF_INET)
		ip_from_bytes(peer, &in4->sin_addr, 4);
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		ip_from_bytes(peer, in6->sin6_addr.s6_addr + 12, 4);
	else
		ip_from_bytes(peer, &in6->sin6_addr, 16);
}

static bool conn_init(struct http_conn *c, int fd)
{
	c->bev = bufferevent_socket_new(c->pool->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		close(fd);
		return false;
	}
	c->deadline = event_new(c->pool->base, -1, 0, on_deadline, c);
	if (c->deadline == NULL) {
		bufferevent_free(c->bev);
		return false;
	}
	bufferevent_setcb(c->bev, on_read, on_written, on_end, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_HEADER_MAX);
	return true;
}

void http_conn_new(
    struct http_pool *pool, struct http_server *s, int fd, const struct sockaddr *peer)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return;
	}
	c->pool = pool;
	c->server = s;
	peer_address(peer, &c->request.peer);
	if (!conn_init(c, fd)) {
		free(c);
		return;
	}
	c->turn = (struct http_waiter){.resume = on_turn, .arg = c};
	http_pool_make_room(pool);
	TAILQ_INSERT_TAIL(&pool->conns, c, next);
	pool->count++;
	c->began = true; /* who connects has something to say */
	http_conn_enter(c, HTTP_READING, c->pool->times.request_ms);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void http_conn_close_all(struct http_pool *pool, const struct http_server *s)
{
	struct http_conn *c, *following;

	TAILQ_FOREACH_SAFE (c, &pool->conns, next, following)
		if (c->server == s)
			http_conn_free(c);
}
