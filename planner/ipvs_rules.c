#include "planner/ipvs_rules.h"

enum {
	PER_PROTOCOL = 1, /* a rule for each of TCP, UDP and SCTP */
	FOR_TCP = 2,
	MASQUERADE = 4, /* what ClusterIPs are asked from outside: one of four rules */
};

static const struct constant {
	uint8_t kind;
	uint8_t template;
	uint8_t how;
} constants[] = {
    {CHAIN_SERVICES, T_IPVS_LOAD_BALANCER, 0},
    {CHAIN_SERVICES, T_IPVS_MASQ_ALL, MASQUERADE},
    {CHAIN_SERVICES, T_IPVS_EXTERNAL_IP, 0},
    {CHAIN_SERVICES, T_IPVS_EXTERNAL_LOCAL, 0},
    {CHAIN_SERVICES, T_IPVS_SERVED, 0},
    {CHAIN_SERVICES, T_IPVS_NODE_PORTS, 0},
    {CHAIN_LOAD_BALANCER, T_IPVS_BALANCER_LOCAL_MASQ, 0},
    {CHAIN_LOAD_BALANCER, T_IPVS_BALANCER_LOCAL, 0},
    {CHAIN_LOAD_BALANCER, T_IPVS_BALANCER_MASQ, 0},
    {CHAIN_NODE_PORT, T_IPVS_NODE_PORT_LOCAL_MASQ, PER_PROTOCOL},
    {CHAIN_NODE_PORT, T_IPVS_NODE_PORT_LOCAL, PER_PROTOCOL},
    {CHAIN_NODE_PORT, T_IPVS_NODE_PORT_MASQ, PER_PROTOCOL},
    {CHAIN_MARK_MASQ, T_MARK_MASQ, 0},
    {CHAIN_POSTROUTING, T_IPVS_LOOP_BACK, 0},
    {CHAIN_POSTROUTING, T_POSTROUTING_UNMARKED, 0},
    {CHAIN_POSTROUTING, T_POSTROUTING_CLEAR, 0},
    {CHAIN_POSTROUTING, T_POSTROUTING_MASQUERADE, 0},
    {CHAIN_FORWARD, T_FORWARD_MARKED, 0},
    {CHAIN_FORWARD, T_FORWARD_ESTABLISHED, 0},
    {CHAIN_PROXY_FIREWALL, T_IPVS_FIREWALL, 0},
    {CHAIN_SOURCE_RANGES_FIREWALL, T_IPVS_SOURCE_CIDR, 0},
    {CHAIN_SOURCE_RANGES_FIREWALL, T_IPVS_FIREWALL_DROP, 0},
    {CHAIN_NODE_PORT, T_IPVS_HEALTH_CHECK, FOR_TCP},
    {CHAIN_IPVS_FILTER, T_IPVS_KNOWN_CLUSTER_IP, 0},
    {CHAIN_IPVS_FILTER, T_IPVS_KNOWN_EXTERNAL_IP, 0},
    {CHAIN_IPVS_FILTER, T_IPVS_KNOWN_EXTERNAL_LOCAL, 0},
    {CHAIN_IPVS_FILTER, T_IPVS_KNOWN_BALANCER, 0},
    {CHAIN_IPVS_FILTER, T_IPVS_UNKNOWN_REJECT, PER_PROTOCOL},
};

static bool stands_in(const struct constant *k, const struct ipt_chain *c)
{
	return k->kind == c->kind && ipt_templates[k->template].table == c->table;
}

bool ipvs_rules_has(const struct ipt_chain *c)
{
	bool has = c->kind == CHAIN_CANARY;

	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		has |= stands_in(&constants[i], c);
	return has;
}

/*
 * Without local detection no client is told from another; but what the node itself sends to a
 * ClusterIP comes from that address, which is this machine's, and nobody could answer there.
 */
static void masquerade(
    const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own)
{
	const struct ip_cidr *pods = own_node_pods(own, c->family);
	struct ipt_rule r = {.template = T_IPVS_MASQ_SELF};

	if (own->cfg->masquerade_all) {
		r.template = T_IPVS_MASQ_ALL;
	} else if (pods != NULL) {
		r.template = T_IPVS_MASQ_OUTSIDE;
		r.net = *pods;
	} else if (own_node_pods_by_interface(own)) {
		r.template = T_IPVS_MASQ_OUTSIDE_IF;
	}
	to->rule(to->arg, &r);
}

void ipvs_rules(const struct rule_sink *to, const struct ipt_chain *c, const struct own_node *own)
{
	static const uint8_t protocols[] = {PROTO_TCP, PROTO_UDP, PROTO_SCTP};

	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		const struct constant *k = &constants[i];
		struct ipt_rule r = {.template = k->template};
		const size_t rules = k->how == PER_PROTOCOL ? 3 : 1;

		if (!stands_in(k, c))
			continue;
		if (k->how == MASQUERADE) {
			masquerade(to, c, own);
			continue;
		}
		for (size_t p = 0; p < rules; p++) {
			r.proto = k->how != 0 ? protocols[p] : 0;
			to->rule(to->arg, &r);
		}
	}
}
