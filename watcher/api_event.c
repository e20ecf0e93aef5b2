#include "watcher/api_event.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum api_event_type type;
} types[] = {
    {"ADDED", EVENT_PUT},
    {"MODIFIED", EVENT_PUT},
    {"DELETED", EVENT_DELETED},
    {"BOOKMARK", EVENT_BOOKMARK},
    {"ERROR", EVENT_ERROR},
};

static enum api_event_type type_of(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return EVENT_UNKNOWN;
}

static void copy_message(const json_t *status, char *buf, size_t size)
{
	const char *message = json_string_value(json_object_get(status, "message"));

	snprintf(buf, size, "%s", message != NULL ? message : "");
}

/* Takes what is needed out of E->root; NULL, or what is missing. */
static const char *read_event(struct api_event *e)
{
	const char *type = json_string_value(json_object_get(e->root, "type"));
	const json_t *metadata;
	const char *version;

	e->object = json_object_get(e->root, "object");
	if (type == NULL || !json_is_object(e->object))
		return "an event without \"type\" and \"object\"";
	e->type = type_of(type);
	if (e->type == EVENT_ERROR) {
		e->code = (long)json_integer_value(json_object_get(e->object, "code"));
		copy_message(e->object, e->message, sizeof(e->message));
		return NULL;
	}
	metadata = json_object_get(e->object, "metadata");
	version = json_string_value(json_object_get(metadata, "resourceVersion"));
	if (version == NULL || version[0] == '\0' || strlen(version) >= sizeof(e->resource_version))
		return "an event's object without a metadata.resourceVersion";
	memcpy(e->resource_version, version, strlen(version) + 1);
	return NULL;
}

const char *api_event_parse(struct api_event *e, const char *line, size_t len)
{
	json_error_t error;
	const char *why;

	*e = (struct api_event){0};
	/* NUL is allowed in strings: whoever may annotate one object must not stop the others. */
	e->root = json_loadb(line, len, JSON_ALLOW_NUL, &error);
	if (e->root == NULL) {
		snprintf(e->message, sizeof(e->message), "an event of %zu bytes is no JSON: %s",
		    len, error.text);
		return e->message;
	}
	why = read_event(e);
	if (why != NULL) {
		json_decref(e->root);
		e->root = NULL;
		e->object = NULL;
	}
	return why;
}

void api_status_message(const char *text, size_t len, char *buf, size_t size)
{
	json_t *status = json_loadb(text, len, JSON_ALLOW_NUL, NULL);

	copy_message(status, buf, size);
	json_decref(status);
}
