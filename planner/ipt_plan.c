#include "planner/ipt_plan.h"

#include <stdlib.h>
#include <string.h>

#include "planner/frontends.h"
#include "planner/ipvs_rules.h"
#include "planner/memory.h"
#include "planner/plan.h"

void ipt_plan_init(
    struct ipt_plan *p, struct store *s, struct udp_index *udp, const struct config *cfg)
{
	memset(p, 0, sizeof(*p));
	p->store = s;
	p->udp = udp;
	p->ipvs = cfg->mode == MODE_IPVS;
	p->desired.own.cfg = cfg;
	p->desired.params = ipt_params_of(cfg);
	p->desired.services = &s->services;
}

void ipt_plan_clear(struct ipt_plan *p)
{
	snapshot_clear(&p->snapshot);
	desired_clear(&p->desired);
}

const char *ipt_plan_snapshot(struct ipt_plan *p, const struct txn_snapshot *part)
{
	const char *why = snapshot_add(&p->snapshot, part);

	if (why == NULL && p->snapshot.complete)
		memcpy(p->desired.families, p->snapshot.families, sizeof(p->desired.families));
	return why;
}

void ipt_plan_forget(struct ipt_plan *p)
{
	struct stored_service *v;

	snapshot_clear(&p->snapshot);
	RB_FOREACH (v, service_tree, &p->store->services) {
		free(v->chains);
		v->chains = NULL;
		v->chain_count = 0;
	}
	memset(p->service_rules, 0, sizeof(p->service_rules));
	memset(p->static_rules, 0, sizeof(p->static_rules));
}

size_t ipt_plan_rules(const struct ipt_plan *p, uint8_t family, uint8_t table)
{
	size_t n =
	    table == IPT_NAT ? p->service_rules[family] + p->desired.dispatch[family].rules : 0;

	for (unsigned k = 0; k < CHAIN_KIND_COUNT; k++)
		n += p->static_rules[family][table][k];
	return p->desired.families[family] ? n : 0;
}

/* --- differences --- */

/*
 * C should be in the kernel with this digest and, as far as the planner wrote it, is not. If there
 * is a snapshot, it may be all the same. NULL if nothing has to be written.
 */
static struct change *need_put(
    struct ipt_plan *p, const struct ipt_chain *c, uint64_t digest, bool fresh)
{
	struct change *put;

	if (p->full) {
		struct snapshot_chain *s = snapshot_find(&p->snapshot, c);

		fresh = s == NULL;
		if (s != NULL)
			s->wanted = true;
		if (s != NULL && s->digest == digest)
			return NULL;
	}
	put = changes_add(&p->changes.puts, c);
	put->fresh = fresh;
	return put;
}

static void put_desired(
    struct ipt_plan *p, const struct stored_service *v, const struct desired_chain *w, bool fresh)
{
	struct ipt_chain c = owned_chain_name(&w->c);
	struct change *put = need_put(p, &c, w->c.digest, fresh);

	if (put == NULL)
		return;
	put->service = v;
	put->port_index = w->port_index;
	put->addr = w->addr;
	put->port = w->port;
}

/* Both lists are sorted: what is in one only, and what is in both with different digests. */
static void diff_chains(struct ipt_plan *p, const struct stored_service *v)
{
	const struct desired *d = &p->desired;
	size_t i = 0, k = 0;

	while (i < d->count || k < v->chain_count) {
		int n;

		if (i == d->count)
			n = 1;
		else if (k == v->chain_count)
			n = -1;
		else
			n = owned_chain_cmp(&d->chains[i].c, &v->chains[k]);
		if (n > 0) {
			struct ipt_chain gone = owned_chain_name(&v->chains[k++]);

			changes_add(&p->changes.deletes, &gone);
			continue;
		}
		if (n < 0 || d->chains[i].c.digest != v->chains[k].digest)
			put_desired(p, v, &d->chains[i], n < 0);
		i++;
		k += n == 0;
	}
}

static void own_desired(struct ipt_plan *p, struct stored_service *v)
{
	const struct desired *d = &p->desired;

	for (uint32_t i = 0; i < v->chain_count; i++)
		p->service_rules[v->chains[i].family] -= v->chains[i].rules;
	free(v->chains);
	v->chains = NULL;
	v->chain_count = (uint32_t)d->count;
	if (d->count == 0)
		return;
	v->chains = memory_new(d->count * sizeof(*v->chains));
	for (size_t i = 0; i < d->count; i++) {
		v->chains[i] = d->chains[i].c;
		p->service_rules[v->chains[i].family] += v->chains[i].rules;
	}
}

/* V's rules in nat KUBE-SERVICES changed: tells the tree of which addresses. */
static void diff_addresses(struct ipt_plan *p, const struct stored_service *v, uint8_t family)
{
	struct dispatch *d = &p->desired.dispatch[family];

	if (!p->full) /* else the tree begins anew */
		dispatch_before(d, v, v->was != NULL ? v->was : v->spec, family);
	dispatch_after(d, v, family);
}

