#include "watcher/yaml_compose.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "watcher/yaml_anchor.h"
#include "watcher/yaml_scalar.h"

struct composer {
	yaml_parser_t parser;
	struct yaml *y;
	struct yaml_error *err;
	const struct yaml_twice *twice;
	struct anchors anchors; /* of the current document */
	size_t values, aliased;
};

static json_t *compose(struct composer *c, yaml_event_t *ev, unsigned depth);

__attribute__((format(printf, 3, 4))) static int fail(
    struct composer *c, size_t line, const char *fmt, ...)
{
	va_list ap;

	c->err->line = (unsigned)line;
	va_start(ap, fmt);
	vsnprintf(c->err->text, sizeof(c->err->text), fmt, ap);
	va_end(ap);
	return -1;
}

static unsigned line_of(const yaml_event_t *ev)
{
	return (unsigned)ev->start_mark.line + 1;
}

/* The line of the reader's errors, for which libyaml gives only an offset. */
static size_t line_at(const char *text, size_t len, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset && i < len; i++)
		if (text[i] == '\n')
			line++;
	return line;
}

static int next_event(struct composer *c, yaml_event_t *ev)
{
	const yaml_parser_t *p = &c->parser;

	if (yaml_parser_parse(&c->parser, ev))
		return 0;
	if (p->error == YAML_READER_ERROR)
		return fail(c,
		    line_at((const char *)p->input.string.start,
			(size_t)(p->input.string.end - p->input.string.start), p->problem_offset),
		    "%s", p->problem);
	return fail(c, p->problem_mark.line + 1, "%s%s%s", p->context != NULL ? p->context : "",
	    p->context != NULL ? ": " : "", p->problem != NULL ? p->problem : "not enough memory");
}

/* jansson has one true, one false and one null for all places. */
static bool is_shared(const json_t *value)
{
	return json_is_boolean(value) || json_is_null(value);
}

static int remember_line(struct composer *c, const void *value, unsigned line)
{
	struct yaml_line *lines;

	lines = yaml_grow(c->y->lines, c->y->line_count, sizeof(*lines));
	if (lines == NULL)
		return fail(c, line, "not enough memory");
	c->y->lines = lines;
	lines[c->y->line_count++] = (struct yaml_line){.value = value, .line = line};
	return 0;
}

static json_t *alias_value(struct composer *c, const yaml_event_t *ev)
{
	const char *name = (const char *)ev->data.alias.anchor;
	const struct anchor *a = anchors_find(&c->anchors, name);

	if (a == NULL) {
		fail(c, line_of(ev), "the alias *%s has no anchor before it", name);
		return NULL;
	}
	if (a->value == NULL) {
		fail(c, line_of(ev), "the alias *%s stands inside its own anchor", name);
		return NULL;
	}
	c->values += a->values;
	c->aliased += a->values;
	if (c->aliased > YAML_ALIASED_MAX) {
		fail(c, line_of(ev), "aliases stand for more than %d values", YAML_ALIASED_MAX);
		return NULL;
	}
	return json_incref(a->value);
}

static json_t *scalar_value(struct composer *c, const yaml_event_t *ev)
{
	const char *why;
	json_t *v = yaml_scalar((const char *)ev->data.scalar.value, ev->data.scalar.length,
	    (const char *)ev->data.scalar.tag, ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE,
	    &why);

	if (v == NULL)
		fail(c, line_of(ev), "%s", why);
	return v;
}

/* Writes a key's text, the value KEY as JSON would print it, into BUF or points into KEY. */
static const char *key_text(const json_t *key, char *buf, size_t size)
{
	switch (json_typeof(key)) {
	case JSON_STRING:
		return json_string_value(key);
	case JSON_INTEGER:
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
		return buf;
	case JSON_REAL:
		snprintf(buf, size, "%.17g", json_real_value(key));
		return buf;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	default:
		return NULL;
	}
}

