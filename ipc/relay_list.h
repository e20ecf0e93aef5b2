/* A relay's list of endpoints, put together from the parts that BACKENDS brings. */
#ifndef IPC_RELAY_LIST_H
#define IPC_RELAY_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/relay.h"

/* Start zeroed. */
struct relay_list {
	bool open; /* parts came, and the last one not yet ... */
	uint32_t id;
	struct relay_endpoint *endpoints; /* malloc'd; sorted, none twice */
	uint32_t count, room;
};

/*
 * Adds what B brings. NULL, or how it breaks the protocol. With B's last part the list is whole:
 * the caller takes over the endpoints and zeroes L. fatal() without memory.
 */
const char *relay_list_add(struct relay_list *l, const struct relay_backends *b);

#endif
