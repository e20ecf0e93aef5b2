/*
 * Where UDP services are reached and who may answer there, as planned last: tells which flows that
 * the kernel has are stale. The kernel keeps sending what a client sends from one port to where it
 * sent the first packet, for as long as the client goes on. Pure.
 */
#ifndef PLANNER_UDP_H
#define PLANNER_UDP_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "ipc/flows.h"
#include "planner/endpoints.h"
#include "planner/local.h"
#include "planner/own_node.h"
#include "planner/store.h"

struct udp_frontend;
RB_HEAD(udp_tree, udp_frontend);
struct udp_service;
SLIST_HEAD(udp_departed, udp_service);

/* Starts zeroed but for OWN. */
struct udp_index {
	const struct own_node *own;
	struct udp_tree frontends;    /* of all services */
	struct udp_tree former;	      /* no service's any more; until the flows to them are gone */
	struct udp_departed departed; /* what `former` consists of */
	struct local_addrs local;
	unsigned stale;			 /* udp_take_stale() */
	struct chosen_endpoints serving; /* scratch */
};

/* V is as it is now. FAMILIES are those programmed. */
void udp_update(struct udp_index *x, struct stored_service *v, const bool families[FAMILY_COUNT]);
/* V is going to be freed. */
void udp_forget(struct udp_index *x, struct stored_service *v);
/* To be called once every service is forgotten. */
void udp_clear(struct udp_index *x);

/* A part of the machine's own addresses. NULL, or how it breaks the protocol. */
const char *udp_node_addrs(struct udp_index *x, const struct node_addrs_part *part);
/* Node ports answer at other addresses than before. */
void udp_node_ports_moved(struct udp_index *x);

/*
 * The families (a bit each) in which flows may have become stale since it was asked last: one who
 * served does no longer, or the first serves, or a new address or node port is a service's.
 */
unsigned udp_take_stale(struct udp_index *x);

/*
 * A pass over the flows of FAMILY begins, or has ended: what was no service's any more when
 * udp_take_stale() named the family is then forgotten.
 */
void udp_pass_begins(struct udp_index *x, uint8_t family);
void udp_pass_ended(struct udp_index *x, uint8_t family);

/*
 * Is F to one of the services' addresses, or to a node port where they answer, and answered by none
 * who serves there? A flow that was never translated is answered by the service's own address. A
 * flow to where a service was reached, answered by one who served there, is stale as well.
 */
bool udp_is_stale(struct udp_index *x, const struct flow *f);

#endif
