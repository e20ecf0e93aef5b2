#include "planner/rules.h"

#include <string.h>

/* Statistic match: probabilities count in parts of 2^31 (linux/netfilter/xt_statistic.h). */
#define PROBABILITY_ONE 0x80000000u

static const struct {
	uint8_t kind;
	uint8_t template;
} static_rules[] = {
    {CHAIN_SERVICES, T_NODEPORTS_LAST},
    {CHAIN_MARK_MASQ, T_MARK_MASQ},
    {CHAIN_POSTROUTING, T_POSTROUTING_UNMARKED},
    {CHAIN_POSTROUTING, T_POSTROUTING_CLEAR},
    {CHAIN_POSTROUTING, T_POSTROUTING_MASQUERADE},
    {CHAIN_FORWARD, T_FORWARD_INVALID},
    {CHAIN_FORWARD, T_FORWARD_MARKED},
    {CHAIN_FORWARD, T_FORWARD_ESTABLISHED},
};

static void start(struct ipt_rule *r, enum ipt_template_id t, const struct stored_service *v,
    const struct stored_port *p)
{
	memset(r, 0, sizeof(*r));
	r->template = (uint8_t)t;
	r->proto = p->proto;
	r->dport = p->port;
	names_service_port(r->name, v->namespace, v->name, v->spec->strings + p->name);
}

void rules_static(const struct rule_sink *to, const struct ipt_chain *c)
{
	struct ipt_rule r;

	for (size_t i = 0; i < sizeof(static_rules) / sizeof(static_rules[0]); i++) {
		uint8_t t = static_rules[i].template;

		if (static_rules[i].kind != c->kind || ipt_templates[t].table != c->table)
			continue;
		memset(&r, 0, sizeof(r));
		r.template = t;
		to->rule(to->arg, &r);
	}
}

void rules_frontends(
    const struct rule_sink *to, const struct stored_service *v, uint8_t table, uint8_t family)
{
	const struct service_spec *spec = v->spec;
	struct ipt_rule r;

	for (uint32_t i = 0; spec != NULL && i < spec->port_count; i++) {
		bool live = spec->live[i] & (1u << family);

		if (live != (table == IPT_NAT))
			continue;
		start(&r, live ? T_CLUSTER_IP : T_NO_ENDPOINTS_REJECT, v, &spec->ports[i]);
		if (live) {
			r.target_kind = CHAIN_SVC;
			names_svc_hash(r.target_hash, r.name, r.proto);
		}
		for (uint32_t k = 0; k < spec->ip_count; k++) {
			if (spec->ips[k].family != family)
				continue;
			r.dst = spec->ips[k];
			to->rule(to->arg, &r);
		}
	}
}

/* What of the traffic to the cluster IPs is masqueraded, before an endpoint is chosen. */
static void masquerade(const struct rule_sink *to, const struct config *cfg,
    const struct stored_service *v, uint32_t index, uint8_t family)
{
	const struct ip_cidr *pods = NULL;
	struct ipt_rule r;

	for (uint32_t i = 0; i < cfg->cluster_cidr_count; i++)
		if (cfg->cluster_cidrs[i].addr.family == family)
			pods = &cfg->cluster_cidrs[i];
	if (!cfg->masquerade_all && pods == NULL)
		return;
	start(&r, cfg->masquerade_all ? T_CLUSTER_IP_MASQ_ALL : T_CLUSTER_IP_MASQ_OUTSIDE, v,
	    &v->spec->ports[index]);
	if (!cfg->masquerade_all)
		r.src = *pods;
	for (uint32_t k = 0; k < v->spec->ip_count; k++) {
		if (v->spec->ips[k].family != family)
			continue;
		r.dst = v->spec->ips[k];
		to->rule(to->arg, &r);
	}
}

void rules_service(const struct rule_sink *to, const struct config *cfg,
    const struct stored_service *v, uint32_t index, uint8_t family,
    const struct chosen_endpoints *endpoints)
{
	const struct stored_port *p = &v->spec->ports[index];
	struct ipt_rule r;

	masquerade(to, cfg, v, index, family);
	start(&r, T_ENDPOINT_RANDOM, v, p);
	r.target_kind = CHAIN_SEP;
	for (size_t i = 0; i < endpoints->count; i++) {
		const struct chosen_endpoint *e = &endpoints->e[i];
		uint32_t left = (uint32_t)(endpoints->count - i);

		if (left == 1)
			r.template = T_ENDPOINT_LAST;
		r.probability = (PROBABILITY_ONE + left / 2) / left;
		r.to = e->addr;
		r.to_port = e->port;
		names_sep_hash(r.target_hash, r.name, p->proto, e->text);
		to->rule(to->arg, &r);
	}
}

void rules_endpoint(const struct rule_sink *to, const struct stored_service *v, uint32_t index,
    const struct ip_addr *addr, uint16_t port)
{
	struct ipt_rule r;

	start(&r, T_HAIRPIN_MARK, v, &v->spec->ports[index]);
	r.to = *addr;
	r.to_port = port;
	to->rule(to->arg, &r);
	r.template = T_ENDPOINT_DNAT;
	to->rule(to->arg, &r);
}