/* Adds to OBJECT what MERGED (a mapping, or a sequence of them) has and OBJECT has not. */
static int merge(struct composer *c, json_t *object, json_t *merged, size_t line)
{
	size_t i;
	json_t *one;

	if (json_is_object(merged)) {
		c->aliased += json_object_size(merged);
		if (c->aliased > YAML_ALIASED_MAX)
			return fail(
			    c, line, "merge keys stand for more than %d values", YAML_ALIASED_MAX);
		return json_object_update_missing(object, merged) == 0
			   ? 0
			   : fail(c, line, "not enough memory");
	}
	if (!json_is_array(merged))
		return fail(c, line, "a merge key's value must be a mapping or a list of them");
	json_array_foreach (merged, i, one) {
		if (!json_is_object(one))
			return fail(c, line, "a merge key's list must hold mappings only");
		if (merge(c, object, one, line) != 0)
			return -1;
	}
	return 0;
}

static bool is_merge_key(const yaml_event_t *ev)
{
	return ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && ev->data.scalar.length == 2 &&
	       memcmp(ev->data.scalar.value, "<<", 2) == 0;
}

static json_t *compose_next(struct composer *c, unsigned depth)
{
	yaml_event_t ev;

	return next_event(c, &ev) == 0 ? compose(c, &ev, depth) : NULL;
}

/* VALUE gives its place to a later one. */
static int replace(struct composer *c, json_t *value, const char *key, unsigned line)
{
	if (c->y->replaced == NULL)
		c->y->replaced = json_array();
	if (json_array_append(c->y->replaced, value) != 0)
		return fail(c, line, "not enough memory");
	c->twice->tell(c->twice->arg, line, key);
	return 0;
}

/* Sets OBJECT's member to VALUE, which it takes. A shared value's line is kept under its key. */
static int set_member(
    struct composer *c, json_t *object, const char *key, json_t *value, unsigned line)
{
	json_t *before = json_object_get(object, key);
	bool shared = is_shared(value);

	if (before != NULL && replace(c, before, key, line) != 0) {
		json_decref(value);
		return -1;
	}
	if (json_object_set_new(object, key, value) != 0)
		return fail(c, line, "not enough memory");
	if (!shared)
		return 0;
	return remember_line(c, json_object_iter_key(json_object_iter_at(object, key)), line);
}

/* One key and its value. Merge keys are collected: the mapping's own keys win wherever they stand.
 */
static int compose_member(
    struct composer *c, json_t *object, json_t *merges, const yaml_event_t *key_ev, unsigned depth)
{
	char buf[32];
	const char *key;
	json_t *key_value, *value;
	int r;

	if (key_ev->type != YAML_SCALAR_EVENT)
		return fail(c, line_of(key_ev), "a key must be a scalar");
	if (is_merge_key(key_ev)) {
		value = compose_next(c, depth);
		return value == NULL ? -1 : json_array_append_new(merges, value);
	}
	key_value = scalar_value(c, key_ev);
	if (key_value == NULL)
		return -1;
	key = key_text(key_value, buf, sizeof(buf));
	if (key == NULL)
		r = fail(c, line_of(key_ev), "a key must not be empty or null");
	else if (json_object_get(object, key) != NULL && c->twice == NULL)
		r = fail(c, line_of(key_ev), "duplicate key \"%s\"", key);
	else if ((value = compose_next(c, depth)) == NULL)
		r = -1;
	else
		r = set_member(c, object, key, value, line_of(key_ev));
	json_decref(key_value);
	return r;
}

static int compose_mapping(struct composer *c, json_t *object, size_t line, unsigned depth)
{
	json_t *merges = json_array(), *one;
	yaml_event_t ev;
	size_t i;
	int r = 0;

	if (merges == NULL)
		return fail(c, line, "not enough memory");
	while (r == 0 && (r = next_event(c, &ev)) == 0) {
		bool end = ev.type == YAML_MAPPING_END_EVENT;

		if (!end)
			r = compose_member(c, object, merges, &ev, depth);
		yaml_event_delete(&ev);
		if (end)
			break;
	}
	json_array_foreach (merges, i, one) {
		if (r == 0)
			r = merge(c, object, one, line);
	}
	json_decref(merges);
	return r;
}

