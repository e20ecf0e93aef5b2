/* A bound on what jansson allocates, for objects of the API: three bytes can ask for a hundred. */
#ifndef WATCHER_JSON_MEMORY_H
#define WATCHER_JSON_MEMORY_H

#include <stddef.h>

/*
 * All that is unpacked at a time. An object of API_OBJECT_MAX takes a sixth of it, if it is a slice
 * of a thousand endpoints, and the whole and more if it is a list of empty ones.
 */
#define JSON_MEMORY_MAX (64u * 1024 * 1024)

/* From now on jansson is "out of memory" beyond JSON_MEMORY_MAX. Before it has allocated anything.
 */
void json_memory_limit(void);
/* What is allocated now, in bytes. */
size_t json_memory_used(void);

#endif
