/* One event of a watch: {"type": ..., "object": {...}}, or the same in protobuf. */
#ifndef WATCHER_API_EVENT_H
#define WATCHER_API_EVENT_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

#include "watcher/api_format.h"
#include "watcher/api_list.h"

enum api_event_type {
	EVENT_PUT, /* ADDED, MODIFIED */
	EVENT_DELETED,
	EVENT_BOOKMARK, /* nothing but a newer resourceVersion */
	EVENT_ERROR,
	EVENT_UNKNOWN, /* of a later server */
};

struct api_event {
	enum api_event_type type;
	json_t *root;				/* owns the object; json_decref() */
	const json_t *object;			/* with EVENT_PUT and EVENT_DELETED */
	char resource_version[API_VERSION_MAX]; /* "" with EVENT_ERROR */
	bool initial_end;			/* a bookmark: all that there was has been sent */
	long code;				/* of the Status with EVENT_ERROR, else 0 */
	char message[256];			/* the same */
};

/*
 * Parses the LEN BYTES of one event, whose object is of TYPE. NULL, or what is wrong with it (E
 * owns the text and no JSON then).
 */
const char *api_event_parse(struct api_event *e, enum api_format format,
    const ProtobufCMessageDescriptor *type, const char *bytes, size_t len);

/*
 * The message of a Status ({"kind": "Status", "message": ...}) in TEXT, an error response's body in
 * either format, into BUF of SIZE bytes; "" if it is no such thing.
 */
void api_status_message(const char *text, size_t len, char *buf, size_t size);

#endif
