#include "ipc/status.h"

#include <string.h>

void status_encode_pending(struct frame *f)
{
	frame_begin(f, STATUS_PENDING, 0);
}

void status_encode_applied(struct frame *f, uint64_t generation)
{
	frame_begin(f, STATUS_APPLIED, 1);
	frame_uint(f, generation);
}

void status_encode_node(struct frame *f, bool eligible)
{
	frame_begin(f, STATUS_NODE, 1);
	frame_bool(f, eligible);
}

const char *status_decode(unsigned type, struct cursor *c, struct status *s)
{
	memset(s, 0, sizeof(*s));
	switch (type) {
	case STATUS_PENDING:
		break;
	case STATUS_APPLIED:
		s->generation = cursor_uint(c, UINT64_MAX);
		break;
	case STATUS_NODE:
		s->eligible = cursor_bool(c);
		break;
	default:
		return "an unknown message type";
	}
	return cursor_end(c);
}
