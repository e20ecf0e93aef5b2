/* ipvs mode's items: what the kernel has against what was written there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/diff.h"
#include "planner/frontend_owner.h"
#include "planner/ipvs_print.h"
#include "planner/memory.h"

void diff_add_ipvs(struct diff *d, const struct ipvs_snapshot *part)
{
	d->items =
	    memory_grow(d->items, &d->item_room, d->item_count + part->count, sizeof(*d->items));
	memcpy(d->items + d->item_count, part->items, part->count * sizeof(*d->items));
	d->item_count += part->count;
}

static int item_cmp(const void *a, const void *b)
{
	return ipvs_item_cmp(a, b);
}

static const struct ipvs_item *find(const struct diff *d, const struct ipvs_item *key)
{
	return d->item_count > 0
		   ? bsearch(key, d->items, d->item_count, sizeof(*d->items), item_cmp)
		   : NULL;
}

/* --- in words --- */

/* ipset-save's words, or ipvsadm's. */
static void name_item(struct diff *d, const struct ipvs_item *i)
{
	char *text = NULL, addr[ENDPOINT_STRLEN], set[IPVS_SET_NAME_MAX];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return;
	if (i->kind < IPVS_SET_COUNT)
		ipvs_print_entry(out, i);
	else
		ipvs_print_server(out, i);
	fclose(out);
	if (i->kind < IPVS_SET_COUNT) {
		report_str(d->out, "ipset", ipvs_set_name(i->kind, i->family, set));
		report_str(d->out, "entry", text);
	} else if (i->kind == IPVS_ADDRESS) {
		report_str(d->out, "interface", IPVS_INTERFACE);
		report_str(d->out, "address", ip_format(&i->addr, addr));
	} else {
		report_str(d->out, "server", text);
	}
	if (i->kind == IPVS_REAL)
		report_str(d->out, "real", names_endpoint(addr, &i->to, i->to_port));
	free(text);
}

/* Who has I, as far as it is one service's alone. */
static const struct stored_service *owner_of(
    const struct plan_view *view, const struct ipvs_item *i)
{
	enum frontend kind;

	return frontend_owner_of(view->store, &i->addr, i->proto, i->port, &kind);
}

static void tell(
    struct diff *d, const struct plan_view *view, const char *is, const struct ipvs_item *i)
{
	if (!diff_line(d, is))
		return;
	name_item(d, i);
	diff_line_end(d, owner_of(view, i));
}

/* I of the kernel has another value than WANTED, the plan's. */
static void tell_value(
    struct diff *d, const struct plan_view *view, const struct ipvs_item *i, uint32_t wanted)
{
	const uint32_t value = i->value & ~IPVS_BUSY;
	const bool server = i->kind == IPVS_SERVER;

	if (!diff_line(d, "changed"))
		return;
	name_item(d, i);
	if (value & IPVS_FOREIGN)
		report_str(d->out, "what", "it is another program's now");
	else if (value & IPVS_OTHER)
		report_str(d->out, "what",
		    server ? "its scheduler or options" : "its weight or way of forwarding");
	else
		report_printf(d->out, server ? "affinitySeconds" : "weight", "%u in place of %u",
		    value, wanted);
	diff_line_end(d, owner_of(view, i));
}

/* --- what differs --- */

static bool of_server(const struct ipvs_item *i)
{
	return i->kind == IPVS_SERVER || i->kind == IPVS_REAL;
}

static const struct ipvs_node *server_of(const struct plan_view *view, const struct ipvs_item *i)
{
	return ipvs_items_there(&view->ipvs->items, IPVS_SERVER, i);
}

static void expect_item(struct diff *d, const struct plan_view *view, const struct ipvs_node *n)
{
	const struct ipvs_item *i = find(d, &n->item);

	if (i == NULL)
		tell(d, view, "missing", &n->item);
	else if ((i->value & ~IPVS_BUSY) != (n->has & ~IPVS_BUSY))
		tell_value(d, view, i, n->has & ~IPVS_BUSY);
}

/* The kernel has I, which was not written. Of another program's virtual servers nothing is told. */
static bool is_others(const struct plan_view *view, const struct ipvs_item *i)
{
	if (i->kind == IPVS_SERVER)
		return (i->value & IPVS_FOREIGN) != 0;
	/* those of a virtual server that is too many go with it */
	return i->kind == IPVS_REAL && server_of(view, i) == NULL;
}

void diff_compare_ipvs(struct diff *d, const struct plan_view *view)
{
	struct ipvs_items *items = &view->ipvs->items;
	const struct ipvs_node *server;
	struct ipvs_node *n;

	if (d->item_count > 0)
		qsort(d->items, d->item_count, sizeof(*d->items), item_cmp);
	RB_FOREACH (n, ipvs_tree, &items->tree) {
		server = of_server(&n->item) ? server_of(view, &n->item) : NULL;
		if (n->there && (server == NULL || !server->foreign))
			expect_item(d, view, n);
	}
	for (size_t k = 0; k < d->item_count; k++) {
		const struct ipvs_item *i = &d->items[k];

		n = ipvs_items_find(items, i);
		server = of_server(i) ? server_of(view, i) : NULL;
		if ((n == NULL || !n->there) && (server == NULL || !server->foreign) &&
		    !is_others(view, i))
			tell(d, view, "too many", i);
	}
}
