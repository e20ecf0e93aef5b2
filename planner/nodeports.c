#include "planner/nodeports.h"

#include <string.h>

static const struct ip_cidr loopbacks[FAMILY_COUNT] = {
    [FAMILY_4] = {{FAMILY_4, {127}}, 8},
    [FAMILY_6] = {{FAMILY_6, {[15] = 1}}, 128},
};

static void give(const struct rule_sink *to, enum ipt_template_id t, const struct ip_cidr *net)
{
	struct ipt_rule r = {.template = (uint8_t)t};

	if (net != NULL)
		r.net = *net;
	to->rule(to->arg, &r);
}

/* The prefix of BITS that shares all but its last bit with C's address. */
static struct ip_cidr neighbour(const struct ip_cidr *c, unsigned bits)
{
	const unsigned last = bits - 1;
	struct ip_cidr n = {.addr.family = c->addr.family, .bits = (uint8_t)bits};

	for (unsigned i = 0; i < bits; i++) {
		const uint8_t bit = (uint8_t)(0x80 >> i % 8);

		if (((c->addr.b[i / 8] & bit) != 0) != (i == last))
			n.addr.b[i / 8] |= bit;
	}
	return n;
}

/* NET without the loopback addresses: what is left of it is the neighbours on the way down. */
static void give_others(const struct rule_sink *to, const struct ip_cidr *net)
{
	const struct ip_cidr *loopback = &loopbacks[net->addr.family];

	if (ip_cidr_contains(loopback, &net->addr) && net->bits >= loopback->bits)
		return;
	if (!ip_cidr_contains(net, &loopback->addr)) {
		give(to, T_NODEPORTS_IN, net);
		return;
	}
	for (unsigned bits = net->bits + 1u; bits <= loopback->bits; bits++) {
		struct ip_cidr part = neighbour(loopback, bits);

		give(to, T_NODEPORTS_IN, &part);
	}
}

/* IPv6 has no route_localnet: what comes from ::1 never leaves. */
static bool answers_on_loopback(const struct own_node *own, uint8_t family)
{
	return family == FAMILY_4 && own->cfg->localhost_nodeports;
}

void nodeports_rules(const struct rule_sink *to, const struct own_node *own, uint8_t family)
{
	const bool loopback = answers_on_loopback(own, family);
	struct ip_cidr nets[CONFIG_PREFIXES_MAX];
	const uint32_t count = own_node_nodeports(own, family, nets);

	if (loopback) /* route_localnet lets in what neighbours send to 127/8 */
		give(to, T_LOCALNET_RETURN, NULL);
	if (count == 0)
		give(to, loopback ? T_NODEPORTS_ANY : T_NODEPORTS_LAST, NULL);
	for (uint32_t i = 0; i < count; i++) {
		if (loopback)
			give(to, T_NODEPORTS_IN, &nets[i]);
		else
			give_others(to, &nets[i]);
	}
}

bool nodeports_answer(const struct own_node *own, const struct ip_addr *addr)
{
	struct ip_cidr nets[CONFIG_PREFIXES_MAX];
	const uint32_t count = own_node_nodeports(own, addr->family, nets);
	bool within = count == 0;

	if (ip_cidr_contains(&loopbacks[addr->family], addr) &&
	    !answers_on_loopback(own, addr->family))
		return false;
	for (uint32_t i = 0; i < count; i++)
		within |= ip_cidr_contains(&nets[i], addr);
	return within;
}

bool nodeports_at(const struct own_node *own, const struct ip_addr *addr, bool local)
{
	struct ip_addr listed[OWN_NODE_ADDRS_MAX];
	uint32_t count;

	if (own->cfg->mode != MODE_NFTABLES)
		return local && nodeports_answer(own, addr);
	count = own_node_port_addrs(own, own->local, addr->family, listed);
	for (uint32_t i = 0; i < count; i++)
		if (ip_cmp(&listed[i], addr) == 0)
			return true;
	return false;
}
