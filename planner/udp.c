#include "planner/udp.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"
#include "planner/nodeports.h"
#include "planner/relays.h"
#include "planner/rules.h"

struct udp_endpoint {
	struct ip_addr addr;
	uint16_t port;
};

/* One UDP port of a service in one family. */
struct udp_port {
	size_t count;
	struct udp_endpoint *serving; /* sorted */
};

/* An address with a port, or a node port: the address is the unspecified one then. */
struct udp_frontend {
	RB_ENTRY(udp_frontend) by_address;
	struct ip_addr addr;
	uint16_t port;
	bool in_tree;	   /* the same address twice in a service is there once */
	const void *owner; /* the service, or the departed one */
	const struct udp_port *of;
};

struct udp_service {
	SLIST_ENTRY(udp_service) by_departure;
	unsigned left, due, passing; /* families whose flows are to be looked at: departed only */
	size_t port_count, frontend_count;
	struct udp_port *ports;
	struct udp_frontend *frontends;
};

/* Two services may claim one address. */
static int udp_frontend_cmp(const struct udp_frontend *a, const struct udp_frontend *b)
{
	int n = ip_cmp(&a->addr, &b->addr);

	if (n != 0)
		return n;
	if (a->port != b->port)
		return a->port - b->port;
	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

RB_PROTOTYPE(udp_tree, udp_frontend, by_address, udp_frontend_cmp)
RB_GENERATE(udp_tree, udp_frontend, by_address, udp_frontend_cmp)

static int endpoint_cmp(const void *a, const void *b)
{
	const struct udp_endpoint *x = a, *y = b;
	int n = ip_cmp(&x->addr, &y->addr);

	return n != 0 ? n : x->port - y->port;
}

static bool serves(const struct udp_port *p, const struct udp_endpoint *e)
{
	return p->count > 0 && bsearch(e, p->serving, p->count, sizeof(*e), endpoint_cmp) != NULL;
}

static bool is_relayed(const struct udp_index *x)
{
	return x->own->cfg->mode == MODE_USERSPACE;
}

/* --- what a service has --- */

static void free_service(struct udp_service *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < u->port_count; i++)
		free(u->ports[i].serving);
	free(u->ports);
	free(u->frontends);
	free(u);
}

static void add_frontend(struct udp_service *u, const struct stored_service *v,
    const struct ip_addr *addr, uint16_t port)
{
	struct udp_frontend *f = &u->frontends[u->frontend_count++];

	f->addr = *addr;
	f->port = port;
	f->owner = v;
	f->of = &u->ports[u->port_count - 1];
}

/*
 * In userspace mode it is relays that answer, from whichever address of the machine. Flows that
 * another mode translated lead to endpoints, and are good until those are gone.
 */
static void serve_by_relays(
    struct udp_port *p, const struct stored_service *v, uint32_t index, uint8_t family)
{
	for (unsigned list = 0; list < LIST_COUNT; list++) {
		uint16_t port = relays_port(v, index, family, (enum endpoint_list)list);

		if (port != 0)
			p->serving[p->count++] = (struct udp_endpoint){{.family = family}, port};
	}
}

static void serve_by_endpoints(struct udp_port *p, struct chosen_endpoints *serving,
    const struct stored_service *v, uint32_t index, uint8_t family)
{
	endpoints_serving(serving, v, index, family);
	p->serving = memory_new((serving->count + LIST_COUNT) * sizeof(*p->serving));
	for (size_t i = 0; i < serving->count; i++) {
		p->serving[i].addr = serving->e[i].addr;
		p->serving[i].port = serving->e[i].port;
	}
	p->count = serving->count;
}

