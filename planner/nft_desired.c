#include "planner/nft_desired.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/siphash.h"
#include "planner/names.h"
#include "planner/rules.h"

void nft_desired_clear(struct nft_desired *d)
{
	hairpins_clear(&d->hairpins);
	elements_clear(&d->list);
	endpoints_clear(&d->chosen);
	for (unsigned i = 0; i < LIST_COUNT; i++)
		slots_clear(&d->slots[i]);
}

uint32_t nft_name_hash(const struct config *cfg, const char *name)
{
	struct siphash s;

	if (name[0] == '\0')
		return 0;
	siphash_init(&s, &cfg->key);
	siphash_update(&s, name, strlen(name));
	return (uint32_t)siphash_final(&s) | 1;
}

/* One port of a service in one family, on its way into the sets. */
struct visit {
	struct nft_desired *d;
	struct stored_service *v;
	const struct service_spec *spec;
	const struct stored_port *port;
	struct element base; /* family, protocol, port's index and the comment */
	int affinity;	     /* number of its time-out, -1: none */
};

/* --- frontends --- */

static void put_addr(struct element *e, const struct ip_addr *a)
{
	memset(e->addr, 0, sizeof(e->addr));
	memcpy(e->addr, a->b, ip_len(a->family));
}

/* Puts frontend E into SET; without a comment where the set has none. */
static void into(const struct visit *w, const struct element *e, unsigned set)
{
	struct element x = *e;

	x.set = (uint8_t)set;
	if (!(nft_set(set)->fields & NFT_NAME))
		x.name = 0;
	elements_add(&w->d->list, &x);
}

static void into_net(
    const struct visit *w, const struct element *e, unsigned set, const struct ip_cidr *net)
{
	struct element x = *e;

	x.set = (uint8_t)set;
	x.name = 0;
	memcpy(x.net, net->addr.b, ip_len(net->addr.family));
	x.bits = net->bits;
	elements_add(&w->d->list, &x);
}

static bool live(const struct visit *w, enum endpoint_list list)
{
	return w->d->chosen.in_list[list] > 0;
}

/* What frontend E has in common with every other: that it rejects, or where it leads. */
static bool serve(const struct visit *w, const struct element *e, enum endpoint_list list)
{
	if (!live(w, LIST_CLUSTER)) {
		into(w, e, NFT_NO_ENDPOINTS);
		return false;
	}
	into(w, e, NFT_SERVICES);
	if (w->affinity >= 0)
		into(w, e, NFT_AFFINE + (unsigned)w->affinity);
	if (live(w, list))
		slots_elements(&w->d->list, &w->d->slots[list], &w->d->chosen, e, 0);
	return true;
}

/* A frontend of the port. */
static struct element frontend(const struct visit *w, const struct ip_addr *addr, uint16_t port)
{
	struct element e = w->base;

	put_addr(&e, addr);
	e.port = port;
	return e;
}

static void cluster_ip(const struct visit *w, const struct ip_addr *addr)
{
	const struct own_node *own = w->d->own;
	bool pods = own_node_pods(own, addr->family) != NULL || own_node_pods_by_interface(own);
	struct element e = frontend(w, addr, w->port->port), whole = {.family = e.family};

	put_addr(&whole, addr);
	into(w, &whole, NFT_CLUSTER_IPS); /* for all of its ports */
	if (!serve(w, &e, w->spec->internal_local ? LIST_LOCAL : LIST_CLUSTER))
		return;
	if (own->cfg->masquerade_all)
		into(w, &e, NFT_MASQ_ALWAYS);
	else if (pods)
		into(w, &e, NFT_MASQ_OUTSIDE);
}

/* An external IP, a load balancer's, or an address of the node with a node port. */
static void external(const struct visit *w, const struct ip_addr *addr, uint16_t port)
{
	const struct element e = frontend(w, addr, port);

	if (!serve(w, &e, LIST_CLUSTER))
		return;
	if (!w->spec->external_local) {
		into(w, &e, NFT_MASQ_ALWAYS);
		return;
	}
	into(w, &e, NFT_LOCAL_POLICY);
	if (live(w, LIST_LOCAL))
		slots_elements(
		    &w->d->list, &w->d->slots[LIST_LOCAL], &w->d->chosen, &e, NFT_LOCAL_SLOT);
}

