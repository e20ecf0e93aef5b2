#include "watcher/manifest_file.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/decode.h"
#include "watcher/stats.h"
#include "watcher/yaml.h"

struct parse {
	struct manifest *m;
	const char *path;
	const char *node_name;
	struct yaml y;
	const json_t *at; /* the object at hand */
};

static unsigned line(struct parse *p)
{
	return yaml_line(&p->y, p->at);
}

/* ARRAY of COUNT elements with room for one more. Without memory the process cannot go on. */
static void *grow(const struct parse *p, void *array, size_t count, size_t size)
{
	void *bigger;

	if (count != 0 && (count & (count - 1)) != 0) /* full at 0, 1, 2, 4, ... */
		return array;
	bigger = reallocarray(array, count == 0 ? 1 : count * 2, size);
	if (bigger == NULL)
		fatal(EXIT_FAILED, "%s: not enough memory", p->path);
	return bigger;
}

static enum decode_result take_service(struct parse *p, const json_t *object)
{
	struct service s;
	enum decode_result r = decode_service(object, &s);

	if (r != DECODE_OK) {
		service_clear(&s);
		return r;
	}
	p->m->services = grow(p, p->m->services, p->m->service_count, sizeof(s));
	p->m->services[p->m->service_count++] = s;
	return r;
}

static enum decode_result take_slice(struct parse *p, const json_t *object)
{
	struct slice s;
	enum decode_result r = decode_slice(object, p->node_name, &s);

	if (r != DECODE_OK) {
		slice_clear(&s);
		return r;
	}
	p->m->slices = grow(p, p->m->slices, p->m->slice_count, sizeof(s));
	p->m->slices[p->m->slice_count++] = s;
	return r;
}

static enum decode_result take_node(struct parse *p, const json_t *object)
{
	struct node n;
	enum decode_result r = decode_node(object, &n);

	if (r != DECODE_OK)
		return r;
	if (strcmp(n.name, p->node_name) != 0)
		return DECODE_SKIP;
	p->m->node = n;
	p->m->has_node = true;
	return r;
}

static const struct kind {
	const char *kind;
	const char *list;
	const char *api_version;
	bool namespaced;
	enum decode_result (*take)(struct parse *p, const json_t *object);
} kinds[] = {
    {"Service", "ServiceList", "v1", true, take_service},
    {"EndpointSlice", "EndpointSliceList", "discovery.k8s.io/v1", true, take_slice},
    {"Node", "NodeList", "v1", false, take_node},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static void default_namespace(const json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");

	const json_t *is = json_object_get(metadata, "namespace");

	if (is == NULL || json_is_null(is) || (json_is_string(is) && json_string_length(is) == 0))
		json_object_set_new(metadata, "namespace", json_string("default"));
}

static void take_as(
    struct parse *p, const struct kind *k, const char *api_version, const json_t *object)
{
	if (strcmp(api_version, k->api_version) != 0) {
		log_error(
		    "%s:%u: apiVersion \"%s\" of a %s is not supported, use %s; it is left out",
		    p->path, line(p), api_version, k->kind, k->api_version);
		return;
	}
	if (k->namespaced)
		default_namespace(object);
	if (k->take(p, object) == DECODE_BAD) {
		stats_bad_object();
		log_error("%s:%u: this %s is left out", p->path, line(p), k->kind);
	}
}

/* An item of a List, which may be of any kind. */
static const struct kind any_kind;

/* One object. OF_LIST: NULL at the top, so that lists do not nest; &any_kind or its list's kind. */
static void take_object(struct parse *p, const json_t *object, const struct kind *of_list);

/* Items of a typed list need not repeat what they are: the API's own answers do not. */
static void take_items(struct parse *p, const json_t *list, const struct kind *of_list)
{
	const json_t *items = json_object_get(list, "items");
	size_t i;
	json_t *item;

	if (!json_is_array(items) && !json_is_null(items))
		log_error("%s:%u: items: must be a list; it is left out", p->path, line(p));
	json_array_foreach (items, i, item) {
		p->at = item;
		take_object(p, item, of_list);
	}
}

static void take_object(struct parse *p, const json_t *object, const struct kind *of_list)
{
	const char *kind = member(object, "kind");
	const char *api_version = member(object, "apiVersion");

	if (of_list != NULL && of_list != &any_kind && kind[0] == '\0') {
		take_as(p, of_list, of_list->api_version, object);
		return;
	}
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (strcmp(kind, kinds[i].kind) == 0) {
			take_as(p, &kinds[i], api_version, object);
			return;
		}
		if (of_list == NULL && strcmp(kind, kinds[i].list) == 0) {
			take_items(p, object, &kinds[i]);
			return;
		}
	}
	if (of_list == NULL && strcmp(kind, "List") == 0)
		take_items(p, object, &any_kind);
	else if (kind[0] == '\0')
		log_error(
		    "%s:%u: not a Kubernetes object: it has no kind and apiVersion; ignoring it",
		    p->path, line(p));
	else
		log_debug(2, "%s:%u: %s passed over", p->path, line(p), kind);
}

int manifest_parse(
    struct manifest *m, const char *path, const char *text, size_t len, const char *node_name)
{
	struct parse p = {.m = m, .path = path, .node_name = node_name};
	struct yaml_error err;

	memset(m, 0, sizeof(*m));
	if (yaml_parse(&p.y, text, len, &err) != 0) {
		log_error("%s:%u: %s", path, err.line, err.text);
		return -1;
	}
	for (size_t i = 0; i < p.y.count; i++) {
		p.at = p.y.documents[i];
		take_object(&p, p.y.documents[i], NULL);
	}
	yaml_clear(&p.y);
	return 0;
}

void manifest_clear(struct manifest *m)
{
	for (size_t i = 0; i < m->service_count; i++)
		service_clear(&m->services[i]);
	for (size_t i = 0; i < m->slice_count; i++)
		slice_clear(&m->slices[i]);
	free(m->services);
	free(m->slices);
	memset(m, 0, sizeof(*m));
}
