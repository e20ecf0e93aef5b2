#include "planner/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static void put(struct report *r, const char *text, size_t len)
{
	r->text = memory_grow(r->text, &r->room, r->len + len, 1);
	memcpy(r->text + r->len, text, len);
	r->len += len;
}

static void put_text(struct report *r, const char *text)
{
	put(r, text, strlen(text));
}

/* --- JSON (RFC 8259) --- */

static void put_quoted(struct report *r, const char *s)
{
	char escaped[8];

	put_text(r, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\') {
			put(r, (const char[]){'\\', *s}, 2);
		} else if ((unsigned char)*s < 0x20) {
			snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)*s);
			put_text(r, escaped);
		} else {
			put(r, s, 1);
		}
	}
	put_text(r, "\"");
}

/* --- members --- */

static struct report_level *level(struct report *r)
{
	return &r->levels[r->depth - 1];
}

static bool on_a_line(const struct report *r)
{
	for (unsigned i = 0; i < r->depth; i++)
		if (r->levels[i].line)
			return true;
	return false;
}

/* The first member of an object that is an element of a list stands behind its dash. */
static bool behind_dash(const struct report *r)
{
	return r->depth > 1 && !r->levels[r->depth - 1].list && r->levels[r->depth - 2].list &&
	       r->levels[r->depth - 1].members == 0;
}

/* Ends the line above and indents, up to where a member of the innermost level begins. */
static void new_line(struct report *r)
{
	if (behind_dash(r))
		return;
	if (r->len > 0 || level(r)->members > 0 || r->depth > 1)
		put_text(r, "\n");
	for (unsigned i = 1; i < r->depth; i++)
		put_text(r, "  ");
}

static void begin_text(struct report *r, const char *key)
{
	if (on_a_line(r)) {
		if (level(r)->members > 0)
			put_text(r, level(r)->list ? ", " : "  ");
	} else {
		new_line(r);
	}
	if (level(r)->list && !on_a_line(r))
		put_text(r, "- ");
	if (key != NULL) {
		put_text(r, key);
		put_text(r, ":");
	}
}

static void begin_member(struct report *r, const char *key)
{
	if (!r->json) {
		begin_text(r, key);
	} else {
		if (level(r)->members > 0)
			put_text(r, ",");
		if (key != NULL) {
			put_quoted(r, key);
			put_text(r, ":");
		}
	}
	level(r)->members++;
}

static void value(struct report *r, const char *key, const char *text)
{
	begin_member(r, key);
	if (!r->json && key != NULL)
		put_text(r, " ");
	put_text(r, text);
}

static void open_level(struct report *r, const char *key, bool list, bool line)
{
	if (r->depth > 0)
		begin_member(r, key);
	if (r->depth == REPORT_DEPTH_MAX)
		abort(); /* a report's shape is the code's, not the data's */
	if (r->json)
		put_text(r, list ? "[" : "{");
	else if (key != NULL && (line || on_a_line(r)))
		put_text(r, " ");
	r->levels[r->depth++] = (struct report_level){.list = list, .line = line};
}

void report_begin(struct report *r, bool json)
{
	r->json = json;
	r->depth = 0;
	r->len = 0;
	open_level(r, NULL, false, false);
}

void report_object(struct report *r, const char *key)
{
	open_level(r, key, false, false);
}

void report_line(struct report *r, const char *key)
{
	open_level(r, key, false, true);
}

void report_list(struct report *r, const char *key)
{
	open_level(r, key, true, false);
}

void report_close(struct report *r)
{
	const struct report_level *l = level(r);

	if (r->json)
		put_text(r, l->list ? "]" : "}");
	else if (l->list && l->members == 0)
		put_text(r, " none");
	r->depth--;
}

void report_finish(struct report *r)
{
	while (r->depth > 0)
		report_close(r);
	put_text(r, "\n");
}

void report_clear(struct report *r)
{
	free(r->text);
	memset(r, 0, sizeof(*r));
}

void report_str(struct report *r, const char *key, const char *v)
{
	if (!r->json) {
		value(r, key, v);
		return;
	}
	begin_member(r, key);
	put_quoted(r, v);
}

void report_uint(struct report *r, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	value(r, key, text);
}

void report_percent(struct report *r, const char *key, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.2f", v);
	value(r, key, text);
}

void report_bool(struct report *r, const char *key, bool v)
{
	const char *no = r->json ? "false" : "no";

	value(r, key, v ? r->json ? "true" : "yes" : no);
}

void report_printf(struct report *r, const char *key, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	report_str(r, key, text);
}

void report_take(struct report *r, size_t len)
{
	r->len -= len;
	memmove(r->text, r->text + len, r->len);
}
