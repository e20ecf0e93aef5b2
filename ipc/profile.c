#include "ipc/profile.h"

#include "common/profile.h"

void profile_encode_ask(struct frame *f, enum profile_process process, unsigned seconds)
{
	frame_begin(f, PROFILE_ASK, 2);
	frame_uint(f, process);
	frame_uint(f, seconds);
}

void profile_encode_part(struct frame *f, bool last, const void *bytes, size_t len)
{
	frame_begin(f, PROFILE_PART, 2);
	frame_bool(f, last);
	frame_bin(f, bytes, len);
}

const char *profile_decode_ask(struct cursor *c, enum profile_process *process, unsigned *seconds)
{
	*process = (enum profile_process)cursor_uint(c, PROFILE_PROCESSES - 1);
	*seconds = (unsigned)cursor_uint(c, PROFILE_SECONDS_MAX);
	return cursor_end(c);
}

const char *profile_decode_part(struct cursor *c, struct profile_part *p)
{
	p->last = cursor_bool(c);
	p->len = cursor_bytes(c, p->bytes, sizeof(p->bytes));
	return cursor_end(c);
}
