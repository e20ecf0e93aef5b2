/* Which endpoints serve a service port. Pure. */
#ifndef PLANNER_ENDPOINTS_H
#define PLANNER_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "planner/names.h"
#include "planner/store.h"

/* SEMANTICS "Choosing endpoints": decided separately. */
enum endpoint_list {
	LIST_CLUSTER, /* of all nodes */
	LIST_LOCAL,   /* of our own: for the traffic policy Local */
	LIST_COUNT
};

struct chosen_endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint8_t flags; /* of its entry, and whether zone hints are there and name our zone */
	uint8_t lists; /* bit per enum endpoint_list */
	bool anywhere; /* its node is not known */
	char text[ENDPOINT_STRLEN];
};

/* What kept ready endpoints out of the cluster's list. */
enum endpoint_topology { TOPOLOGY_NONE, TOPOLOGY_NODE, TOPOLOGY_ZONE };

/* Reused from port to port; start zeroed, end with endpoints_clear(). */
struct chosen_endpoints {
	struct chosen_endpoint *e;
	size_t count, room;
	size_t in_list[LIST_COUNT];
	enum endpoint_topology topology;
};

/*
 * Fills OUT with the endpoints of V's port INDEX in FAMILY that are in a list, sorted by their
 * text, each once. ZONE is our node's, "" if unknown; hints count for the cluster's list alone.
 * The same whatever the order in which slices came. V must have a specification, whose LIVE bits of
 * the port and family follow.
 */
void endpoints_choose(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone);
/* The same, but those that are in no list stay. */
void endpoints_judge(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone);
/* Why E, which endpoints_judge() gave in ALL, is in LIST or not: in words, a constant. */
const char *endpoints_why(
    const struct chosen_endpoints *all, const struct chosen_endpoint *e, enum endpoint_list list);
/*
 * Fills OUT with all endpoints of the port that serve, whether or not new clients are sent there:
 * those that terminate are among them. In no list, and without a chain's hash.
 */
void endpoints_serving(
    struct chosen_endpoints *out, const struct stored_service *v, uint32_t index, uint8_t family);
void endpoints_clear(struct chosen_endpoints *out);

#endif
