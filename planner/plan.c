#include "planner/plan.h"

#include <stdlib.h>
#include <string.h>

#include "planner/frontend_owner.h"
#include "planner/ipt_plan.h"
#include "planner/ipvs_plan.h"
#include "planner/memory.h"
#include "planner/nft_plan.h"
#include "planner/plan_view.h"
#include "planner/relays.h"

struct plan {
	struct store store;
	bool known;	  /* a snapshot came and nothing has failed since */
	bool full;	  /* ... and was not compared with yet */
	bool items_first; /* ipvs mode: the items were planned; the rest of all there is was not */
	bool chains_put;  /* ... and at some time it was */
	bool node_told;	  /* what is known of the own node, if it exists */
	struct udp_index udp;
	struct health_index health;
	struct relays *relays; /* NULL: there are none */
	struct ipt_plan ipt;
	struct nft_plan nft;   /* in nftables mode */
	struct ipvs_plan ipvs; /* in ipvs mode, beside ipt */
};

struct plan *plan_new(const struct config *cfg)
{
	struct plan *p = memory_new(sizeof(*p));

	store_init(&p->store, cfg->node_name);
	ipt_plan_init(&p->ipt, &p->store, &p->udp, cfg);
	p->udp.own = p->store.own = &p->ipt.desired.own;
	health_init(&p->health);
	health_addrs_moved(&p->health);
	p->ipt.desired.own.local = &p->udp.local;
	if (relays_wanted(cfg)) {
		p->relays = memory_new(sizeof(*p->relays));
		p->relays->own = p->udp.own;
		p->relays->zone = p->ipt.desired.zone;
	}
	nft_plan_init(&p->nft, &p->store, p->udp.own, p->ipt.desired.zone, &p->udp);
	ipvs_plan_init(&p->ipvs, &p->store, p->udp.own, p->ipt.desired.zone, &p->udp);
	return p;
}

void plan_free(struct plan *p)
{
	struct stored_service *v;

	if (p == NULL)
		return;
	RB_FOREACH (v, service_tree, &p->store.services) {
		udp_forget(&p->udp, v);
		if (p->relays != NULL)
			relays_forget(p->relays, v);
	}
	udp_clear(&p->udp);
	health_clear(&p->health);
	if (p->relays != NULL)
		relays_clear(p->relays);
	free(p->relays);
	nft_plan_clear(&p->nft);
	ipvs_plan_clear(&p->ipvs);
	ipt_plan_clear(&p->ipt);
	store_clear(&p->store);
	free(p);
}

const struct ipt_params *plan_params(const struct plan *p)
{
	return &p->ipt.desired.params;
}

struct plan_view plan_view(struct plan *p)
{
	return (struct plan_view){
	    .cfg = p->ipt.desired.own.cfg,
	    .store = &p->store,
	    .own = &p->ipt.desired.own,
	    .local = &p->udp.local,
	    .zone = p->ipt.desired.zone,
	    .ipt = &p->ipt,
	    .nft = &p->nft,
	    .ipvs = &p->ipvs,
	};
}

/* --- what comes in --- */

struct store *plan_store(struct plan *p)
{
	return &p->store;
}

struct udp_index *plan_udp(struct plan *p)
{
	return &p->udp;
}

void plan_tell_health(
    struct plan *p, struct frame *f, void (*send)(void *arg, const struct frame *f), void *arg)
{
	health_tell(&p->health, p->udp.own, &p->udp.local, f, send, arg);
}

static bool in_nftables_mode(const struct plan *p)
{
	return p->ipt.desired.own.cfg->mode == MODE_NFTABLES;
}

static bool in_ipvs_mode(const struct plan *p)
{
	return p->ipt.desired.own.cfg->mode == MODE_IPVS;
}

/* Do the mode's rules or elements list the node's addresses that answer on node ports? */
static bool lists_addrs(const struct plan *p)
{
	return in_nftables_mode(p) || in_ipvs_mode(p) || p->udp.own->cfg->mode == MODE_USERSPACE;
}

/* ... and does what the machine's addresses are change that? */
static bool takes_addrs(const struct plan *p)
{
	return lists_addrs(p) && (in_ipvs_mode(p) || own_node_takes_addrs(p->udp.own));
}

static void set_zone(struct plan *p, const char *zone)
{
	struct stored_slice *s;

	if (strcmp(p->ipt.desired.zone, zone) == 0)
		return;
	memccpy(p->ipt.desired.zone, zone, '\0', sizeof(p->ipt.desired.zone));
	RB_FOREACH (s, slice_tree, &p->store.slices)
		if (s->zone_hints)
			store_touch(&p->store, s->service);
}

