/*
 * A channel of a child process: a SOCK_SEQPACKET socket on a libevent base. One datagram, one
 * frame. When the peer is gone or breaks the protocol the process has nothing left to do: both are
 * logged with the peer's name and end it (exit 0 on hang-up, EXIT_FAILED on a violation).
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/frame.h"

struct channel;

/* A message came. C stands on its first field. Returns NULL, or how it broke the protocol. */
typedef const char *(*channel_handler)(void *arg, unsigned type, struct cursor *c);

/* Takes over FD (made non-blocking), for the life of the process. PEER names the other side in log
 * lines. */
struct channel *channel_new(
    struct event_base *base, int fd, const char *peer, channel_handler handler, void *arg);

/*
 * Sends F now, waiting in poll(2) until the peer takes it: the sender's own input then waits in its
 * sockets, which is the back-pressure. Only towards a peer that never waits for us.
 */
void channel_send_wait(struct channel *ch, const struct frame *f);
/*
 * Sends F now or, if the peer is slow, queues it; more than CHANNEL_QUEUE_MAX queued bytes is the
 * peer's failure. For peers that may be waiting for us.
 */
#define CHANNEL_QUEUE_MAX (4u * 1024 * 1024)
void channel_send(struct channel *ch, const struct frame *f);

/* From a handler of FROM: the message that is being handled, sent on as it came. */
void channel_pass_wait(struct channel *ch, const struct channel *from);
void channel_pass(struct channel *ch, const struct channel *from);

/* Bytes that wait to be read by us, and by the peer; the kernel's bookkeeping may be in the latter.
 */
size_t channel_unread(const struct channel *ch);
size_t channel_unsent(const struct channel *ch);

#endif