static void diff_shared(struct ipt_plan *p, struct stored_service *v)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned k = 0; p->desired.families[f] && k < SHARED_COUNT; k++) {
			uint64_t digest;

			if (!frontends_in_mode((enum shared_chain)k, p->desired.own.cfg))
				continue;
			digest = desired_shared(&p->desired, v, (enum shared_chain)k, (uint8_t)f);

			if (k == SHARED_NAT_SERVICES && (p->full || digest != v->shared[f][k]))
				diff_addresses(p, v, (uint8_t)f);
			if (digest != v->shared[f][k])
				p->shared_changed[f][k] = true;
			v->shared[f][k] = digest;
		}
}

static void diff_service(struct ipt_plan *p, struct stored_service *v)
{
	desired_service(&p->desired, v);
	diff_chains(p, v);
	own_desired(p, v);
	p->counts->services += v->spec != NULL;
	p->counts->endpoints += p->desired.endpoints;
	diff_shared(p, v);
	udp_update(p->udp, v, p->desired.families);
	store_planned(v);
}

/* --- KUBE-SERVICES as a tree --- */

static uint64_t net_digest(void *arg, const struct ip_cidr *net, uint32_t *rules)
{
	const struct ipt_plan *p = arg;

	return desired_net(&p->desired, net, rules);
}

static void net_put(void *arg, const struct ip_cidr *net, uint64_t digest, bool fresh)
{
	struct ipt_chain c = dispatch_chain(net);
	struct change *put = need_put(arg, &c, digest, fresh);

	if (put == NULL)
		return;
	put->addr = net->addr;
	put->bits = net->bits;
}

static void net_gone(void *arg, const struct ip_cidr *net)
{
	struct ipt_plan *p = arg;
	struct ipt_chain c = dispatch_chain(net);

	changes_add(&p->changes.deletes, &c);
}

/* The digest of C, of whose rules it keeps the number. */
static uint64_t static_digest(struct ipt_plan *p, const struct ipt_chain *c)
{
	return desired_static(&p->desired, c, &p->static_rules[c->family][c->table][c->kind]);
}

/* After every service that changed was looked at, while all of them exist. */
static void diff_tree(struct ipt_plan *p)
{
	const struct dispatch_visitor v = {net_digest, net_put, net_gone, p};
	struct ipt_chain c = frontends_chain(SHARED_NAT_SERVICES, FAMILY_4);

	if (!frontends_in_mode(SHARED_NAT_SERVICES, p->desired.own.cfg))
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		bool *changed = &p->shared_changed[f][SHARED_NAT_SERVICES];
		uint64_t was = p->services_digest[f];

		if (!p->full && !*changed)
			continue;
		dispatch_update(&p->desired.dispatch[f], &v);
		c.family = (uint8_t)f;
		p->services_digest[f] = static_digest(p, &c);
		*changed = p->services_digest[f] != was; /* the root seldom is */
	}
}

/* Upstream goes by the same number to leave comments out. */
#define COMPACT_ENDPOINTS 1000

/* The layout goes by the size of the cluster; where it changes, every service does. */
static void choose_layout(struct ipt_plan *p)
{
	const bool compact = p->store->endpoints > COMPACT_ENDPOINTS && !p->compact_refused &&
			     p->desired.own.cfg->mode != MODE_USERSPACE;
	struct stored_service *v;

	p->layout_changed = compact != p->desired.compact;
	if (!p->layout_changed)
		return;
	p->desired.compact = compact;
	RB_FOREACH (v, service_tree, &p->store->services)
		if (v->spec != NULL)
			store_touch(p->store, v);
}

bool ipt_plan_has_chain(const struct ipt_plan *p, const struct ipt_chain *c)
{
	const struct config *cfg = p->desired.own.cfg;
	enum shared_chain shared = frontends_shared(c);

	if (ipt_chain_kinds[c->kind].hashed || !(ipt_chain_kinds[c->kind].tables & 1u << c->table))
		return false;
	if (p->ipvs)
		return ipvs_rules_has(c);
	if (shared < SHARED_COUNT)
		return frontends_in_mode(shared, cfg);
	return cfg->mode != MODE_USERSPACE &&
	       (c->kind < CHAIN_IPVS_FIRST || c->kind == CHAIN_MARK_MASQ);
}

bool ipt_plan_replaces(const struct ipt_plan *p)
{
	for (size_t i = 0; i < p->snapshot.count; i++)
		if (!ipt_plan_has_chain(p, &p->snapshot.chains[i].chain))
			return true;
	return false;
}

/* Those up to the leftovers lead to chains of iptables mode. */
bool ipt_plan_has_hook(const struct ipt_plan *p, unsigned h)
{
	const struct ipt_chain c = {.table = ipt_hooks[h].table, .kind = ipt_hooks[h].kind};

	if (p->ipvs)
		return (IPVS_HOOKS & 1u << h) != 0;
	return ipt_plan_has_chain(p, &c) && (h < IPT_HOOK_LEFTOVERS || c.kind >= CHAIN_LEFTOVERS);
}

