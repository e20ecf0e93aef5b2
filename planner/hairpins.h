/*
 * nftables mode: which service's the element is that lets an endpoint of this node reach itself.
 * Several services may have the endpoint, and the element exists once; it is the same whosever it
 * is. When its owner gives it up, those who have the endpoint as well are planned again.
 */
#ifndef PLANNER_HAIRPINS_H
#define PLANNER_HAIRPINS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "planner/elements.h"
#include "planner/store.h"

struct hairpin {
	RB_ENTRY(hairpin) by_address;
	uint8_t family;
	uint8_t addr[16];
	bool contended;
	uint32_t stamp; /* of the plan that asked last for it on behalf of its owner */
	struct stored_service *owner;
};

RB_HEAD(hairpin_tree, hairpin);
RB_PROTOTYPE(hairpin_tree, hairpin, by_address, hairpin_cmp)

struct hairpins {
	struct hairpin_tree tree;
};

void hairpins_clear(struct hairpins *h);
/* V has an endpoint at E's address. Returns whether the element is V's. */
bool hairpins_take(
    struct hairpins *h, const struct element *e, struct stored_service *v, uint32_t stamp);
/* V had E: gives it up unless it asked for it under STAMP. Returns whether others wait for it. */
bool hairpins_release(
    struct hairpins *h, const struct element *e, const struct stored_service *v, uint32_t stamp);
/* Who has the element of E's address; NULL: nobody. */
struct stored_service *hairpins_owner(struct hairpins *h, const struct element *e);

#endif
