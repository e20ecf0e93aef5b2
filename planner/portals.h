/*
 * Userspace mode's rules: what is taken to the relays, under the names of the chains that
 * upstream's has until 1.25 (pkg/proxy/userspace/proxier.go). Policies, source ranges and pods
 * count as in iptables mode. Pure.
 */
#ifndef PLANNER_PORTALS_H
#define PLANNER_PORTALS_H

#include <stdint.h>

#include "planner/rules.h"
#include "planner/store.h"

/*
 * The rules that P's port has in the nat chain of KIND, CHAIN_PORTALS_CONTAINER to
 * CHAIN_NODEPORT_HOST. None leads to a relay without a port.
 */
void portals_rules(const struct rule_sink *to, const struct rules_port *p, enum chain_kind kind);

/* ... in filter KUBE-EXTERNAL-SERVICES: its relays' own ports are nobody's way in. */
void portals_reject(const struct rule_sink *to, const struct rules_port *p);

#endif
