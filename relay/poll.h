/*
 * What waits for sockets of relays: an epoll of its own below libevent's, edge-triggered, so that a
 * connection costs two epoll_ctl(2) in its life, whatever it sends. Its events are handled a batch
 * at a time; the health server and the planner get their turn in between.
 */
#ifndef RELAY_POLL_H
#define RELAY_POLL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

struct relay_poll;

/* What is freed by relay_poll_free(): the first member of something malloc'd. */
struct relay_object {
	struct relay_object *next;
};

/* A socket that is waited for: a member of what it belongs to. Zeroed but for these two: */
struct relay_fd {
	int fd; /* -1: closed; events that are already on their way are dropped */
	void (*ready)(struct relay_fd *f, uint32_t events); /* EPOLLIN ...; 0: again, as asked */
	bool queued;
	TAILQ_ENTRY(relay_fd) next;
};

/* On BASE. fatal() on failure. */
struct relay_poll *relay_poll_new(struct event_base *base);

/* Waits for EVENTS (EPOLLIN ... and EPOLLET) on F. 0, or -1 with errno. */
int relay_poll_add(struct relay_poll *p, struct relay_fd *f, uint32_t events);
/* Waits for nothing of F any more, until it is added again. */
void relay_poll_remove(struct relay_poll *p, struct relay_fd *f);
/* Has F's function called once more, with no events, after others had their turn. */
void relay_poll_again(struct relay_poll *p, struct relay_fd *f);
/* Closes F's socket. F must not be freed but by relay_poll_free(). */
void relay_poll_close(struct relay_poll *p, struct relay_fd *f);
/* Frees what O is the first member of, once no event can be on its way to a struct relay_fd in it.
 */
void relay_poll_free(struct relay_poll *p, struct relay_object *o);

/* CLOCK_MONOTONIC in milliseconds, as of the batch being handled, if any is. */
uint64_t relay_poll_now(struct relay_poll *p);

#endif
