/*
 * Memory, or the end of the process: without it the planner can decide nothing, and its parent
 * leaves every rule in place and has the whole daemon restarted.
 */
#ifndef PLANNER_MEMORY_H
#define PLANNER_MEMORY_H

#include <stddef.h>

/* SIZE zeroed bytes; the caller frees them. */
void *memory_new(size_t size);

/*
 * Room for at least WANT elements of SIZE bytes in *P, which has room for *ROOM of them; grows by
 * half, so that appending one by one stays linear. Updates *ROOM; returns the new P.
 */
void *memory_grow(void *p, size_t *room, size_t want, size_t size);

#endif
