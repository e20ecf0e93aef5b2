/*
 * A packet's way through the constant rules of nftables mode (applier/rules.nft), each of which
 * asks for an element.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/explain.h"
#include "planner/frontend_owner.h"
#include "planner/nft_print.h"

#define FRONTEND_KEY "daddr . meta l4proto . th dport"

struct way {
	struct explain *x;
	struct stored_service *owner; /* of the packet's destination, if it is a frontend */
	struct element e;	      /* that destination: what elements are asked for */
};

static struct nft_plan *plan_of(const struct way *w)
{
	return w->x->view->nft;
}

/* --- elements --- */

/* That the frontend's owner has in SET: NULL if there is none. */
static const struct element *find(const struct way *w, unsigned set)
{
	struct element key = w->e;

	key.set = (uint8_t)set;
	return w->owner != NULL ? elements_find(w->owner->elems, w->owner->elem_count, &key) : NULL;
}

/* The first prefix of SET, among COUNT elements of E, that the source or destination A is in. */
static const struct element *find_net(const struct way *w, const struct element *e, size_t count,
    unsigned set, const struct ip_addr *a)
{
	for (size_t i = 0; i < count; i++) {
		struct ip_cidr net = {{.family = a->family}, e[i].bits};

		memcpy(net.addr.b, e[i].net, sizeof(net.addr.b));
		if (e[i].set == set && e[i].family == a->family &&
		    (set != NFT_ALLOWED || element_same_frontend(&e[i], &w->e)) &&
		    ip_cidr_contains(&net, a))
			return &e[i];
	}
	return NULL;
}

/* Of those that are no service's. */
static const struct element *find_node_net(
    const struct way *w, unsigned set, const struct ip_addr *a)
{
	return find_net(w, plan_of(w)->node.e, plan_of(w)->node.count, set, a);
}

/* --- steps --- */

static const char *family_name(const struct way *w)
{
	return w->e.family == FAMILY_4 ? "ip" : "ip6";
}

/* WHAT: the rule, in which % stands for the family. E: the element that it found, or NULL. */
static void step(const struct way *w, const char *why, const char *chain, const char *what,
    const struct element *e)
{
	char *text = NULL, where[64];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct nft_elem wire;

	if (out == NULL)
		return;
	for (; *what != '\0'; what++)
		if (*what == '%')
			fputs(family_name(w), out);
		else
			fputc(*what, out);
	if (e != NULL && e->set < NFT_CLUSTER_IPS)
		names_service_port(w->x->service, w->owner->namespace, w->owner->name,
		    w->owner->spec->strings + w->owner->spec->ports[e->index].name);
	if (e != NULL) {
		element_to_wire(&wire, e, "");
		fprintf(out, "; %s has { ", nft_set(e->set)->name);
		nft_print_key(out, &wire);
		fputs(" }", out);
	}
	fclose(out);
	snprintf(where, sizeof(where), "%s " NFT_TABLE " %s", family_name(w), chain);
	explain_step(w->x, why, where, text);
	free(text);
}

static void drop(const struct way *w, const char *why, const char *chain, const char *what,
    const struct element *e)
{
	step(w, why, chain, what, e);
	w->x->verdict = EXPLAIN_DROPPED;
}

static void reject(const struct way *w, const char *why, const char *chain, const char *what,
    const struct element *e)
{
	step(w, why, chain, what, e);
	w->x->verdict = EXPLAIN_REJECTED;
}

/* --- endpoints --- */

/* Does endpoint E, which runs on this node, ask itself? Then KUBE's hairpin set has it. */
static bool reaches_itself(const struct way *w, const struct element *e)
{
	struct element key = {.family = e->family, .set = NFT_HAIRPIN};
	const struct stored_service *v;

	memcpy(key.addr, e->to, sizeof(key.addr));
	if (memcmp(w->x->packet->src.b, key.addr, sizeof(key.addr)) != 0)
		return false;
	v = hairpins_owner(&plan_of(w)->desired.hairpins, &key);
	return v != NULL && elements_find(v->elems, v->elem_count, &key) != NULL;
}

/* How many numbers below OF from BASE on in SET stand for an endpoint; ADD: gives each a SHARE. */
static unsigned numbers(
    struct way *w, unsigned set, unsigned of, uint32_t base, bool add, double share)
{
	struct element from = w->e;
	unsigned n = 0;

