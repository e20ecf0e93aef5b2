/* EndpointSlices (discovery.k8s.io/v1, v1beta1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/decode.h"
#include "watcher/decode_meta.h"

#define LABEL_SERVICE  "kubernetes.io/service-name"
#define LABEL_HEADLESS "service.kubernetes.io/headless"
#define LABEL_HOSTNAME "kubernetes.io/hostname"
#define PATH_LEN       64

/* Unset conditions: ready counts as true, serving as ready, terminating as false (API reference).
 */
static uint8_t decode_conditions(struct fields *f, const json_t *json, const char *path)
{
	const json_t *conditions = field_object(f, json, path, "conditions");
	bool ready = field_bool(f, conditions, path, "ready", true);
	uint8_t flags = ready ? EP_READY : 0;

	if (field_bool(f, conditions, path, "serving", ready))
		flags |= EP_SERVING;
	if (field_bool(f, conditions, path, "terminating", false))
		flags |= EP_TERMINATING;
	return flags;
}

static void decode_zone_hints(
    struct fields *f, const json_t *hints, const char *path, struct endpoint *e)
{
	const json_t *zones = field_array(f, hints, path, "forZones");
	size_t i;
	json_t *zone;

	if (json_array_size(zones) > ZONE_HINTS_MAX)
		field_warn(f, "%s.hints.forZones: only the first %d count", path, ZONE_HINTS_MAX);
	json_array_foreach (zones, i, zone) {
		const char *name = field_string(f, zone, path, "name");

		if (e->zone_hint_count == ZONE_HINTS_MAX)
			return;
		if (strlen(name) >= NAME_MAX_LABEL)
			field_bad(
			    f, "%s.hints.forZones[%zu]: longer than a label's value", path, i);
		else
			strlcpy(e->zone_hints[e->zone_hint_count++], name, NAME_MAX_LABEL);
	}
}

static uint8_t decode_node_hints(
    struct fields *f, const json_t *hints, const char *path, const char *node_name)
{
	const json_t *nodes = field_array(f, hints, path, "forNodes");
	uint8_t flags = json_array_size(nodes) > 0 ? EP_NODE_HINTS : 0;
	size_t i;
	json_t *node;

	json_array_foreach (nodes, i, node) {
		if (strcmp(field_string(f, node, path, "name"), node_name) == 0)
			flags |= EP_NODE_HINT_OURS;
	}
	return flags;
}

/* v1beta1 had the node as a key of "topology" before it had nodeName (1.20). */
static const char *decode_node_name(struct fields *f, const json_t *json, const char *path)
{
	const char *node = field_string(f, json, path, "nodeName");

	if (node[0] == '\0')
		node =
		    field_string(f, field_object(f, json, path, "topology"), path, LABEL_HOSTNAME);
	return node;
}

/* One endpoint; false after logging if it is to be left out. */
static bool decode_endpoint(struct fields *f, const json_t *json, size_t i, const char *node_name,
    uint8_t family, struct endpoint *e)
{
	const json_t *addresses, *hints;
	char path[PATH_LEN];
	const char *node;

	snprintf(path, sizeof(path), "endpoints[%zu]", i);
	if (!json_is_object(json)) {
		field_bad(f, "%s: must be an object", path);
		return false;
	}
	/* The first only: the others stand for the same endpoint (KEP-0752, API reference). */
	addresses = field_array(f, json, path, "addresses");
	if (!json_is_string(json_array_get(addresses, 0))) {
		field_bad(f, "%s.addresses: must begin with an address", path);
		return false;
	}
	if (!decode_address(f, &e->addr, json_string_value(json_array_get(addresses, 0)), path))
		return false;
	if (e->addr.family != family) {
		field_bad(f, "%s: its address is not of the slice's addressType; left out", path);
		return false;
	}
	node = decode_node_name(f, json, path);
	if (strlen(node) >= sizeof(e->node))
		field_bad(f, "%s.nodeName: longer than a node's name; left out", path);
	else
		strlcpy(e->node, node, sizeof(e->node));
	hints = field_object(f, json, path, "hints");
	decode_zone_hints(f, hints, path, e);
	e->flags = decode_conditions(f, json, path) | decode_node_hints(f, hints, path, node_name);
	return !f->bad;
}

static void decode_members(
    struct fields *f, const json_t *object, const char *node_name, struct slice *s)
{
	const json_t *endpoints = field_array(f, object, "", "endpoints");
	size_t n = json_array_size(endpoints), i;
	json_t *json;

	if (n > SLICE_ENDPOINTS_MAX)
		field_bad(f, "endpoints: more than %d", SLICE_ENDPOINTS_MAX);
	if (f->bad || n == 0)
		return;
	s->endpoints = calloc(n, sizeof(*s->endpoints));
	if (s->endpoints == NULL) {
		field_bad(f, "not enough memory");
		return;
	}
	json_array_foreach (endpoints, i, json) {
		struct endpoint *e = &s->endpoints[s->endpoint_count];

		if (decode_endpoint(f, json, i, node_name, s->family, e))
			s->endpoint_count++;
		else
			memset(e, 0, sizeof(*e));
		f->bad = false;
	}
}

enum decode_result decode_slice(const json_t *object, const char *node_name, struct slice *s)
{
	const char *service, *type;
	struct fields f;

	memset(s, 0, sizeof(*s));
	if (!meta_open(&f, "EndpointSlice", object, s->namespace, sizeof(s->namespace), s->name,
		sizeof(s->name)))
		return DECODE_BAD;
	service = meta_label(object, LABEL_SERVICE);
	type = field_string(&f, object, "", "addressType");
	if (service == NULL || service[0] == '\0' || meta_label(object, LABEL_HEADLESS) != NULL ||
	    strcmp(type, "FQDN") == 0)
		return DECODE_SKIP;
	if (!is_dns_label(service))
		field_bad(&f, "label %s: \"%.80s\" is no service's name", LABEL_SERVICE, service);
	else
		strlcpy(s->service, service, sizeof(s->service));
	if (strcmp(type, "IPv6") == 0)
		s->family = FAMILY_6;
	else if (strcmp(type, "IPv4") != 0)
		field_bad(&f, "addressType: must be IPv4, IPv6 or FQDN");
	s->caused_ms = meta_caused_ms(object);
	decode_endpoint_ports(&f, object, "", s);
	decode_members(&f, object, node_name, s);
	return f.bad ? DECODE_BAD : DECODE_OK;
}
