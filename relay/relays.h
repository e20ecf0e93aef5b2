/*
 * Relays: listening sockets that the planner asks for, and what comes there goes on to endpoints.
 * Userspace mode sends its services' traffic there; other modes the node's own to node ports on
 * loopback addresses. The broker connects to the endpoints.
 */
#ifndef RELAY_RELAYS_H
#define RELAY_RELAYS_H

#include <event2/event.h>

#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/relay.h"

struct relays;

/*
 * Those of CFG, none yet; answers go to PLANNER; DIAL is the socket to the broker. At most FDS
 * descriptors are open at a time. fatal() without memory.
 */
struct relays *relays_new(struct event_base *base, const struct config *cfg,
    struct channel *planner, int dial, unsigned fds);
/* A message of TYPE, RELAY_PROXY_PORT_OPEN to RELAY_LAST. NULL, or how it breaks the protocol. */
const char *relays_message(struct relays *r, unsigned type, struct cursor *c);

#endif
