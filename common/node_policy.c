#include "common/node_policy.h"

#define WIDEST_4 8
#define WIDEST_6 48

static bool contain(const struct node_prefixes *list, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (ip_cidr_contains(&list->nets[i], a))
			return true;
	return false;
}

const char *node_policy_port(const struct node_policy *p, uint16_t port)
{
	if (p->node_port_high != 0 && (port < p->node_port_low || port > p->node_port_high))
		return "a node port outside --policy-node-port-range";
	return NULL;
}

const char *node_policy_frontend(const struct node_policy *p, const struct ip_addr *a)
{
	if (p->frontends.count != 0 && !contain(&p->frontends, a))
		return "an address outside --policy-frontends";
	return NULL;
}

const char *node_policy_endpoint(const struct node_policy *p, const struct ip_addr *a)
{
	if (contain(&p->denied_endpoints, a))
		return "an endpoint in --policy-denied-endpoints";
	if (p->endpoints.count != 0 && !contain(&p->endpoints, a))
		return "an endpoint outside --policy-endpoints";
	return NULL;
}

const char *node_policy_drop(const struct node_policy *p, const struct ip_cidr *net)
{
	if (net->bits < (net->addr.family == FAMILY_4 ? WIDEST_4 : WIDEST_6))
		return "a ServiceCIDR wider than /8 or /48";
	if (!ip_is_endpoint(&net->addr))
		return "a ServiceCIDR of no plain unicast addresses";
	for (uint32_t i = 0; i < p->frontends.count; i++)
		if (p->frontends.nets[i].bits <= net->bits &&
		    ip_cidr_contains(&p->frontends.nets[i], &net->addr))
			return NULL;
	return p->frontends.count != 0 ? "a ServiceCIDR outside --policy-frontends" : NULL;
}
