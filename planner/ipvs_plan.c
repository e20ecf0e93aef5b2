#include "planner/ipvs_plan.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/memory.h"
#include "planner/plan.h"

void ipvs_plan_init(struct ipvs_plan *p, struct store *s, const struct own_node *own,
    const char *zone, struct udp_index *udp)
{
	memset(p, 0, sizeof(*p));
	p->store = s;
	p->udp = udp;
	p->desired.own = own;
	p->desired.zone = zone;
	p->desired.local = &udp->local;
}

void ipvs_plan_clear(struct ipvs_plan *p)
{
	struct stored_service *v;

	RB_FOREACH (v, service_tree, &p->store->services) {
		free(v->items);
		v->items = NULL;
		v->item_count = 0;
	}
	ipvs_items_clear(&p->items);
	ipvs_desired_clear(&p->desired);
}

/* --- the snapshot --- */

void ipvs_plan_forget(struct ipvs_plan *p)
{
	ipvs_items_forget(&p->items);
}

void ipvs_plan_snapshot(struct ipvs_plan *p, const struct ipvs_snapshot *part)
{
	for (uint32_t i = 0; i < part->count; i++) {
		struct ipvs_node *n = ipvs_items_need(&p->items, &part->items[i]);

		n->there = true;
		n->has = part->items[i].value & ~IPVS_FOREIGN;
		n->foreign = (part->items[i].value & IPVS_FOREIGN) != 0;
		ipvs_node_touch(&p->items, n);
	}
}

/* The virtual server of OF's frontend; NULL: there is none. */
static struct ipvs_node *server_of(struct ipvs_items *t, const struct ipvs_item *of)
{
	const struct ipvs_item key = ipvs_item_key(IPVS_SERVER, of);

	return ipvs_items_find(t, &key);
}

void ipvs_plan_known(struct ipvs_plan *p, const bool families[FAMILY_COUNT])
{
	memcpy(p->desired.families, families, sizeof(p->desired.families));
}

/* --- what services want --- */

static void diff_service(struct ipvs_plan *p, struct stored_service *v)
{
	struct ipvs_desired *d = &p->desired;
	struct ipvs_node **items = NULL;

	ipvs_desired_service(d, v);
	if (d->count > 0)
		items = memory_new(d->count * sizeof(struct ipvs_node *));
	for (size_t i = 0; i < d->count; i++) {
		items[i] = ipvs_items_need(&p->items, &d->items[i]);
		ipvs_node_want(&p->items, items[i], d->items[i].value);
	}
	for (uint32_t i = 0; i < v->item_count; i++)
		ipvs_node_drop(&p->items, v->items[i]);
	free(v->items);
	v->items = items;
	v->item_count = (uint32_t)d->count;
	udp_update(p->udp, v, d->families);
	p->counts->services += v->spec != NULL;
	p->counts->endpoints += d->endpoints;
	store_planned(v);
	store_release(p->store, v);
}

/* --- operations --- */

static void give(struct ipvs_plan *p, enum txn_op op, struct ipvs_node *n, uint32_t value)
{
	struct ipvs_item i = n->item;

	i.value = value;
	p->out->item(p->arg, op, &i);
	n->there = op != OP_ITEM_DELETE;
	n->has = value;
	if (op == OP_ITEM_DELETE)
		p->counts->deletes++;
	else
		p->counts->puts++;
}

/* Is N of a virtual server that is another program's? */
static bool is_foreign(struct ipvs_plan *p, const struct ipvs_node *n)
{
	const struct ipvs_node *s = server_of(&p->items, &n->item);

	return s != NULL && s->foreign;
}

/* ... or what would make that look like ours at the next start: its address, unless one of ours has
 * the same? */
