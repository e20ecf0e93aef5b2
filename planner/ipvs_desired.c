#include "planner/ipvs_desired.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/memory.h"
#include "planner/nodeports.h"
#include "planner/rules.h"

void ipvs_desired_clear(struct ipvs_desired *d)
{
	endpoints_clear(&d->chosen);
	free(d->items);
	d->items = NULL;
	d->count = d->room = 0;
}

/* One port of a service in one family. */
struct visit {
	struct ipvs_desired *d;
	struct stored_service *v;
	const struct service_spec *spec;
	const struct stored_port *port;
	uint8_t family;
};

/* Adds what frontend F has of KIND. Returns it, to be filled in before the next is added. */
static struct ipvs_item *add(struct visit *w, enum ipvs_kind kind, const struct ipvs_item *f)
{
	const uint8_t fields = ipvs_kinds[kind].fields;
	struct ipvs_desired *d = w->d;
	struct ipvs_item *i;

	d->items = memory_grow(d->items, &d->room, d->count + 1, sizeof(*d->items));
	i = &d->items[d->count++];
	memset(i, 0, sizeof(*i));
	i->kind = (uint8_t)kind;
	i->family = f->family;
	if (fields & IPVS_ADDR)
		i->addr = f->addr;
	if (fields & IPVS_PROTO)
		i->proto = f->proto;
	if (fields & IPVS_PORT)
		i->port = f->port;
	return i;
}

static bool live(const struct visit *w, enum endpoint_list list)
{
	return w->d->chosen.in_list[list] > 0;
}

/* --- frontends --- */

static bool excluded(const struct visit *w, const struct ip_addr *addr)
{
	const struct config *cfg = w->d->own->cfg;

	for (uint32_t i = 0; i < cfg->ipvs_exclude_count; i++)
		if (ip_cidr_contains(&cfg->ipvs_exclude[i], addr))
			return true;
	return false;
}

/* Begins a frontend. False if it is not to be touched, which is said once. */
static bool begin(struct visit *w, struct ipvs_item *f, const struct ip_addr *addr, uint16_t port)
{
	char text[IP_STRLEN];

	*f = (struct ipvs_item){
	    .family = w->family, .addr = *addr, .proto = w->port->proto, .port = port};
	if (!excluded(w, addr))
		return true;
	if (!w->v->told)
		log_warn("service %s/%s: %s port %u is in --ipvs-exclude-cidrs; left out",
		    w->v->namespace, w->v->name, ip_format(addr, text), port);
	w->v->told = true;
	return false;
}

/* The virtual server of F, which leads to LIST. */
static void serve(struct visit *w, const struct ipvs_item *f, enum endpoint_list list)
{
	const struct chosen_endpoints *c = &w->d->chosen;

	add(w, IPVS_SERVER, f)->value = w->spec->affinity_seconds;
	for (size_t k = 0; k < c->count; k++) {
		struct ipvs_item *i;

		if (!(c->e[k].lists & 1u << list))
			continue;
		i = add(w, IPVS_REAL, f);
		i->to = c->e[k].addr;
		i->to_port = c->e[k].port;
		i->value = 1;
	}
}

/*
 * F's address, on kube-ipvs0. One that another interface has is this machine's already, and what
 * else listens there is not to be refused.
 */
static void own_address(struct visit *w, const struct ipvs_item *f)
{
	if (node_is_local(w->d->local, &f->addr))
		return;
	add(w, IPVS_IPS, f);
	add(w, IPVS_ADDRESS, f);
}

struct allow {
	struct visit *w;
	const struct ipvs_item *f;
};

static void allow_net(const struct allow *a, const struct ip_cidr *net)
{
	struct ipvs_item *i = add(a->w, IPVS_SOURCE_CIDR, a->f);

	i->to = net->addr;
	i->bits = net->bits;
}

/* The ipset takes no prefix of no bits: two halves. */
static void allow(const struct allow *a, const struct ip_cidr *net)
{
	struct ip_cidr half = {.addr.family = net->addr.family, .bits = 1};

	if (net->bits > 0) {
		allow_net(a, net);
		return;
	}
	allow_net(a, &half);
	half.addr.b[0] = 0x80;
	allow_net(a, &half);
}

static void allow_source(void *arg, const struct ipt_rule *r)
{
	allow(arg, &r->net);
}

/* ... of those sources that are pods. */
static void allow_pods_of(void *arg, const struct ipt_rule *r)
{
	const struct allow *a = arg;
	const struct ip_cidr *pods = own_node_pods(a->w->d->own, a->w->family);

	if (pods == NULL)
		return;
	if (ip_cidr_contains(&r->net, &pods->addr) && r->net.bits <= pods->bits)
		allow(a, pods);
	else if (ip_cidr_contains(pods, &r->net.addr) && pods->bits <= r->net.bits)
		allow(a, &r->net);
}

/* Who may reach F, if not all. RANGES: the service's source ranges count. */
static void restrict_sources(struct visit *w, const struct ipvs_item *f, bool ranges)
{
	const bool none_local =
	    w->spec->external_local && live(w, LIST_CLUSTER) && !live(w, LIST_LOCAL);
	struct allow a = {w, f};
	struct rule_sink to = {none_local ? allow_pods_of : allow_source, &a};
	struct ipt_rule r = {0};

	ranges = ranges && rules_restricted(w->spec, w->family);
	if (!none_local && !ranges)
		return;
	add(w, IPVS_FIREWALL, f);
	r.net.addr.family = w->family; /* everybody */
	if (ranges)
		rules_sources(&to, &r, w->spec, w->d->own, w->family);
	else
		allow_pods_of(&a, &r);
}

