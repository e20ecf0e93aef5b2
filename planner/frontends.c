#include "planner/frontends.h"

#include <string.h>

#include "planner/portals.h"

/* One port of a service in one family, on its way into a shared chain. */
struct visit {
	const struct rule_sink *to;
	const struct own_node *own;
	const struct stored_service *v;
	const struct stored_port *port;
	const struct ip_addr *only; /* this address; NULL: all */
	uint8_t family;
	enum chain_kind chain; /* the shared one */
	uint8_t live;	       /* enum live_bit */
	unsigned chains;       /* rules_chains() */
	struct ipt_rule r;
};

static bool exists(const struct visit *w, enum chain_kind kind)
{
	return w->chains & 1u << kind;
}

static uint32_t port_index(const struct visit *w)
{
	return (uint32_t)(w->port - w->v->spec->ports);
}

/* Begins a rule of the port. The target, if T has one, is the port's chain of kind TARGET. */
static void start(struct visit *w, enum ipt_template_id t, enum chain_kind target)
{
	rules_start(&w->r, t, w->v, w->port);
	if ((ipt_templates[t].args & ARG_TARGET) == 0)
		return;
	w->r.target_kind = (uint8_t)target;
	names_svc_hash(w->r.target_hash, w->r.name, w->r.proto);
}

static void finish(const struct visit *w)
{
	w->to->rule(w->to->arg, &w->r);
}

/* A rule for each address. */
static void addresses(
    struct visit *w, enum frontend kind, enum ipt_template_id t, enum chain_kind target)
{
	const struct service_spec *spec = w->v->spec;
	const uint32_t index = port_index(w);
	bool started = false;

	for (uint32_t i = 0; i < spec->ip_counts[kind]; i++) {
		if (spec->ips[kind][i].family != w->family || !spec_has(spec, kind, i, index))
			continue;
		if (w->only != NULL && ip_cmp(w->only, &spec->ips[kind][i]) != 0)
			continue;
		if (!started)
			start(w, t, target);
		started = true;
		w->r.dst = spec->ips[kind][i];
		finish(w);
	}
}

/* The chain that traffic to the cluster IPs goes to, if it exists. */
static enum chain_kind internal_chain(const struct visit *w)
{
	return w->v->spec->internal_local ? CHAIN_SVL : CHAIN_SVC;
}

static void nat_services(struct visit *w)
{
	if (exists(w, internal_chain(w)))
		addresses(w, FRONTEND_CLUSTER, T_CLUSTER_IP, internal_chain(w));
	if (!exists(w, CHAIN_EXT))
		return;
	addresses(w, FRONTEND_EXTERNAL, T_EXTERNAL_IP, CHAIN_EXT);
	addresses(w, FRONTEND_LOAD_BALANCER, T_LOAD_BALANCER_IP,
	    exists(w, CHAIN_FW) ? CHAIN_FW : CHAIN_EXT);
}

static void nat_nodeports(struct visit *w)
{
	if (w->port->node_port == 0 || !exists(w, CHAIN_EXT))
		return;
	start(w, T_NODE_PORT, CHAIN_EXT);
	w->r.dport = w->port->node_port;
	finish(w);
}

static void filter_services(struct visit *w)
{
	if (!exists(w, internal_chain(w)))
		addresses(w, FRONTEND_CLUSTER,
		    w->live & LIVE_CLUSTER ? T_NO_LOCAL_DROP : T_NO_ENDPOINTS_REJECT, 0);
}

/*
 * The filter sees what nat sent nowhere. With the policy Local but no local endpoint that is all
 * but what pods and the node itself send.
 */
static void filter_external_services(struct visit *w)
{
	const struct rules_port port = {w->own, w->v, port_index(w), w->family, false};
	bool reject = !(w->live & LIVE_CLUSTER);
	enum ipt_template_id t = reject ? T_EXTERNAL_NO_ENDPOINTS_REJECT : T_EXTERNAL_NO_LOCAL_DROP;

	if (w->own->cfg->mode == MODE_USERSPACE)
		portals_reject(w->to, &port);
	if (!reject && (!w->v->spec->external_local || w->live & LIVE_LOCAL))
		return;
	addresses(w, FRONTEND_EXTERNAL, t, 0);
	addresses(w, FRONTEND_LOAD_BALANCER, t, 0);
	if (w->port->node_port == 0)
		return;
	start(w, reject ? T_NODE_PORT_NO_ENDPOINTS_REJECT : T_NODE_PORT_NO_LOCAL_DROP, 0);
	w->r.dport = w->port->node_port;
	finish(w);
}

/* Load balancers ask over HTTP, whatever the service speaks (the API's healthCheckNodePort). */
static void filter_nodeports(struct visit *w)
{
	const struct service_spec *spec = w->v->spec;

	if (spec->health_check_node_port == 0 || !spec->external_local)
		return;
	start(w, T_HEALTH_CHECK_ACCEPT, 0);
	w->r.proto = PROTO_TCP;
	w->r.dport = spec->health_check_node_port;
	finish(w);
}

/*
 * For one port of a service. Of more no source is told from another, and all are dropped: nobody
 * would get more than a refusal, and the product of two lists of hundreds is in no proportion.
 */
#define RETURNS_MAX 1024

/* Whom the ranges allow goes on to be rejected: for each address, as it is the rules' destination.
 */