static bool leave(struct ipvs_plan *p, struct ipvs_node *n)
{
	const struct ipvs_item first = {
	    .kind = IPVS_SERVER, .family = n->item.family, .addr = n->item.addr};
	struct ipvs_node *s;
	char text[IP_STRLEN];
	bool foreign = is_foreign(p, n), ours = false;

	for (s = n->item.kind == IPVS_ADDRESS || n->item.kind == IPVS_IPS
		     ? ipvs_items_from(&p->items, &first)
		     : NULL;
	     s != NULL && s->item.kind == IPVS_SERVER && ip_cmp(&s->item.addr, &n->item.addr) == 0;
	     s = RB_NEXT(ipvs_tree, , s)) {
		foreign |= s->foreign;
		ours |= s->there && !s->foreign;
	}
	foreign &= !(ours && n->there);
	if (foreign && !n->told && n->item.kind == IPVS_SERVER)
		log_warn(
		    "virtual server %s port %u is another program's: no service is reached there",
		    ip_format(&n->item.addr, text), n->item.port);
	n->told |= foreign;
	return foreign;
}

static void put(struct ipvs_plan *p, struct ipvs_node *n)
{
	if (n->users == 0 || (n->there && (n->has & ~IPVS_BUSY) == n->item.value) || leave(p, n))
		return;
	give(p, n->there ? OP_ITEM_CHANGE : OP_ITEM_PUT, n, n->item.value);
}

/* Its virtual server goes, and N with it. */
static bool goes_with_server(struct ipvs_plan *p, const struct ipvs_node *n)
{
	const struct ipvs_node *s = server_of(&p->items, &n->item);

	return s == NULL || s->users == 0;
}

static void remove_real(struct ipvs_plan *p, struct ipvs_node *n)
{
	const bool busy = n->item.proto != IPPROTO_UDP && (!p->full || (n->has & IPVS_BUSY));

	if (goes_with_server(p, n)) {
		n->there = false;
		return;
	}
	if (!busy) {
		give(p, OP_ITEM_DELETE, n, 0);
		return;
	}
	if ((n->has & ~IPVS_BUSY) != 0)
		give(p, OP_ITEM_CHANGE, n, 0);
	n->has |= IPVS_BUSY;
}

static void gone(struct ipvs_plan *p, struct ipvs_node *n)
{
	struct ipvs_node *real;

	if (!n->there || (n->item.kind >= IPVS_SERVER && is_foreign(p, n)))
		return;
	/* another program's virtual server may have come after what names its frontend */
	if (n->users > 0 && (n->item.kind >= IPVS_SERVER || !leave(p, n)))
		return;
	if (n->item.kind == IPVS_REAL) {
		remove_real(p, n);
		return;
	}
	if (n->item.kind == IPVS_ADDRESS && p->ends) {
		/* The kernel looks for each in a list: 50,000 of them took it most of a minute. */
		n->there = false;
		p->counts->deletes++;
		return;
	}
	give(p, OP_ITEM_DELETE, n, 0);
	for (real = n->item.kind == IPVS_SERVER ? ipvs_items_first_real(&p->items, &n->item) : NULL;
	     real != NULL; real = ipvs_items_next_real(real)) {
		real->there = false;
		ipvs_node_touch(&p->items, real); /* to be freed */
	}
}

/* Is N still there for the connections that it has? */
static bool drains(struct ipvs_plan *p, const struct ipvs_node *n)
{
	return n->item.kind == IPVS_REAL && n->users == 0 && n->there && !is_foreign(p, n);
}

static void emit(struct ipvs_plan *p)
{
	struct ipvs_node **list;
	size_t count;

	list = ipvs_items_take(&p->items, &count);
	for (size_t i = 0; i < count; i++) {
		p->draining -= list[i]->draining;
		put(p, list[i]);
	}
	for (size_t i = count; i-- > 0;)
		gone(p, list[i]);
	for (size_t i = 0; i < count; i++) {
		list[i]->draining = drains(p, list[i]);
		p->draining += list[i]->draining;
		ipvs_node_release(&p->items, list[i]);
	}
	free(list);
}

void ipvs_plan_sync(
    struct ipvs_plan *p, bool full, const struct txn_visitor *out, void *arg, struct plan_counts *n)
{
	struct stored_service *v;

	p->out = out;
	p->arg = arg;
	p->counts = n;
	p->full = full;
	while ((v = store_take_touched(p->store)) != NULL)
		diff_service(p, v);
	emit(p);
	while (!SLIST_EMPTY(&p->items.changed)) /* real servers that went with theirs */
		emit(p);
}
