/*
 * One page of a list, read while it arrives: each item is handed out and freed as soon as it is
 * whole, so memory holds one object and never a page, however long that is.
 */
#ifndef WATCHER_API_LIST_H
#define WATCHER_API_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "watcher/api_buffer.h"

#define API_VERSION_MAX 128 /* a resourceVersion and its NUL; etcd's have at most 20 digits */

typedef void (*api_item_fn)(void *arg, const json_t *item);

/* Zeroed, with FN, ARG set: before the page. Free with api_list_clear(). */
struct api_list {
	api_item_fn fn;
	void *arg;

	/* What the page said; complete once api_list_end() was content. */
	char resource_version[API_VERSION_MAX];
	char *continue_token; /* NULL: this is the last page */
	size_t items;	      /* handed to FN */
	size_t bad_items;     /* logged and left out: whole by their brackets, yet no JSON */

	/* Where the reader stands. */
	int state;
	bool in_string, escaped;
	unsigned depth; /* open brackets of the value being read */
	char key[16];	/* of the list's own member being read */
	size_t offset;	/* bytes taken, for messages */
	struct api_buffer value;
	char why[256];
};

/* Takes LEN bytes of the page. NULL, or what is wrong with it, where (L owns the text). */
const char *api_list_feed(struct api_list *l, const char *bytes, size_t len);
/* NULL if the page was whole and had a resourceVersion, else what was missing. */
const char *api_list_end(struct api_list *l);
void api_list_clear(struct api_list *l);

#endif