static void add_port(struct udp_index *x, struct udp_service *u, const struct stored_service *v,
    uint32_t index, uint8_t family)
{
	const struct ip_addr any = {.family = family};
	const struct service_spec *spec = v->spec;
	struct udp_port *p = &u->ports[u->port_count++];

	serve_by_endpoints(p, &x->serving, v, index, family);
	if (is_relayed(x))
		serve_by_relays(p, v, index, family);
	qsort(p->serving, p->count, sizeof(*p->serving), endpoint_cmp);
	for (unsigned kind = 0; kind < FRONTEND_COUNT; kind++)
		for (uint32_t i = 0; i < spec->ip_counts[kind]; i++)
			if (spec->ips[kind][i].family == family &&
			    spec_has(spec, (enum frontend)kind, i, index))
				add_frontend(u, v, &spec->ips[kind][i], spec->ports[index].port);
	if (spec->ports[index].node_port != 0)
		add_frontend(u, v, &any, spec->ports[index].node_port);
}

/* NULL if V has no UDP port in a family that is programmed. */
static struct udp_service *new_service(
    struct udp_index *x, const struct stored_service *v, const bool families[FAMILY_COUNT])
{
	const struct service_spec *spec = v->spec;
	struct udp_service *u;
	size_t ports = 0, addresses = FAMILY_COUNT; /* a node port in each */

	for (uint32_t i = 0; spec != NULL && i < spec->port_count; i++)
		ports += spec->ports[i].proto == PROTO_UDP;
	if (ports == 0)
		return NULL;
	for (unsigned kind = 0; kind < FRONTEND_COUNT; kind++)
		addresses += spec->ip_counts[kind];
	u = memory_new(sizeof(*u));
	u->ports = memory_new(ports * FAMILY_COUNT * sizeof(*u->ports));
	u->frontends = memory_new(ports * addresses * sizeof(*u->frontends));
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (uint32_t i = 0; i < spec->port_count; i++)
			if (families[f] && rules_has_family(spec, (uint8_t)f) &&
			    spec->ports[i].proto == PROTO_UDP)
				add_port(x, u, v, i, (uint8_t)f);
	return u;
}

/* --- changes --- */

/* May flows to a frontend have become stale that was OLD's (NULL: nobody's) and is NOW's? */
static bool became_stale(const struct udp_port *old, const struct udp_port *now)
{
	if (old == NULL || (old->count == 0 && now->count > 0))
		return true;
	for (size_t i = 0; i < old->count; i++)
		if (!serves(now, &old->serving[i]))
			return true;
	return false;
}

/* Takes V's frontends out of the tree, and returns them. */
static struct udp_service *take_out(struct udp_index *x, struct stored_service *v)
{
	struct udp_service *u = v->udp;

	for (size_t i = 0; u != NULL && i < u->frontend_count; i++)
		if (u->frontends[i].in_tree)
			RB_REMOVE(udp_tree, &x->frontends, &u->frontends[i]);
	v->udp = NULL;
	return u;
}

void udp_forget(struct udp_index *x, struct stored_service *v)
{
	free_service(take_out(x, v));
}

static bool is_served(struct udp_index *x, const struct udp_frontend *f)
{
	struct udp_frontend key = {.addr = f->addr, .port = f->port};
	const struct udp_frontend *e = RB_NFIND(udp_tree, &x->frontends, &key);

	return e != NULL && e->port == f->port && ip_cmp(&e->addr, &f->addr) == 0;
}

/* Keeps U, if it was reached where no service is now, until the flows to it have been deleted. */
static void depart(struct udp_index *x, struct udp_service *u)
{
	for (size_t i = 0; u != NULL && i < u->frontend_count; i++)
		if (u->frontends[i].of->count > 0 && !is_served(x, &u->frontends[i]))
			u->left |= 1u << u->frontends[i].addr.family;
	if (u == NULL || u->left == 0) {
		free_service(u);
		return;
	}
	for (size_t i = 0; i < u->frontend_count; i++) {
		u->frontends[i].owner = u;
		u->frontends[i].in_tree = RB_INSERT(udp_tree, &x->former, &u->frontends[i]) == NULL;
	}
	SLIST_INSERT_HEAD(&x->departed, u, by_departure);
	x->stale |= u->left;
}

static void free_departed(struct udp_index *x, struct udp_service *u)
{
	for (size_t i = 0; i < u->frontend_count; i++)
		if (u->frontends[i].in_tree)
			RB_REMOVE(udp_tree, &x->former, &u->frontends[i]);
	SLIST_REMOVE(&x->departed, u, udp_service, by_departure);
	free_service(u);
}

