#include "watcher/config_show.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define GROUP "kubeproxy.config.k8s.io"

/* Has ROW a value of its own? */
static bool is_kept(const struct setting *row)
{
	return !setting_is_ignored(row);
}

/* A user and a password in a URL are nobody's business. */
static const char *public_text(const struct settings *s, const struct setting *row, char *buf)
{
	const char *at;

	setting_text(s, row, buf);
	if (row->kind != SETTING_TEXT || strstr(buf, "://") == NULL)
		return buf;
	at = strrchr(buf, '@');
	return at != NULL ? at + 1 : buf;
}

/* --- /flagz --- */

static int by_flag(const void *a, const void *b)
{
	const uint8_t *x = a, *y = b;

	return strcmp(setting_at(*x)->flag, setting_at(*y)->flag);
}

static void show_flags(struct settings *s)
{
	uint8_t order[SETTINGS_MAX];
	const struct setting *row;
	size_t count = 0, len = 0, size = sizeof(s->cfg.flags_text);

	for (uint8_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->flag != NULL && is_kept(row))
			order[count++] = i;
	qsort(order, count, sizeof(order[0]), by_flag);
	for (size_t i = 0; i < count; i++) {
		char text[SETTING_TEXT_MAX];

		row = setting_at(order[i]);
		len += (size_t)snprintf(s->cfg.flags_text + len, size - len, "%s=%s\n", row->flag,
		    public_text(s, row, text));
		if (len >= size) {
			log_warn("the flags are too long to be shown by /flagz");
			s->cfg.flags_text[0] = '\0';
			return;
		}
	}
}

/* --- /configz --- */

/* An element of a map "name=value" or of a list, LEN bytes at TEXT, to what is made of them. */
static void add_element(json_t *to, const struct setting *row, const char *text, size_t len)
{
	size_t name = strcspn(text, "=,");
	const char *value = name < len ? text + name + 1 : "";

	if (row->kind == SETTING_PREFIXES)
		json_array_append_new(to, json_stringn(text, len));
	else if (row->kind == SETTING_GATES)
		json_object_setn_new(to, text, name, json_boolean(strncmp(value, "true", 4) == 0));
	else
		json_array_append_new(
		    to, json_pack("{s:o, s:I}", "filePattern", json_stringn(text, name),
			    "verbosity", (json_int_t)strtol(value, NULL, 10)));
}

static json_t *elements_json(const struct setting *row, const char *text)
{
	json_t *out = row->kind == SETTING_GATES ? json_object() : json_array();

	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		add_element(out, row, text, len);
		text += len + (text[len] == ',');
	}
	return out;
}

static json_t *value_json(const struct settings *s, const struct setting *row)
{
	char buf[SETTING_TEXT_MAX];
	const char *text = public_text(s, row, buf);

	switch (row->kind) {
	case SETTING_SWITCH:
		return json_boolean(strcmp(text, "true") == 0);
	case SETTING_NUMBER:
		return json_integer(strtoll(text, NULL, 10));
	case SETTING_MILLI:
		return json_real(strtod(text, NULL));
	case SETTING_PREFIXES:
	case SETTING_GATES:
	case SETTING_VMODULE:
		if (!(row->marks & WHOLE))
			return elements_json(row, text);
		break;
	default:
		break;
	}
	return json_string(text);
}

/* Puts VALUE into OBJECT at PATH, "section.field". */
static void put_at(json_t *object, const char *path, json_t *value)
{
	const char *dot;

	for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
		size_t len = (size_t)(dot - path);
		json_t *section = json_object_getn(object, path, len);

		if (section == NULL) {
			section = json_object();
			json_object_setn_new(object, path, len, section);
		}
		object = section;
	}
	json_object_set_new(object, path, value != NULL ? value : json_null());
}

static void show_fields(struct settings *s)
{
	json_t *all = json_object(), *config = json_object();
	const struct setting *row;
	size_t len;

	json_object_set_new(config, "kind", json_string("KubeProxyConfiguration"));
	json_object_set_new(config, "apiVersion", json_string(GROUP "/v1alpha1"));
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->field != NULL && is_kept(row))
			put_at(config, row->field, value_json(s, row));
	json_object_set_new(all, GROUP, config);
	len = json_dumpb(all, s->cfg.config_json, sizeof(s->cfg.config_json) - 1,
	    JSON_COMPACT | JSON_REAL_PRECISION(6));
	if (len >= sizeof(s->cfg.config_json)) {
		log_warn("the configuration is too long to be shown by /configz");
		len = 0;
	}
	s->cfg.config_json[len] = '\0';
	json_decref(all);
}

void config_show(struct settings *s)
{
	show_flags(s);
	show_fields(s);
}
