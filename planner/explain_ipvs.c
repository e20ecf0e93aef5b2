/*
 * A packet's way in ipvs mode: the constant rules mark or drop it by the ipsets, and IPVS, behind
 * nat's OUTPUT and filter's INPUT, gives it to a real server of its virtual server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/explain_way.h"
#include "planner/frontend_owner.h"
#include "planner/ipvs_print.h"

/* --- whose --- */

const struct stored_service *explain_ipvs_owner(const struct plan_view *view,
    const struct query_packet *p, uint32_t *index, enum frontend *kind)
{
	const struct stored_service *v =
	    frontend_owner_of(view->store, &p->dst, p->proto, p->port, kind);

	for (*index = 0; v != NULL && v->spec != NULL && *index < v->spec->port_count; ++*index) {
		const struct stored_port *port = &v->spec->ports[*index];

		if (port->proto == p->proto &&
		    (*kind == FRONTEND_COUNT ? port->node_port : port->port) == p->port)
			return v;
	}
	return NULL;
}

static void name_service(struct explain *x)
{
	enum frontend kind;
	uint32_t i;
	const struct stored_service *v = explain_ipvs_owner(x->view, x->packet, &i, &kind);

	if (v != NULL)
		names_service_port(
		    x->service, v->namespace, v->name, v->spec->strings + v->spec->ports[i].name);
}

/* --- what it goes by --- */

static const struct scheduler {
	const char *name, *chooses;
} schedulers[] = {
    {"rr", NULL}, /* one after the other: each has the same share */
    {"wrr", NULL},
    {"lc", "the one with the fewest connections"},
    {"wlc", "the one with the fewest connections"},
    {"lblc", "the one that the destination had last, unless that has too many connections"},
    {"lblcr", "one of those that the destination had, unless these have too many connections"},
    {"dh", "by a hash of the destination: all clients of an address have the same"},
    {"sh", "by a hash of the source: a client has always the same"},
    {"mh", "by a hash of the source and its port"},
    {"sed", "the one with the fewest connections"},
    {"nq", "one without connections, else the one with the fewest"},
    {"fo", "the first one, as long as it is there"},
    {"ovf", "the first one with no more than one connection; without one it is refused"},
};

static void choose_by(struct explain *x)
{
	const char *name = x->view->cfg->ipvs_scheduler;

	for (size_t i = 0; i < sizeof(schedulers) / sizeof(schedulers[0]); i++)
		if (strcmp(schedulers[i].name, name) == 0)
			x->chooses = schedulers[i].chooses;
	x->no_shares = x->chooses != NULL;
}

/* --- steps --- */

/* I as it was put. */
static void step(
    const struct explain_way *w, const char *why, const char *where, const struct ipvs_item *i)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return;
	ipvs_print_item(out, i, w->x->view->cfg);
	if (fclose(out) == 0 && len > 0) {
		text[len - 1] = '\0'; /* the line's end */
		explain_step(w->x, why, where, text);
	}
	free(text);
}

/* Ours are not to be had where another program's are. */
static void tell_others(const struct explain_way *w)
{
	const struct config *cfg = w->x->view->cfg;
	char net[CIDR_STRLEN];

	for (uint32_t i = 0; i < cfg->ipvs_exclude_count; i++)
		if (ip_cidr_contains(&cfg->ipvs_exclude[i], &w->dst))
			explain_step(w->x, "what is at this address is others'",
			    "--ipvs-exclude-cidrs", ip_cidr_format(&cfg->ipvs_exclude[i], net));
}

static void tell_address(const struct explain_way *w)
{
	const struct ipvs_item at = {.family = w->dst.family, .addr = w->dst};
	const struct ipvs_node *n = ipvs_items_there(&w->x->view->ipvs->items, IPVS_ADDRESS, &at);
	char text[IP_STRLEN];

	if (n == NULL)
		return;
	explain_step(w->x, "the address is one of this machine's: it is not sent on",
	    IPVS_INTERFACE, ip_format(&n->item.addr, text));
}

/* --- IPVS --- */

static uint32_t value_of(const struct ipvs_node *n)
{
	return n->has & ~(IPVS_BUSY | IPVS_OTHER);
}

static void add_real(const struct explain_way *w, const struct ipvs_node *real, double share)
{
	struct explain_endpoint *e = explain_add(w->x, &real->item.to, real->item.to_port, share);
	struct explain_way one = *w;
	char text[ENDPOINT_STRLEN];

	one.translated = true;
	one.dst = real->item.to;
	one.port = real->item.to_port;
	explain_masquerade(&one, e);
	snprintf(e->rule, sizeof(e->rule), "virtual server %s",
	    names_endpoint(text, &real->item.addr, real->item.port));
}

/* Of weight 0 are those that leave, and are there for the connections that they have. */
static void choose(const struct explain_way *w, const struct ipvs_node *server, const char *where)
{
	struct ipvs_items *items = &w->x->view->ipvs->items;
	struct ipvs_node *real;
	size_t count = 0;

	for (real = ipvs_items_first_real(items, &server->item); real != NULL;
	     real = ipvs_items_next_real(real)) {
		struct ipvs_item leaving = real->item;

		leaving.value = value_of(real);
		count += real->there && leaving.value > 0;
		if (real->there && leaving.value == 0)
			step(w,
			    "a real server that leaves: it has connections, and gets no new one",
			    where, &leaving);
	}
	for (real = ipvs_items_first_real(items, &server->item); real != NULL;
	     real = ipvs_items_next_real(real))
		if (real->there && value_of(real) > 0)
			add_real(w, real, 1 / (double)count);
	if (count > 0)
		return;
	explain_step(w->x, "no endpoint takes new connections", where,
	    "ICMP port unreachable, for want of a real server");
	w->x->verdict = EXPLAIN_REJECTED;
}

/* Returns whether there is a virtual server for the packet: then IPVS decides. */
static bool serve(const struct explain_way *w, const char *where)
{
	const struct ipvs_item at = {
	    .family = w->dst.family, .addr = w->dst, .proto = w->x->packet->proto, .port = w->port};
	const struct ipvs_node *server =
	    ipvs_items_there(&w->x->view->ipvs->items, IPVS_SERVER, &at);
	char text[ENDPOINT_STRLEN];

	if (server == NULL)
		return false;
	if (server->foreign) {
		explain_step(w->x, "another program's virtual server decides", where,
		    names_endpoint(text, &w->dst, w->port));
		return true;
	}
	step(w, "the address and port are a virtual server", where, &server->item);
	w->x->affinity_seconds = value_of(server);
	choose_by(w->x);
	choose(w, server, where);
	return true;
}

void explain_ipvs(struct explain *x)
{
	struct explain_way w = {.x = x, .dst = x->packet->dst, .port = x->packet->port, .share = 1};

	name_service(x);
	tell_others(&w);
	/* these set the mark, no more */
	explain_hooks(&w, IPT_NAT, x->from_node ? "OUTPUT" : "PREROUTING");
	tell_address(&w);
	if (x->from_node && serve(&w, "IPVS, behind nat OUTPUT"))
		return;
	if (explain_is_local(x->view, &w.dst)) {
		if (explain_hooks(&w, IPT_FILTER, "INPUT") && x->verdict != EXPLAIN_ACCEPTED)
			return;
		serve(&w, "IPVS, behind filter INPUT");
	} else if (!x->from_node) {
		explain_hooks(&w, IPT_FILTER, "FORWARD");
	}
}
