/*
 * One page of a list, read while it arrives: each item is handed out and freed as soon as it is
 * whole, so memory holds one object and never a page, however long that is.
 */
#ifndef WATCHER_API_LIST_H
#define WATCHER_API_LIST_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watcher/api_buffer.h"
#include "watcher/api_format.h"

#define API_VERSION_MAX 128 /* a resourceVersion and its NUL; etcd's have at most 20 digits */

typedef void (*api_item_fn)(void *arg, const json_t *item);

/* Where a reader of JSON stands. */
struct api_list_json {
	int state;
	bool in_string, escaped;
	unsigned depth; /* open brackets of the value being read */
	char key[16];	/* of the list's own member being read */
};

/* Where a reader of protobuf stands. */
struct api_list_proto {
	int state;
	unsigned magic; /* bytes of it seen */
	unsigned shift; /* of the number being read */
	uint64_t number;
	uint32_t field;
	uint8_t wire_type;
	bool had_list, in_list;
	uint64_t list_left;  /* bytes of the list in its envelope, if in it */
	uint64_t value_left; /* bytes of the value being read */
};

/* Zeroed, with format, TYPE, FN and ARG set: before the page. Free with api_list_clear(). */
struct api_list {
	enum api_format format;
	const ProtobufCMessageDescriptor *type; /* of the items */
	api_item_fn fn;
	void *arg;

	/* What the page said; complete once api_list_end() was content. */
	char resource_version[API_VERSION_MAX];
	char *continue_token; /* NULL: this is the last page */
	size_t items;	      /* handed to FN */
	size_t bad_items;     /* logged and left out: whole by their brackets or length, yet none */

	union {
		struct api_list_json json;
		struct api_list_proto proto;
	};
	size_t offset; /* bytes taken, for messages */
	struct api_buffer value;
	char why[256];
};

/* Takes LEN bytes of the page. NULL, or what is wrong with it, where (L owns the text). */
const char *api_list_feed(struct api_list *l, const char *bytes, size_t len);
/* NULL if the page was whole and had a resourceVersion, else what was missing. */
const char *api_list_end(struct api_list *l);
void api_list_clear(struct api_list *l);

/* Private to the two readers: what is wrong, formatted into L. */
const char *api_list_wrong(struct api_list *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The list's metadata has come. NULL, or what is wrong with it. */
const char *api_list_metadata(struct api_list *l, const char *version, const char *token);
const char *api_list_json_feed(struct api_list *l, const char *bytes, size_t len);
const char *api_list_proto_feed(struct api_list *l, const char *bytes, size_t len);
/* Is the page whole? */
bool api_list_json_whole(const struct api_list *l);
bool api_list_proto_whole(const struct api_list *l);

#endif
