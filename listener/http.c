#include "listener/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

struct connection {
	TAILQ_ENTRY(connection) next;
	struct http_server *server;
	struct bufferevent *bev;
	struct event *deadline;
	bool answered;
	size_t discarded;
};

struct http_server {
	struct event_base *base;
	struct ip_addr addr;
	uint16_t port;
	http_handler handler;
	void *arg;
	struct evconnlistener *listener; /* NULL while not bound */
	struct event *retry;
	bool must_bind;
	int bind_error; /* the last one logged */
	unsigned count;
	TAILQ_HEAD(, connection) connections; /* oldest first */
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {414, "URI Too Long"},
    {431, "Request Header Fields Too Large"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Internal Server Error";
}

/* --- connections --- */

static void connection_free(struct connection *c)
{
	TAILQ_REMOVE(&c->server->connections, c, next);
	c->server->count--;
	event_free(c->deadline);
	bufferevent_free(c->bev); /* closes the socket */
	free(c);
}

static void write_reply(struct connection *c, const struct http_reply *reply, bool head)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t len = strlen(reply->body);

	evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\n"
	    "Content-Type: %s\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "%s"
	    "Content-Length: %zu\r\n"
	    "Connection: close\r\n"
	    "\r\n",
	    reply->status, reason_of(reply->status), reply->content_type,
	    reply->status == 405 ? "Allow: GET, HEAD\r\n" : "", len);
	if (!head)
		evbuffer_add(out, reply->body, len);
	c->answered = true;
}

/*
 * After the answer the rest of what the client sends is read and dropped until it hangs up: a close
 * with unread bytes makes the kernel send a reset, which may overtake the answer.
 */
static void discard(struct connection *c, struct evbuffer *in)
{
	size_t len = evbuffer_get_length(in);

	evbuffer_drain(in, len);
	c->discarded += len;
	if (c->discarded > HTTP_DISCARD_MAX)
		connection_free(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in);
	struct http_request request;
	struct http_reply reply = {.content_type = "text/plain; charset=utf-8"};
	const char *data;

	if (c->answered) {
		discard(c, in);
		return;
	}
	data = (const char *)evbuffer_pullup(in, -1);
	if (data == NULL)
		return;
	reply.status = http_parse(data, len, &request);
	if (reply.status == HTTP_INCOMPLETE)
		return;
	if (reply.status == 200)
		c->server->handler(c->server->arg, request.path, &reply);
	if (reply.body[0] == '\0')
		strlcpy(reply.body, reason_of(reply.status), sizeof(reply.body));
	write_reply(c, &reply, request.head);
	discard(c, in);
}

/* All of the answer is in the socket. */
static void on_written(struct bufferevent *bev, void *arg)
{
	const struct connection *c = arg;

	if (c->answered)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/* The client hung up, or broke off. */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	connection_free(arg);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connection_free(arg);
}

static void on_accept(
    struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer, int len, void *arg)
{
	const struct timeval deadline = {HTTP_DEADLINE_SECONDS, 0};
	struct http_server *s = arg;
	struct connection *c = calloc(1, sizeof(*c));

	(void)l;
	(void)peer;
	(void)len;
	if (c == NULL) {
		close(fd);
		return;
	}
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->deadline = event_new(s->base, -1, 0, on_deadline, c);
	if (c->bev == NULL || c->deadline == NULL) {
		if (c->bev != NULL)
			bufferevent_free(c->bev);
		else
			close(fd);
		if (c->deadline != NULL)
			event_free(c->deadline);
		free(c);
		return;
	}
	c->server = s;
	if (s->count == HTTP_CONNECTIONS_MAX)
		connection_free(TAILQ_FIRST(&s->connections));
	TAILQ_INSERT_TAIL(&s->connections, c, next);
	s->count++;
	bufferevent_setcb(c->bev, on_read, on_written, on_end, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_HEADER_MAX);
	event_add(c->deadline, &deadline);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* --- the listening socket --- */

/* Out of descriptors or memory: a pause, or libevent would call accept in a tight loop. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	const struct timeval pause = {1, 0};
	struct http_server *s = arg;

	log_warn("health server: accept: %s; pausing a second", strerror(errno));
	evconnlistener_disable(l);
	event_add(s->retry, &pause);
}

/* Binds and listens. The socket, or -1 with errno. */
static int listen_on(const struct sockaddr *sa, socklen_t len, bool both_families)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, v6only = !both_families, saved;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (sa->sa_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0) &&
	    bind(fd, sa, len) == 0 && listen(fd, HTTP_CONNECTIONS_MAX) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int listen_on_addr(const struct ip_addr *a, uint16_t port)
{
	static const uint8_t unspecified[16];
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool any = memcmp(a->b, unspecified, sizeof(unspecified)) == 0;
	int fd;

	if (a->family == FAMILY_6 || any) {
		memcpy(&in6.sin6_addr, a->b, sizeof(in6.sin6_addr));
		fd = listen_on((const struct sockaddr *)&in6, sizeof(in6), any);
		/* A kernel without IPv6 has no such socket, or no address to bind it to. */
		if (!any || fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
			return fd;
	}
	memcpy(&in4.sin_addr, a->b, sizeof(in4.sin_addr));
	return listen_on((const struct sockaddr *)&in4, sizeof(in4), false);
}

static void try_listen(struct http_server *s)
{
	const struct timeval again = {HTTP_BIND_RETRY_SECONDS, 0};
	const char *open = s->addr.family == FAMILY_6 ? "[" : "";
	const char *shut = s->addr.family == FAMILY_6 ? "]" : "";
	char text[IP_STRLEN];
	int fd = listen_on_addr(&s->addr, s->port);

	if (fd >= 0) {
		s->listener = evconnlistener_new(
		    s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
		if (s->listener == NULL) {
			close(fd);
			errno = ENOMEM;
		}
	}
	ip_format(&s->addr, text);
	if (s->listener != NULL) {
		evconnlistener_set_error_cb(s->listener, on_accept_error);
		log_info("health server: serving on %s%s%s:%u", open, text, shut, s->port);
		return;
	}
	if (s->must_bind)
		fatal(EXIT_FAILED,
		    "health server: cannot listen on %s%s%s:%u: %s; that ends the proxy because of "
		    "--bind-address-hard-fail",
		    open, text, shut, s->port, strerror(errno));
	if (errno != s->bind_error) {
		s->bind_error = errno;
		log_error(
		    "health server: cannot listen on %s%s%s:%u: %s; services are proxied all the "
		    "same, and it is tried again every %d s (--healthz-bind-address, "
		    "--healthz-port 0 for none)",
		    open, text, shut, s->port, strerror(errno), HTTP_BIND_RETRY_SECONDS);
	}
	event_add(s->retry, &again);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd;
	(void)what;
	if (s->listener != NULL)
		evconnlistener_enable(s->listener);
	else
		try_listen(s);
}

struct http_server *http_server_new(struct event_base *base, const struct ip_addr *addr,
    uint16_t port, bool must_bind, http_handler handler, void *arg)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->base = base;
	s->addr = *addr;
	s->port = port;
	s->must_bind = must_bind;
	s->handler = handler;
	s->arg = arg;
	TAILQ_INIT(&s->connections);
	s->retry = event_new(base, -1, 0, on_retry, s);
	if (s->retry == NULL) {
		free(s);
		return NULL;
	}
	try_listen(s);
	return s;
}

void http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->connections))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it misses TAILQ_REMOVE's tqe_prev */
		connection_free(TAILQ_FIRST(&s->connections));
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	event_free(s->retry);
	free(s);
}
