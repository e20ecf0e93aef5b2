#include "planner/rules.h"

#include <string.h>

#include "planner/nodeports.h"

/* Statistic match: probabilities count in parts of 2^31 (linux/netfilter/xt_statistic.h). */
#define PROBABILITY_ONE 0x80000000u

static const struct static_rule {
	uint8_t kind;
	uint8_t template;
} static_rules[] = {
    {CHAIN_MARK_MASQ, T_MARK_MASQ},
    {CHAIN_POSTROUTING, T_POSTROUTING_HAIRPIN},
    {CHAIN_POSTROUTING, T_POSTROUTING_UNMARKED},
    {CHAIN_POSTROUTING, T_POSTROUTING_CLEAR},
    {CHAIN_POSTROUTING, T_POSTROUTING_MASQUERADE},
    {CHAIN_FORWARD, T_FORWARD_INVALID},
    {CHAIN_FORWARD, T_FORWARD_MARKED},
    {CHAIN_FORWARD, T_FORWARD_ESTABLISHED},
};

void rules_start(struct ipt_rule *r, enum ipt_template_id t, const struct stored_service *v,
    const struct stored_port *p)
{
	memset(r, 0, sizeof(*r));
	r->template = (uint8_t)t;
	r->proto = p->proto;
	r->dport = p->port;
	names_service_port(r->name, v->namespace, v->name, v->spec->strings + p->name);
}

/* Is the rule of a constant chain one for this node? */
static bool static_wanted(
    enum ipt_template_id t, uint8_t family, const struct config *cfg, bool compact)
{
	switch (t) {
	case T_LOCALNET_DROP: /* route_localnet lets in what is sent to 127/8 (CVE-2020-8558) */
		return family == FAMILY_4 && cfg->localhost_nodeports;
	case T_FORWARD_INVALID: /* then segments outside the window are no error */
		return !cfg->conntrack_tcp_be_liberal;
	case T_POSTROUTING_HAIRPIN: /* no KUBE-SEP- marks it */
		return compact;
	default:
		return true;
	}
}

static void static_rule(const struct rule_sink *to, const struct ipt_chain *c,
    const struct static_rule *s, const struct config *cfg, bool compact)
{
	struct ipt_rule r = {.template = s->template};

	if (s->kind == c->kind && ipt_templates[s->template].table == c->table &&
	    static_wanted(s->template, c->family, cfg, compact))
		to->rule(to->arg, &r);
}

void rules_static_first(
    const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own)
{
	static const struct static_rule first = {CHAIN_NODEPORTS, T_LOCALNET_DROP};

	static_rule(to, c, &first, own->cfg, false);
}

void rules_static(
    const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own, bool compact)
{
	if (c->table == IPT_NAT && c->kind == CHAIN_SERVICES)
		nodeports_rules(to, own, c->family);
	for (size_t i = 0; i < sizeof(static_rules) / sizeof(static_rules[0]); i++)
		static_rule(to, c, &static_rules[i], own->cfg, compact);
}

/* --- which chains a port has --- */

/* Does port INDEX of SPEC have an address of KIND and FAMILY? */
static bool has_ip(
    const struct service_spec *spec, enum frontend kind, uint8_t family, uint32_t index)
{
	for (uint32_t i = 0; i < spec->ip_counts[kind]; i++)
		if (spec->ips[kind][i].family == family && spec_has(spec, kind, i, index))
			return true;
	return false;
}

bool rules_has_family(const struct service_spec *spec, uint8_t family)
{
	return spec->families >> family & 1;
}

bool rules_restricted(const struct service_spec *spec, uint8_t family)
{
	bool any = false;

	for (uint32_t i = 0; i < spec->source_range_count; i++) {
		if (spec->source_ranges[i].addr.family != family)
			continue;
		if (spec->source_ranges[i].bits == 0) /* everybody */
			return false;
		any = true;
	}
	return any;
}

