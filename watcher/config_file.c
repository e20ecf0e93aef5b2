#include "watcher/config_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/distance.h"
#include "common/log.h"
#include "common/siphash.h"
#include "watcher/file.h"
#include "watcher/yaml.h"

#define API_GROUP      "kubeproxy.config.k8s.io/"
#define PATH_MAX_FIELD 128 /* bytes of a field's path; the longest that exists has 40 */

struct reader {
	struct settings *s;
	struct yaml y;
	const char *path;
	bool warn, bad;
};

/* "FILE:LINE: ", or "FILE: " if the line is not known. */
static const char *where(const struct reader *r, unsigned line)
{
	static char text[CONFIG_PATH_MAX + 16];

	if (line == 0)
		snprintf(text, sizeof(text), "%s: ", r->path);
	else
		snprintf(text, sizeof(text), "%s:%u: ", r->path, line);
	return text;
}

__attribute__((format(printf, 3, 4))) static void wrong(
    struct reader *r, unsigned line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s%s", where(r, line), text);
	r->bad = true;
}

/* VALUE as JSON shows that "14" is a text and 14 is none. */
static void wrong_type(
    struct reader *r, unsigned line, const char *field, const json_t *value, const char *expected)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	wrong(r, line, "%s %.80s: expected %s", field, text != NULL ? text : "", expected);
	free(text);
}

/* --- values --- */

/* What a value of the wrong type should have been. */
static const char *type_expected(const struct setting *row)
{
	switch (row->kind) {
	case SETTING_SWITCH:
		return "true or false";
	case SETTING_NUMBER:
		return "a whole number, without quotes";
	case SETTING_MILLI:
		return "a number, without quotes";
	case SETTING_DURATION:
	case SETTING_SECONDS:
		return "a duration such as \"30s\" or \"1h2m\"";
	case SETTING_PREFIXES:
		return row->marks & WHOLE ? "a text" : "a list of texts";
	case SETTING_GATES:
		return "a map of names to true or false";
	case SETTING_VMODULE:
		return "a list of filePattern and verbosity";
	default:
		return "a text";
	}
}

