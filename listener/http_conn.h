/* A connection of a http_server, and the pool it is one of. For http*.c. */
#ifndef LISTENER_HTTP_CONN_H
#define LISTENER_HTTP_CONN_H

#include <event2/bufferevent.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "listener/http.h"

enum http_stage {
	HTTP_READING,  /* a request comes, or its first byte is waited for */
	HTTP_DEFERRED, /* its handler put the answer off */
	HTTP_SENDING,  /* ... and sends it in parts */
	HTTP_WRITING,  /* the answer goes */
	HTTP_ENDING,   /* nothing more to say: what still comes is dropped until the client hangs up
			*/
};

struct http_pending {
	struct http_conn *conn;
	http_cancelled cancelled;
	http_drained drained; /* HTTP_SENDING */
	void *arg;
};

/* Who waits until the pool may do more. */
struct http_waiter {
	TAILQ_ENTRY(http_waiter) next;
	bool waits;
	void (*resume)(void *arg);
	void *arg;
};

struct http_conn {
	TAILQ_ENTRY(http_conn) next;
	struct http_pool *pool;
	struct http_server *server;
	struct bufferevent *bev;
	struct event *deadline;
	struct http_pending *pending; /* HTTP_DEFERRED and HTTP_SENDING have one */
	struct http_request request;  /* the one being answered */
	enum http_stage stage;
	bool began;   /* some of a request is here */
	bool hung_up; /* the client will send nothing more */
	size_t discarded;
	struct http_waiter turn; /* to answer the request that has come */
};

TAILQ_HEAD(http_conns, http_conn);

struct http_pool {
	struct event_base *base;
	struct http_times times;
	unsigned count, max;
	struct http_conns conns; /* the one that did something last is the last */
	unsigned left;		 /* what may still be done in this slot */
	bool in_slot;
	struct event *slot; /* its end */
	TAILQ_HEAD(, http_waiter) waiters;
};

/* --- http.c --- */

/* Finds the handler for R and calls it. */
void http_dispatch(struct http_server *s, const struct http_request *r, struct http_reply *reply);

/* --- http_pool.c --- */

/*
 * Takes one of the pool's turns, of which there are so many a second: accepting a connection is
 * one, answering a request another. False if there is none left now: W's RESUME is called when
 * there is, in the order of who asked.
 */
bool http_pool_turn(struct http_pool *pool, struct http_waiter *w);
/* W wants no turn any more. */
void http_pool_leave(struct http_pool *pool, struct http_waiter *w);
/* Ends the connection that did nothing for longest, if there are as many as there may be. */
void http_pool_make_room(struct http_pool *pool);
/*
 * C has got an answer to send. If clients that do not take theirs hold more than HTTP_QUEUED_MAX,
 * the connections that did nothing for longest end; C is never one of them.
 */
void http_pool_queued(struct http_pool *pool, const struct http_conn *c);

/* --- http_conn.c --- */

/* Takes over FD, accepted for S from PEER. */
void http_conn_new(
    struct http_pool *pool, struct http_server *s, int fd, const struct sockaddr *peer);
void http_conn_free(struct http_conn *c);
/* Ends all connections of S. */
void http_conn_close_all(struct http_pool *pool, const struct http_server *s);
/* A new stage, and the time it may take. */
void http_conn_enter(struct http_conn *c, enum http_stage stage, unsigned ms);

/* --- http_reply.c --- */

/* Begins to send. */
void http_send_reply(struct http_conn *c, const struct http_reply *reply);
/* The status in words is all. */
void http_send_status(struct http_conn *c, int status);
/* Has C's request answered by its handler, or put off. */
void http_answer(struct http_conn *c);
/* Tells who wanted to answer C later that it is too late. */
void http_cancel(struct http_conn *c);

#endif
