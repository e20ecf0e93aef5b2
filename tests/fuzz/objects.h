/*
 * What the watcher takes from others' text must never break its own channel: every object it
 * decodes has to fit a frame that the planner accepts, and read back as the same.
 */
#ifndef FUZZ_OBJECTS_H
#define FUZZ_OBJECTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/objects.h"

static struct frame sent;

static inline void must(const char *error, const char *name)
{
	if (error == NULL)
		return;
	fprintf(stderr, "the planner refuses \"%s\": %s\n", name, error);
	abort();
}

static inline void send_service(const struct service *s)
{
	struct service back;
	struct cursor c;
	unsigned type;

	objects_encode_service(&sent, s);
	must(sent.overflow ? "too long" : NULL, s->name);
	must(frame_open(sent.buf, sent.len, &type, &c), s->name);
	must(objects_decode_service(&c, &back), s->name);
	if (strcmp(back.name, s->name) != 0 || back.port_count != s->port_count)
		abort();
	service_clear(&back);
}

static inline void send_slice(const struct slice *s)
{
	uint32_t first = 0, part = 0, endpoints = 0;

	do {
		struct slice back;
		struct cursor c;
		unsigned type;

		first = objects_encode_slice(&sent, s, first, part++);
		must(sent.overflow ? "too long" : NULL, s->name);
		must(frame_open(sent.buf, sent.len, &type, &c), s->name);
		must(objects_decode_slice(&c, &back), s->name);
		endpoints += back.endpoint_count;
		if (back.last_part != (first == s->endpoint_count))
			abort();
		slice_clear(&back);
	} while (first < s->endpoint_count);
	if (endpoints != s->endpoint_count)
		abort();
}

static inline void send_node(const struct node *n)
{
	struct node back;
	struct cursor c;
	unsigned type;

	objects_encode_node(&sent, n);
	must(sent.overflow ? "too long" : NULL, n->name);
	must(frame_open(sent.buf, sent.len, &type, &c), n->name);
	must(objects_decode_node(&c, &back), n->name);
}

#endif
