/*
 * What a service puts into the chains that all services share: its addresses and node ports, and
 * what becomes of them without endpoints. Pure.
 */
#ifndef PLANNER_FRONTENDS_H
#define PLANNER_FRONTENDS_H

#include <stdint.h>

#include "applier/ipt_tables.h"
#include "planner/rules.h"
#include "planner/store.h"

/* The shared chain KIND of FAMILY. */
struct ipt_chain frontends_chain(enum shared_chain kind, uint8_t family);
/* Which of the shared chains C is; SHARED_COUNT if none. */
enum shared_chain frontends_shared(const struct ipt_chain *c);

/* By which kind of address SPEC is reached at A: FRONTEND_COUNT if by none but a node port. */
enum frontend frontends_kind(const struct service_spec *spec, const struct ip_addr *a);
/* ... in words. */
const char *frontends_kind_name(enum frontend kind);

/* Is a shared chain one of the mode's that CFG is for? */
bool frontends_in_mode(enum shared_chain kind, const struct config *cfg);

/* V's rules in a shared chain. Nothing if V has no specification or no cluster IP of FAMILY. */
void frontends_rules(const struct rule_sink *to, const struct own_node *own,
    const struct stored_service *v, enum shared_chain kind, uint8_t family);
/* Of those the ones of V's port INDEX. */
void frontends_port_rules(const struct rule_sink *to, const struct own_node *own,
    const struct stored_service *v, uint32_t index, enum shared_chain kind, uint8_t family);
/* Of those in nat KUBE-SERVICES the ones for the address ONLY; NULL: all. They go by V alone. */
void frontends_nat_services(const struct rule_sink *to, const struct stored_service *v,
    uint8_t family, const struct ip_addr *only);

#endif
