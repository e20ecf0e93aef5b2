/* Endpoints (core v1), of servers without EndpointSlices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/decode.h"
#include "watcher/decode_meta.h"

#define LABEL_HEADLESS "service.kubernetes.io/headless"
#define PATH_LEN       64

/* The slice being filled, and where it goes. */
struct filling {
	struct fields f;
	struct slice slice;
	uint32_t room; /* endpoints that fit it */
	uint64_t caused_ms;
	struct endpoints_ids *ids;
	void (*fn)(void *arg, const struct slice *s);
	void *arg;
};

void endpoints_slice_name(char to[NAME_MAX_SUBDOMAIN], const char *name, uint32_t i)
{
	/* No object has a slash in its name, so none is taken for another. */
	if (i == 0)
		strlcpy(to, name, NAME_MAX_SUBDOMAIN);
	else
		snprintf(to, NAME_MAX_SUBDOMAIN, "%s/%u", name, i);
}

static void hand_out(struct filling *in)
{
	struct slice *s = &in->slice;

	if (s->endpoint_count > 0) {
		endpoints_slice_name(s->name, in->ids->name, in->ids->slices++);
		in->fn(in->arg, s);
	}
	memset(s->endpoints, 0, s->endpoint_count * sizeof(*s->endpoints));
	s->endpoint_count = 0;
}

static void decode_address_of(
    struct filling *in, const json_t *json, const char *path, uint8_t flags)
{
	struct fields *f = &in->f;
	struct slice *s = &in->slice;
	struct ip_addr addr;
	const char *node, *text;

	if (!json_is_object(json)) {
		field_bad(f, "%s: must be an object", path);
		return;
	}
	text = field_string(f, json, path, "ip");
	if ((strchr(text, ':') != NULL) != (s->family == FAMILY_6) ||
	    !decode_address(f, &addr, text, path))
		return; /* the other family's turn comes by itself */
	node = field_string(f, json, path, "nodeName");
	if (strlen(node) >= NAME_MAX_SUBDOMAIN) {
		field_bad(f, "%s.nodeName: longer than a node's name; left out", path);
		return;
	}
	if (s->endpoint_count == in->room)
		hand_out(in);
	s->endpoints[s->endpoint_count].addr = addr;
	s->endpoints[s->endpoint_count].flags = flags;
	strlcpy(s->endpoints[s->endpoint_count++].node, node, NAME_MAX_SUBDOMAIN);
}

static void decode_addresses(
    struct filling *in, const json_t *subset, const char *path, const char *key, uint8_t flags)
{
	const json_t *list = field_array(&in->f, subset, path, key);
	char where[PATH_LEN];
	size_t i;
	json_t *one;

	json_array_foreach (list, i, one) {
		snprintf(where, sizeof(where), "%s.%s[%zu]", path, key, i);
		decode_address_of(in, one, where, flags);
		in->f.bad = false;
	}
}

static void make_room(struct filling *in, const json_t *subset)
{
	size_t n = json_array_size(json_object_get(subset, "addresses")) +
		   json_array_size(json_object_get(subset, "notReadyAddresses"));

	in->room = n < SLICE_ENDPOINTS_MAX ? (uint32_t)n + 1 : SLICE_ENDPOINTS_MAX;
	in->slice.endpoints = calloc(in->room, sizeof(*in->slice.endpoints));
	if (in->slice.endpoints == NULL)
		field_bad(&in->f, "not enough memory");
}

static void decode_subset(struct filling *in, const json_t *subset, size_t i)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "subsets[%zu]", i);
	strlcpy(in->slice.namespace, in->ids->namespace, sizeof(in->slice.namespace));
	strlcpy(in->slice.service, in->ids->name, sizeof(in->slice.service));
	in->slice.caused_ms = in->caused_ms;
	decode_endpoint_ports(&in->f, subset, path, &in->slice);
	make_room(in, subset);
	for (uint8_t family = 0; family < FAMILY_COUNT && !in->f.bad; family++) {
		in->slice.family = family;
		decode_addresses(in, subset, path, "addresses", EP_READY | EP_SERVING);
		decode_addresses(in, subset, path, "notReadyAddresses", 0);
		hand_out(in);
	}
	in->f.bad = false; /* said; the other subsets count */
	slice_clear(&in->slice);
}

enum decode_result decode_endpoints(const json_t *object, struct endpoints_ids *ids,
    void (*fn)(void *arg, const struct slice *s), void *arg)
{
	struct filling in = {.ids = ids, .fn = fn, .arg = arg};
	const json_t *subsets;
	size_t i;
	json_t *subset;

	memset(ids, 0, sizeof(*ids));
	if (!meta_open(&in.f, "Endpoints", object, ids->namespace, sizeof(ids->namespace),
		ids->name, sizeof(ids->name)))
		return DECODE_BAD;
	if (meta_label(object, LABEL_HEADLESS) != NULL)
		return DECODE_SKIP;
	in.caused_ms = meta_caused_ms(object);
	subsets = field_array(&in.f, object, "", "subsets");
	if (in.f.bad)
		return DECODE_BAD;
	json_array_foreach (subsets, i, subset)
		decode_subset(&in, subset, i);
	return in.f.bad ? DECODE_BAD : DECODE_OK;
}
