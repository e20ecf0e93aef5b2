/* A watch's body as lines: one JSON document each, cut anywhere by the network. */
#ifndef WATCHER_API_LINES_H
#define WATCHER_API_LINES_H

#include <stddef.h>

#include "watcher/api_buffer.h"

/* One line without its newline, never empty. NULL, or why to stop. */
typedef const char *(*api_line_fn)(void *arg, const char *line, size_t len);

/* Zeroed: nothing so far. Free with api_buffer_clear(&l->part). */
struct api_lines {
	struct api_buffer part; /* the beginning of a line whose end has not come */
};

/*
 * Takes LEN bytes and calls FN with each line they complete. NULL, or what FN returned (the rest is
 * then dropped), or that a line is beyond API_OBJECT_MAX.
 */
const char *api_lines_feed(
    struct api_lines *l, const char *bytes, size_t len, api_line_fn fn, void *arg);

#endif