unsigned rules_chains_for(
    const struct service_spec *spec, uint32_t index, uint8_t family, bool cluster, bool local)
{
	bool balanced = has_ip(spec, FRONTEND_LOAD_BALANCER, family, index);
	bool external = balanced || spec->ports[index].node_port != 0 ||
			has_ip(spec, FRONTEND_EXTERNAL, family, index);
	unsigned chains = 0;

	if (!cluster)
		return 0;
	if (external)
		chains |= 1u << CHAIN_EXT;
	if (balanced && rules_restricted(spec, family))
		chains |= 1u << CHAIN_FW;
	/* From outside as well: pods and the node pass by the policy Local. */
	if (external || !spec->internal_local)
		chains |= 1u << CHAIN_SVC;
	if (local && (spec->internal_local || (external && spec->external_local)))
		chains |= 1u << CHAIN_SVL;
	return chains;
}

unsigned rules_chains(const struct service_spec *spec, uint32_t index, uint8_t family)
{
	uint8_t live = (uint8_t)(spec->live[index] >> family);

	return rules_chains_for(
	    spec, index, family, (live & LIVE_CLUSTER) != 0, (live & LIVE_LOCAL) != 0);
}

/* --- the chains of a port --- */

static void begin(struct ipt_rule *r, enum ipt_template_id t, const struct rules_port *p)
{
	rules_start(r, t, p->v, &p->v->spec->ports[p->index]);
}

/* ... that jumps to another chain of the port. */
static void begin_jump(
    struct ipt_rule *r, enum ipt_template_id t, const struct rules_port *p, enum chain_kind target)
{
	begin(r, t, p);
	r->target_kind = (uint8_t)target;
	names_svc_hash(r->target_hash, r->name, r->proto);
}

static bool contains_any(const struct ip_cidr *c, const struct own_node *own)
{
	for (uint32_t i = 0; i < own->addr_count; i++)
		if (ip_cidr_contains(c, &own->addrs[i]))
			return true;
	return false;
}

void rules_sources(const struct rule_sink *to, struct ipt_rule *r, const struct service_spec *spec,
    const struct own_node *own, uint8_t family)
{
	bool node_allowed = false;

	for (uint32_t i = 0; i < spec->source_range_count; i++) {
		if (spec->source_ranges[i].addr.family != family)
			continue;
		r->net = spec->source_ranges[i];
		node_allowed |= contains_any(&r->net, own);
		to->rule(to->arg, r);
	}
	/* Where the address is the node's as well, what the node sends there comes from there. */
	for (uint32_t i = 0; node_allowed && i < spec->ip_counts[FRONTEND_LOAD_BALANCER]; i++) {
		r->net.addr = spec->ips[FRONTEND_LOAD_BALANCER][i];
		r->net.bits = ip_bits(family);
		if (r->net.addr.family == family)
			to->rule(to->arg, r);
	}
}

void rules_firewall(const struct rule_sink *to, const struct rules_port *p)
{
	struct ipt_rule r;

	begin_jump(&r, T_SOURCE_RANGE, p, CHAIN_EXT);
	rules_sources(to, &r, p->v->spec, p->own, p->family);
}

/* The policy Local is for outsiders: others reach every endpoint. */
static void pass_by_policy(const struct rule_sink *to, const struct rules_port *p)
{
	const struct ip_cidr *pods = own_node_pods(p->own, p->family);
	struct ipt_rule r;

	if (pods != NULL) {
		begin_jump(&r, T_EXTERNAL_POD, p, CHAIN_SVC);
		r.net = *pods;
		to->rule(to->arg, &r);
	} else if (own_node_pods_by_interface(p->own)) {
		begin_jump(&r, T_EXTERNAL_POD_IF, p, CHAIN_SVC);
		to->rule(to->arg, &r);
	}
	begin(&r, T_EXTERNAL_LOCAL_MASQ, p);
	to->rule(to->arg, &r);
	begin_jump(&r, T_EXTERNAL_LOCAL, p, CHAIN_SVC);
	to->rule(to->arg, &r);
}

