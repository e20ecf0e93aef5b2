#include "watcher/api_lines.h"

#include <string.h>

const char *api_lines_feed(
    struct api_lines *l, const char *bytes, size_t len, api_line_fn fn, void *arg)
{
	const char *end = bytes + len;
	const char *error;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));

		if (newline == NULL)
			return api_buffer_add(&l->part, bytes, (size_t)(end - bytes));

		const char *line = bytes;
		size_t n = (size_t)(newline - bytes);

		bytes = newline + 1;
		if (l->part.len > 0) {
			error = api_buffer_add(&l->part, line, n);
			if (error != NULL)
				return error;
			line = l->part.bytes;
			n = l->part.len;
		}
		error = n > 0 ? fn(arg, line, n) : NULL;
		api_buffer_reset(&l->part);
		if (error != NULL)
			return error;
	}
	return NULL;
}
