/*
 * Relayed TCP connections: from a client that was accepted to an endpoint that answers, and back.
 * An endpoint has 250 ms to answer, the next one 500 ms, then 1 s and 2 s; then the client is
 * reset.
 */
#ifndef RELAY_TCP_H
#define RELAY_TCP_H

#include <event2/event.h>
#include <stdint.h>

#include "common/ip.h"
#include "relay/balance.h"
#include "relay/descriptors.h"
#include "relay/dial.h"
#include "relay/poll.h"

struct relay_tcp;

/* All must outlive it. fatal() without memory. */
struct relay_tcp *relay_tcp_new(
    struct event_base *base, struct relay_poll *poll, struct dialer *dialer, struct relay_fds *fds);
/*
 * Takes over FD, connected to CLIENT, non-blocking, and connects it with one of B's
 * endpoints, which are those of the relay RELAY; with
 * none, or no descriptor left, the client is reset.
 */
void relay_tcp_accepted(
    struct relay_tcp *t, int fd, uint32_t relay, struct balance *b, const struct ip_addr *client);
/* B is going to be cleared: who still waits for one of its endpoints is reset. */
void relay_tcp_forget(struct relay_tcp *t, const struct balance *b);

#endif
