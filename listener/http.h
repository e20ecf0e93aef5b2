/*
 * A small HTTP/1.1 server for probes, scrapers and people: GET and HEAD, keep-alive, answers at
 * once or later, everything bounded.
 *
 * Not libevent's evhttp, whose 2.1 limits neither the number of connections nor the time that a
 * request as a whole may take: a stranger who sends a byte now and then holds a descriptor for
 * ever. Here each stage of a connection has its time, and when all of a pool's connections are
 * taken the one that did nothing for longest makes room, so that a probe is answered under such an
 * attack as well.
 */
#ifndef LISTENER_HTTP_H
#define LISTENER_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "listener/http_parse.h"

#define HTTP_DISCARD_MAX	65536	   /* bytes read and dropped after the last answer */
#define HTTP_QUEUED_MAX		(4u << 20) /* bytes of answers that a pool's clients do not take */
#define HTTP_TURNS_PER_SECOND	10000 /* connections accepted and requests answered of a pool */
#define HTTP_BIND_RETRY_SECONDS 5
#define HTTP_HEADERS_MAX	256

/* --- handlers --- */

struct http_reply {
	int status;			/* 200 if nobody says otherwise */
	const char *content_type;	/* a literal; text/plain if nobody says otherwise */
	char headers[HTTP_HEADERS_MAX]; /* further lines, each with its \r\n, of trusted text */
	struct evbuffer *body; /* the server's, empty; if it stays so, the status in words */
	struct http_conn *conn;
	bool deferred; /* set by http_defer() */
};

/* Answers R into *REPLY. ARG is what came with the routes. */
typedef void (*http_handler)(void *arg, const struct http_request *r, struct http_reply *reply);

struct http_route {
	const char *path; /* whole; or with a '*' at its end all that begin so */
	http_handler handler;
	unsigned needs; /* bits of http_server_options.has; one missing: 404 */
};

/*
 * For a handler that cannot answer at once: what it has put into REPLY is forgotten. The answer
 * follows by http_finish(). If CANCELLED is called first (the client is gone, the connection had to
 * make room, or the time is over and the client was told 503) PENDING is gone and must not be used
 * any more; CANCELLED may be NULL for those who look it up by other means. NULL without memory: the
 * client is told 503.
 */
typedef void (*http_cancelled)(void *arg);
struct http_pending *http_defer(struct http_reply *reply, http_cancelled cancelled, void *arg);
/* Sends what was put off and frees PENDING. Takes the content of BODY (NULL: the status in words),
 * which itself stays the caller's. */
void http_finish(
    struct http_pending *pending, int status, const char *content_type, struct evbuffer *body);

/*
 * In place of http_finish(), for an answer that is too long to be held as a whole: begins it.
 * DRAINED is called, with the ARG of http_defer(), whenever the client has taken what was sent, and
 * may send more; CANCELLED, after which PENDING is gone, also when the client takes too long. A
 * client of HTTP/1.1 can tell an answer that was broken off.
 */
typedef void (*http_drained)(void *arg);
void http_stream(
    struct http_pending *pending, int status, const char *content_type, http_drained drained);
/* Sends the content of BODY, which itself stays the caller's; not empty. After http_stream(). */
void http_send(struct http_pending *pending, struct evbuffer *body);
/* All was sent. Frees PENDING. */
void http_end(struct http_pending *pending);
/*
 * Breaks the answer off, and with it the connection. Frees PENDING; CANCELLED is not called. Not
 * from within the handler, nor DRAINED.
 */
void http_abort(struct http_pending *pending);

/* --- servers --- */

/*
 * Connections that servers share: no more than MAX at a time, when the one that did nothing for
 * longest makes room, and no more than HTTP_TURNS_PER_SECOND of them accepted and requests answered
 * in a second, beyond which all wait, each as long as the others. A connection takes 16 KiB at
 * most, its answer aside; answers that clients do not take HTTP_QUEUED_MAX together, or one that is
 * longer. NULL only without memory.
 */
struct http_pool *http_pool_new(struct event_base *base, unsigned max);

/* How long the stages of a connection may take, in milliseconds. */
struct http_times {
	unsigned request_ms; /* for a request to come whole, and for the connection's end */
	unsigned idle_ms;    /* between two requests */
	unsigned defer_ms;   /* for an answer that was put off */
	unsigned write_ms;   /* for the client to take an answer ... */
	unsigned stream_ms;  /* ... that is sent in parts */
};
#define HTTP_TIMES                                                                                 \
	{                                                                                          \
		5000, 60000, 30000, 30000, 60000                                                   \
	}
/* Other times than HTTP_TIMES. */
void http_pool_times(struct http_pool *pool, const struct http_times *times);
/* After its servers. NULL is allowed. */
void http_pool_free(struct http_pool *pool);

struct http_server_options {
	const char *name; /* for log lines: "health server" */
	const char *hint; /* what to change if the port is taken; "" */
	struct ip_addr addr;
	uint16_t port;
	bool must_bind;
	bool one_family; /* the unspecified address means those of its own family */
	bool quiet;	 /* that it serves is not worth a line in the log */
	unsigned has;	 /* what routes may need */
};

/*
 * Serves ADDR:PORT with the connections of POOL. The unspecified address of either family means
 * every address of both, as Go's listener has it, unless ONE_FAMILY. If it cannot be bound that is
 * logged and tried again every HTTP_BIND_RETRY_SECONDS; with MUST_BIND it is fatal(). Name and hint
 * must outlive the server. NULL only without memory.
 */
struct http_server *http_server_new(
    struct http_pool *pool, const struct http_server_options *options);
/*
 * COUNT routes more, which must outlive the server, and their handlers' ARG. The first that fits a
 * path has it. -1 if there are HTTP_TABLES_MAX tables already.
 */
#define HTTP_TABLES_MAX 8
int http_server_add(
    struct http_server *s, const struct http_route *routes, size_t count, void *arg);
/* Closes everything, and cancels what was put off. NULL is allowed. */
void http_server_free(struct http_server *s);

#endif
