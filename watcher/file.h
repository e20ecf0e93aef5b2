/* Reading a whole file, bounded. */
#ifndef WATCHER_FILE_H
#define WATCHER_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads the regular file PATH of at most MAX bytes. The text with a NUL after it, to be freed, and
 * *LEN without that NUL; or NULL and *WHY in words (lives until the next call).
 */
char *file_read(const char *path, size_t max, size_t *len, const char **why);
/* Is PATH, or a directory above it, closed to our user (EACCES)? */
bool file_is_denied(const char *path);

#endif
