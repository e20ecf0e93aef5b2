#include "planner/own_node.h"

#include <string.h>

/* --- what the Node tells --- */

static bool takes_pod_cidrs(const struct own_node *o)
{
	return o->cfg->detect_local == DETECT_NODE_CIDR;
}

static bool put_addrs(struct own_node *o, const struct node *n)
{
	if (n->addr_count == o->addr_count &&
	    memcmp(n->addrs, o->addrs, n->addr_count * sizeof(*n->addrs)) == 0)
		return false;
	memcpy(o->addrs, n->addrs, n->addr_count * sizeof(*n->addrs));
	o->addr_count = n->addr_count;
	return true;
}

/* The first address of each family that has one. */
static bool put_primary(struct own_node *o, const struct node *n)
{
	bool seen[FAMILY_COUNT] = {false};
	bool changed = false;

	for (uint32_t i = 0; i < n->addr_count; i++) {
		const uint8_t f = n->addrs[i].family;

		if (seen[f])
			continue;
		seen[f] = true;
		changed |= !o->has_primary[f] || ip_cmp(&o->primary[f], &n->addrs[i]) != 0;
		o->has_primary[f] = true;
		o->primary[f] = n->addrs[i];
	}
	return changed;
}

static bool put_pods(struct own_node *o, const struct node *n)
{
	bool changed = false;

	for (uint32_t i = 0; i < n->pod_cidr_count; i++) {
		const struct ip_cidr *c = &n->pod_cidrs[i];
		const uint8_t f = c->addr.family;

		changed |= !o->has_pods[f] || o->pods[f].bits != c->bits ||
			   ip_cmp(&o->pods[f].addr, &c->addr) != 0;
		o->has_pods[f] = true;
		o->pods[f] = *c;
	}
	return changed;
}

unsigned own_node_put(struct own_node *o, const struct node *n)
{
	static const struct node none;
	unsigned changed = 0;

	if (n == NULL)
		n = &none;
	if (put_addrs(o, n))
		changed |= OWN_NODE_ADDRS;
	if (put_primary(o, n) &&
	    (o->cfg->nodeport_primary ||
		(o->cfg->mode == MODE_NFTABLES && o->cfg->nodeport_address_count == 0)))
		changed |= OWN_NODE_NODEPORTS;
	if (put_pods(o, n))
		changed |= OWN_NODE_POD_CIDRS | (takes_pod_cidrs(o) ? OWN_NODE_PODS : 0u);
	return changed;
}

/* --- what the rules go by --- */

/* An address the node is told to have is its primary one, whatever the Node says. */
static const struct ip_addr *primary(const struct own_node *o, uint8_t family)
{
	static const uint8_t unspecified[sizeof(o->cfg->bind_address.b)];
	const struct ip_addr *bind = &o->cfg->bind_address;

	if (bind->family == family && memcmp(bind->b, unspecified, sizeof(bind->b)) != 0)
		return bind;
	return o->has_primary[family] ? &o->primary[family] : NULL;
}

const char *own_node_missing(const struct own_node *o)
{
	if (o->cfg->nodeport_primary && primary(o, FAMILY_4) == NULL &&
	    primary(o, FAMILY_6) == NULL)
		return "an InternalIP or ExternalIP (--nodeport-addresses=primary)";
	if (takes_pod_cidrs(o) && !o->has_pods[FAMILY_4] && !o->has_pods[FAMILY_6])
		return "podCIDRs (--detect-local-mode=NodeCIDR)";
	return NULL;
}

bool own_node_pods_by_interface(const struct own_node *o)
{
	return (o->cfg->detect_local == DETECT_BRIDGE_INTERFACE ||
		   o->cfg->detect_local == DETECT_INTERFACE_PREFIX) &&
	       o->cfg->pod_interface[0] != '\0';
}

const struct ip_cidr *own_node_pods(const struct own_node *o, uint8_t family)
{
	const struct config *cfg = o->cfg;

	if (takes_pod_cidrs(o))
		return o->has_pods[family] ? &o->pods[family] : NULL;
	if (cfg->detect_local != DETECT_CLUSTER_CIDR)
		return NULL;
	for (uint32_t i = 0; i < cfg->cluster_cidr_count; i++)
		if (cfg->cluster_cidrs[i].addr.family == family)
			return &cfg->cluster_cidrs[i];
	return NULL;
}

uint32_t own_node_nodeports(
    const struct own_node *o, uint8_t family, struct ip_cidr out[CONFIG_PREFIXES_MAX])
{
	const struct config *cfg = o->cfg;
	uint32_t count = 0;

	if (cfg->nodeport_primary) {
		if (primary(o, family) == NULL)
			return 0;
		out[0] = (struct ip_cidr){*primary(o, family), ip_bits(family)};
		return 1;
	}
	for (uint32_t i = 0; i < cfg->nodeport_address_count; i++) {
		const struct ip_cidr *c = &cfg->nodeport_addresses[i];

		if (c->addr.family != family)
			continue;
		if (c->bits == 0)
			return 0;
		out[count++] = *c;
	}
	return count;
}

bool own_node_takes_addrs(const struct own_node *o)
{
	return !o->cfg->nodeport_primary && o->cfg->nodeport_address_count > 0;
}

uint32_t own_node_port_addrs(const struct own_node *o, const struct local_addrs *local,
    uint8_t family, struct ip_addr out[OWN_NODE_ADDRS_MAX])
{
	struct ip_cidr prefixes[CONFIG_PREFIXES_MAX];
	uint32_t some = own_node_nodeports(o, family, prefixes), count = 0;

	if (!own_node_takes_addrs(o)) {
		if (primary(o, family) == NULL)
			return 0;
		out[0] = *primary(o, family);
		return 1;
	}
	for (size_t i = 0; i < local->count && count < OWN_NODE_ADDRS_MAX; i++) {
		const struct ip_addr *a = &local->addrs[i];
		bool in = some == 0;

		for (uint32_t k = 0; k < some; k++)
			in |= ip_cidr_contains(&prefixes[k], a);
		if (in && a->family == family && ip_is_endpoint(a))
			out[count++] = *a;
	}
	return count;
}
