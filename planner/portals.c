#include "planner/portals.h"

#include <string.h>

#include "planner/relays.h"

/* One port of a service on its way into one chain. */
struct portal {
	const struct rule_sink *to;
	const struct rules_port *p;
	const struct service_spec *spec;
	const struct stored_port *port;
	bool host;		 /* the chain of what the node itself sends */
	uint16_t cluster, local; /* the relays' ports; 0: none */
	/* the frontend */
	const struct ip_addr *dst; /* NULL: every local address */
	uint16_t dport;
};

static const struct ip_cidr anybody[FAMILY_COUNT] = {
    {.addr.family = FAMILY_4}, {.addr.family = FAMILY_6}};

/* What NET sends to the frontend goes to RELAY. POD_IF: as far as it comes in where pods are. */
static void give(const struct portal *w, const struct ip_cidr *net, bool pod_if, uint16_t relay)
{
	enum ipt_template_id t = pod_if ? T_PORTAL_POD_IF : T_PORTAL;
	struct ipt_rule r;

	if (relay == 0)
		return;
	if (w->dst == NULL)
		t = pod_if ? T_PORTAL_NODE_PORT_POD_IF : T_PORTAL_NODE_PORT;
	rules_start(&r, t, w->p->v, w->port);
	r.dport = w->dport;
	r.net = *net;
	r.to_port = relay;
	if (w->dst != NULL)
		r.dst = *w->dst;
	w->to->rule(w->to->arg, &r);
}

/* What is in both of two prefixes: the narrower, if it is in the other. NULL: nothing. */
static const struct ip_cidr *common(const struct ip_cidr *a, const struct ip_cidr *b)
{
	if (a->bits > b->bits)
		return common(b, a);
	return ip_cidr_contains(a, &b->addr) ? b : NULL;
}

/* What NET sends to an external frontend. The policy Local is for outsiders. */
static void give_external(const struct portal *w, const struct ip_cidr *net)
{
	const struct own_node *own = w->p->own;
	const struct ip_cidr *pods = own_node_pods(own, w->p->family);

	if (w->host || !w->spec->external_local) {
		give(w, net, false, w->cluster);
		return;
	}
	if (pods != NULL && common(net, pods) != NULL)
		give(w, common(net, pods), false, w->cluster);
	else if (pods == NULL && own_node_pods_by_interface(own))
		give(w, net, true, w->cluster);
	give(w, net, false, w->local);
}

/* A rule whose prefix is one that may reach the load-balancer IP. */
static void give_source(void *arg, const struct ipt_rule *r)
{
	give_external(arg, &r->net);
}

static void give_balancer(struct portal *w)
{
	const struct rule_sink each = {give_source, w};
	struct ipt_rule r = {0};

	if (rules_restricted(w->spec, w->p->family))
		rules_sources(&each, &r, w->spec, w->p->own, w->p->family);
	else
		give_external(w, &anybody[w->p->family]);
}

static void services(struct portal *w)
{
	const struct ip_cidr *any = &anybody[w->p->family];

	w->dport = w->port->port;
	for (unsigned kind = 0; kind < FRONTEND_COUNT; kind++)
		for (uint32_t i = 0; i < w->spec->ip_counts[kind]; i++) {
			w->dst = &w->spec->ips[kind][i];
			if (w->dst->family != w->p->family ||
			    !spec_has(w->spec, (enum frontend)kind, i, w->p->index))
				continue;
			if (kind == FRONTEND_CLUSTER)
				give(
				    w, any, false, w->spec->internal_local ? w->local : w->cluster);
			else if (kind == FRONTEND_EXTERNAL)
				give_external(w, any);
			else
				give_balancer(w);
		}
}

static void node_ports(struct portal *w)
{
	struct ip_cidr prefixes[CONFIG_PREFIXES_MAX];
	struct ip_addr addrs[OWN_NODE_ADDRS_MAX];
	const struct own_node *own = w->p->own;
	const uint8_t family = w->p->family;
	uint32_t count;

	w->dport = w->port->node_port;
	if (w->dport == 0)
		return;
	if (own_node_nodeports(own, family, prefixes) == 0) {
		give_external(w, &anybody[family]);
		return;
	}
	count = own_node_port_addrs(own, own->local, family, addrs);
	for (uint32_t i = 0; i < count; i++) {
		w->dst = &addrs[i];
		give_external(w, &anybody[family]);
	}
	w->dst = NULL;
}

void portals_rules(const struct rule_sink *to, const struct rules_port *p, enum chain_kind kind)
{
	struct portal w = {.to = to,
	    .p = p,
	    .spec = p->v->spec,
	    .port = &p->v->spec->ports[p->index],
	    .host = kind == CHAIN_PORTALS_HOST || kind == CHAIN_NODEPORT_HOST,
	    .cluster = relays_port(p->v, p->index, p->family, LIST_CLUSTER),
	    .local = relays_port(p->v, p->index, p->family, LIST_LOCAL)};

	if (kind == CHAIN_PORTALS_CONTAINER || kind == CHAIN_PORTALS_HOST)
		services(&w);
	else
		node_ports(&w);
}

void portals_reject(const struct rule_sink *to, const struct rules_port *p)
{
	struct ipt_rule r;

	rules_start(&r, T_RELAY_REJECT, p->v, &p->v->spec->ports[p->index]);
	for (unsigned list = 0; list < LIST_COUNT; list++) {
		r.dport = relays_port(p->v, p->index, p->family, (enum endpoint_list)list);
		if (r.dport != 0)
			to->rule(to->arg, &r);
	}
}
