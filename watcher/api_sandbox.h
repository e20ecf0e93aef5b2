/*
 * What the API client needs of the kernel, for the walls of the watcher: libcurl, OpenSSL, libc's
 * resolver in a thread of its own. Raise them between api_source_start(), which lets OpenSSL load
 * the providers its configuration names, and the event loop, before which nothing is sent.
 */
#ifndef WATCHER_API_SANDBOX_H
#define WATCHER_API_SANDBOX_H

#include <stddef.h>

#include "common/sandbox.h"

extern const struct sandbox_rule api_syscalls[];
extern const size_t api_syscall_count;

/*
 * Paths the client reads besides those the kubeconfig names: the resolver's files, OpenSSL's
 * configuration, the system's authorities. Directories, as their files are replaced by renaming.
 * Ends with NULL.
 */
extern const char *const api_read_paths[];

#endif
