#include "relay/poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define BATCH 256

struct relay_poll {
	int fd;
	struct event *readable;
	uint64_t now_ms;
	bool in_batch;
	unsigned queued; /* in AGAIN */
	TAILQ_HEAD(, relay_fd) again;
	struct relay_object *garbage;
};

static void take_time(struct relay_poll *p)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	p->now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct relay_fd *unqueue(struct relay_poll *p, struct relay_fd *f)
{
	TAILQ_REMOVE(&p->again, f, next);
	p->queued--;
	f->queued = false;
	return f;
}

/* Those that are there now: who comes meanwhile waits for the next time. */
static void run_queue(struct relay_poll *p)
{
	for (unsigned n = p->queued; n > 0 && p->queued > 0; n--) {
		struct relay_fd *f = unqueue(p, TAILQ_FIRST(&p->again));

		f->ready(f, 0);
	}
}

static void collect_garbage(struct relay_poll *p)
{
	struct relay_object *o;

	while ((o = p->garbage) != NULL) {
		p->garbage = o->next;
		free(o);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct relay_poll *p = arg;
	struct epoll_event events[BATCH];
	int n;

	(void)fd;
	(void)what;
	n = epoll_wait(p->fd, events, BATCH, 0);
	take_time(p);
	p->in_batch = true;
	for (int i = 0; i < n; i++) {
		struct relay_fd *f = events[i].data.ptr;

		if (f->fd >= 0)
			f->ready(f, events[i].events);
	}
	run_queue(p);
	collect_garbage(p);
	p->in_batch = false;
	if (p->queued > 0)
		event_active(p->readable, EV_READ, 1);
}

struct relay_poll *relay_poll_new(struct event_base *base)
{
	struct relay_poll *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		fatal(EXIT_FAILED, "relays: epoll: %s", strerror(errno));
	p->readable = event_new(base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
	if (p->readable == NULL || event_add(p->readable, NULL) != 0)
		fatal(EXIT_FAILED, "relays: out of memory");
	TAILQ_INIT(&p->again);
	take_time(p);
	return p;
}

int relay_poll_add(struct relay_poll *p, struct relay_fd *f, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = f};

	return epoll_ctl(p->fd, EPOLL_CTL_ADD, f->fd, &e);
}

void relay_poll_remove(struct relay_poll *p, struct relay_fd *f)
{
	epoll_ctl(p->fd, EPOLL_CTL_DEL, f->fd, NULL);
}

/* Has on_readable() called soon. */
static void wake(struct relay_poll *p)
{
	if (!p->in_batch)
		event_active(p->readable, EV_READ, 1);
}

void relay_poll_again(struct relay_poll *p, struct relay_fd *f)
{
	if (f->queued)
		return;
	f->queued = true;
	TAILQ_INSERT_TAIL(&p->again, f, next);
	p->queued++;
	wake(p);
}

void relay_poll_close(struct relay_poll *p, struct relay_fd *f)
{
	if (f->queued)
		unqueue(p, f);
	if (f->fd >= 0)
		close(f->fd); /* nobody else has it: that takes it out of the epoll */
	f->fd = -1;
}

void relay_poll_free(struct relay_poll *p, struct relay_object *o)
{
	o->next = p->garbage;
	p->garbage = o;
	wake(p);
}

uint64_t relay_poll_now(struct relay_poll *p)
{
	if (!p->in_batch)
		take_time(p);
	return p->now_ms;
}
