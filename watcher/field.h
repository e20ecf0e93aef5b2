/*
 * Typed reading of an API object's fields. An absent field and an explicit null are the same, as
 * in the API. A field of the wrong type or out of its range is logged with the object's kind,
 * namespace/name and the field's path, and marks the reader bad.
 */
#ifndef WATCHER_FIELD_H
#define WATCHER_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fields {
	const char *kind;
	const char *namespace; /* "" for kinds without one */
	const char *name;
	bool bad; /* a field was; the caller clears it when it leaves out a part */
};

/* Logs "KIND NAMESPACE/NAME: ..." and marks F bad. */
void field_bad(struct fields *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same as a warning that spoils nothing. */
void field_warn(const struct fields *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The member KEY of OBJECT (may be NULL); PATH leads to OBJECT and is for the log line. */
const json_t *field_object(
    struct fields *f, const json_t *object, const char *path, const char *key);
const json_t *field_array(
    struct fields *f, const json_t *object, const char *path, const char *key);
/* Absent: "". */
const char *field_string(struct fields *f, const json_t *object, const char *path, const char *key);
bool field_bool(
    struct fields *f, const json_t *object, const char *path, const char *key, bool absent);
/* In LOW..HIGH, else bad. */
uint64_t field_number(struct fields *f, const json_t *object, const char *path, const char *key,
    uint64_t low, uint64_t high, uint64_t absent);

/* A DNS label (RFC 1123: a-z 0-9 -, ends alphanumeric, at most 63). */
bool is_dns_label(const char *text);
/* Labels with dots between, at most 253. */
bool is_dns_subdomain(const char *text);

#endif
