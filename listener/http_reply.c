#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "listener/http_conn.h"

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

void http_send_reply(struct http_conn *c, const struct http_reply *reply)
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
	http_conn_enter(c, HTTP_WRITING, c->pool->times.write_ms);
	http_pool_queued(c->pool, c);
}

void http_send_status(struct http_conn *c, int status)
{
	const struct http_reply reply = {.status = status, .content_type = plain_text};

	http_send_reply(c, &reply);
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
	http_send_reply(c, &reply);
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
	http_conn_enter(c, HTTP_SENDING, c->pool->times.stream_ms);
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
	http_pool_queued(pending->conn->pool, pending->conn);
}

void http_end(struct http_pending *pending)
{
	struct http_conn *c = pending->conn;

	c->pending = NULL;
	free(pending);
	if (!c->request.old && !c->request.head)
		evbuffer_add(bufferevent_get_output(c->bev), "0\r\n\r\n", 5);
	http_conn_enter(c, HTTP_WRITING, c->pool->times.write_ms);
}

/* --- whoever answers --- */

void http_cancel(struct http_conn *c)
{
	struct http_pending *p = c->pending;

	if (p == NULL)
		return;
	c->pending = NULL;
	if (p->cancelled != NULL)
		p->cancelled(p->arg);
	free(p);
}

void http_answer(struct http_conn *c)
{
	struct http_reply reply = {
	    .status = 200,
	    .content_type = plain_text,
	    .body = evbuffer_new(),
	    .conn = c,
	};

	if (reply.body == NULL) {
		http_send_status(c, 503);
		return;
	}
	http_dispatch(c->server, &c->request, &reply);
	if (c->pending != NULL && c->stage == HTTP_READING)
		http_conn_enter(c, HTTP_DEFERRED, c->pool->times.defer_ms);
	else if (!reply.deferred)
		http_send_reply(c, &reply);
	evbuffer_free(reply.body);
}
