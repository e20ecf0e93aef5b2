#include "watcher/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

static size_t used;

static void *take(size_t size)
{
	void *p;

	if (size > JSON_MEMORY_MAX - used)
		return NULL;
	p = malloc(size);
	if (p == NULL)
		return NULL;
	used += malloc_usable_size(p);
	if (used <= JSON_MEMORY_MAX)
		return p;
	used -= malloc_usable_size(p);
	free(p);
	return NULL;
}

static void give_back(void *p)
{
	used -= malloc_usable_size(p);
	free(p);
}

void json_memory_limit(void)
{
	json_set_alloc_funcs(take, give_back);
}

size_t json_memory_used(void)
{
	return used;
}