/*
 * From outside. With the policy Local all reach local endpoints; without any pods and the node
 * itself reach the others, and outsiders are dropped.
 */
static void external(struct visit *w, const struct ipvs_item *f, bool ranges)
{
	const bool local = w->spec->external_local && live(w, LIST_LOCAL);

	restrict_sources(w, f, ranges);
	serve(w, f, local ? LIST_LOCAL : LIST_CLUSTER);
}

static void cluster_ip(struct visit *w, const struct ip_addr *addr)
{
	const enum endpoint_list list = w->spec->internal_local ? LIST_LOCAL : LIST_CLUSTER;
	struct ipvs_item f;

	if (!begin(w, &f, addr, w->port->port))
		return;
	add(w, IPVS_CLUSTER_IP, &f);
	if (!live(w, list) && live(w, LIST_CLUSTER))
		add(w, IPVS_FIREWALL, &f); /* nobody may: dropped, not refused */
	own_address(w, &f);
	serve(w, &f, list);
}

static void external_ip(struct visit *w, const struct ip_addr *addr)
{
	struct ipvs_item f;

	if (!begin(w, &f, addr, w->port->port))
		return;
	add(w, w->spec->external_local ? IPVS_EXTERNAL_IP_LOCAL : IPVS_EXTERNAL_IP, &f);
	own_address(w, &f);
	external(w, &f, false);
}

static void load_balancer_ip(struct visit *w, const struct ip_addr *addr)
{
	struct ipvs_item f;

	if (!begin(w, &f, addr, w->port->port))
		return;
	add(w, IPVS_LOAD_BALANCER, &f);
	if (w->spec->external_local)
		add(w, IPVS_LOAD_BALANCER_LOCAL, &f);
	own_address(w, &f);
	external(w, &f, true);
}

/* What tells the constant rules of a node port: with its address for SCTP, else by itself. */
static void marked_node_port(struct visit *w, unsigned proto, const struct ipvs_item *f)
{
	add(w, IPVS_NODE_PORT + proto, f);
	if (w->spec->external_local)
		add(w, IPVS_NODE_PORT_LOCAL + proto, f);
}

static void node_ports(struct visit *w)
{
	const unsigned proto = w->port->proto == IPPROTO_TCP   ? 0
			       : w->port->proto == IPPROTO_UDP ? 1
							       : 2;
	const struct local_addrs *l = w->d->local;
	struct ipvs_item f = {.family = w->family, .port = w->port->node_port};

	if (w->port->node_port == 0)
		return;
	if (w->port->proto != IPPROTO_SCTP)
		marked_node_port(w, proto, &f);
	for (size_t i = 0; i < l->count; i++)
		if (l->addrs[i].family == w->family && ip_is_endpoint(&l->addrs[i]) &&
		    nodeports_answer(w->d->own, &l->addrs[i]) &&
		    begin(w, &f, &l->addrs[i], w->port->node_port)) {
			if (w->port->proto == IPPROTO_SCTP)
				marked_node_port(w, proto, &f);
			external(w, &f, false);
		}
}

/* --- the port --- */

static void visit_addresses(
    struct visit *w, enum frontend kind, void (*visit)(struct visit *w, const struct ip_addr *addr))
{
	for (uint32_t i = 0; i < w->spec->ip_counts[kind]; i++)
		if (w->spec->ips[kind][i].family == w->family &&
		    spec_has(w->spec, kind, i, (uint32_t)(w->port - w->spec->ports)))
			visit(w, &w->spec->ips[kind][i]);
}

/* Endpoints on this node, or nobody knows where, may reach themselves. */
static void loop_back(struct visit *w)
{
	const struct chosen_endpoints *c = &w->d->chosen;

	for (size_t k = 0; k < c->count; k++) {
		const struct ipvs_item at = {.family = w->family,
		    .addr = c->e[k].addr,
		    .proto = w->port->proto,
		    .port = c->e[k].port};

		if ((c->e[k].flags & EP_LOCAL) || c->e[k].anywhere)
			add(w, IPVS_LOOP_BACK, &at)->to = c->e[k].addr;
	}
}

static void visit_port(struct visit *w, uint32_t index)
{
	w->port = &w->spec->ports[index];
	endpoints_choose(&w->d->chosen, w->v, index, w->family, w->d->zone);
	w->d->endpoints += w->d->chosen.count;
	loop_back(w);
	visit_addresses(w, FRONTEND_CLUSTER, cluster_ip);
	visit_addresses(w, FRONTEND_EXTERNAL, external_ip);
	visit_addresses(w, FRONTEND_LOAD_BALANCER, load_balancer_ip);
	node_ports(w);
}

void ipvs_desired_service(struct ipvs_desired *d, struct stored_service *v)
{
	struct visit w = {.d = d, .v = v, .spec = v->spec};

	d->count = 0;
	d->endpoints = 0;
	for (unsigned f = 0; v->spec != NULL && f < FAMILY_COUNT; f++) {
		const struct ipvs_item check = {
		    .family = (uint8_t)f, .port = v->spec->health_check_node_port};

		w.family = (uint8_t)f;
		if (!d->families[f] || !rules_has_family(v->spec, (uint8_t)f))
			continue;
		if (check.port != 0 && v->spec->external_local)
			add(&w, IPVS_HEALTH_CHECK, &check);
		for (uint32_t i = 0; i < v->spec->port_count; i++)
			visit_port(&w, i);
	}
}
