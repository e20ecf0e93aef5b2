/* planner -> listener: what the health endpoints tell. The listener has the clock, the planner not.
 */
#ifndef IPC_STATUS_H
#define IPC_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/frame.h"

enum status_message {
	STATUS_PENDING = 1, /* []: changes wait to be programmed (sent once per batch) */
	STATUS_APPLIED, /* [generation]: what was PENDING is programmed; what came later is a new
			   PENDING */
	STATUS_NODE,	/* [eligible]: the own Node is there and not being deleted */
};

void status_encode_pending(struct frame *f);
void status_encode_applied(struct frame *f, uint64_t generation);
void status_encode_node(struct frame *f, bool eligible);

struct status {
	uint64_t generation;
	bool eligible;
};
/* Decodes the fields of a message of TYPE into *S. NULL, or how it breaks the protocol. */
const char *status_decode(unsigned type, struct cursor *c, struct status *s);

#endif
