/*
 * What of this process's memory is held by whom (--profiling): a sample of its allocations with
 * their callers, one in HEAP_PERIOD bytes, in the form of gperftools' sampled heap profiles, which
 * pprof reads. heap.c takes malloc(3)'s place in the program that links it, in front of glibc's,
 * for all of its libraries; while it is off that costs a branch. It is in no archive, so that
 * the applier, and tests, go without.
 */
#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include <stddef.h>

#define HEAP_PERIOD 16384

/* Both are absent (NULL) where heap.c is not linked. */
#pragma weak heap_begin
#pragma weak heap_profile

/* From now on. After profile_prepare(). */
void heap_begin(void);
/* The profile as of now, of *LEN bytes; it stays until the next one. NULL without memory. */
const void *heap_profile(size_t *len);

#endif