static void external_ip(const struct visit *w, const struct ip_addr *addr)
{
	external(w, addr, w->port->port);
}

struct allow {
	const struct visit *w;
	const struct element *e;
};

static void allow_source(void *arg, const struct ipt_rule *r)
{
	const struct allow *a = arg;

	into_net(a->w, a->e, NFT_ALLOWED, &r->net);
}

static void load_balancer_ip(const struct visit *w, const struct ip_addr *addr)
{
	const struct element e = frontend(w, addr, w->port->port);
	struct ipt_rule r = {0};
	struct allow a = {w, &e};
	struct rule_sink to = {allow_source, &a};

	external(w, addr, w->port->port);
	if (!rules_restricted(w->spec, addr->family))
		return;
	into(w, &e, NFT_FIREWALL);
	rules_sources(&to, &r, w->spec, w->d->own, addr->family);
}

static void node_ports(const struct visit *w)
{
	struct ip_addr addrs[OWN_NODE_ADDRS_MAX];
	uint32_t count = own_node_port_addrs(w->d->own, w->d->local, w->base.family, addrs);

	for (uint32_t i = 0; w->port->node_port != 0 && i < count; i++)
		external(w, &addrs[i], w->port->node_port);
}

/* --- endpoints --- */

/* Finds the first frontend of the port that LIST is for, or something to take its place. */
static struct element lead(const struct visit *w, bool outside)
{
	static const enum frontend order[] = {FRONTEND_EXTERNAL, FRONTEND_LOAD_BALANCER};
	const struct service_spec *spec = w->spec;
	struct element e = w->base;

	e.port = w->port->port;
	for (unsigned k = 0; outside && k < 2; k++)
		for (uint32_t i = 0; i < spec->ip_counts[order[k]]; i++)
			if (spec->ips[order[k]][i].family == e.family &&
			    spec_has(spec, order[k], i, e.index)) {
				put_addr(&e, &spec->ips[order[k]][i]);
				return e;
			}
	for (uint32_t i = 0; i < spec->ip_counts[FRONTEND_CLUSTER]; i++)
		if (spec->ips[FRONTEND_CLUSTER][i].family == e.family)
			put_addr(&e, &spec->ips[FRONTEND_CLUSTER][i]);
	return e;
}

/* Gives the endpoints their numbers: as they are in the kernel, as far as they are. */
static void number(const struct visit *w, const struct element *prev, size_t count)
{
	struct nft_desired *d = w->d;
	bool local_first = w->spec->internal_local;
	struct element inside = lead(w, false), outside = lead(w, true);

	slots_assign(&d->slots[LIST_CLUSTER], &d->chosen, LIST_CLUSTER, prev, count,
	    local_first ? &outside : &inside, 0);
	slots_assign(&d->slots[LIST_LOCAL], &d->chosen, LIST_LOCAL, prev, count,
	    local_first ? &inside : &outside, local_first ? 0 : NFT_LOCAL_SLOT);
}

/*
 * Endpoints on this node, or nobody knows where, may reach themselves: several services may have
 * the same.
 */
static void hairpins(const struct visit *w)
{
	const struct chosen_endpoints *c = &w->d->chosen;
	struct element e = {.family = w->base.family};

	for (size_t i = 0; i < c->count; i++) {
		if (!(c->e[i].flags & EP_LOCAL) && !c->e[i].anywhere)
			continue;
		put_addr(&e, &c->e[i].addr);
		if (hairpins_take(&w->d->hairpins, &e, w->v, w->d->stamp))
			into(w, &e, NFT_HAIRPIN);
		else
			w->v->contends = true;
	}
}

/* --- session affinity: few different time-outs are in use, if more than one --- */