/* A scalar as a flag would have it; NULL if it is of another type than ROW's. */
static const char *scalar_text(
    const struct setting *row, const json_t *value, char buf[SETTING_TEXT_MAX])
{
	switch (row->kind) {
	case SETTING_SWITCH:
		return !json_is_boolean(value) ? NULL : json_is_true(value) ? "true" : "false";
	case SETTING_MILLI:
		if (json_is_real(value)) {
			snprintf(buf, SETTING_TEXT_MAX, "%.9g", json_real_value(value));
			return buf;
		}
		/* fall through */
	case SETTING_NUMBER:
		if (!json_is_integer(value))
			return NULL;
		snprintf(buf, SETTING_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return buf;
	case SETTING_DURATION:
		/* logging.flushFrequency, of all durations, may be a number of nanoseconds. */
		if (row->marks & NANOSECONDS && json_is_integer(value)) {
			snprintf(buf, SETTING_TEXT_MAX, "%" JSON_INTEGER_FORMAT "ns",
			    json_integer_value(value));
			return buf;
		}
		return json_string_value(value);
	case SETTING_GATES:
	case SETTING_VMODULE:
		return NULL;
	default:
		return json_string_value(value);
	}
}

static void take_text(struct reader *r, const struct setting *row, const char *text, unsigned line)
{
	const char *expected;

	if ((row->marks & EMPTY_IS_DEFAULT) && setting_is_empty(row, text))
		return;
	expected = setting_take(r->s, row, text);
	if (expected != NULL)
		wrong(r, line, "%s \"%s\": %s", row->field, text, expected);
	else if (r->warn)
		setting_warn(r->s, row, text, where(r, line));
}

static void take_list(
    struct reader *r, const struct setting *row, const json_t *list, unsigned line)
{
	size_t i;
	json_t *one;

	json_array_foreach (list, i, one) {
		const char *text = json_string_value(one);
		unsigned at = yaml_line(&r->y, one);

		if (text == NULL)
			wrong_type(r, at != 0 ? at : line, row->field, one, type_expected(row));
		else if (text[0] == '\0' || strchr(text, ',') != NULL)
			wrong(r, at, "%s \"%s\": %s", row->field, text, row->expected);
		else
			take_text(r, row, text, at);
	}
}

static void take_gates(struct reader *r, const struct setting *row, json_t *map)
{
	const char *name;
	json_t *value;

	json_object_foreach (map, name, value) {
		char text[256];
		unsigned line = yaml_member_line(&r->y, map, name);

		if (!json_is_boolean(value) || strpbrk(name, "=,") != NULL) {
			wrong(r, line, "%s.%s: expected true or false", row->field, name);
			continue;
		}
		snprintf(text, sizeof(text), "%s=%s", name, json_is_true(value) ? "true" : "false");
		take_text(r, row, text, line);
	}
}

static void take_vmodule(
    struct reader *r, const struct setting *row, const json_t *list, unsigned line)
{
	char text[SETTING_TEXT_MAX] = "";
	size_t i, n = 0;
	json_t *one;

	json_array_foreach (list, i, one) {
		const char *pattern = json_string_value(json_object_get(one, "filePattern"));
		const json_t *level = json_object_get(one, "verbosity");

		if (pattern == NULL || !json_is_integer(level) || strpbrk(pattern, "=,") != NULL) {
			wrong(r, line, "%s[%zu]: expected a filePattern and a verbosity",
			    row->field, i);
			return;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%" JSON_INTEGER_FORMAT,
		    n > 0 ? "," : "", pattern, json_integer_value(level));
		if (n >= sizeof(text)) {
			wrong(r, line, "%s: expected fewer patterns", row->field);
			return;
		}
	}
	take_text(r, row, text, line);
}

static void take_value(struct reader *r, const struct setting *row, json_t *value, unsigned line)
{
	char buf[SETTING_TEXT_MAX];
	const char *text = scalar_text(row, value, buf);

	if (json_is_null(value))
		return; /* as if it were not there */
	if (row->kind == SETTING_PREFIXES && !(row->marks & WHOLE) && json_is_array(value))
		take_list(r, row, value, line);
	else if (row->kind == SETTING_GATES && json_is_object(value))
		take_gates(r, row, value);
	else if (row->kind == SETTING_VMODULE && json_is_array(value))
		take_vmodule(r, row, value, line);
	else if (text != NULL && (row->kind != SETTING_PREFIXES || row->marks & WHOLE))
		take_text(r, row, text, line);
	else
		wrong_type(r, line, row->field, value, type_expected(row));
}

/* --- the document --- */

/* Are there fields within PATH? */
static bool is_section(const char *path)
{
	const struct setting *row;
	size_t len = strlen(path);

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->field != NULL && strncmp(row->field, path, len) == 0 &&
		    row->field[len] == '.')
			return true;
	return false;
}

/* A field is often written in another case, or belongs to another section. */
static void unknown_field(const struct reader *r, unsigned line, const char *path)
{
	const struct setting *row, *best = NULL;
	size_t len = strlen(path), least = len / 4 + 1;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		size_t d = row->field != NULL ? distance(row->field, path, len, least - 1) : least;

		if (d >= least)
			continue;
		least = d;
		best = row;
		if (d == 0)
			break;
	}
	if (best != NULL)
		log_warn("%sthere is no field %s; did you mean %s? ignoring it", where(r, line),
		    path, best->field);
	else
		log_warn("%sthere is no field %s; ignoring it", where(r, line), path);
}

static void take_object(struct reader *r, json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		unsigned line = yaml_member_line(&r->y, object, key);
		char path[PATH_MAX_FIELD];
		const struct setting *row;
		int n = snprintf(path, sizeof(path), "%s%s", prefix, key);

		if (prefix[0] == '\0' &&
		    (strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0))
			continue;
		row = n < (int)sizeof(path) && strchr(key, '.') == NULL ? setting_of_field(path)
									: NULL;
		if (row != NULL) {
			take_value(r, row, value, line);
		} else if (n + 1 < (int)sizeof(path) && is_section(path)) {
			strlcat(path, ".", sizeof(path));
			if (json_is_object(value))
				take_object(r, value, path);
			else if (!json_is_null(value))
				wrong_type(r, line, key, value, "a map of fields");
		} else if (r->warn) {
			unknown_field(r, line, path);
		}
	}
}

