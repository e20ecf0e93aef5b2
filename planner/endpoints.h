/* Which endpoints serve a service port. Pure. */
#ifndef PLANNER_ENDPOINTS_H
#define PLANNER_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "planner/names.h"
#include "planner/store.h"

struct chosen_endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint8_t flags; /* enum endpoint_flag, and whether zone hints are there and name our zone */
	char text[ENDPOINT_STRLEN];
};

/* Reused from port to port; start zeroed, end with endpoints_clear(). */
struct chosen_endpoints {
	struct chosen_endpoint *e;
	size_t count, room;
};

/*
 * Fills OUT with the endpoints of V's port INDEX in FAMILY, sorted by their text, each once
 * (SEMANTICS "Choosing endpoints", 1 and 2, cluster-wide list). ZONE is our node's, "" if unknown.
 * The same whatever the order in which slices came. V must have a specification.
 */
void endpoints_choose(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone);
void endpoints_clear(struct chosen_endpoints *out);

#endif
