#include "ipc/ipvs_ops.h"

#include <string.h>

void ipvs_encode_item(struct frame *f, const struct ipvs_item *i)
{
	const uint8_t fields = ipvs_kinds[i->kind].fields;

	frame_array(f, 2 + (uint32_t)__builtin_popcount(fields));
	frame_uint(f, i->kind);
	frame_uint(f, i->family);
	if (fields & IPVS_ADDR)
		frame_ip(f, &i->addr);
	if (fields & IPVS_PROTO)
		frame_uint(f, i->proto);
	if (fields & IPVS_PORT)
		frame_uint(f, i->port);
	if (fields & IPVS_TO)
		frame_ip(f, &i->to);
	if (fields & IPVS_TO_PORT)
		frame_uint(f, i->to_port);
	if (fields & IPVS_NET)
		frame_cidr(f, &(struct ip_cidr){i->to, i->bits});
	if (fields & IPVS_VALUE)
		frame_uint(f, i->value);
}

void ipvs_decode_item(struct cursor *c, struct ipvs_item *i)
{
	struct cursor item = cursor_array(c, 10);
	struct ip_cidr net = {0};
	uint8_t fields;

	memset(i, 0, sizeof(*i));
	i->kind = (uint8_t)cursor_uint(&item, IPVS_KIND_COUNT - 1);
	i->family = (uint8_t)cursor_uint(&item, FAMILY_COUNT - 1);
	fields = ipvs_kinds[i->kind].fields;
	if (fields & IPVS_ADDR)
		cursor_ip(&item, &i->addr);
	if (fields & IPVS_PROTO)
		i->proto = (uint8_t)cursor_uint(&item, UINT8_MAX);
	if (fields & IPVS_PORT)
		i->port = (uint16_t)cursor_uint(&item, UINT16_MAX);
	if (fields & IPVS_TO)
		cursor_ip(&item, &i->to);
	if (fields & IPVS_TO_PORT)
		i->to_port = (uint16_t)cursor_uint(&item, UINT16_MAX);
	if (fields & IPVS_NET) {
		cursor_cidr(&item, &net);
		i->to = net.addr;
		i->bits = net.bits;
	}
	if (fields & IPVS_VALUE)
		i->value = (uint32_t)cursor_uint(&item, UINT32_MAX);
	cursor_leave(c, &item);
}

void ipvs_encode_snapshot(struct frame *f, const struct ipvs_snapshot *s)
{
	frame_begin(f, IPVS_SNAPSHOT, 1);
	frame_array(f, s->count);
	for (uint32_t i = 0; i < s->count; i++)
		ipvs_encode_item(f, &s->items[i]);
}

const char *ipvs_decode_snapshot(struct cursor *c, struct ipvs_snapshot *s)
{
	struct cursor items = cursor_array(c, IPVS_SNAPSHOT_PART_MAX);

	s->count = 0;
	while (items.error == NULL && items.left > 0)
		ipvs_decode_item(&items, &s->items[s->count++]);
	cursor_leave(c, &items);
	return cursor_end(c);
}
