/* Connections for the relay: each to an endpoint of the planner's, handed on while it is on its
 * way. */
#ifndef BROKER_CONNECT_H
#define BROKER_CONNECT_H

#include <stdint.h>

#include "broker/endpoints.h"
#include "ipc/frame.h"

struct connects {
	int fd; /* to the relay */
	const struct endpoints *endpoints;
	struct frame frame;
};

/*
 * A request of the relay's: a channel_handler, with a struct connects as its argument. What is none
 * of the relay's endpoints gets EACCES. NULL, or how it breaks the protocol.
 */
const char *connect_request(void *arg, unsigned type, struct cursor *c);

#endif