static void firewall_returns(struct visit *w)
{
	const struct service_spec *spec = w->v->spec;
	const uint32_t count = spec->ip_counts[FRONTEND_LOAD_BALANCER];

	if ((uint64_t)count * (count + spec->source_range_count) > RETURNS_MAX)
		return;
	start(w, T_FIREWALL_RETURN, 0);
	for (uint32_t i = 0; i < count; i++) {
		w->r.dst = spec->ips[FRONTEND_LOAD_BALANCER][i];
		if (w->r.dst.family == w->family &&
		    spec_has(spec, FRONTEND_LOAD_BALANCER, i, port_index(w)))
			rules_sources(w->to, &w->r, spec, w->own, w->family);
	}
}

/* With endpoints the ranges stand in KUBE-FW-, and here is what that sent nowhere. */
static void filter_proxy_firewall(struct visit *w)
{
	if (!rules_restricted(w->v->spec, w->family))
		return;
	if (!exists(w, CHAIN_FW))
		firewall_returns(w);
	addresses(w, FRONTEND_LOAD_BALANCER, T_FIREWALL_DROP, 0);
}

static void portals(struct visit *w)
{
	const struct rules_port port = {w->own, w->v, port_index(w), w->family, false};

	portals_rules(w->to, &port, w->chain);
}

static const struct {
	uint8_t table;
	uint8_t kind;
	void (*rules)(struct visit *w);
} shared[SHARED_COUNT] = {
    [SHARED_NAT_SERVICES] = {IPT_NAT, CHAIN_SERVICES, nat_services},
    [SHARED_NAT_NODEPORTS] = {IPT_NAT, CHAIN_NODEPORTS, nat_nodeports},
    [SHARED_FILTER_SERVICES] = {IPT_FILTER, CHAIN_SERVICES, filter_services},
    [SHARED_FILTER_EXTERNAL_SERVICES] = {IPT_FILTER, CHAIN_EXTERNAL_SERVICES,
	filter_external_services},
    [SHARED_FILTER_NODEPORTS] = {IPT_FILTER, CHAIN_NODEPORTS, filter_nodeports},
    [SHARED_FILTER_PROXY_FIREWALL] = {IPT_FILTER, CHAIN_PROXY_FIREWALL, filter_proxy_firewall},
    [SHARED_PORTALS_CONTAINER] = {IPT_NAT, CHAIN_PORTALS_CONTAINER, portals},
    [SHARED_PORTALS_HOST] = {IPT_NAT, CHAIN_PORTALS_HOST, portals},
    [SHARED_NODEPORT_CONTAINER] = {IPT_NAT, CHAIN_NODEPORT_CONTAINER, portals},
    [SHARED_NODEPORT_HOST] = {IPT_NAT, CHAIN_NODEPORT_HOST, portals},
};

struct ipt_chain frontends_chain(enum shared_chain kind, uint8_t family)
{
	return (struct ipt_chain){
	    .family = family, .table = shared[kind].table, .kind = shared[kind].kind};
}

enum shared_chain frontends_shared(const struct ipt_chain *c)
{
	unsigned i;

	for (i = 0; i < SHARED_COUNT; i++)
		if (shared[i].table == c->table && shared[i].kind == c->kind)
			break;
	return (enum shared_chain)i;
}

enum frontend frontends_kind(const struct service_spec *spec, const struct ip_addr *a)
{
	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			if (ip_cmp(&spec->ips[k][i], a) == 0)
				return (enum frontend)k;
	return FRONTEND_COUNT;
}

const char *frontends_kind_name(enum frontend kind)
{
	static const char *const names[] = {
	    [FRONTEND_CLUSTER] = "cluster IP",
	    [FRONTEND_EXTERNAL] = "external IP",
	    [FRONTEND_LOAD_BALANCER] = "load-balancer IP",
	    [FRONTEND_COUNT] = "node port",
	};

	return names[kind];
}

bool frontends_in_mode(enum shared_chain kind, const struct config *cfg)
{
	const bool redirects = kind >= SHARED_PORTALS_CONTAINER;

	if (shared[kind].table == IPT_FILTER)
		return true;
	return redirects == (cfg->mode == MODE_USERSPACE);
}

static void visit_port(struct visit *w, uint32_t index, enum shared_chain kind)
{
	const struct service_spec *spec = w->v->spec;

	w->port = &spec->ports[index];
	w->live = (uint8_t)(spec->live[index] >> w->family);
	w->chains = rules_chains(spec, index, w->family);
	w->chain = (enum chain_kind)shared[kind].kind;
	shared[kind].rules(w);
}

static void visit_ports(struct visit *w, enum shared_chain kind)
{
	const struct service_spec *spec = w->v->spec;

	if (spec == NULL || !rules_has_family(spec, w->family))
		return;
	for (uint32_t i = 0; i < spec->port_count; i++)
		visit_port(w, i, kind);
}

void frontends_port_rules(const struct rule_sink *to, const struct own_node *own,
    const struct stored_service *v, uint32_t index, enum shared_chain kind, uint8_t family)
{
	struct visit w = {.to = to, .own = own, .v = v, .family = family};

	visit_port(&w, index, kind);
}

void frontends_rules(const struct rule_sink *to, const struct own_node *own,
    const struct stored_service *v, enum shared_chain kind, uint8_t family)
{
	struct visit w = {.to = to, .own = own, .v = v, .family = family};

	visit_ports(&w, kind);
}

void frontends_nat_services(const struct rule_sink *to, const struct stored_service *v,
    uint8_t family, const struct ip_addr *only)
{
	struct visit w = {.to = to, .v = v, .family = family, .only = only};

	visit_ports(&w, SHARED_NAT_SERVICES);
}
