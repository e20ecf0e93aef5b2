/* The sockets that relays listen on, and which ports they get. */
#ifndef RELAY_LISTEN_H
#define RELAY_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/relay.h"

/* Which ports of the range relays have, by protocol and family; a bit each. Starts zeroed. */
struct relay_taken {
	uint8_t ports[2][FAMILY_COUNT][65536 / 8];
};

/*
 * A socket for O, listening or bound, non-blocking, and its *PORT: that of O, else one of RANGE
 * that is free, the first being a matter of O's name alone, so that a restarted proxy finds the
 * rules as they should be. -1 with errno: no such socket can be had.
 */
int relay_listen(struct relay_taken *taken, const struct relay_ports *range,
    const struct relay_open *o, uint16_t *port);
/* The socket of O that had PORT is closed. */
void relay_listen_end(struct relay_taken *taken, const struct relay_open *o, uint16_t port);

#endif
