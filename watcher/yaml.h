/*
 * YAML (and so JSON) text to jansson values, typed as kubectl sees it: YAML 1.1's core types with
 * the integers, booleans and merge keys of sigs.k8s.io/yaml. Remembers where each value began.
 *
 * Safe on hostile text: nesting and the values that aliases stand for are bounded, an alias shares
 * its anchor's value instead of copying it, and can never contain itself.
 */
#ifndef WATCHER_YAML_H
#define WATCHER_YAML_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define YAML_DEPTH_MAX	 64
#define YAML_ALIASED_MAX 100000 /* values that all aliases of one text stand for */

struct yaml_line {
	const void *value; /* a json_t; for true, false and null, which jansson shares, their key */
	unsigned line;
};

/* The documents of one text. Owns them. */
struct yaml {
	json_t **documents; /* empty documents (only comments) are left out */
	size_t count;
	struct yaml_line *lines;
	size_t line_count;
	bool lines_sorted; /* by value; done when the first is asked for */
	json_t *replaced;  /* by a later key of the same name; kept, as LINES has their addresses */
};

struct yaml_error {
	unsigned line; /* from 1; 0: the text as a whole */
	char text[200];
};

/*
 * Parses LEN bytes of TEXT into *Y (zeroed first; yaml_clear() in any case). 0, or -1 with *ERR:
 * nothing of the text is to be used then. Duplicate keys, NUL characters, numbers that JSON cannot
 * hold, unknown tags and keys that are no scalars are errors.
 */
int yaml_parse(struct yaml *y, const char *text, size_t len, struct yaml_error *err);
void yaml_clear(struct yaml *y);

/*
 * The same, but a key that stands twice is no error: the last one counts, and TWICE is told of
 * each.
 */
int yaml_parse_lenient(struct yaml *y, const char *text, size_t len, struct yaml_error *err,
    void (*twice)(void *arg, unsigned line, const char *key), void *arg);

/*
 * The line at which VALUE began; 0 if it is not known: true, false and null (which jansson shares
 * between all their places), and text that was read as JSON after failing as YAML.
 */
unsigned yaml_line(struct yaml *y, const json_t *value);
/* The line of OBJECT's member KEY, whatever its value; 0 if it is not known or not there. */
unsigned yaml_member_line(struct yaml *y, json_t *object, const char *key);

#endif
