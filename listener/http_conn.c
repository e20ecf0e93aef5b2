#include "listener/http_conn.h"

#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum stage {
	READING,  /* a request comes, or its first byte is waited for */
	DEFERRED, /* its handler put the answer off */
	SENDING,  /* ... and sends it in parts */
	WRITING,  /* the answer goes */
	ENDING,	  /* nothing more to say: what still comes is dropped until the client hangs up */
};

struct http_pending {
	struct http_conn *conn;
	http_cancelled cancelled;
	http_drained drained; /* SENDING */
	void *arg;
};

struct http_conn {
	TAILQ_ENTRY(http_conn) next;
	struct http_pool *pool;
	struct http_server *server;
	struct bufferevent *bev;
	struct event *deadline;
	struct http_pending *pending; /* DEFERRED and SENDING have one */
	struct http_request request;  /* the one being answered */
	enum stage stage;
	bool began;   /* some of a request is here */
	bool hung_up; /* the client will send nothing more */
	size_t discarded;
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {414, "URI Too Long"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char plain_text[] = "text/plain; charset=utf-8";

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

/* A new stage, and the time it may take. */
static void enter(struct http_conn *c, enum stage stage, int seconds)
{
	const struct timeval limit = {seconds, 0};

	c->stage = stage;
	event_add(c->deadline, &limit);
}

/* --- answers --- */

static const char *http_date(char buf[64])
{
	time_t now = time(NULL);
	struct tm tm;

	/* No locale is ever set: the names are English. */
	if (gmtime_r(&now, &tm) == NULL || strftime(buf, 64, "%a, %d %b %Y %T GMT", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

static const char *connection_header(const struct http_request *r)
{
	if (!r->keep_alive)
		return "Connection: close\r\n";
	return r->old ? "Connection: keep-alive\r\n" : "";
}

/* All of the headers but what tells the answer's end. */
static void send_headers(struct http_conn *c, const struct http_reply *reply)
{
	char date[64];

	evbuffer_add_printf(bufferevent_get_output(c->bev),
	    "HTTP/1.%d %d %s\r\n"
	    "Content-Type: %s\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "%s%s"
	    "Date: %s\r\n",
	    c->request.old ? 0 : 1, reply->status, reason_of(reply->status), reply->content_type,
	    reply->status == 405 ? "Allow: GET, HEAD\r\n" : "", reply->headers, http_date(date));
}

static void send_reply(struct http_conn *c, const struct http_reply *reply)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	const struct http_request *r = &c->request;
	size_t len = reply->body != NULL ? evbuffer_get_length(reply->body) : 0;
	const char *words = len == 0 ? reason_of(reply->status) : NULL;

	send_headers(c, reply);
	evbuffer_add_printf(out, "Content-Length: %zu\r\n%s\r\n",
	    words != NULL ? strlen(words) + 1 : len, connection_header(r));
	if (!r->head && words != NULL)
		evbuffer_add_printf(out, "%s\n", words);
	else if (!r->head)
		evbuffer_add_buffer(out, reply->body);
	enter(c, WRITING, HTTP_WRITE_SECONDS);
}

static void send_status(struct http_conn *c, int status)
{
	const struct http_reply reply = {.status = status, .content_type = plain_text};

	send_reply(c, &reply);
}

struct http_pending *http_defer(struct http_reply *reply, http_cancelled cancelled, void *arg)
{
	struct http_pending *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		reply->status = 503;
		return NULL;
	}
	p->conn = reply->conn;
	p->cancelled = cancelled;
	p->arg = arg;
	reply->conn->pending = p;
	reply->deferred = true;
	return p;
}

void http_finish(
    struct http_pending *pending, int status, const char *content_type, struct evbuffer *body)
{
	const struct http_reply reply = {
	    .status = status, .content_type = content_type, .body = body};
	struct http_conn *c = pending->conn;

	c->pending = NULL;
	free(pending);
	send_reply(c, &reply);
}

/* Its end is told by a last chunk (RFC 9112, 7.1), or to old clients by the connection's. */
void http_stream(
    struct http_pending *pending, int status, const char *content_type, http_drained drained)
{
	const struct http_reply reply = {.status = status, .content_type = content_type};
	struct http_conn *c = pending->conn;

	pending->drained = drained;
	c->request.keep_alive &= !c->request.old;
	send_headers(c, &reply);
	evbuffer_add_printf(bufferevent_get_output(c->bev), "%s%s\r\n",
	    c->request.old ? "" : "Transfer-Encoding: chunked\r\n", connection_header(&c->request));
	enter(c, SENDING, HTTP_STREAM_SECONDS);
}

void http_send(struct http_pending *pending, struct evbuffer *body)
{
	struct evbuffer *out = bufferevent_get_output(pending->conn->bev);
	const bool chunked = !pending->conn->request.old;

	if (pending->conn->request.head)
		evbuffer_drain(body, evbuffer_get_length(body));
	if (evbuffer_get_length(body) == 0)
		return;
	if (chunked)
		evbuffer_add_printf(out, "%zx\r\n", evbuffer_get_length(body));
	evbuffer_add_buffer(out, body);
	if (chunked)
		evbuffer_add(out, "\r\n", 2);
}

void http_end(struct http_pending *pending)
{
	struct http_conn *c = pending->conn;

	c->pending = NULL;
	free(pending);
	if (!c->request.old && !c->request.head)
		evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
	enter(c, WRITING, HTTP_WRITE_SECONDS);
}

/* Tells who wanted to answer later that it is too late. */
static void cancel(struct http_conn *c)
{
	struct http_pending *p = c->pending;

	if (p == NULL)
		return;
	c->pending = NULL;
	if (p->cancelled != NULL)
		p->cancelled(p->arg);
	free(p);
}

static void answer(struct http_conn *c)
{
	struct http_reply reply = {
	    .status = 200,
	    .content_type = plain_text,
	    .body = evbuffer_new(),
	    .conn = c,
	};

	if (reply.body == NULL) {
		send_status(c, 503);
		return;
	}
	http_dispatch(c->server, &c->request, &reply);
	if (c->pending != NULL && c->stage == READING)
		enter(c, DEFERRED, HTTP_DEFER_SECONDS);
	else if (!reply.deferred)
		send_reply(c, &reply);
	evbuffer_free(reply.body);
}

/* --- events --- */

static void conn_free(struct http_conn *c)
{
	cancel(c);
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
	conn_free(c);
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
		conn_free(c);
}

/* Answers the next request of those that have come, if it is whole. */
static void read_request(struct http_conn *c, struct evbuffer *in)
{
	size_t len = evbuffer_get_length(in);
	const char *data = (const char *)evbuffer_pullup(in, -1);
	struct ip_addr peer = c->request.peer;
	int status;

	if (len == 0 || data == NULL)
		return;
	if (!c->began) {
		c->began = true;
		enter(c, READING, HTTP_REQUEST_SECONDS);
	}
	status = http_parse(data, len, &c->request);
	c->request.peer = peer;
	if (status == HTTP_INCOMPLETE)
		return;
	TAILQ_REMOVE(&c->pool->conns, c, next);
	TAILQ_INSERT_TAIL(&c->pool->conns, c, next);
	evbuffer_drain(in, c->request.keep_alive ? c->request.len : len);
	if (status == 200)
		answer(c);
	else
		send_status(c, status);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (c->stage == READING)
		read_request(c, in);
	else if (!c->request.keep_alive)
		discard(c, in);
}

/* All of an answer is in the socket. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct http_conn *c = arg;

	if (c->stage == SENDING)
		c->pending->drained(c->pending->arg);
	if (c->stage != WRITING || evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	if (!c->request.keep_alive) {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		enter(c, ENDING, HTTP_REQUEST_SECONDS);
	} else {
		c->began = false;
		enter(c, READING, HTTP_IDLE_SECONDS);
		read_request(c, bufferevent_get_input(bev));
	}
	/* Some hang up their side at once, and still want their answers. */
	if (c->hung_up && (c->stage == READING || c->stage == ENDING))
		conn_free(c);
}

/* The client hung up, or broke off. */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)bev;
	c->hung_up = true;
	if ((what & BEV_EVENT_ERROR) != 0 || c->stage == READING || c->stage == ENDING)
		conn_free(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->stage != DEFERRED) {
		conn_free(c);
		return;
	}
	cancel(c);
	c->request.keep_alive = false;
	send_status(c, 503);
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
	if (pool->count == pool->max)
		conn_free(TAILQ_FIRST(&pool->conns));
	TAILQ_INSERT_TAIL(&pool->conns, c, next);
	pool->count++;
	c->began = true; /* who connects has something to say */
	enter(c, READING, HTTP_REQUEST_SECONDS);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void http_conn_close_all(struct http_pool *pool, const struct http_server *s)
{
	struct http_conn *c, *following;

	TAILQ_FOREACH_SAFE (c, &pool->conns, next, following)
		if (c->server == s)
			conn_free(c);
}
