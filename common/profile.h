/*
 * Where this process spends its processor time (--profiling): program counters with their callers,
 * a hundred times a second of time used, in the form of gperftools' CPU profiles, which pprof
 * reads. Nothing is written to a file: the bytes are for a client of the listener.
 */
#ifndef COMMON_PROFILE_H
#define COMMON_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#define PROFILE_SECONDS_MAX 25

/* Before the walls go up, and only with --profiling: allows the one system call that it takes. */
void profile_prepare(void);

/* The table of what is mapped where, with which pprof makes functions of addresses, into BUF.
 * Returns its length, SIZE at most. */
size_t profile_maps(char *buf, size_t size);

/* Begins. False if one is running, or there is no memory. */
bool profile_begin(void);
/* Ends it; the profile, of *LEN bytes, stays until the next one begins. */
const void *profile_end(size_t *len);

#endif