void rules_external(const struct rule_sink *to, const struct rules_port *p)
{
	const struct service_spec *spec = p->v->spec;
	struct ipt_rule r;

	if (spec->external_local) {
		pass_by_policy(to, p);
	} else {
		begin(&r, T_EXTERNAL_MASQ, p);
		to->rule(to->arg, &r);
	}
	if (spec->external_local && !(spec->live[p->index] >> p->family & LIVE_LOCAL))
		return;
	begin_jump(&r, T_EXTERNAL_POLICY, p, spec->external_local ? CHAIN_SVL : CHAIN_SVC);
	to->rule(to->arg, &r);
}

/* What of the traffic to the cluster IPs is masqueraded, before an endpoint is chosen. */
static void masquerade(const struct rule_sink *to, const struct rules_port *p)
{
	const struct ip_cidr *pods = own_node_pods(p->own, p->family);
	const struct service_spec *spec = p->v->spec;
	struct ipt_rule r;

	if (p->own->cfg->masquerade_all) {
		begin(&r, T_CLUSTER_IP_MASQ_ALL, p);
	} else if (pods != NULL) {
		begin(&r, T_CLUSTER_IP_MASQ_OUTSIDE, p);
		r.net = *pods;
	} else if (own_node_pods_by_interface(p->own)) {
		begin(&r, T_CLUSTER_IP_MASQ_OUTSIDE_IF, p);
	} else {
		return;
	}
	for (uint32_t k = 0; k < spec->ip_counts[FRONTEND_CLUSTER]; k++) {
		r.dst = spec->ips[FRONTEND_CLUSTER][k];
		if (r.dst.family == p->family)
			to->rule(to->arg, &r);
	}
}

/* Fills in endpoint E as what R is about. */
static void set_endpoint(struct ipt_rule *r, const struct chosen_endpoint *e)
{
	r->to = e->addr;
	r->to_port = e->port;
	if (r->template != T_DNAT_RANDOM && r->template != T_DNAT_LAST)
		names_sep_hash(r->target_hash, r->name, r->proto, e->text);
}

void rules_service(const struct rule_sink *to, const struct rules_port *p, enum endpoint_list list,
    const struct chosen_endpoints *e)
{
	const struct service_spec *spec = p->v->spec;
	uint32_t left = (uint32_t)e->in_list[list];
	bool chains = rules_endpoint_chains(spec, p->compact);
	struct ipt_rule r;

	if (spec->internal_local == (list == LIST_LOCAL))
		masquerade(to, p);
	begin(&r, T_ENDPOINT_AFFINE, p);
	r.target_kind = CHAIN_SEP;
	r.seconds = spec->affinity_seconds;
	for (size_t i = 0; r.seconds > 0 && i < e->count; i++) {
		if (!(e->e[i].lists & 1u << list))
			continue;
		set_endpoint(&r, &e->e[i]);
		to->rule(to->arg, &r);
	}
	r.template = chains ? T_ENDPOINT_RANDOM : T_DNAT_RANDOM;
	for (size_t i = 0; left > 0 && i < e->count; i++) {
		if (!(e->e[i].lists & 1u << list))
			continue;
		if (left == 1)
			r.template = chains ? T_ENDPOINT_LAST : T_DNAT_LAST;
		r.probability = (PROBABILITY_ONE + left / 2) / left;
		set_endpoint(&r, &e->e[i]);
		to->rule(to->arg, &r);
		left--;
	}
}

void rules_endpoint(const struct rule_sink *to, const struct rules_port *p,
    const struct ip_addr *addr, uint16_t port)
{
	struct ipt_rule r;

	begin(&r, T_HAIRPIN_MARK, p);
	r.to = *addr;
	r.to_port = port;
	to->rule(to->arg, &r);
	r.template = p->v->spec->affinity_seconds > 0 ? T_ENDPOINT_DNAT_AFFINE : T_ENDPOINT_DNAT;
	to->rule(to->arg, &r);
}