static int affinity_number(struct nft_desired *d, uint32_t seconds)
{
	int free_one = -1;

	for (int i = 0; seconds > 0 && i < NFT_AFFINITIES; i++) {
		if (d->timeouts[i] == seconds)
			return i;
		if (free_one < 0 && d->users[i] == 0)
			free_one = i;
	}
	if (free_one >= 0 && seconds > 0)
		d->timeouts[free_one] = seconds;
	return seconds > 0 ? free_one : -1;
}

static void use_affinity(struct nft_desired *d, struct stored_service *v)
{
	uint32_t seconds = v->spec != NULL ? v->spec->affinity_seconds : 0;
	int was = v->affinity - 1, is;

	if (was >= 0)
		d->users[was]--;
	is = affinity_number(d, seconds);
	if (is < 0 && seconds > 0 && !v->told)
		log_warn("service %s/%s: session affinity of %u seconds is left out: more than %u "
			 "different time-outs are in use",
		    v->namespace, v->name, seconds, NFT_AFFINITIES);
	v->contends = is < 0 && seconds > 0;
	v->told |= v->contends;
	if (is >= 0)
		d->users[is]++;
	d->freed = was >= 0 && d->users[was] == 0;
	v->affinity = (uint8_t)(is + 1);
}

/* --- a service --- */

static void each_address(const struct visit *w, enum frontend kind,
    void (*put)(const struct visit *w, const struct ip_addr *addr))
{
	for (uint32_t i = 0; i < w->spec->ip_counts[kind]; i++)
		if (w->spec->ips[kind][i].family == w->base.family &&
		    spec_has(w->spec, kind, i, w->base.index))
			put(w, &w->spec->ips[kind][i]);
}

static void visit_port(struct visit *w, const struct element *prev, size_t count)
{
	endpoints_choose(&w->d->chosen, w->v, w->base.index, w->base.family, w->d->zone);
	w->d->endpoints += w->d->chosen.count;
	if (live(w, LIST_CLUSTER))
		number(w, prev, count);
	each_address(w, FRONTEND_CLUSTER, cluster_ip);
	each_address(w, FRONTEND_EXTERNAL, external_ip);
	each_address(w, FRONTEND_LOAD_BALANCER, load_balancer_ip);
	node_ports(w);
	hairpins(w);
}

void nft_desired_service(
    struct nft_desired *d, struct stored_service *v, const struct element *prev, size_t count)
{
	struct visit w = {.d = d, .v = v, .spec = v->spec};
	char name[SVCPORT_NAME_LEN];

	d->list.count = 0;
	d->endpoints = 0;
	d->stamp++;
	use_affinity(d, v);
	w.affinity = v->affinity - 1;
	for (unsigned f = 0; v->spec != NULL && f < FAMILY_COUNT; f++) {
		if (!d->families[f] || !rules_has_family(v->spec, (uint8_t)f))
			continue;
		for (uint32_t i = 0; i < v->spec->port_count; i++) {
			w.port = &v->spec->ports[i];
			names_service_port(
			    name, v->namespace, v->name, v->spec->strings + w.port->name);
			w.base = (struct element){.family = (uint8_t)f,
			    .proto = w.port->proto,
			    .index = i,
			    .name = nft_name_hash(d->own->cfg, name)};
			visit_port(&w, prev, count);
		}
	}
	v->told &= v->contends;
	elements_sort(&d->list);
}

void nft_desired_node(struct nft_desired *d, const struct store *s)
{
	struct visit w = {.d = d};

	d->list.count = 0;
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		const struct ip_cidr *pods = own_node_pods(d->own, (uint8_t)f);
		struct element e = {.family = (uint8_t)f};

		if (d->families[f] && pods != NULL)
			into_net(&w, &e, NFT_POD_NETWORKS, pods);
		for (uint32_t i = 0; d->families[f] && i < s->service_cidr_count; i++)
			if (s->service_cidrs[i].addr.family == f)
				into_net(&w, &e, NFT_SERVICE_CIDRS, &s->service_cidrs[i]);
	}
	elements_sort(&d->list);
}
