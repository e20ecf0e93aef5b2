/*
 * The relays that services should have in kube-proxy-relay: who may be sent what, and which port
 * each has. In userspace mode a service port has one for each list of endpoints in use, which the
 * rules redirect to; in other modes, with CONFIG's localhost_nodeports, one on the loopback address
 * for its node port, where the kernel cannot do it. No clock and no I/O but for what it sends.
 */
#ifndef PLANNER_RELAYS_H
#define PLANNER_RELAYS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/relay.h"
#include "ipc/txn.h"
#include "planner/endpoints.h"
#include "planner/own_node.h"
#include "planner/store.h"

struct relay_entry;

/* Start zeroed but for OWN and ZONE. */
struct relays {
	const struct own_node *own;
	const char *zone; /* our node's, "" if unknown */
	txn_sink
	    send; /* to the relay process; NULL: there is none, and ports are as they would be */
	void *arg;
	struct relay_entry *by_id[RELAYS_MAX];
	uint32_t ids;	  /* all that were given are below */
	uint32_t waiting; /* for their port */
	bool exhausted;	  /* no number is left: said once */
	/* closed once no rule leads there */
	struct relay_entry *unused;
	/* scratch */
	struct chosen_endpoints chosen;
	struct relay_endpoint *endpoints;
	size_t room;
	struct relay_open open;
	struct relay_backends backends;
	struct frame frame;
};

/* Brings the relays of V, as far as FAMILIES are programmed, to what they should be. */
void relays_update(struct relays *r, struct stored_service *v, const bool families[FAMILY_COUNT]);
/* Closes those that relays_update() had no use for any more. */
void relays_close_unused(struct relays *r);
/* V is going to be freed: so are its relays, without a word. To be called for all at the end. */
void relays_forget(struct relays *r, struct stored_service *v);
/* Frees the rest. */
void relays_clear(struct relays *r);

/* PROXY_PORT: *MOVED is the service that has a port now that it had not, NULL: none. NULL, or how
 * it breaks the protocol. */
const char *relays_answer(struct relays *r, struct cursor *c, struct stored_service **moved);

/* The port that V's port INDEX has in FAMILY for the endpoints of LIST; 0: none. */
uint16_t relays_port(
    const struct stored_service *v, uint32_t index, uint8_t family, enum endpoint_list list);

/* The service in S, and *INDEX its port, whose relay has PORT on the loopback address of FAMILY;
 * NULL: none. Looks at all of them. */
struct stored_service *relays_on_loopback(
    struct store *s, uint8_t family, uint8_t proto, uint16_t port, uint32_t *index);

#endif
