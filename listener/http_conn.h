/* A connection of a http_server: reading requests, writing answers, and its time. For http.c. */
#ifndef LISTENER_HTTP_CONN_H
#define LISTENER_HTTP_CONN_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "listener/http.h"

TAILQ_HEAD(http_conns, http_conn);

struct http_pool {
	struct event_base *base;
	unsigned count, max;
	struct http_conns conns; /* the one that did something last is the last */
};

/* Finds the handler for R and calls it; http.c has it. */
void http_dispatch(struct http_server *s, const struct http_request *r, struct http_reply *reply);

/* Takes over FD, accepted for S from PEER. If the pool has no connection left the one that did
 * nothing for longest ends. */
void http_conn_new(
    struct http_pool *pool, struct http_server *s, int fd, const struct sockaddr *peer);
/* Ends all connections of S. */
void http_conn_close_all(struct http_pool *pool, const struct http_server *s);

#endif
