/* How alike two words are, for "did you mean". */
#ifndef COMMON_DISTANCE_H
#define COMMON_DISTANCE_H

#include <stddef.h>

#define DISTANCE_WORD_MAX 64 /* longer words are not compared */

/*
 * How many letters must be added, removed or changed to get from the LEN bytes at TEXT to NAME
 * (Levenshtein), upper and lower case being the same. More than MAX: MAX + 1; the work is bounded
 * by LEN times MAX.
 */
size_t distance(const char *name, const char *text, size_t len, size_t max);

#endif
