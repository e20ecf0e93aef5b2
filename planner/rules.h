/*
 * What stands in each chain: the rules of iptables mode in upstream's order (SEMANTICS: "iptables
 * mode"; upstream's pkg/proxy/iptables/proxier.go syncProxyRules). Pure.
 */
#ifndef PLANNER_RULES_H
#define PLANNER_RULES_H

#include "applier/ipt_tables.h"
#include "ipc/config.h"
#include "planner/endpoints.h"
#include "planner/store.h"

/* Takes the rules of a chain, one after the other. */
struct rule_sink {
	void (*rule)(void *arg, const struct ipt_rule *r);
	void *arg;
};

/* The constant content of a chain whose kind has no hash; KUBE-SERVICES' is what ends it. */
void rules_static(const struct rule_sink *to, const struct ipt_chain *c);

/*
 * V's rules in KUBE-SERVICES: in nat for its ports with endpoints (spec->live), in filter for those
 * without. Nothing if V has no specification.
 */
void rules_frontends(
    const struct rule_sink *to, const struct stored_service *v, uint8_t table, uint8_t family);

/* KUBE-SVC- of V's port INDEX, whose ENDPOINTS are at least one. */
void rules_service(const struct rule_sink *to, const struct config *cfg,
    const struct stored_service *v, uint32_t index, uint8_t family,
    const struct chosen_endpoints *endpoints);

/* KUBE-SEP- of one endpoint of V's port INDEX. */
void rules_endpoint(const struct rule_sink *to, const struct stored_service *v, uint32_t index,
    const struct ip_addr *addr, uint16_t port);

#endif