void plan_node(struct plan *p, const struct node *n)
{
	unsigned changed = own_node_put(&p->ipt.desired.own, n);
	bool nft = in_nftables_mode(p), lists = lists_addrs(p);
	struct stored_service *v;

	p->node_told = true;
	health_addrs_moved(&p->health);
	set_zone(p, n != NULL ? n->zone : "");
	if (changed & OWN_NODE_NODEPORTS)
		udp_node_ports_moved(&p->udp);
	if (changed & (OWN_NODE_POD_CIDRS | OWN_NODE_NODEPORTS))
		frontend_owner_moved(&p->store);
	else if (changed & OWN_NODE_ADDRS)
		frontend_owner_addrs_moved(&p->store);
	changed &= ~(unsigned)OWN_NODE_POD_CIDRS;
	p->nft.node_changed |= nft && (changed & OWN_NODE_PODS) != 0;
	p->ipt.nodeports_changed |= !lists && (changed & OWN_NODE_NODEPORTS) != 0;
	/* ipvs mode's KUBE-SERVICES says where pods are */
	p->ipt.nodeports_changed |= in_ipvs_mode(p) && (changed & OWN_NODE_PODS) != 0;
	if (changed == 0 || (!lists && (changed & (OWN_NODE_ADDRS | OWN_NODE_PODS)) == 0))
		return;
	RB_FOREACH (v, service_tree, &p->store.services)
		if (v->spec != NULL &&
		    (lists || changed & OWN_NODE_PODS || v->spec->source_range_count > 0))
			store_touch(&p->store, v);
}

static void addr_moved(void *arg, const struct ip_addr *addr)
{
	frontend_owner_addr_moved(arg, addr);
}

const char *plan_node_addrs(struct plan *p, const struct node_addrs_part *part)
{
	const char *why = udp_node_addrs(&p->udp, part);
	struct stored_service *v;

	health_addrs_moved(&p->health);
	if (why != NULL || !part->last)
		return why;
	if (p->udp.local.before_count == 0) /* the Node's stood for them */
		frontend_owner_addrs_moved(&p->store);
	else
		local_addrs_moved(&p->udp.local, addr_moved, &p->store);
	if (!takes_addrs(p))
		return NULL;
	RB_FOREACH (v, service_tree, &p->store.services)
		if (v->spec != NULL)
			store_touch(&p->store, v);
	return NULL;
}

void plan_service_cidrs(struct plan *p, const struct ip_cidr *cidrs, uint32_t n)
{
	store_service_cidrs(&p->store, cidrs, n);
	p->nft.node_changed = in_nftables_mode(p);
}

const char *plan_missing(const struct plan *p)
{
	return own_node_missing(&p->ipt.desired.own);
}

const char *plan_snapshot(struct plan *p, const struct txn_snapshot *part)
{
	const char *why = ipt_plan_snapshot(&p->ipt, part);

	if (why == NULL && p->ipt.snapshot.complete) {
		p->known = p->full = true;
		ipvs_plan_known(&p->ipvs, p->ipt.desired.families);
	}
	return why;
}

const char *plan_ipvs_snapshot(struct plan *p, const struct ipvs_snapshot *part)
{
	if (p->known)
		return "a part of a snapshot that is complete";
	ipvs_plan_snapshot(&p->ipvs, part);
	return NULL;
}

const char *plan_nft_snapshot(struct plan *p, const struct nft_snapshot *part)
{
	const char *why = nft_plan_snapshot(&p->nft, part);

	if (why == NULL && p->nft.complete)
		p->known = p->full = true;
	return why;
}

void plan_forget(struct plan *p)
{
	ipt_plan_forget(&p->ipt);
	nft_plan_forget(&p->nft);
	ipvs_plan_forget(&p->ipvs);
	p->known = p->full = p->items_first = false;
}

void plan_nft_reinstall(struct plan *p)
{
	nft_plan_reinstall(&p->nft);
}

bool plan_refuse_compact(struct plan *p)
{
	bool was = p->ipt.desired.compact;

	p->ipt.compact_refused = true;
	p->ipt.desired.compact = false;
	return was;
}

bool plan_waiting(const struct plan *p)
{
	return p->full || p->ipt.nodeports_changed || p->nft.node_changed ||
	       !SLIST_EMPTY(&p->store.touched);
}

/* Node ports at addresses that are listed must not be taken away at a start to be put back. */
static bool knows_node(const struct plan *p)
{
	return p->node_told && (!takes_addrs(p) || p->udp.local.count > 0);
}

bool plan_ready(const struct plan *p)
{
	return p->store.listed[KIND_SERVICE] && p->store.listed[KIND_SLICE] && p->known &&
	       plan_missing(p) == NULL && (!lists_addrs(p) || knows_node(p));
}

/* --- relays --- */

void plan_relays_to(struct plan *p, txn_sink send, void *arg)
{
	if (p->relays == NULL)
		return;
	p->relays->send = send;
	p->relays->arg = arg;
}

