#include "watcher/field.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "watcher/complain.h"

static void subject(const struct fields *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s %.253s%s%.253s", f->kind, f->namespace,
	    f->namespace[0] != '\0' ? "/" : "", f->name[0] != '\0' ? f->name : "(without a name)");
}

void field_bad(struct fields *f, const char *fmt, ...)
{
	char who[600], text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	subject(f, who, sizeof(who));
	complain_error("%s: %s", who, text);
	f->bad = true;
}

void field_warn(const struct fields *f, const char *fmt, ...)
{
	char who[600], text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	subject(f, who, sizeof(who));
	complain_warn("%s: %s", who, text);
}

static const json_t *member(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_null(v) ? NULL : v;
}

static void wrong(struct fields *f, const char *path, const char *key, const char *must_be)
{
	field_bad(f, "%s%s%s: must be %s", path, path[0] != '\0' ? "." : "", key, must_be);
}

const json_t *field_object(
    struct fields *f, const json_t *object, const char *path, const char *key)
{
	const json_t *v = member(object, key);

	if (v == NULL || json_is_object(v))
		return v;
	wrong(f, path, key, "an object");
	return NULL;
}

const json_t *field_array(struct fields *f, const json_t *object, const char *path, const char *key)
{
	const json_t *v = member(object, key);

	if (v == NULL || json_is_array(v))
		return v;
	wrong(f, path, key, "a list");
	return NULL;
}

const char *field_string(struct fields *f, const json_t *object, const char *path, const char *key)
{
	const json_t *v = member(object, key);

	if (v == NULL)
		return "";
	if (json_is_string(v))
		return json_string_value(v);
	wrong(f, path, key, "a string; in YAML put it in quotes");
	return "";
}

bool field_bool(
    struct fields *f, const json_t *object, const char *path, const char *key, bool absent)
{
	const json_t *v = member(object, key);

	if (v == NULL)
		return absent;
	if (!json_is_boolean(v))
		wrong(f, path, key, "true or false");
	return json_is_true(v);
}

uint64_t field_number(struct fields *f, const json_t *object, const char *path, const char *key,
    uint64_t low, uint64_t high, uint64_t absent)
{
	const json_t *v = member(object, key);
	json_int_t n = json_integer_value(v);
	char must_be[80];

	if (v == NULL)
		return absent;
	if (json_is_integer(v) && n >= 0 && (uint64_t)n >= low && (uint64_t)n <= high)
		return (uint64_t)n;
	snprintf(must_be, sizeof(must_be), "a whole number from %ju to %ju", (uintmax_t)low,
	    (uintmax_t)high);
	wrong(f, path, key, must_be);
	return absent;
}

/* The length of the label that TEXT begins with, 0 if it begins with none. */
static size_t label_len(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && text[0] != '-' && text[len - 1] != '-' ? len : 0;
}

bool is_dns_label(const char *text)
{
	size_t len = label_len(text);

	return len > 0 && len <= 63 && text[len] == '\0';
}

bool is_dns_subdomain(const char *text)
{
	if (strlen(text) > 253)
		return false;
	for (;;) {
		/* Only the whole is limited: the API's subdomains have labels of any length. */
		size_t len = label_len(text);

		if (len == 0)
			return false;
		if (text[len] == '\0')
			return true;
		if (text[len] != '.')
			return false;
		text += len + 1;
	}
}
