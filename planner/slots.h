/*
 * Which endpoint stands where in the sets that are drawn from. An endpoint that stays keeps its
 * place as far as it can, so that a change of one is a change of few elements, whatever their
 * number.
 */
#ifndef PLANNER_SLOTS_H
#define PLANNER_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "planner/elements.h"
#include "planner/endpoints.h"

struct slots {
	uint32_t *at; /* per number the index of its endpoint among the chosen */
	size_t count, room;
	uint8_t set;	/* enum nft_set_id: endpoints-N or draw-M */
	uint32_t drawn; /* below which numbers are drawn: COUNT, or M */
};

void slots_clear(struct slots *s);
/*
 * Gives each endpoint of LIST in E a number, as far as there are any. PREV: the COUNT elements
 * there were, sorted. FRONTEND is one of those that the endpoints are for; BASE is its first
 * number.
 */
void slots_assign(struct slots *s, const struct chosen_endpoints *e, enum endpoint_list list,
    const struct element *prev, size_t count, const struct element *frontend, uint32_t base);
/* Adds to OUT the elements for FRONTEND, whose data but for the endpoint it has already. */
void slots_elements(struct element_list *out, const struct slots *s,
    const struct chosen_endpoints *e, const struct element *frontend, uint32_t base);

#endif
