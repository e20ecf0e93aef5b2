#include "planner/nft_plan.h"

#include <stdlib.h>
#include <string.h>

#include "planner/frontend_owner.h"
#include "planner/memory.h"
#include "planner/names.h"
#include "planner/plan.h"

void nft_plan_init(struct nft_plan *p, struct store *s, const struct own_node *own,
    const char *zone, struct udp_index *udp)
{
	memset(p, 0, sizeof(*p));
	RB_INIT(&p->desired.hairpins.tree);
	p->store = s;
	p->desired.own = own;
	p->desired.zone = zone;
	p->udp = udp;
	p->desired.local = &udp->local;
}

static void drop_elements(struct stored_service *v)
{
	free(v->elems);
	v->elems = NULL;
	v->elem_count = 0;
}

void nft_plan_forget(struct nft_plan *p)
{
	struct stored_service *v;

	elements_clear(&p->kernel);
	elements_clear(&p->node);
	hairpins_clear(&p->desired.hairpins);
	p->complete = false;
	RB_FOREACH (v, service_tree, &p->store->services)
		drop_elements(v);
}

void nft_plan_reinstall(struct nft_plan *p)
{
	p->reinstall = true;
}

void nft_plan_clear(struct nft_plan *p)
{
	nft_plan_forget(p);
	nft_desired_clear(&p->desired);
	free(p->seen);
}

/* --- the snapshot --- */

const char *nft_plan_snapshot(struct nft_plan *p, const struct nft_snapshot *part)
{
	struct element e;

	if (p->complete)
		return "a part of a snapshot that is complete";
	memcpy(p->desired.families, part->families, sizeof(p->desired.families));
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		p->installed[f] = part->installed[f] && !p->reinstall;
	if (p->kernel.count == 0)
		memset(p->kernel_timeouts, 0, sizeof(p->kernel_timeouts));
	for (uint32_t i = 0; i < part->count; i++) {
		const struct nft_elem *x = &part->elems[i];

		if (x->set == NFT_TIMEOUTS && x->slot < NFT_AFFINITIES) {
			p->kernel_timeouts[x->slot] = x->seconds;
			continue;
		}
		element_from_wire(&e, x, nft_name_hash(p->desired.own->cfg, x->name));
		elements_add(&p->kernel, &e);
	}
	if (!part->last)
		return NULL;
	elements_sort(&p->kernel);
	memcpy(p->desired.timeouts, p->kernel_timeouts, sizeof(p->kernel_timeouts));
	p->complete = true;
	return NULL;
}

/* --- operations --- */

static void put(struct nft_plan *p, const struct stored_service *v, const struct element *e)
{
	char name[SVCPORT_NAME_LEN] = "";
	struct nft_elem out;

	if (v != NULL)
		names_service_port(
		    name, v->namespace, v->name, v->spec->strings + v->spec->ports[e->index].name);
	element_to_wire(&out, e, name);
	p->clients.out->put(p->clients.arg, &out);
	p->counts->puts++;
}

static void delete (struct nft_plan *p, const struct element *e)
{
	struct nft_elem out;

	element_to_wire(&out, e, "");
	p->clients.out->remove_elem(p->clients.arg, &out);
	p->counts->deletes++;
}

/* --- differences --- */

/* Gives up what V had and has no more. Those who waited for it are planned again. */
static void release(struct nft_plan *p, const struct stored_service *v)
{
	struct stored_service *other;
	bool wanted = p->desired.freed;

	for (uint32_t i = 0; i < v->elem_count; i++)
		if (v->elems[i].set == NFT_HAIRPIN)
			wanted |= hairpins_release(
			    &p->desired.hairpins, &v->elems[i], v, p->desired.stamp);
	if (!wanted)
		return;
	RB_FOREACH (other, service_tree, &p->store->services)
		if (other->contends)
			store_touch(p->store, other);
}

/* Both lists are sorted. Deletes what is in WAS alone, and marks what has to be put. */
static void compare(struct nft_plan *p, struct element_list *is, struct element *was, size_t count)
{
	size_t i = 0, k = 0;

	while (i < is->count || k < count) {
		int n = i == is->count ? 1 : k == count ? -1 : element_cmp(&is->e[i], &was[k]);

		if (n == 0 && element_same(&is->e[i], &was[k])) {
			is->e[i++].fresh = was[k++].fresh;
			continue;
		}
		if (n <= 0) {
			if (is->e[i].set == NFT_LOCAL_POLICY)
				nft_clients_elsewhere(&p->clients, is->e, is->count, &is->e[i]);
			is->e[i++].fresh = true;
		}
		if (n < 0)
			continue;
		if (!was[k].fresh) { /* else it was to be put by this very transaction */
			delete (p, &was[k]);
			nft_clients_gone(&p->clients, was, count, &was[k], is->e, is->count);
		}
		k++;
	}
}

static void own(struct stored_service *v, const struct element_list *l)
{
	drop_elements(v);
	if (l->count == 0)
		return;
	v->elems = memory_new(l->count * sizeof(*l->e));
	memcpy(v->elems, l->e, l->count * sizeof(*l->e));
	v->elem_count = (uint32_t)l->count;
}

static void see(struct nft_plan *p, struct stored_service *v)
{
	if (v->seen_by_plan)
		return;
	v->seen_by_plan = true;
	p->seen =
	    memory_grow(p->seen, &p->seen_room, p->seen_count + 1, sizeof(struct stored_service *));
	p->seen[p->seen_count++] = v;
}

