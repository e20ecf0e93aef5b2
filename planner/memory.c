#include "planner/memory.h"

#include <stdlib.h>

#include "common/log.h"

void *memory_new(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		fatal(EXIT_FAILED, "out of memory: %zu bytes more", size);
	return p;
}

void *memory_grow(void *p, size_t *room, size_t want, size_t size)
{
	size_t n = *room;

	if (want <= n)
		return p;
	n += n / 2 + 16;
	if (n < want)
		n = want;
	p = reallocarray(p, n, size);
	if (p == NULL)
		fatal(EXIT_FAILED, "out of memory: %zu elements of %zu bytes", n, size);
	*room = n;
	return p;
}
