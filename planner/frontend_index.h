/*
 * Who asks for which frontend: every claim of every service, sorted so that of those for one
 * frontend the best comes first. A ClusterIP is claimed with all its ports, an external or
 * load-balancer IP port by port, and a node port without an address. Services claim addresses of
 * the families that they have ClusterIPs of, as they are programmed in these alone.
 */
#ifndef PLANNER_FRONTEND_INDEX_H
#define PLANNER_FRONTEND_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/ip.h"
#include "planner/store.h"

/* What claims are for. */
struct frontend_key {
	struct ip_addr addr;
	uint8_t proto; /* 0: every one, with every port */
	uint16_t port;
};

struct frontend_claim {
	RB_ENTRY(frontend_claim) by_rank;
	struct frontend_key key;
	uint8_t kind; /* enum frontend; FRONTEND_COUNT: a node port */
	bool listed;  /* the same one twice in a service is listed once */
	bool on_node; /* an external or load-balancer IP is an address of the node */
	struct stored_service *v;
};

struct frontend_key frontend_key_address(const struct ip_addr *addr);
struct frontend_key frontend_key_node_port(uint8_t proto, uint16_t port);
bool frontend_key_equal(const struct frontend_key *a, const struct frontend_key *b);

/*
 * Lists what SPEC, which V asks for, claims, or takes it off the list again. V's creation and UID
 * must not change in between. CONTESTED is called with each claim that may have won or lost its
 * frontend by that, among several for one.
 */
typedef void frontend_contested(struct store *s, struct frontend_claim *c);
void frontend_index_list(struct store *s, struct stored_service *v, const struct service_spec *spec,
    frontend_contested *contested);
void frontend_index_unlist(
    struct store *s, struct stored_service *v, frontend_contested *contested);

/* The best claim for KEY; NULL: there is none. And the one behind C for the same. */
struct frontend_claim *frontend_index_best(const struct store *s, const struct frontend_key *key);
struct frontend_claim *frontend_index_next(const struct store *s, struct frontend_claim *c);
/* The first claim for ADDR, with or without a port, and the one behind C for this address. */
struct frontend_claim *frontend_index_at(const struct store *s, const struct ip_addr *addr);
struct frontend_claim *frontend_index_next_at(const struct store *s, struct frontend_claim *c);

#endif
