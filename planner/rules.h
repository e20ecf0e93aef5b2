/*
 * What stands in each chain of a service, and in the constant ones: the rules of iptables mode in
 * upstream's order (SEMANTICS: "iptables mode"; upstream's pkg/proxy/iptables/proxier.go
 * syncProxyRules). Pure.
 */
#ifndef PLANNER_RULES_H
#define PLANNER_RULES_H

#include "applier/ipt_tables.h"
#include "ipc/config.h"
#include "planner/endpoints.h"
#include "planner/own_node.h"
#include "planner/store.h"

/* Takes the rules of a chain, one after the other. */
struct rule_sink {
	void (*rule)(void *arg, const struct ipt_rule *r);
	void *arg;
};

/*
 * The constant content of a chain whose kind has no hash. What begins a chain with rules of
 * services (KUBE-NODEPORTS) comes from rules_static_first(), what ends it (KUBE-SERVICES) from
 * rules_static(). COMPACT: of the layout for large clusters, see rules_endpoint_chains().
 */
void rules_static_first(
    const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own);
void rules_static(const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own,
    bool compact);

/* Begins a rule of V's port P: everything zero but the template and the port's own arguments. */
void rules_start(struct ipt_rule *r, enum ipt_template_id t, const struct stored_service *v,
    const struct stored_port *p);

/* A service is programmed in the families of its cluster IPs. */
bool rules_has_family(const struct service_spec *spec, uint8_t family);

/*
 * Which chains port INDEX of SPEC has in FAMILY, a bit per enum chain_kind from CHAIN_FW to
 * CHAIN_SVL. Goes by spec->live.
 */
unsigned rules_chains(const struct service_spec *spec, uint32_t index, uint8_t family);
/* ... if there are endpoints: at all (CLUSTER), on this node (LOCAL). */
unsigned rules_chains_for(
    const struct service_spec *spec, uint32_t index, uint8_t family, bool cluster, bool local);

/*
 * Do SPEC's endpoints have chains of their own? In the COMPACT layout only where session affinity
 * takes them: without, a service's chain translates to its endpoints itself and one rule of
 * KUBE-POSTROUTING masquerades what an endpoint sends to itself. The kernel reads and writes tables
 * rule by rule, and this is a quarter of the rules.
 */
static inline bool rules_endpoint_chains(const struct service_spec *spec, bool compact)
{
	return !compact || spec->affinity_seconds > 0;
}

/* Whom the rules of one port concern. */
struct rules_port {
	const struct own_node *own;
	const struct stored_service *v;
	uint32_t index;
	uint8_t family;
	bool compact;
};

/* Do SPEC's source ranges limit who may reach its load-balancer IPs of FAMILY? */
bool rules_restricted(const struct service_spec *spec, uint8_t family);
/*
 * R once for each source that may reach V's load-balancer IPs of FAMILY, as its prefix: the ranges,
 * and what the node itself sends there if one contains the node.
 */
void rules_sources(const struct rule_sink *to, struct ipt_rule *r, const struct service_spec *spec,
    const struct own_node *own, uint8_t family);

/* KUBE-FW- */
void rules_firewall(const struct rule_sink *to, const struct rules_port *p);
/* KUBE-EXT- */
void rules_external(const struct rule_sink *to, const struct rules_port *p);
/* KUBE-SVC- or KUBE-SVL-, whose endpoints are those of LIST in E: at least one. */
void rules_service(const struct rule_sink *to, const struct rules_port *p, enum endpoint_list list,
    const struct chosen_endpoints *e);
/* KUBE-SEP- of one endpoint. */
void rules_endpoint(const struct rule_sink *to, const struct rules_port *p,
    const struct ip_addr *addr, uint16_t port);

#endif
