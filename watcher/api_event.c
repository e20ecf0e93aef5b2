#include "watcher/api_event.h"

#include <stdio.h>
#include <string.h>

#include "watcher/api_envelope.h"
#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

/* KEP-3157: on the bookmark after the objects that sendInitialEvents asked for. */
#define ANNOTATION_END "k8s.io/initial-events-end"

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

static void copy_message(char *buf, size_t size, const char *message)
{
	snprintf(buf, size, "%s", message != NULL ? message : "");
}

static const char *take_version(struct api_event *e, const char *version)
{
	if (version == NULL || version[0] == '\0' || strlen(version) >= sizeof(e->resource_version))
		return "an event's object without a metadata.resourceVersion";
	memcpy(e->resource_version, version, strlen(version) + 1);
	return NULL;
}

/* Takes what is needed out of an object; NULL, or what is missing. */
static const char *read_object(struct api_event *e, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *annotations = json_object_get(metadata, "annotations");
	const char *end = json_string_value(json_object_get(annotations, ANNOTATION_END));

	e->object = object;
	e->initial_end = end != NULL && strcmp(end, "true") == 0;
	return take_version(e, json_string_value(json_object_get(metadata, "resourceVersion")));
}

/* --- JSON --- */

static const char *read_json(struct api_event *e)
{
	const char *type = json_string_value(json_object_get(e->root, "type"));
	const json_t *object = json_object_get(e->root, "object");

	if (type == NULL || !json_is_object(object))
		return "an event without \"type\" and \"object\"";
	e->type = type_of(type);
	if (e->type != EVENT_ERROR)
		return read_object(e, object);
	e->code = (long)json_integer_value(json_object_get(object, "code"));
	copy_message(
	    e->message, sizeof(e->message), json_string_value(json_object_get(object, "message")));
	return NULL;
}

static const char *parse_json(struct api_event *e, const char *line, size_t len)
{
	json_error_t error;

	/* NUL is allowed in strings: whoever may annotate one object must not stop the others. */
	e->root = json_loadb(line, len, JSON_ALLOW_NUL, &error);
	if (e->root == NULL) {
		snprintf(e->message, sizeof(e->message), "an event of %zu bytes is no JSON: %s",
		    len, error.text);
		return e->message;
	}
	return read_json(e);
}

/* --- protobuf --- */

static const char *read_status(struct api_event *e, const void *raw, size_t len)
{
	const Kube__Status *s = proto_unpack(&kube__status__descriptor, raw, len);

	if (s == NULL)
		return "an ERROR event without a Status";
	e->code = s->code;
	copy_message(e->message, sizeof(e->message), s->message);
	return NULL;
}

static const char *parse_proto(
    struct api_event *e, const ProtobufCMessageDescriptor *type, const char *bytes, size_t len)
{
	const Kube__WatchEvent *w = proto_unpack(&kube__watch_event__descriptor, bytes, len);
	const void *raw = NULL;
	const char *why;

	if (w != NULL && w->type != NULL && w->object != NULL && w->object->has_raw) {
		len = w->object->raw.len;
		raw = api_envelope_open(w->object->raw.data, &len);
	}
	if (raw == NULL)
		return "an event without type and object";
	e->type = type_of(w->type);
	if (e->type == EVENT_ERROR)
		return read_status(e, raw, len);
	if (e->type == EVENT_BOOKMARK || e->type == EVENT_UNKNOWN)
		type = &kube__bookmark__descriptor;
	why = proto_to_json(&e->root, type, raw, len);
	if (why != NULL) {
		snprintf(
		    e->message, sizeof(e->message), "an event's object of %zu bytes: %s", len, why);
		return e->message;
	}
	return read_object(e, e->root);
}

/* --- both --- */

const char *api_event_parse(struct api_event *e, enum api_format format,
    const ProtobufCMessageDescriptor *type, const char *bytes, size_t len)
{
	const char *why;

	*e = (struct api_event){0};
	why = format == FORMAT_PROTO ? parse_proto(e, type, bytes, len) : parse_json(e, bytes, len);
	proto_release();
	if (why != NULL) {
		json_decref(e->root);
		e->root = NULL;
		e->object = NULL;
	}
	return why;
}

void api_status_message(const char *text, size_t len, char *buf, size_t size)
{
	const void *raw = api_envelope_open(text, &len);
	json_t *status;

	buf[0] = '\0';
	if (raw != NULL) {
		const Kube__Status *s = proto_unpack(&kube__status__descriptor, raw, len);

		copy_message(buf, size, s != NULL ? s->message : NULL);
	} else {
		status = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
		copy_message(buf, size, json_string_value(json_object_get(status, "message")));
		json_decref(status);
	}
	proto_release();
}