	from.set = (uint8_t)set;
	from.slot = base;
	for (size_t i = elements_from(w->owner->elems, w->owner->elem_count, &from);
	     i < w->owner->elem_count; i++, n++) {
		const struct element *e = &w->owner->elems[i];
		struct ip_addr to = {.family = e->family};
		struct explain_endpoint *p;

		if (e->set != set || !element_same_frontend(e, &w->e) || e->slot >= base + of)
			break;
		if (!add)
			continue;
		memcpy(to.b, e->to, sizeof(to.b));
		p = explain_add(w->x, &to, e->to_port, share);
		/* what came in and stays in passes no chain that masquerades */
		p->masqueraded = (p->marked || reaches_itself(w, e)) &&
				 (w->x->from_node || !explain_is_local(w->x->view, &to));
		snprintf(p->rule, sizeof(p->rule), "%s", nft_set(set)->name);
	}
	return n;
}

/*
 * TIMES rules that draw a number below OF each, for a share of LEFT of the clients. Returns what
 * share finds nothing.
 */
static double draw(
    struct way *w, unsigned set, unsigned of, unsigned times, uint32_t base, double left)
{
	unsigned n = numbers(w, set, of, base, false, 0);
	double missed = left;

	for (unsigned i = 0; i < times; i++)
		missed *= (double)(of - n) / of;
	if (n > 0)
		numbers(w, set, of, base, true, (left - missed) / n);
	return missed;
}

static void choose(struct way *w, bool local)
{
	const uint32_t base = local ? NFT_LOCAL_SLOT : 0;
	const char *chain = local ? "choose-local" : "choose";
	double left = 1;

	for (unsigned i = 0; i < NFT_AFFINITIES; i++) {
		const struct element *e = find(w, NFT_AFFINE + i);

		if (e == NULL)
			continue;
		w->x->affinity_seconds = plan_of(w)->desired.timeouts[i];
		step(w, "session affinity: a client that is remembered goes where it went",
		    "affinity", "dnat % to the client's endpoint in its affinity map", e);
	}
	for (unsigned n = 1; n <= NFT_EXACT_MAX; n++)
		left = draw(w, NFT_ENDPOINTS + n - 1, n, 1, base, left);
	for (unsigned i = 0; i < NFT_DRAW_CLASSES; i++)
		left = draw(w, NFT_DRAW + i, 1u << (NFT_DRAW_FIRST + i), NFT_DRAWS, base, left);
	for (unsigned i = 0; i < NFT_DRAW_CLASSES; i++)
		left = draw(w, NFT_ALL + i, 1u << (NFT_DRAW_FIRST + i), 1, base, left);
	explain_merge(w->x);
	if (w->x->count > 0) {
		char what[160];

		snprintf(what, sizeof(what),
		    "dnat %% to %% " FRONTEND_KEY " . numgen random map @%s",
		    w->x->endpoints[0].rule);
		step(w, w->x->count == 1 ? "the one endpoint there is" : "an endpoint is drawn",
		    chain, what, NULL);
	} else {
		drop(w, "the traffic policy is Local, and no endpoint is on this node", chain,
		    "drop", NULL);
	}
}

/* --- chain service --- */

/* Did the packet come from a pod, by the rules of chain CHAIN? */
static bool from_pod(const struct way *w, const char *chain, const char *why)
{
	const struct element *net = find_node_net(w, NFT_POD_NETWORKS, &w->x->packet->src);

	if (net != NULL) {
		step(w, why, chain, "% saddr @pod-networks return", net);
		return true;
	}
	if (!own_node_pods_by_interface(w->x->view->own) || !explain_from_pod_interface(w->x))
		return false;
	step(w, why, chain, "iifname of local pods return", NULL);
	return true;
}