bool plan_prepare(struct plan *p)
{
	const bool *families =
	    in_nftables_mode(p) ? p->nft.desired.families : p->ipt.desired.families;
	struct stored_service *v;

	frontend_owner_settle(&p->store);
	if (p->relays == NULL)
		return true;
	if (p->full)
		RB_FOREACH (v, service_tree, &p->store.services)
			relays_update(p->relays, v, families);
	else
		SLIST_FOREACH (v, &p->store.touched, touched_next)
			relays_update(p->relays, v, families);
	return p->relays->waiting == 0 || p->udp.own->cfg->mode != MODE_USERSPACE;
}

const char *plan_proxy_port(struct plan *p, struct cursor *c)
{
	struct stored_service *moved;
	const char *why;

	if (p->relays == NULL)
		return "a relay in a mode without";
	why = relays_answer(p->relays, c, &moved);
	if (why == NULL && moved != NULL && p->udp.own->cfg->mode == MODE_USERSPACE)
		store_touch(&p->store, moved);
	return why;
}

void plan_close_relays(struct plan *p)
{
	if (p->relays != NULL)
		relays_close_unused(p->relays);
}

size_t plan_draining(const struct plan *p)
{
	return p->ipvs.draining;
}

size_t plan_items(const struct plan *p)
{
	return p->ipvs.items.count;
}

/* --- differences --- */

/* What is common to all modes. */
static void sync_begin(struct plan *p, const bool families[FAMILY_COUNT], struct plan_counts *n)
{
	struct stored_service *v;

	frontend_owner_settle(&p->store);
	/* of two halves the first has counted them */
	*n = (struct plan_counts){.services = p->items_first ? n->services : 0,
	    .endpoints = p->items_first ? n->endpoints : 0,
	    .full = p->full};
	memcpy(n->families, families, sizeof(n->families));
	if (p->full)
		RB_FOREACH (v, service_tree, &p->store.services)
			health_update(&p->health, v);
	else
		SLIST_FOREACH (v, &p->store.touched, touched_next)
			health_update(&p->health, v);
}

void plan_sync(struct plan *p, const struct txn_visitor *out, void *arg, struct plan_counts *n)
{
	const bool items_known = p->items_first;

	sync_begin(p, p->ipt.desired.families, n);
	/*
	 * The applier writes chains before items. Where iptables mode's chains translate, virtual
	 * servers must be there before those go: they get a transaction of their own.
	 */
	p->items_first = in_ipvs_mode(p) && p->full && !items_known && !p->chains_put &&
			 ipt_plan_replaces(&p->ipt);
	if (!p->items_first)
		ipt_plan_sync(&p->ipt, p->full, out, arg, n);
	if (in_ipvs_mode(p))
		ipvs_plan_sync(&p->ipvs, p->full && !items_known, out, arg, n);
	p->chains_put |= !p->items_first;
	p->full = p->items_first;
}

bool plan_half_done(const struct plan *p)
{
	return p->items_first;
}

void plan_nft_sync(struct plan *p, const struct nft_visitor *out, void *arg, struct plan_counts *n)
{
	sync_begin(p, p->nft.desired.families, n);
	nft_plan_sync(&p->nft, p->full, out, arg, n);
	p->full = false;
}

/* --- what there is of it --- */

/* Counts the policies of SPEC's port INDEX that drop although there are endpoints elsewhere. */
static void count_no_local(const struct service_spec *spec, uint32_t index,
    uint64_t no_local[FAMILY_COUNT][METRICS_POLICIES])
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		bool none = (spec->live[index] >> f & (LIVE_CLUSTER | LIVE_LOCAL)) == LIVE_CLUSTER;

		no_local[f][METRICS_INTERNAL] += none && spec->internal_local;
		no_local[f][METRICS_EXTERNAL] += none && spec->external_local;
	}
}

void plan_describe(const struct plan *p, struct metrics_planner *m)
{
	struct stored_service *v;

	m->services = 0;
	memset(m->no_local, 0, sizeof(m->no_local));
	/* RB_FOREACH takes no constant tree. */
	RB_FOREACH (v, service_tree, (struct service_tree *)(uintptr_t)&p->store.services) {
		m->services += v->spec != NULL;
		for (uint32_t i = 0; v->spec != NULL && i < v->spec->port_count; i++)
			count_no_local(v->spec, i, m->no_local);
	}
	m->endpoints = p->store.endpoints;
	m->refused = p->store.refused;
	m->changes_pending[0] = p->store.changed[KIND_SERVICE];
	m->changes_pending[1] = p->store.changed[KIND_SLICE];
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned t = 0; t < IPT_TABLE_COUNT; t++)
			m->rules[f][t] = ipt_plan_rules(&p->ipt, (uint8_t)f, (uint8_t)t);
}
