/*
 * Relayed UDP: a client's datagrams go to one endpoint, by a socket of the flow's own, for as long
 * as it is not idle; what the endpoint answers goes back from the address the client asked.
 */
#ifndef RELAY_UDP_H
#define RELAY_UDP_H

#include <event2/event.h>
#include <stdint.h>

#include "common/siphash.h"
#include "relay/balance.h"
#include "relay/descriptors.h"
#include "relay/dial.h"
#include "relay/poll.h"

/* Flows of all relays together: the one that was idle for longest makes room. */
#define RELAY_FLOWS_MAX 4096

struct relay_udp;
struct relay_flow;
LIST_HEAD(relay_flows, relay_flow);

/* All must outlive it. A flow is closed when it was idle for IDLE_MS. fatal() without memory. */
struct relay_udp *relay_udp_new(struct event_base *base, struct relay_poll *poll,
    struct dialer *dialer, struct relay_fds *fds, const struct siphash_key *key, uint64_t idle_ms);

/* Makes the socket FD, not yet bound, tell the address that each datagram came to. 0, or -1. */
int relay_udp_prepare(int fd, uint8_t family);
/*
 * Takes what came to FD, prepared and bound, of the relay RELAY, whose endpoints are B's and whose
 * flows are FLOWS: some of it, if there is much.
 */
void relay_udp_receive(
    struct relay_udp *u, int fd, uint32_t relay, struct balance *b, struct relay_flows *flows);
/* Closes those of FLOWS whose endpoint is not B's any more; with B NULL all. */
void relay_udp_prune(struct relay_udp *u, struct relay_flows *flows, const struct balance *b);

#endif
