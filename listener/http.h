/*
 * A small HTTP server for probes: GET and HEAD, one request a connection, everything bounded.
 *
 * Not libevent's evhttp, whose 2.1 limits neither the number of connections nor the time that a
 * request as a whole may take: a stranger who sends a byte now and then holds a descriptor for
 * ever. Here a connection lives for HTTP_DEADLINE_SECONDS at most, and when all
 * HTTP_CONNECTIONS_MAX are taken the oldest one makes room, so that a probe is answered under such
 * an attack as well.
 */
#ifndef LISTENER_HTTP_H
#define LISTENER_HTTP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

#define HTTP_HEADER_MAX		8192  /* bytes of request line and headers */
#define HTTP_DISCARD_MAX	65536 /* bytes read and dropped after the answer */
#define HTTP_DEADLINE_SECONDS	5
#define HTTP_CONNECTIONS_MAX	128
#define HTTP_BIND_RETRY_SECONDS 5
#define HTTP_PATH_MAX		256 /* with its NUL; no path we serve is longer */
#define HTTP_BODY_MAX		512

struct http_request {
	bool head;		  /* HEAD: the answer's headers only */
	char path[HTTP_PATH_MAX]; /* without the query */
};

enum { HTTP_INCOMPLETE = 0 };

/*
 * Parses the LEN bytes that a client has sent so far. HTTP_INCOMPLETE if more are needed; 200 and
 * *R filled if it is a request to answer; else the status to refuse it with (400, 405, 414, 431,
 * 505).
 */
int http_parse(const char *data, size_t len, struct http_request *r);

struct http_reply {
	int status; /* 200, 404, 503 */
	const char *content_type;
	char body[HTTP_BODY_MAX];
};

/* Answers PATH into *REPLY, which is zeroed before. */
typedef void (*http_handler)(void *arg, const char *path, struct http_reply *reply);

struct http_server;

/*
 * Serves ADDR:PORT on BASE. The unspecified address of either family means every address of both,
 * as Go's listener has it. If it cannot be bound that is logged and tried again every
 * HTTP_BIND_RETRY_SECONDS; with MUST_BIND it is fatal(). NULL only without memory.
 */
struct http_server *http_server_new(struct event_base *base, const struct ip_addr *addr,
    uint16_t port, bool must_bind, http_handler handler, void *arg);
/* Closes everything. NULL is allowed. */
void http_server_free(struct http_server *s);

#endif
