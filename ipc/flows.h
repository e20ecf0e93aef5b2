/*
 * planner <-> applier: the kernel's UDP flows. The planner asks for those of a family; the applier
 * shows them a part at a time, and the planner answers each part with those to delete, by their
 * places in it, and so asks for the next. It can name no flow that it was not shown.
 */
#ifndef IPC_FLOWS_H
#define IPC_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "ipc/frame.h"

#define FLOWS_PART_MAX 256

/* What tells whether a flow is stale. */
struct flow {
	struct ip_addr dst; /* where the client sends to */
	struct ip_addr src; /* from where it is answered: translated if it is not DST */
	uint16_t dst_port, src_port;
};

struct flows_part {
	uint32_t count;
	struct flow flows[FLOWS_PART_MAX];
};

struct flows_choice {
	uint32_t count;
	uint16_t places[FLOWS_PART_MAX]; /* in the part shown last, ascending */
};

struct flows_end {
	uint64_t seen, deleted;
	int32_t error; /* errno; 0: all were seen, and those chosen deleted or gone */
};

void flows_encode_request(struct frame *f, uint8_t family);
void flows_encode_part(struct frame *f, const struct flows_part *p);
void flows_encode_choice(struct frame *f, const struct flows_choice *c);
void flows_encode_end(struct frame *f, const struct flows_end *e);

/* Each decodes the fields of one message: NULL, or how it breaks the protocol. */
const char *flows_decode_request(struct cursor *c, uint8_t *family);
const char *flows_decode_part(struct cursor *c, struct flows_part *p);
const char *flows_decode_choice(struct cursor *c, struct flows_choice *choice);
const char *flows_decode_end(struct cursor *c, struct flows_end *e);

#endif
