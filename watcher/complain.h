/*
 * Log lines about single objects: as many as a person reads, however many objects are bad. A server
 * that lies without end fills no disk.
 */
#ifndef WATCHER_COMPLAIN_H
#define WATCHER_COMPLAIN_H

#include <stdint.h>

#define COMPLAIN_MAX	   500u /* lines in a minute */
#define COMPLAIN_WINDOW_MS 60000u

/* Zeroed: nothing was said. */
struct complain_limit {
	uint64_t since_ms;
	uint32_t said;	 /* since then */
	uint32_t unsaid; /* the same */
};

enum complain_verdict {
	COMPLAIN_SAY,
	COMPLAIN_LAST,	 /* and that the others of this minute are not said */
	COMPLAIN_SILENT, /* counted in unsaid */
};

/*
 * May one more line be logged at NOW_MS? *UNSAID is how many were not before it, if a new minute
 * begins, else 0. Pure.
 */
enum complain_verdict complain_ask(struct complain_limit *l, uint64_t now_ms, uint32_t *unsaid);

/* As log_error() and log_warn(), within the limit of the process. */
void complain_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void complain_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