void udp_update(struct udp_index *x, struct stored_service *v, const bool families[FAMILY_COUNT])
{
	struct udp_service *now = new_service(x, v, families), *old_one;

	for (size_t i = 0; now != NULL && i < now->frontend_count; i++) {
		struct udp_frontend *f = &now->frontends[i];
		const struct udp_frontend *old = RB_FIND(udp_tree, &x->frontends, f);

		if (became_stale(old != NULL ? old->of : NULL, f->of))
			x->stale |= 1u << f->addr.family;
	}
	old_one = take_out(x, v);
	v->udp = now;
	for (size_t i = 0; now != NULL && i < now->frontend_count; i++)
		now->frontends[i].in_tree =
		    RB_INSERT(udp_tree, &x->frontends, &now->frontends[i]) == NULL;
	depart(x, old_one);
}

const char *udp_node_addrs(struct udp_index *x, const struct node_addrs_part *part)
{
	unsigned grew;
	const char *why = local_addrs_add(&x->local, part, &grew);

	if (!RB_EMPTY(&x->frontends))
		x->stale |= grew; /* node ports answer there */
	return why;
}

void udp_node_ports_moved(struct udp_index *x)
{
	if (!RB_EMPTY(&x->frontends))
		x->stale = (1u << FAMILY_COUNT) - 1;
}

unsigned udp_take_stale(struct udp_index *x)
{
	unsigned stale = x->stale;
	struct udp_service *u;

	SLIST_FOREACH (u, &x->departed, by_departure)
		u->due |= u->left & stale;
	x->stale = 0;
	return stale;
}

void udp_pass_begins(struct udp_index *x, uint8_t family)
{
	struct udp_service *u;

	SLIST_FOREACH (u, &x->departed, by_departure)
		u->passing |= u->due & 1u << family;
}

void udp_pass_ended(struct udp_index *x, uint8_t family)
{
	struct udp_service *u, *next;

	for (u = SLIST_FIRST(&x->departed); u != NULL; u = next) {
		next = SLIST_NEXT(u, by_departure);
		u->left &= ~(u->passing & 1u << family);
		if (u->left == 0)
			free_departed(x, u);
	}
}

void udp_clear(struct udp_index *x)
{
	while (!SLIST_EMPTY(&x->departed))
		free_departed(x, SLIST_FIRST(&x->departed));
	local_addrs_clear(&x->local);
	endpoints_clear(&x->serving);
}

/* --- flows --- */

/* Is there a frontend of TREE at ADDR and PORT? *GOOD: by the flow's answers, one of its own. */
static bool reached_by(struct udp_index *x, struct udp_tree *tree, const struct ip_addr *addr,
    const struct flow *f, bool *good)
{
	struct udp_endpoint from = {f->src, f->src_port};
	struct udp_frontend key = {.addr = *addr, .port = f->dst_port}, *e;
	bool any = false;

	if (is_relayed(x) && node_is_local(&x->local, &f->src))
		from.addr = (struct ip_addr){.family = f->src.family};
	for (e = RB_NFIND(udp_tree, tree, &key);
	     e != NULL && e->port == f->dst_port && ip_cmp(&e->addr, addr) == 0;
	     e = RB_NEXT(udp_tree, , e)) {
		any = true;
		*good |= serves(e->of, &from);
	}
	return any;
}

static bool reached(struct udp_index *x, struct udp_tree *tree, const struct flow *f, bool *good)
{
	const struct ip_addr any = {.family = f->dst.family};
	bool found = reached_by(x, tree, &f->dst, f, good);

	if (node_is_local(&x->local, &f->dst) && nodeports_answer(x->own, &f->dst))
		found |= reached_by(x, tree, &any, f, good);
	return found;
}

bool udp_is_stale(struct udp_index *x, const struct flow *f)
{
	bool good = false, served = false;

	if (reached(x, &x->frontends, f, &good))
		return !good;
	return !RB_EMPTY(&x->former) && reached(x, &x->former, f, &served) && served;
}
