#include "watcher/proto_json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "watcher/kube.pb-c.h"

/* --- memory: handed out from the front of blocks, and given back all at once --- */

#define BLOCK_SIZE (64u * 1024)

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

static struct {
	struct block *blocks; /* the newest first */
	size_t total;	      /* of their sizes */
} memory;

static void *take(void *data, size_t size)
{
	struct block *b = memory.blocks;
	size_t want = BLOCK_SIZE;

	(void)data;
	if (size > PROTO_MEMORY_MAX)
		return NULL;
	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (b == NULL || b->size - b->used < size) {
		if (want < size)
			want = size;
		if (want > PROTO_MEMORY_MAX - memory.total)
			return NULL;
		b = malloc(sizeof(*b) + want);
		if (b == NULL)
			return NULL;
		*b = (struct block){.next = memory.blocks, .size = want};
		memory.blocks = b;
		memory.total += want;
	}
	b->used += size;
	return b->bytes + b->used - size;
}

static void give_back(void *data, void *pointer)
{
	(void)data, (void)pointer;
}

static ProtobufCAllocator allocator = {.alloc = take, .free = give_back};

void proto_release(void)
{
	/* One block of the usual size stays: most objects fit it. */
	while (memory.blocks != NULL &&
	       (memory.blocks->next != NULL || memory.blocks->size > BLOCK_SIZE)) {
		struct block *b = memory.blocks;

		memory.blocks = b->next;
		memory.total -= b->size;
		free(b);
	}
	if (memory.blocks != NULL)
		memory.blocks->used = 0;
}

const void *proto_unpack(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len)
{
	return protobuf_c_message_unpack(type, &allocator, len, bytes);
}

/* --- to JSON --- */

static const char *message_json(json_t **out, const ProtobufCMessage *m);

static const char *time_json(json_t **out, const ProtobufCMessage *m)
{
	const Kube__Time *t = (const void *)m;
	time_t seconds = (time_t)t->seconds;
	char text[64];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return "a time beyond the calendar";
	*out = json_string(text);
	return *out != NULL ? NULL : "out of memory";
}

/* The value at AT of the field F: of one element, if that is repeated. */
static const char *value_json(json_t **out, const ProtobufCFieldDescriptor *f, const char *at)
{
	const char *text;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		text = *(const char *const *)(const void *)at;
		*out = json_string(text);
		if (*out == NULL)
			return "a string that is not UTF-8";
		return NULL;
	case PROTOBUF_C_TYPE_BOOL:
		*out = json_boolean(*(const protobuf_c_boolean *)(const void *)at);
		return NULL;
	case PROTOBUF_C_TYPE_INT32:
		*out = json_integer(*(const int32_t *)(const void *)at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		return message_json(out, *(const ProtobufCMessage *const *)(const void *)at);
	default: /* kube.proto has no other within objects */
		return "a field of a type that is not read";
	}
	return *out != NULL ? NULL : "out of memory";
}

static size_t element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT32:
		return sizeof(int32_t);
	default:
		return sizeof(void *);
	}
}

/* What is no UTF-8 makes the object a bad one; but for annotations, of which one is read. */
static const char *map_json(
    json_t **out, const ProtobufCFieldDescriptor *f, const char *elements, size_t n)
{
	bool all = strcmp(f->name, "annotations") != 0;

	*out = json_object();
	for (size_t i = 0; i < n; i++) {
		const Kube__MapEntry *e =
		    ((const Kube__MapEntry *const *)(const void *)elements)[i];
		const char *value = e->value != NULL ? e->value : "";

		/* A key without a value, or either as it may be absent, is the empty string. */
		if (json_object_set_new(*out, e->key != NULL ? e->key : "", json_string(value)) !=
			0 &&
		    all)
			return "a map whose strings are not UTF-8";
	}
	return NULL;
}

static const char *repeated_json(
    json_t **out, const ProtobufCFieldDescriptor *f, const char *elements, size_t n)
{
	size_t size = element_size(f);

	if (n > PROTO_REPEATED_MAX)
		return "a list of more than 16384 entries";
	if (f->descriptor == &kube__map_entry__descriptor)
		return map_json(out, f, elements, n);
	*out = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *one = NULL;
		const char *why = value_json(&one, f, elements + i * size);

		if (json_array_append_new(*out, one) != 0 && why == NULL)
			why = "out of memory";
		if (why != NULL)
			return why;
	}
	return NULL;
}

/* Is F, a field of M that is not repeated, there? */
static bool is_there(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m;

	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const void *const *)(const void *)(base + f->offset) != NULL;
	return *(const protobuf_c_boolean *)(const void *)(base + f->quantifier_offset) != 0;
}

static const char *field_json(
    json_t *object, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const char *base = (const char *)m, *why;
	json_t *value = NULL;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);

		if (n == 0)
			return NULL;
		why = repeated_json(
		    &value, f, *(const char *const *)(const void *)(base + f->offset), n);
	} else if (is_there(m, f)) {
		why = value_json(&value, f, base + f->offset);
	} else {
		return NULL;
	}
	if (json_object_set_new(object, f->name, value) != 0 && why == NULL)
		why = "out of memory";
	return why;
}

static const char *message_json(json_t **out, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d = m->descriptor;
	const char *why = NULL;

	if (d == &kube__time__descriptor)
		return time_json(out, m);
	*out = json_object();
	if (*out == NULL)
		return "out of memory";
	for (unsigned i = 0; i < d->n_fields && why == NULL; i++)
		why = field_json(*out, m, &d->fields[i]);
	return why;
}

const char *proto_to_json(
    json_t **out, const ProtobufCMessageDescriptor *type, const void *bytes, size_t len)
{
	const ProtobufCMessage *m = proto_unpack(type, bytes, len);
	const char *why;

	*out = NULL;
	if (m == NULL)
		return "not of the object's fields, or too much memory for them";
	why = message_json(out, m);
	if (why != NULL) {
		json_decref(*out);
		*out = NULL;
	}
	return why;
}
