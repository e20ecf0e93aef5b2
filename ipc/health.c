#include "ipc/health.h"

#include <string.h>

void health_encode_put(struct frame *f, const struct health_service *s)
{
	frame_begin(f, HEALTH_PUT, 4);
	frame_str(f, s->namespace);
	frame_str(f, s->name);
	frame_uint(f, s->port);
	frame_uint(f, s->endpoints);
}

void health_encode_del(struct frame *f, const char *ns, const char *name)
{
	frame_begin(f, HEALTH_DEL, 2);
	frame_str(f, ns);
	frame_str(f, name);
}

void health_encode_addrs(struct frame *f, const struct health_addrs *a)
{
	frame_begin(f, HEALTH_ADDRS, 1);
	frame_array(f, a->count);
	for (uint32_t i = 0; i < a->count; i++)
		frame_ip(f, &a->addrs[i]);
}

void health_encode_alive(struct frame *f)
{
	frame_begin(f, HEALTH_ALIVE, 0);
}

static void decode_names(struct cursor *c, struct health_service *s)
{
	memset(s, 0, sizeof(*s));
	cursor_str(c, s->namespace, sizeof(s->namespace));
	cursor_str(c, s->name, sizeof(s->name));
	if (s->namespace[0] == '\0' || s->name[0] == '\0')
		cursor_fail(c, "a service without a name");
}

const char *health_decode_put(struct cursor *c, struct health_service *s)
{
	decode_names(c, s);
	s->port = (uint16_t)cursor_uint(c, UINT16_MAX);
	s->endpoints = (uint32_t)cursor_uint(c, UINT32_MAX);
	if (s->port == 0)
		cursor_fail(c, "port 0");
	return cursor_end(c);
}

const char *health_decode_del(struct cursor *c, struct health_service *s)
{
	decode_names(c, s);
	return cursor_end(c);
}

const char *health_decode_addrs(struct cursor *c, struct health_addrs *a)
{
	struct cursor addrs = cursor_array(c, HEALTH_ADDRS_MAX);

	a->count = 0;
	for (uint32_t n = addrs.left; addrs.error == NULL && a->count < n; a->count++)
		cursor_ip(&addrs, &a->addrs[a->count]);
	cursor_leave(c, &addrs);
	return cursor_end(c);
}
