/* The constant chains of ipvs mode: which there are, what stands in them, which hooks lead there.
 */
#ifndef PLANNER_IPVS_RULES_H
#define PLANNER_IPVS_RULES_H

#include "planner/own_node.h"
#include "planner/rules.h"

/* The hooks that are on, a bit each. */
#define IPVS_HOOKS                                                                                 \
	((1u << 5) | (1u << 6) | (1u << 9) | (1u << 10) | (1u << 11) | (1u << 13) | (1u << 16))

/* Is C, of a kind without hash, a chain of ipvs mode? */
bool ipvs_rules_has(const struct ipt_chain *c);
void ipvs_rules(const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own);

#endif