static void mark(const struct way *w)
{
	const struct element *e;

	if ((e = find(w, NFT_MASQ_ALWAYS)) != NULL) {
		step(w,
		    w->x->view->cfg->masquerade_all
			? "masqueraded: externalTrafficPolicy Cluster, or --masquerade-all"
			: "externalTrafficPolicy Cluster: masqueraded, to come back by this node",
		    "service", "% " FRONTEND_KEY " @masquerade-always jump mark-for-masquerade", e);
		w->x->marked = true;
	}
	if ((e = find(w, NFT_MASQ_OUTSIDE)) != NULL &&
	    !from_pod(w, "mark-outside", "the source is a pod: not masqueraded")) {
		step(w, "the source is no pod by local detection: masqueraded", "service",
		    "% " FRONTEND_KEY " @masquerade-outside jump mark-outside", e);
		w->x->marked = true;
	}
}

/* Are only endpoints on this node for it? */
static bool local_policy(const struct way *w)
{
	const struct element *e = find(w, NFT_LOCAL_POLICY);

	if (e == NULL || from_pod(w, "local-policy",
			     "a pod reaches every endpoint, whatever externalTrafficPolicy says"))
		return false;
	if (!w->x->from_node) {
		step(w, "externalTrafficPolicy Local: only endpoints on this node", "service",
		    "% " FRONTEND_KEY " @local-policy jump local-policy", e);
		return true;
	}
	step(w, "the node itself reaches every endpoint, masqueraded", "local-policy",
	    "fib saddr type local meta mark set meta mark | the masquerade bit return", NULL);
	w->x->marked = true;
	return false;
}

/* Is the frontend for some sources only, and the packet's none of them? */
static bool outside_ranges(const struct way *w, const char *chain)
{
	static const char rule[] =
	    "% " FRONTEND_KEY " @firewall % " FRONTEND_KEY " . % saddr != @allowed drop";
	const struct element *e = find(w, NFT_FIREWALL), *in;

	if (e == NULL)
		return false;
	in = find_net(w, w->owner->elems, w->owner->elem_count, NFT_ALLOWED, &w->x->packet->src);
	if (in == NULL)
		drop(w, "the source is in no source range of the service", chain, rule, e);
	else
		step(w, "the source is in a source range of the service", chain, rule, in);
	return in == NULL;
}

static void service(struct way *w)
{
	step(w, "the destination is a frontend of a service",
	    w->x->from_node ? "nat-output" : "nat-prerouting",
	    "% " FRONTEND_KEY " @services goto service", find(w, NFT_SERVICES));
	if (outside_ranges(w, "service"))
		return;
	mark(w);
	choose(w, local_policy(w));
}

/* --- chain unserved --- */

/* Does a service have the destination as its ClusterIP, whatever the port? */
static bool is_cluster_ip(const struct way *w, struct element *found)
{
	const struct stored_service *v;

	*found = (struct element){.family = w->e.family, .set = NFT_CLUSTER_IPS};
	memcpy(found->addr, w->e.addr, sizeof(found->addr));
	v = frontend_owner_of_cluster_ip(w->x->view->store, &w->x->packet->dst);
	return v != NULL && elements_find(v->elems, v->elem_count, found) != NULL;
}

static void unserved(const struct way *w)
{
	const struct element *e;
	struct element ip;

	if (outside_ranges(w, "unserved"))
		return;
	if ((e = find(w, NFT_NO_ENDPOINTS)) != NULL)
		reject(w, "the service has no endpoint", "unserved",
		    "% " FRONTEND_KEY " @no-endpoints reject", e);
	else if (explain_is_local(w->x->view, &w->x->packet->dst))
		return; /* "fib daddr type local return" */
	else if (is_cluster_ip(w, &ip))
		reject(w, "the service of this ClusterIP has no such port", "unserved",
		    "% daddr @cluster-ips reject", &ip);
	else if ((e = find_node_net(w, NFT_SERVICE_CIDRS, &w->x->packet->dst)) != NULL)
		drop(w, "no service has this address, which is one for ClusterIPs", "unserved",
		    "% daddr @service-cidrs drop", e);
}

void explain_nftables(struct explain *x)
{
	struct way w = {.x = x, .e = {.family = x->packet->dst.family}};
	enum frontend kind;

	memcpy(w.e.addr, x->packet->dst.b, sizeof(w.e.addr));
	w.e.proto = x->packet->proto;
	w.e.port = x->packet->port;
	w.owner = frontend_owner_of(
	    x->view->store, &x->packet->dst, x->packet->proto, x->packet->port, &kind);
	if (find(&w, NFT_SERVICES) != NULL)
		service(&w);
	else
		unserved(&w);
}