static int compose_sequence(struct composer *c, json_t *array, unsigned depth)
{
	for (;;) {
		yaml_event_t ev;
		json_t *value;

		if (next_event(c, &ev) != 0)
			return -1;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		value = compose(c, &ev, depth);
		if (value == NULL)
			return -1;
		if (json_array_append_new(array, value) != 0)
			return fail(c, 0, "not enough memory");
	}
}

static json_t *compose_collection(struct composer *c, const yaml_event_t *ev, unsigned depth)
{
	bool mapping = ev->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag = mapping ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
	const char *expected = mapping ? YAML_MAP_TAG : YAML_SEQ_TAG;
	json_t *value;
	int r;

	if (depth >= YAML_DEPTH_MAX) {
		fail(c, line_of(ev), "nested more than %d deep", YAML_DEPTH_MAX);
		return NULL;
	}
	if (tag != NULL && strcmp((const char *)tag, "!") != 0 &&
	    strcmp((const char *)tag, expected) != 0) {
		fail(c, line_of(ev), "the tag %s cannot be used here", (const char *)tag);
		return NULL;
	}
	value = mapping ? json_object() : json_array();
	if (value == NULL) {
		fail(c, line_of(ev), "not enough memory");
		return NULL;
	}
	r = mapping ? compose_mapping(c, value, line_of(ev), depth + 1)
		    : compose_sequence(c, value, depth + 1);
	if (r == 0)
		return value;
	json_decref(value);
	return NULL;
}

static const char *anchor_of(const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)ev->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)ev->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)ev->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* The value that begins with EV, which it deletes. A new reference, or NULL with the error set. */
static json_t *compose(struct composer *c, yaml_event_t *ev, unsigned depth)
{
	const char *name = anchor_of(ev);
	size_t before = c->values++;
	unsigned line = line_of(ev);
	json_t *value = NULL;
	ssize_t anchor = name != NULL ? anchors_open(&c->anchors, name) : 0;

	if (anchor < 0)
		fail(c, 0, "not enough memory");
	else if (ev->type == YAML_ALIAS_EVENT)
		value = alias_value(c, ev);
	else if (ev->type == YAML_SCALAR_EVENT)
		value = scalar_value(c, ev);
	else
		value = compose_collection(c, ev, depth);
	if (value != NULL && ev->type != YAML_ALIAS_EVENT && !is_shared(value) &&
	    remember_line(c, value, line) != 0) {
		json_decref(value);
		value = NULL;
	}
	if (value != NULL && name != NULL) {
		c->anchors.list[anchor].value = json_incref(value);
		c->anchors.list[anchor].values = c->values - before;
	}
	yaml_event_delete(ev);
	return value;
}

static int compose_document(struct composer *c)
{
	yaml_event_t ev;
	json_t *value;
	bool empty;

	if (next_event(c, &ev) != 0)
		return -1;
	empty = ev.type == YAML_SCALAR_EVENT && ev.data.scalar.length == 0 &&
		ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	value = compose(c, &ev, 0);
	anchors_clear(&c->anchors);
	if (value == NULL)
		return -1;
	if (empty) {
		json_decref(value);
		return 0;
	}
	if (yaml_add_document(c->y, value) != 0)
		return fail(c, 0, "not enough memory");
	return 0;
}

static int compose_stream(struct composer *c)
{
	for (;;) {
		yaml_event_t ev;
		yaml_event_type_t type;

		if (next_event(c, &ev) != 0)
			return -1;
		type = ev.type;
		yaml_event_delete(&ev);
		if (type == YAML_STREAM_END_EVENT)
			return 0;
		if (type == YAML_DOCUMENT_START_EVENT && compose_document(c) != 0)
			return -1;
	}
}

int yaml_compose(struct yaml *y, const char *text, size_t len, struct yaml_error *err,
    const struct yaml_twice *twice)
{
	struct composer c = {.y = y, .err = err, .twice = twice};
	int r;

	if (!yaml_parser_initialize(&c.parser))
		return fail(&c, 0, "not enough memory");
	yaml_parser_set_input_string(&c.parser, (const unsigned char *)text, len);
	r = compose_stream(&c);
	yaml_parser_delete(&c.parser);
	anchors_clear(&c.anchors);
	return r;
}
