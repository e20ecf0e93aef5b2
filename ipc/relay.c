#include "ipc/relay.h"

#include <string.h>

#include "ipc/objects.h"

#define PORT_LOW  32768
#define PORT_HIGH 65535

struct relay_ports relay_ports_of(const struct config *cfg)
{
	if (cfg->mode != MODE_USERSPACE)
		return (struct relay_ports){0, 0};
	if (cfg->proxy_port_low == 0)
		return (struct relay_ports){PORT_LOW, PORT_HIGH};
	return (struct relay_ports){cfg->proxy_port_low, cfg->proxy_port_high};
}

void relay_encode_open(struct frame *f, const struct relay_open *o)
{
	frame_begin(f, RELAY_PROXY_PORT_OPEN, 6);
	frame_uint(f, o->id);
	frame_str(f, o->name);
	frame_uint(f, o->proto);
	frame_uint(f, o->family);
	frame_bool(f, o->local_list);
	frame_uint(f, o->port);
}

const char *relay_decode_open(struct cursor *c, struct relay_open *o)
{
	o->id = (uint32_t)cursor_uint(c, RELAYS_MAX - 1);
	cursor_str(c, o->name, sizeof(o->name));
	o->proto = (uint8_t)cursor_uint(c, UINT8_MAX);
	o->family = (uint8_t)cursor_uint(c, FAMILY_COUNT - 1);
	o->local_list = cursor_bool(c);
	o->port = (uint16_t)cursor_uint(c, UINT16_MAX);
	if (c->error == NULL && o->proto != PROTO_TCP && o->proto != PROTO_UDP)
		cursor_fail(c, "a relay of another protocol than TCP and UDP");
	return cursor_end(c);
}

/* FNV-1a of its name: of no secret, the same in every process. */
uint16_t relay_first_port(const struct relay_ports *range, const struct relay_open *o)
{
	const uint32_t count = (uint32_t)range->high - range->low + 1;
	uint64_t h = UINT64_C(14695981039346656037);

	for (const char *p = o->name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(1099511628211);
	h = (h ^ o->local_list) * UINT64_C(1099511628211);
	return (uint16_t)(range->low + (h ^ h >> 32) % count);
}

bool relays_wanted(const struct config *cfg)
{
	return cfg->mode == MODE_USERSPACE || cfg->localhost_nodeports;
}

int relay_endpoint_cmp(const struct relay_endpoint *a, const struct relay_endpoint *b)
{
	int n = ip_cmp(&a->addr, &b->addr);

	return n != 0 ? n : a->port - b->port;
}

void relay_encode_backends(struct frame *f, const struct relay_backends *b)
{
	frame_begin(f, RELAY_BACKENDS, 5);
	frame_uint(f, b->id);
	frame_uint(f, b->affinity_seconds);
	frame_bool(f, b->first);
	frame_bool(f, b->last);
	frame_array(f, b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		frame_array(f, 2);
		frame_ip(f, &b->endpoints[i].addr);
		frame_uint(f, b->endpoints[i].port);
	}
}

const char *relay_decode_backends(struct cursor *c, struct relay_backends *b)
{
	struct cursor list;

	b->id = (uint32_t)cursor_uint(c, RELAYS_MAX - 1);
	b->affinity_seconds = (uint32_t)cursor_uint(c, RELAY_SECONDS_MAX);
	b->first = cursor_bool(c);
	b->last = cursor_bool(c);
	list = cursor_array(c, RELAY_PART_MAX);
	b->count = 0;
	for (uint32_t n = list.left; list.error == NULL && b->count < n; b->count++) {
		struct cursor in = cursor_array(&list, 2);
		struct relay_endpoint *e = &b->endpoints[b->count];

		cursor_ip(&in, &e->addr);
		e->port = (uint16_t)cursor_uint(&in, UINT16_MAX);
		if (in.error == NULL && (e->port == 0 || !ip_is_endpoint(&e->addr)))
			cursor_fail(
			    &in, "an endpoint that is no plain unicast address with a port");
		if (in.error == NULL && b->count > 0 && relay_endpoint_cmp(e - 1, e) >= 0)
			cursor_fail(&in, "endpoints out of order");
		cursor_leave(&list, &in);
	}
	cursor_leave(c, &list);
	return cursor_end(c);
}

void relay_encode_close(struct frame *f, uint32_t id)
{
	frame_begin(f, RELAY_PROXY_PORT_CLOSE, 1);
	frame_uint(f, id);
}

const char *relay_backends_allowed(const struct relay_backends *b, const struct node_policy *p)
{
	const char *why = NULL;

	for (uint32_t i = 0; why == NULL && i < b->count; i++)
		why = node_policy_endpoint(p, &b->endpoints[i].addr);
	return why;
}

const char *relay_decode_close(struct cursor *c, uint32_t *id)
{
	*id = (uint32_t)cursor_uint(c, RELAYS_MAX - 1);
	return cursor_end(c);
}

void relay_encode_port(struct frame *f, uint32_t id, uint16_t port)
{
	frame_begin(f, RELAY_PROXY_PORT, 2);
	frame_uint(f, id);
	frame_uint(f, port);
}

const char *relay_decode_port(struct cursor *c, uint32_t *id, uint16_t *port)
{
	*id = (uint32_t)cursor_uint(c, RELAYS_MAX - 1);
	*port = (uint16_t)cursor_uint(c, UINT16_MAX);
	return cursor_end(c);
}
