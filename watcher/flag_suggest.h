/* What somebody may have meant who gave a flag that does not exist. */
#ifndef WATCHER_FLAG_SUGGEST_H
#define WATCHER_FLAG_SUGGEST_H

#include <stddef.h>

#define FLAG_SUGGEST_MAX 256

/*
 * The flags that begin with the LEN bytes at TEXT, else the one that differs least, else those that
 * contain them as whole words: "did you mean --a or --b? ", or "" if none is like it. Flags without
 * effect are named only if no other is.
 */
const char *flag_suggest(const char *text, size_t len, char buf[FLAG_SUGGEST_MAX]);

#endif
