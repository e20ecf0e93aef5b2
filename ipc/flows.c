#include "ipc/flows.h"

#include "ipc/txn.h"

void flows_encode_request(struct frame *f, uint8_t family)
{
	frame_begin(f, TXN_FLOWS_REQUEST, 1);
	frame_uint(f, family);
}

const char *flows_decode_request(struct cursor *c, uint8_t *family)
{
	*family = (uint8_t)cursor_uint(c, FAMILY_COUNT - 1);
	return cursor_end(c);
}

void flows_encode_part(struct frame *f, const struct flows_part *p)
{
	frame_begin(f, TXN_FLOWS, 1);
	frame_array(f, p->count);
	for (uint32_t i = 0; i < p->count; i++) {
		frame_array(f, 4);
		frame_ip(f, &p->flows[i].dst);
		frame_uint(f, p->flows[i].dst_port);
		frame_ip(f, &p->flows[i].src);
		frame_uint(f, p->flows[i].src_port);
	}
}

const char *flows_decode_part(struct cursor *c, struct flows_part *p)
{
	struct cursor flows = cursor_array(c, FLOWS_PART_MAX);

	p->count = 0;
	for (uint32_t n = flows.left; flows.error == NULL && p->count < n; p->count++) {
		struct cursor in = cursor_array(&flows, 4);
		struct flow *f = &p->flows[p->count];

		cursor_ip(&in, &f->dst);
		f->dst_port = (uint16_t)cursor_uint(&in, UINT16_MAX);
		cursor_ip(&in, &f->src);
		f->src_port = (uint16_t)cursor_uint(&in, UINT16_MAX);
		cursor_leave(&flows, &in);
	}
	cursor_leave(c, &flows);
	return cursor_end(c);
}

void flows_encode_choice(struct frame *f, const struct flows_choice *c)
{
	frame_begin(f, TXN_FLOWS_DELETE, 1);
	frame_array(f, c->count);
	for (uint32_t i = 0; i < c->count; i++)
		frame_uint(f, c->places[i]);
}

const char *flows_decode_choice(struct cursor *c, struct flows_choice *choice)
{
	struct cursor places = cursor_array(c, FLOWS_PART_MAX);

	choice->count = 0;
	for (uint32_t n = places.left; places.error == NULL && choice->count < n; choice->count++) {
		uint16_t place = (uint16_t)cursor_uint(&places, FLOWS_PART_MAX - 1);

		choice->places[choice->count] = place;
		if (choice->count > 0 && place <= choice->places[choice->count - 1])
			cursor_fail(&places, "flows out of order");
	}
	cursor_leave(c, &places);
	return cursor_end(c);
}

void flows_encode_end(struct frame *f, const struct flows_end *e)
{
	frame_begin(f, TXN_FLOWS_END, 3);
	frame_uint(f, e->seen);
	frame_uint(f, e->deleted);
	frame_uint(f, (uint32_t)e->error);
}

const char *flows_decode_end(struct cursor *c, struct flows_end *e)
{
	e->seen = cursor_uint(c, UINT64_MAX);
	e->deleted = cursor_uint(c, UINT64_MAX);
	e->error = (int32_t)cursor_uint(c, INT32_MAX);
	return cursor_end(c);
}
