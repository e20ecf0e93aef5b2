/* What ends KUBE-SERVICES of nat: which local addresses answer on node ports. Pure. */
#ifndef PLANNER_NODEPORTS_H
#define PLANNER_NODEPORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/own_node.h"
#include "planner/rules.h"

/*
 * The rules that lead to KUBE-NODEPORTS. Addresses of the loopback interface do not answer, unless
 * CONFIG asks for them; then those of IPv4 do, as far as the prefixes contain them, to the node
 * itself.
 */
void nodeports_rules(const struct rule_sink *to, const struct own_node *own, uint8_t family);

/* Do these rules let ADDR, one of the node's own, answer on node ports? */
bool nodeports_answer(const struct own_node *own, const struct ip_addr *addr);
/* Does ADDR answer on node ports in OWN's mode? LOCAL: it is an address of the node. */
bool nodeports_at(const struct own_node *own, const struct ip_addr *addr, bool local);

#endif
