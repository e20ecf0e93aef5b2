/*
 * CPU and heap profiles (--profiling): the listener asks the planner for its own or for the
 * watcher's or relay's, which the planner asks in turn; the profile comes back in parts. One at a
 * time.
 */
#ifndef IPC_PROFILE_H
#define IPC_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/frame.h"

enum profile_message {
	PROFILE_ASK =
	    34,	      /* listener -> planner -> watcher, relay: [process, seconds]; 0: of memory */
	PROFILE_PART, /* watcher, relay -> planner -> listener: [last, bin] */
};

enum profile_process {
	PROFILE_LISTENER,
	PROFILE_PLANNER,
	PROFILE_WATCHER,
	PROFILE_RELAY,
	PROFILE_PROCESSES
};

#define PROFILE_PART_MAX (64u * 1024)

struct profile_part {
	bool last;
	uint32_t len; /* 0: there is no profile */
	uint8_t bytes[PROFILE_PART_MAX];
};

void profile_encode_ask(struct frame *f, enum profile_process process, unsigned seconds);
void profile_encode_part(struct frame *f, bool last, const void *bytes, size_t len);

/* NULL, or how the message breaks the protocol. */
const char *profile_decode_ask(struct cursor *c, enum profile_process *process, unsigned *seconds);
const char *profile_decode_part(struct cursor *c, struct profile_part *p);

#endif
