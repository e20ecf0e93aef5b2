/* The frontends of ipvs mode, from its items. */
#include <stdio.h>
#include <string.h>

#include "planner/frontends.h"
#include "planner/service_report.h"

struct visit {
	const struct plan_view *view;
	struct ipvs_items *items;
	struct report *out;
	const struct stored_service *v;
	const struct stored_port *port;
	unsigned live; /* enum live_bit of the port and family */
	uint8_t family;
};

static bool excluded(const struct visit *w, const struct ip_addr *a)
{
	const struct config *cfg = w->view->cfg;

	for (uint32_t i = 0; i < cfg->ipvs_exclude_count; i++)
		if (ip_cidr_contains(&cfg->ipvs_exclude[i], a))
			return true;
	return false;
}

/* What becomes of packets to one of KIND, whose virtual server is there. */
static const char *meaning(const struct visit *w, enum frontend kind)
{
	const struct service_spec *spec = w->v->spec;
	const bool cluster_ip = kind == FRONTEND_CLUSTER;
	const bool local = cluster_ip ? spec->internal_local : spec->external_local;

	if (!(w->live & LIVE_CLUSTER))
		return "rejected: no endpoints";
	if (local && w->live & LIVE_LOCAL)
		return cluster_ip ? "to the endpoints on this node"
				  : "to the endpoints on this node, from pods and the node as well";
	if (local)
		return cluster_ip
			   ? "dropped: no endpoints on this node; rejected to the node itself"
			   : "dropped: no endpoints on this node; from pods and the node "
			     "itself to all";
	return cluster_ip && !w->view->cfg->masquerade_all ? "to the endpoints"
							   : "to the endpoints, masqueraded";
}

/* Why F's virtual server is not V's; NULL: it is. */
static const char *why_not(
    const struct visit *w, const struct ipvs_item *f, const struct ipvs_node *server)
{
	if (excluded(w, &f->addr))
		return "others': in --ipvs-exclude-cidrs";
	return server == NULL || server->foreign ? "another program's virtual server" : NULL;
}

/* The ipsets that F is in. */
static void write_sets(const struct visit *w, const struct ipvs_item *f, enum frontend kind)
{
	const unsigned proto = f->proto == PROTO_TCP ? 0 : f->proto == PROTO_UDP ? 1 : 2;
	char name[IPVS_SET_NAME_MAX];

	report_list(w->out, "ipsets");
	for (unsigned set = IPVS_CLUSTER_IP; set < IPVS_SET_COUNT; set++) {
		const bool node_port = set >= IPVS_NODE_PORT && set < IPVS_HEALTH_CHECK;

		if (set == IPVS_SOURCE_CIDR || set == IPVS_HEALTH_CHECK ||
		    (node_port && (kind != FRONTEND_COUNT || (set - IPVS_NODE_PORT) % 3 != proto)))
			continue;
		if (ipvs_items_there(w->items, (enum ipvs_kind)set, f) != NULL)
			report_str(w->out, NULL, ipvs_set_name((uint8_t)set, f->family, name));
	}
	report_close(w->out);
}

static uint32_t weight(const struct ipvs_node *real)
{
	return real->has & ~IPVS_BUSY;
}

static void write_server(const struct visit *w, const struct ipvs_node *server)
{
	const char *scheduler = w->view->cfg->ipvs_scheduler;
	char text[ENDPOINT_STRLEN];
	uint64_t count = 0, leaving = 0;
	struct ipvs_node *real;

	for (real = ipvs_items_first_real(w->items, &server->item); real != NULL;
	     real = ipvs_items_next_real(real)) {
		count += real->there && weight(real) > 0;
		leaving += real->there && weight(real) == 0;
	}
	report_str(w->out, "scheduler", scheduler[0] != '\0' ? scheduler : "rr");
	report_uint(w->out, "realServers", count);
	if (leaving == 0)
		return;
	report_list(w->out, "leaving");
	for (real = ipvs_items_first_real(w->items, &server->item); real != NULL;
	     real = ipvs_items_next_real(real))
		if (real->there && weight(real) == 0)
			report_str(
			    w->out, NULL, names_endpoint(text, &real->item.to, real->item.to_port));
	report_close(w->out);
}

static void write_frontend(
    const struct visit *w, enum frontend kind, const struct ip_addr *a, uint16_t port)
{
	const struct ipvs_item f = {
	    .family = w->family, .addr = *a, .proto = w->port->proto, .port = port};
	const struct ipvs_node *server = ipvs_items_there(w->items, IPVS_SERVER, &f);
	const char *not_ours = why_not(w, &f, server);
	const bool ranges =
	    kind == FRONTEND_LOAD_BALANCER && rules_restricted(w->v->spec, w->family);
	char text[ENDPOINT_STRLEN];

	report_line(w->out, NULL);
	report_str(w->out, "kind", frontends_kind_name(kind));
	report_str(w->out, "address", names_endpoint(text, a, port));
	if (not_ours != NULL) {
		report_str(w->out, "is", not_ours);
	} else {
		report_printf(w->out, "is", "%s%s", meaning(w, kind),
		    ranges ? ", from its source ranges alone" : "");
		write_sets(w, &f, kind);
		write_server(w, server);
	}
	report_close(w->out);
}

/* The node's addresses where the port has, or should have, a virtual server. */
static void write_node_ports(const struct visit *w)
{
	for (uint32_t i = 0; w->port->node_port != 0 && i < w->v->item_count; i++) {
		const struct ipvs_item *s = &w->v->items[i]->item;

		if (s->kind == IPVS_SERVER && s->family == w->family &&
		    s->proto == w->port->proto && s->port == w->port->node_port &&
		    frontends_kind(w->v->spec, &s->addr) == FRONTEND_COUNT)
			write_frontend(w, FRONTEND_COUNT, &s->addr, s->port);
	}
}

static void write_health_check(const struct visit *w)
{
	const struct ipvs_item at = {
	    .family = w->family, .port = w->v->spec->health_check_node_port};
	char name[IPVS_SET_NAME_MAX];

	if (at.port == 0 || ipvs_items_there(w->items, IPVS_HEALTH_CHECK, &at) == NULL)
		return;
	report_line(w->out, NULL);
	report_str(w->out, "kind", "node port");
	report_uint(w->out, "port", at.port);
	report_str(w->out, "is", "accepted: the health check node port");
	report_list(w->out, "ipsets");
	report_str(w->out, NULL, ipvs_set_name(IPVS_HEALTH_CHECK, w->family, name));
	report_close(w->out);
	report_close(w->out);
}

void service_report_ipvs(const struct plan_view *view, struct report *out,
    const struct stored_service *v, uint32_t index, uint8_t family)
{
	const struct service_spec *spec = v->spec;
	const struct visit w = {view, &view->ipvs->items, out, v, &spec->ports[index],
	    (unsigned)spec->live[index] >> family, family};

	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			if (spec->ips[k][i].family == family &&
			    spec_has(spec, (enum frontend)k, i, index))
				write_frontend(
				    &w, (enum frontend)k, &spec->ips[k][i], w.port->port);
	write_node_ports(&w);
	write_health_check(&w);
}