static void diff_services(struct ipt_plan *p)
{
	struct stored_service *v, *next;

	while (store_take_touched(p->store) != NULL)
		continue;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		dispatch_clear(&p->desired.dispatch[f]);
	RB_FOREACH (v, service_tree, &p->store->services)
		diff_service(p, v);
	diff_tree(p);
	RB_FOREACH_SAFE (v, service_tree, &p->store->services, next)
		store_release(p->store, v);
}

static void diff_everything(struct ipt_plan *p)
{
	struct ipt_chain c = {0};

	if (!p->ipvs)
		diff_services(p);
	for (c.family = 0; c.family < FAMILY_COUNT; c.family++)
		for (c.table = 0; p->desired.families[c.family] && c.table < IPT_TABLE_COUNT;
		     c.table++)
			for (c.kind = 0; c.kind < CHAIN_KIND_COUNT; c.kind++)
				if (ipt_plan_has_chain(p, &c))
					need_put(p, &c, static_digest(p, &c), false);
	memset(p->shared_changed, 0, sizeof(p->shared_changed));
	for (size_t i = 0; i < p->snapshot.count; i++)
		if (!p->snapshot.chains[i].wanted)
			changes_add(&p->changes.deletes, &p->snapshot.chains[i].chain);
}

static void diff_touched(struct ipt_plan *p)
{
	SLIST_HEAD(, stored_service) planned = SLIST_HEAD_INITIALIZER(planned);
	struct stored_service *v;

	while (!p->ipvs && (v = store_take_touched(p->store)) != NULL) {
		diff_service(p, v);
		SLIST_INSERT_HEAD(&planned, v, touched_next);
	}
	for (unsigned f = 0; p->nodeports_changed && f < FAMILY_COUNT; f++)
		p->shared_changed[f][SHARED_NAT_SERVICES] |= p->desired.families[f];
	if (!p->ipvs)
		diff_tree(p);
	while ((v = SLIST_FIRST(&planned)) != NULL) {
		SLIST_REMOVE_HEAD(&planned, touched_next);
		store_release(p->store, v);
	}
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct ipt_chain masquerade = {
		    .family = (uint8_t)f, .table = IPT_NAT, .kind = CHAIN_POSTROUTING};

		if (p->layout_changed && p->desired.families[f])
			changes_add(&p->changes.puts, &masquerade);
		for (unsigned k = 0; k < SHARED_COUNT; k++) {
			struct ipt_chain c = frontends_chain((enum shared_chain)k, (uint8_t)f);

			if (p->shared_changed[f][k])
				changes_add(&p->changes.puts, &c);
		}
	}
	memset(p->shared_changed, 0, sizeof(p->shared_changed));
}

/* --- operations --- */

struct emitter {
	const struct txn_visitor *out;
	void *arg;
	uint32_t rules;
};

static void emit_rule(void *arg, const struct ipt_rule *r)
{
	struct emitter *e = arg;

	e->out->rule(e->arg, r);
	e->rules++;
}

static void emit(struct ipt_plan *p, const struct txn_visitor *out, void *arg)
{
	struct emitter e = {out, arg, 0};
	struct rule_sink to = {emit_rule, &e};
	const struct changes *ch = &p->changes;

	for (size_t i = 0; i < ch->puts.count; i++) {
		const struct ipt_chain *c = &ch->puts.c[i].chain;

		out->chain_put(arg, c);
		e.rules = 0;
		desired_rules(&p->desired, &ch->puts.c[i], &to);
		if (!ipt_chain_kinds[c->kind].hashed)
			p->static_rules[c->family][c->table][c->kind] = e.rules;
	}
	for (unsigned f = 0; p->full && f < FAMILY_COUNT; f++)
		for (unsigned h = 0; p->desired.families[f] && h < IPT_HOOK_COUNT; h++)
			if (((p->snapshot.hooks[f] & 1u << h) != 0) != ipt_plan_has_hook(p, h)) {
				out->hook(arg, (uint8_t)f, h, ipt_plan_has_hook(p, h));
				p->counts->hooks++;
			}
	for (size_t i = 0; i < ch->deletes.count; i++)
		out->chain_delete(arg, &ch->deletes.c[i].chain);
	p->counts->puts += ch->puts.count;
	p->counts->deletes += ch->deletes.count;
}

void ipt_plan_sync(
    struct ipt_plan *p, bool full, const struct txn_visitor *out, void *arg, struct plan_counts *n)
{
	p->full = full;
	p->counts = n;
	if (!p->ipvs)
		choose_layout(p);
	if (p->full)
		diff_everything(p);
	else
		diff_touched(p);
	changes_sort(&p->changes);
	emit(p, out, arg);
	changes_clear(&p->changes);
	snapshot_clear(&p->snapshot);
	p->nodeports_changed = false;
}