static void desire(
    struct nft_plan *p, struct stored_service *v, const struct element *prev, size_t count)
{
	nft_desired_service(&p->desired, v, prev, count);
	udp_update(p->udp, v, p->desired.families);
	see(p, v);
	p->counts->services += v->spec != NULL;
	p->counts->endpoints += p->desired.endpoints;
}

static void diff_service(struct nft_plan *p, struct stored_service *v)
{
	desire(p, v, v->elems, v->elem_count);
	compare(p, &p->desired.list, v->elems, v->elem_count);
	release(p, v);
	own(v, &p->desired.list);
}

static void diff_touched(struct nft_plan *p)
{
	struct stored_service *v;

	while ((v = store_take_touched(p->store)) != NULL)
		diff_service(p, v);
	if (!p->node_changed)
		return;
	nft_desired_node(&p->desired, p->store);
	compare(p, &p->desired.list, p->node.e, p->node.count);
}

/* --- with a snapshot --- */

/* Marks in LIST what the kernel has not, and in the kernel's (by FRESH) what is wanted. */
static void match(struct nft_plan *p, struct element *e, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct element *k = p->installed[e[i].family]
					? elements_find(p->kernel.e, p->kernel.count, &e[i])
					: NULL;

		e[i].fresh = k == NULL || !element_same(k, &e[i]);
		if (!e[i].fresh)
			k->fresh = true;
		else if (e[i].set == NFT_LOCAL_POLICY && p->installed[e[i].family])
			nft_clients_elsewhere(&p->clients, e, count, &e[i]);
	}
}

/* What the frontend of E leads to now. */
static struct stored_service *owner_of(struct nft_plan *p, const struct element *e)
{
	struct ip_addr addr = {.family = e->family};
	enum frontend kind;

	memcpy(addr.b, e->addr, sizeof(addr.b));
	return frontend_owner_of(p->store, &addr, e->proto, e->port, &kind);
}

static void delete_rest(struct nft_plan *p)
{
	static struct stored_service none;

	for (size_t i = 0; i < p->kernel.count; i++) {
		const struct element *e = &p->kernel.e[i];
		struct stored_service *v;

		if (e->fresh || !p->installed[e->family])
			continue;
		delete (p, e);
		v = owner_of(p, e);
		if (v == NULL)
			v = &none;
		nft_clients_gone(
		    &p->clients, p->kernel.e, p->kernel.count, e, v->elems, v->elem_count);
	}
}

/* Of which nothing is known yet: those that are in the kernel stay until it is. */
static void keep_service_cidrs(struct nft_plan *p)
{
	if (p->store->service_cidrs != NULL)
		return;
	for (size_t i = 0; i < p->kernel.count; i++)
		if (p->kernel.e[i].set == NFT_SERVICE_CIDRS)
			elements_add(&p->desired.list, &p->kernel.e[i]);
	elements_sort(&p->desired.list);
}

static void diff_everything(struct nft_plan *p)
{
	struct stored_service *v;

	while (store_take_touched(p->store) != NULL)
		continue;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (p->desired.families[f] && !p->installed[f])
			p->clients.out->install(p->clients.arg, (uint8_t)f);
	RB_FOREACH (v, service_tree, &p->store->services) {
		desire(p, v, p->kernel.e, p->kernel.count);
		own(v, &p->desired.list);
	}
	nft_desired_node(&p->desired, p->store);
	keep_service_cidrs(p);
	match(p, p->desired.list.e, p->desired.list.count);
	RB_FOREACH (v, service_tree, &p->store->services)
		match(p, v->elems, v->elem_count);
	delete_rest(p);
}

/* --- a transaction --- */

static void put_services(struct nft_plan *p)
{
	for (size_t i = 0; i < p->seen_count; i++) {
		struct stored_service *v = p->seen[i];

		for (uint32_t k = 0; k < v->elem_count; k++) {
			if (v->elems[k].fresh)
				put(p, v, &v->elems[k]);
			v->elems[k].fresh = false;
		}
		v->seen_by_plan = false;
		store_planned(v);
		store_release(p->store, v);
	}
	p->seen_count = 0;
}

/* After nft_desired_node() and the comparison. */
static void put_node(struct nft_plan *p)
{
	struct element_list *l = &p->desired.list;

	p->node.count = 0;
	for (size_t i = 0; i < l->count; i++) {
		if (l->e[i].fresh)
			put(p, NULL, &l->e[i]);
		l->e[i].fresh = false;
		elements_add(&p->node, &l->e[i]);
	}
	p->node_changed = false;
}

static void put_timeouts(struct nft_plan *p, bool full)
{
	for (unsigned i = 0; i < NFT_AFFINITIES; i++) {
		uint32_t want = p->desired.timeouts[i];

		for (unsigned f = 0; f < FAMILY_COUNT; f++) {
			bool anew = full && !p->installed[f];

			if (p->desired.families[f] &&
			    (anew ? want != 0 : want != p->kernel_timeouts[i]))
				p->clients.out->affinity(p->clients.arg, (uint8_t)f, i, want);
		}
		p->kernel_timeouts[i] = want;
	}
}

void nft_plan_sync(
    struct nft_plan *p, bool full, const struct nft_visitor *out, void *arg, struct plan_counts *n)
{
	bool node = full || p->node_changed;

	p->clients = (struct nft_clients){out, arg};
	p->counts = n;
	if (full)
		diff_everything(p);
	else
		diff_touched(p);
	put_timeouts(p, full);
	if (node)
		put_node(p);
	put_services(p);
	elements_clear(&p->kernel);
	memset(p->installed, true, sizeof(p->installed));
	p->reinstall = p->reinstall && !full;
}
