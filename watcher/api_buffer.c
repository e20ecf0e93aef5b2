#include "watcher/api_buffer.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_MAX (256u * 1024)

const char *api_buffer_add(struct api_buffer *b, const char *bytes, size_t len)
{
	if (len > API_OBJECT_MAX - b->len)
		return "an object is longer than 4 MiB; no genuine apiserver sends that";
	if (len > b->cap - b->len) {
		size_t cap = b->cap == 0 ? 16384 : b->cap;

		while (cap < b->len + len)
			cap *= 2;

		char *grown = realloc(b->bytes, cap);

		if (grown == NULL)
			return "out of memory";
		b->bytes = grown;
		b->cap = cap;
	}
	if (len > 0)
		memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	return NULL;
}

void api_buffer_reset(struct api_buffer *b)
{
	b->len = 0;
	if (b->cap > KEEP_MAX)
		api_buffer_clear(b);
}

void api_buffer_clear(struct api_buffer *b)
{
	free(b->bytes);
	*b = (struct api_buffer){0};
}
