/* --profiling: the profiles of a process that the planner asks, who has them for the listener. */
#ifndef IPC_PROFILED_H
#define IPC_PROFILED_H

#include <event2/event.h>

#include "ipc/channel.h"

/* Before the walls go up. SEND: channel_send_wait(), or channel_send() if PLANNER may wait for us.
 */
void profiled_start(struct event_base *base, struct channel *planner,
    void (*send)(struct channel *ch, const struct frame *f));
/* PROFILE_ASK, the only message it may be without an own meaning for this process; none without
 * profiled_start(). NULL, or how it breaks the protocol. */
const char *profiled_message(unsigned type, struct cursor *c);

#endif
