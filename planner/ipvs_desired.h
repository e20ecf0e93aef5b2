/*
 * What a service should have in ipvs mode: an address of kube-ipvs0 and a virtual server for each
 * frontend, a real server for each endpoint, and entries of the ipsets that the constant rules go
 * by.
 */
#ifndef PLANNER_IPVS_DESIRED_H
#define PLANNER_IPVS_DESIRED_H

#include "applier/ipvs_tables.h"
#include "planner/endpoints.h"
#include "planner/own_node.h"
#include "planner/store.h"

/* Start zeroed but for what the first three point to, which must outlive it. */
struct ipvs_desired {
	const struct own_node *own;
	const char *zone; /* our node's */
	const struct local_addrs *local;
	bool families[FAMILY_COUNT];

	/* Of the service looked at last; one may be there twice. */
	struct ipvs_item *items;
	size_t count, room;
	uint64_t endpoints;

	struct chosen_endpoints chosen; /* scratch */
};

void ipvs_desired_clear(struct ipvs_desired *d);

/* Fills D->items with what V should have. */
void ipvs_desired_service(struct ipvs_desired *d, struct stored_service *v);

#endif
