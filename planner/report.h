/*
 * An answer for people or for programs: the same fields as indented text or as JSON. Written to
 * memory and taken from there a part at a time, so that a long one never exists as a whole.
 */
#ifndef PLANNER_REPORT_H
#define PLANNER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_DEPTH_MAX 8

struct report {
	bool json;
	unsigned depth;
	struct report_level {
		bool list;	  /* its members have no keys */
		bool line;	  /* text: all of it on one line */
		unsigned members; /* so far */
	} levels[REPORT_DEPTH_MAX];
	char *text;
	size_t len, room;
};

/* Begins the outermost object. R is zeroed, or was reset. */
void report_begin(struct report *r, bool json);
/* Ends what is open. */
void report_finish(struct report *r);
/* Frees what R holds; it is zeroed then. */
void report_clear(struct report *r);

/*
 * Members of what is open: with a KEY in an object, NULL in a list. An object, which text gives a
 * line for each member, or (LINE) one for all; a list. What is opened is closed by report_close().
 */
void report_object(struct report *r, const char *key);
void report_line(struct report *r, const char *key);
void report_list(struct report *r, const char *key);
void report_close(struct report *r);
void report_str(struct report *r, const char *key, const char *value);
void report_uint(struct report *r, const char *key, uint64_t value);
/* With two decimals. */
void report_percent(struct report *r, const char *key, double value);
void report_bool(struct report *r, const char *key, bool value);
/* A string made by FORMAT: of 1,023 bytes at most, the rest is cut off. */
void report_printf(struct report *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes the first LEN bytes (at most R->len) off what is written. */
void report_take(struct report *r, size_t len);

#endif
