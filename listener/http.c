#include "listener/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "listener/http_conn.h"
#include "listener/listen.h"

/*
 * Connections taken at one wake-up. Between two wake-ups what has come on others is read, so that
 * a flood of connections never pushes one out whose request is there already.
 */
#define ACCEPT_BATCH 16

struct table {
	const struct http_route *routes;
	size_t count;
	void *arg;
};

struct http_server {
	struct http_pool *pool;
	struct http_server_options options;
	struct table tables[HTTP_TABLES_MAX];
	size_t table_count;
	int fd; /* -1 while not bound */
	struct event *accept;
	struct http_waiter turn; /* to accept */
	struct event *retry;
	int bind_error; /* the last one logged */
};

/* --- routes --- */

static bool path_fits(const char *route, const char *path)
{
	size_t len = strlen(route);

	if (len > 0 && route[len - 1] == '*')
		return strncmp(path, route, len - 1) == 0;
	return strcmp(path, route) == 0;
}

void http_dispatch(struct http_server *s, const struct http_request *r, struct http_reply *reply)
{
	for (size_t i = 0; i < s->table_count; i++)
		for (size_t j = 0; j < s->tables[i].count; j++) {
			const struct http_route *route = &s->tables[i].routes[j];

			if ((route->needs & ~s->options.has) == 0 &&
			    path_fits(route->path, r->path)) {
				route->handler(s->tables[i].arg, r, reply);
				return;
			}
		}
	reply->status = 404;
}

int http_server_add(struct http_server *s, const struct http_route *routes, size_t count, void *arg)
{
	if (s->table_count == HTTP_TABLES_MAX)
		return -1;
	s->tables[s->table_count++] = (struct table){routes, count, arg};
	return 0;
}

/* --- the listening socket --- */

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	const struct timeval pause = {1, 0};
	struct http_server *s = arg;

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd;

		if (!http_pool_turn(s->pool, &s->turn)) {
			event_del(s->accept);
			return;
		}
		fd =
		    accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			http_conn_new(s->pool, s, fd, (const struct sockaddr *)&peer);
			continue;
		}
		if (errno == EAGAIN)
			return;
		/* Out of descriptors or memory: a pause, or the socket would wake us at once. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_warn(
			    "%s: accept: %s; pausing a second", s->options.name, strerror(errno));
			event_del(s->accept);
			event_add(s->retry, &pause);
			return;
		}
		/* A client that is gone already, or its network (accept(2) names a dozen). */
	}
}

static void on_turn(void *arg)
{
	struct http_server *s = arg;

	event_add(s->accept, NULL);
}

static void bind_failed(struct http_server *s, const char *where)
{
	const struct timeval again = {HTTP_BIND_RETRY_SECONDS, 0};

	if (s->options.must_bind)
		fatal(EXIT_FAILED,
		    "%s: cannot listen on %s: %s; that ends the proxy because of "
		    "--bind-address-hard-fail",
		    s->options.name, where, strerror(errno));
	if (errno != s->bind_error) {
		s->bind_error = errno;
		log_error("%s: cannot listen on %s: %s; services are still proxied; retrying every "
			  "%d s%s",
		    s->options.name, where, strerror(errno), HTTP_BIND_RETRY_SECONDS,
		    s->options.hint);
	}
	event_add(s->retry, &again);
}

static void try_listen(struct http_server *s)
{
	char where[LISTEN_STRLEN];
	int fd = listen_tcp(&s->options.addr, s->options.port, s->options.one_family, SOMAXCONN);

	listen_format(&s->options.addr, s->options.port, where);
	if (fd >= 0) {
		s->accept = event_new(s->pool->base, fd, EV_READ | EV_PERSIST, on_accept, s);
		if (s->accept == NULL) {
			close(fd);
			fd = -1;
			errno = ENOMEM;
		}
	}
	s->fd = fd;
	if (fd < 0) {
		bind_failed(s, where);
		return;
	}
	event_add(s->accept, NULL);
	if (s->options.quiet)
		log_debug(2, "%s: serving on %s", s->options.name, where);
	else
		log_info("%s: serving on %s", s->options.name, where);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd;
	(void)what;
	if (s->fd >= 0)
		event_add(s->accept, NULL);
	else
		try_listen(s);
}

/* --- beginning and end --- */

struct http_server *http_server_new(
    struct http_pool *pool, const struct http_server_options *options)
{
	struct http_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->pool = pool;
	s->options = *options;
	s->turn = (struct http_waiter){.resume = on_turn, .arg = s};
	s->retry = event_new(pool->base, -1, 0, on_retry, s);
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
	http_conn_close_all(s->pool, s);
	http_pool_leave(s->pool, &s->turn);
	if (s->accept != NULL)
		event_free(s->accept);
	if (s->fd >= 0)
		close(s->fd);
	event_free(s->retry);
	free(s);
}
