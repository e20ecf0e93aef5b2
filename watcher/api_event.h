/* One event of a watch: {"type": ..., "object": {...}}. */
#ifndef WATCHER_API_EVENT_H
#define WATCHER_API_EVENT_H

#include <jansson.h>
#include <stddef.h>

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
	json_t *root;				/* owns everything; json_decref() */
	const json_t *object;			/* a Status with EVENT_ERROR */
	char resource_version[API_VERSION_MAX]; /* "" with EVENT_ERROR */
	long code;				/* of the Status with EVENT_ERROR, else 0 */
	char message[256];			/* the same */
};

/* Parses LINE. NULL, or what is wrong with it (E owns the text and no JSON then). */
const char *api_event_parse(struct api_event *e, const char *line, size_t len);

/*
 * The message of a Status ({"kind": "Status", "message": ...}) in TEXT, an error response's body,
 * into BUF of SIZE bytes; "" if it is no such thing.
 */
void api_status_message(const char *text, size_t len, char *buf, size_t size);

#endif