static void take_document(struct reader *r, json_t *document)
{
	const char *version = json_string_value(json_object_get(document, "apiVersion"));
	const char *kind = json_string_value(json_object_get(document, "kind"));

	if (!json_is_object(document)) {
		wrong(r, yaml_line(&r->y, document), "expected a KubeProxyConfiguration");
	} else if (kind == NULL || strcmp(kind, "KubeProxyConfiguration") != 0) {
		wrong(r, yaml_member_line(&r->y, document, "kind"),
		    "kind \"%s\": expected KubeProxyConfiguration%s", kind != NULL ? kind : "",
		    kind != NULL && strcmp(kind, "Config") == 0
			? " (a kubeconfig is given with --kubeconfig)"
			: "");
	} else if (version == NULL || strcmp(version, API_GROUP "v1alpha1") != 0) {
		wrong(r, yaml_member_line(&r->y, document, "apiVersion"),
		    "apiVersion \"%s\": expected " API_GROUP "v1alpha1",
		    version != NULL ? version : "");
	} else {
		take_object(r, document, "");
	}
}

static void said_twice(void *arg, unsigned line, const char *key)
{
	const struct reader *r = arg;

	if (r->warn)
		log_warn("%s%s: duplicate key; using the last value", where(r, line), key);
}

/* As upstream: where the node is known by an IPv6 address, so are the defaults. */
static void default_addresses(struct settings *s)
{
	if (s->cfg.bind_address.family != FAMILY_6)
		return;
	if (!setting_given(s, "healthz-bind-address"))
		ip_parse(&s->healthz.addr, "::");
	if (!setting_given(s, "metrics-bind-address"))
		ip_parse(&s->metrics.addr, "::1");
}

int config_file_parse(struct settings *s, const char *path, const char *text, size_t len, bool warn)
{
	struct reader r = {.s = s, .path = path, .warn = warn};
	struct yaml_error err;
	int parsed = yaml_parse(&r.y, text, len, &err);

	if (parsed != 0) {
		yaml_clear(&r.y);
		parsed = yaml_parse_lenient(&r.y, text, len, &err, said_twice, &r);
	}
	if (parsed != 0)
		wrong(&r, err.line, "%s", err.text);
	else if (r.y.count == 0)
		wrong(&r, 0, "the file is empty; expected a KubeProxyConfiguration");
	else
		take_document(&r, r.y.documents[0]);
	if (r.y.count > 1 && warn)
		log_warn("%sonly the first of %zu documents counts", where(&r, 0), r.y.count);
	yaml_clear(&r.y);
	default_addresses(s);
	return r.bad ? -1 : 0;
}

char *config_file_text(const char *path, size_t *len)
{
	const char *why;
	char *text = file_read(path, CONFIG_FILE_MAX, len, &why);

	if (text == NULL)
		log_error("--config=%s: cannot be read: %s", path, why);
	return text;
}

uint64_t config_file_digest(const char *text, size_t len)
{
	static const struct siphash_key no_key;
	struct siphash h;

	siphash_init(&h, &no_key);
	siphash_update(&h, text, len);
	return siphash_final(&h);
}

int config_file_read(struct settings *s, const char *path)
{
	size_t len;
	char *text = config_file_text(path, &len);
	int r;

	if (text == NULL)
		return -1;
	s->cfg.config_digest = config_file_digest(text, len);
	r = config_file_parse(s, path, text, len, true);
	free(text);
	return r;
}

bool config_file_differs(const struct settings *from, const struct settings *to, const char *path)
{
	const struct setting *row;
	bool differs = false;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		char before[SETTING_TEXT_MAX], after[SETTING_TEXT_MAX];

		if (row->field == NULL || row->marks & NO_EFFECT ||
		    strcmp(setting_text(from, row, before), setting_text(to, row, after)) == 0)
			continue;
		log_info("%s: %s is now \"%s\", not \"%s\"", path, row->field, after, before);
		differs = true;
	}
	return differs;
}
