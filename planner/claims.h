/*
 * Whose an address and port is: in nftables mode an element exists once, though two services may
 * ask for the same external address and port, or have the same endpoint on this node. The service
 * whose namespace/name is first in the alphabet has it; the others are planned again when it goes.
 */
#ifndef PLANNER_CLAIMS_H
#define PLANNER_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "planner/elements.h"
#include "planner/store.h"

struct claim {
	RB_ENTRY(claim) by_key;
	uint8_t family, proto;
	uint16_t port;
	uint8_t addr[16];
	uint32_t stamp; /* of the plan that asked last for it on behalf of its owner */
	bool contended;
	struct stored_service *owner;
};

RB_HEAD(claim_tree, claim);
RB_PROTOTYPE(claim_tree, claim, by_key, claim_cmp)

struct claims {
	struct claim_tree tree;
};

/* What stands for a claim's port where it is no frontend. */
enum { CLAIM_HAIRPIN = 255, CLAIM_CLUSTER_IP = 254 }; /* proto */

void claims_clear(struct claims *c);
/*
 * V asks for what E is about: its family, address, protocol and port. Returns whether it is V's
 * now; *EVICTED is the service that had it until now, else NULL.
 */
bool claims_take(struct claims *c, const struct element *e, struct stored_service *v,
    uint32_t stamp, struct stored_service **evicted);
/*
 * V had what E is about: gives it up unless it asked for it under STAMP. Returns whether others
 * wait for it.
 */
bool claims_release(
    struct claims *c, const struct element *e, const struct stored_service *v, uint32_t stamp);
/* Who has what E is about; NULL: nobody. */
struct stored_service *claims_owner(struct claims *c, const struct element *e);

#endif
