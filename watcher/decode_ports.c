/* The ports of EndpointSlices and of Endpoints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/decode_meta.h"

#define PATH_LEN 96

static bool decode_port(
    struct fields *f, const json_t *json, const char *path, struct slice_port *p)
{
	if (!json_is_object(json)) {
		field_bad(f, "%s: must be an object", path);
		return false;
	}
	/* A null port means every port, which a service's port cannot be sent on to. */
	p->port = (uint16_t)field_number(f, json, path, "port", 1, UINT16_MAX, 0);
	if (p->port == 0)
		return false;
	decode_port_kind(f, json, path, p->name, &p->proto);
	return !f->bad;
}

void decode_endpoint_ports(
    struct fields *f, const json_t *object, const char *path, struct slice *s)
{
	const char *dot = path[0] != '\0' ? "." : "";
	const json_t *ports = field_array(f, object, path, "ports");
	size_t n = json_array_size(ports), i;
	char where[PATH_LEN];
	json_t *json;

	if (n > SLICE_PORTS_MAX)
		field_bad(f, "%s%sports: more than %d", path, dot, SLICE_PORTS_MAX);
	if (f->bad || n == 0)
		return;
	s->ports = calloc(n, sizeof(*s->ports));
	if (s->ports == NULL) {
		field_bad(f, "not enough memory");
		return;
	}
	json_array_foreach (ports, i, json) {
		struct slice_port p = {.name = ""};

		snprintf(where, sizeof(where), "%s%sports[%zu]", path, dot, i);
		if (decode_port(f, json, where, &p))
			s->ports[s->port_count++] = p;
		f->bad = false;
	}
}
