#include "ipc/dial.h"

#include <limits.h>

void dial_encode_request(struct frame *f, const struct dial_request *r)
{
	frame_begin(f, DIAL_REQUEST, 4);
	frame_uint(f, r->token);
	frame_uint(f, r->relay);
	frame_ip(f, &r->to.addr);
	frame_uint(f, r->to.port);
}

const char *dial_decode_request(struct cursor *c, struct dial_request *r)
{
	r->token = (uint32_t)cursor_uint(c, DIAL_MAX - 1);
	r->relay = (uint32_t)cursor_uint(c, RELAYS_MAX - 1);
	cursor_ip(c, &r->to.addr);
	r->to.port = (uint16_t)cursor_uint(c, UINT16_MAX);
	return cursor_end(c);
}

void dial_encode_result(struct frame *f, uint32_t token, int error)
{
	frame_begin(f, DIAL_RESULT, 2);
	frame_uint(f, token);
	frame_uint(f, (uint64_t)error);
}

const char *dial_decode_result(struct cursor *c, uint32_t *token, int *error)
{
	*token = (uint32_t)cursor_uint(c, DIAL_MAX - 1);
	*error = (int)cursor_uint(c, INT_MAX);
	return cursor_end(c);
}
