/*
 * Connections to endpoints, which the broker makes: asked for one by one, at most DIAL_MAX at a
 * time; the others wait their turn here.
 */
#ifndef RELAY_DIAL_H
#define RELAY_DIAL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/dial.h"
#include "ipc/relay.h"

struct dialer;

/* A member of what the connection is for. Zeroed but for DONE. */
struct dial {
	/* FD is on its way to the endpoint; or -1, with errno. */
	void (*done)(struct dial *d, int fd);
	enum { DIAL_IDLE, DIAL_WAITS, DIAL_ASKED } state;
	struct dial_request request;
	TAILQ_ENTRY(dial) next; /* while it waits */
};

/* FD: the socket to the broker. fatal() without memory. */
struct dialer *dialer_new(struct event_base *base, int fd);
/* Asks for a connection to TO, one of relay RELAY's endpoints; D->done() is called later. */
void dial_start(
    struct dialer *dialer, struct dial *d, uint32_t relay, const struct relay_endpoint *to);
/* D->done() is not called any more. Nothing if D is idle. */
void dial_cancel(struct dialer *dialer, struct dial *d);

#endif
