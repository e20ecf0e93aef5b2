/* A growing buffer with a bound: one object of the API as it arrives in pieces. */
#ifndef WATCHER_API_BUFFER_H
#define WATCHER_API_BUFFER_H

#include <stddef.h>

/*
 * The longest object taken, in either encoding. etcd refuses requests above 1.5 MiB by default and
 * the apiserver bodies above 3 MiB, so nothing genuine is longer, not even as JSON; and what an
 * object of this length can grow to when it is unpacked is still little memory.
 */
#define API_OBJECT_MAX (4u * 1024 * 1024)

/* Zeroed: empty. */
struct api_buffer {
	char *bytes;
	size_t len;
	size_t cap;
};

/* Appends LEN bytes. NULL, or why not in words: beyond API_OBJECT_MAX, or no memory. */
const char *api_buffer_add(struct api_buffer *b, const char *bytes, size_t len);
/* Empties B; keeps its memory if that is little. */
void api_buffer_reset(struct api_buffer *b);
/* Frees what B holds. */
void api_buffer_clear(struct api_buffer *b);

#endif
