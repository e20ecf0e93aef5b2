#include "planner/service_report.h"

#include <stdio.h>
#include <string.h>

#include "planner/frontend_owner.h"
#include "planner/frontends.h"

struct visit {
	const struct plan_view *view;
	struct report *out;
	struct stored_service *v;
	const struct stored_port *port;
	uint32_t index;
	uint8_t family;
};

/* --- frontends: iptables mode, from the rules themselves --- */

static const char *chain_meaning(const struct visit *w, uint8_t kind)
{
	const struct service_spec *spec = w->v->spec;

	switch (kind) {
	case CHAIN_SVC:
		return "to the endpoints";
	case CHAIN_SVL:
		return "to the endpoints on this node";
	case CHAIN_FW:
		return "to the endpoints, from its source ranges alone";
	default:
		return spec->external_local
			   ? "to the endpoints on this node; from pods and the node itself to all"
			   : "to the endpoints, masqueraded";
	}
}

static const char *what_becomes(const struct visit *w, const struct ipt_rule *r)
{
	switch ((enum ipt_verdict)ipt_templates[r->template].verdict) {
	case VERDICT_REJECT:
		return r->template == T_RELAY_REJECT
			   ? "rejected, unless sent there as by another line: the relay's own port"
			   : "rejected: no endpoints";
	case VERDICT_REDIRECT:
		return r->net.bits > 0 ? "from a prefix, to the relay" : "to the relay";
	case VERDICT_DROP:
		return r->template == T_FIREWALL_DROP
			   ? "dropped, unless from its source ranges"
			   : "dropped, unless sent on already: no endpoints on this node";
	case VERDICT_RETURN:
		return "goes on: from a source range";
	case VERDICT_ACCEPT:
		return "accepted: the health check node port";
	default:
		return chain_meaning(w, r->target_kind);
	}
}

static const char *frontend_kind(const struct visit *w, const struct ip_addr *a)
{
	return frontends_kind_name(frontends_kind(w->v->spec, a));
}

struct shared_rules {
	const struct visit *w;
	struct ipt_chain chain;
};

static void write_rule(void *arg, const struct ipt_rule *r)
{
	const struct shared_rules *s = arg;
	const struct ipt_template *t = &ipt_templates[r->template];
	char name[CHAIN_NAME_LEN], text[ENDPOINT_STRLEN];
	struct report *out = s->w->out;
	struct ipt_chain target;

	report_line(out, NULL);
	if (t->args & ARG_DST) {
		report_str(out, "kind", frontend_kind(s->w, &r->dst));
		report_str(out, "address", names_endpoint(text, &r->dst, r->dport));
	} else {
		report_str(
		    out, "kind", r->template == T_RELAY_REJECT ? "port of the relay" : "node port");
		report_uint(out, "port", r->dport);
	}
	report_str(out, "is", what_becomes(s->w, r));
	report_printf(out, "chain", "%s %s", s->chain.table == IPT_NAT ? "nat" : "filter",
	    ipt_chain_name(&s->chain, name));
	if (ipt_rule_target(r, &s->chain, &target))
		report_str(out, "target", ipt_chain_name(&target, name));
	if (t->args & ARG_RELAY)
		report_uint(out, "relay", r->to_port);
	report_close(out);
}

static void write_rules(const struct visit *w)
{
	for (unsigned k = 0; k < SHARED_COUNT; k++) {
		struct shared_rules s = {w, frontends_chain((enum shared_chain)k, w->family)};
		struct rule_sink to = {write_rule, &s};

		if (frontends_in_mode((enum shared_chain)k, w->view->cfg))
			frontends_port_rules(
			    &to, w->view->own, w->v, w->index, (enum shared_chain)k, w->family);
	}
}

/* --- frontends: nftables mode, from the elements --- */

static bool has(const struct visit *w, const struct element *frontend, unsigned set)
{
	struct element key = *frontend;

	key.set = (uint8_t)set;
	return elements_find(w->v->elems, w->v->elem_count, &key) != NULL;
}

static bool has_endpoints(const struct visit *w, const struct element *frontend, uint32_t base)
{
	struct element key = *frontend;

	key.slot = base;
	for (unsigned set = NFT_ENDPOINTS; set < NFT_SET_COUNT; set++)
		if (has(w, &key, set))
			return true;
	return false;
}

static const char *element_meaning(const struct visit *w, const struct element *e)
{
	if (has(w, e, NFT_NO_ENDPOINTS))
		return "rejected: no endpoints";
	if (has(w, e, NFT_LOCAL_POLICY))
		return has_endpoints(w, e, NFT_LOCAL_SLOT)
			   ? "to the endpoints on this node; from pods and the node itself to all"
			   : "dropped: no endpoints on this node; from pods and the node itself to "
			     "all";
	if (!has_endpoints(w, e, 0))
		return "dropped: no endpoints on this node";
	return has(w, e, NFT_MASQ_ALWAYS) ? "to the endpoints, masqueraded" : "to the endpoints";
}

/* The sets that the frontend is in, but for endpoints'. */
static void write_sets(const struct visit *w, const struct element *e)
{
	char text[512] = "";
	size_t len = 0;

	for (unsigned set = 0; set < NFT_ENDPOINTS; set++) {
		if (!has(w, e, set) || len >= sizeof(text))
			continue;
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "", nft_set(set)->name);
	}
	report_str(w->out, "sets", text);
}

static void write_element(
    const struct visit *w, const char *kind, const struct ip_addr *a, uint16_t port)
{
	struct element e = {.family = a->family, .proto = w->port->proto, .port = port};
	char text[ENDPOINT_STRLEN];

	memcpy(e.addr, a->b, ip_len(a->family));
	report_line(w->out, NULL);
	report_str(w->out, "kind", kind);
	report_str(w->out, "address", names_endpoint(text, a, port));
	report_printf(w->out, "is", "%s%s", element_meaning(w, &e),
	    has(w, &e, NFT_FIREWALL) ? ", from its source ranges alone" : "");
	write_sets(w, &e);
	report_close(w->out);
}

static void write_elements(const struct visit *w)
{
	const struct service_spec *spec = w->v->spec;
	struct ip_addr addrs[OWN_NODE_ADDRS_MAX];
	uint32_t count;

	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			if (spec->ips[k][i].family == w->family &&
			    spec_has(spec, (enum frontend)k, i, w->index))
				write_element(w, frontend_kind(w, &spec->ips[k][i]),
				    &spec->ips[k][i], w->port->port);
	count = w->port->node_port != 0
		    ? own_node_port_addrs(w->view->own, w->view->local, w->family, addrs)
		    : 0;
	for (uint32_t i = 0; i < count; i++)
		write_element(w, "node port", &addrs[i], w->port->node_port);
}

/* --- what it asks for and may not have --- */

static void write_if_refused(const struct visit *w, const struct frontend_asked *a)
{
	char text[ENDPOINT_STRLEN], why[FRONTEND_WHY_MAX];
	const char *because = frontend_refusal(w->view->store, a, why);

	if (because == NULL)
		return;
	report_line(w->out, NULL);
	report_str(w->out, "kind", frontends_kind_name(a->kind));
	if (a->addr != NULL)
		report_str(w->out, "address", names_endpoint(text, a->addr, a->port));
	else
		report_uint(w->out, "port", a->port);
	report_printf(w->out, "is", "refused: %s", because);
	report_close(w->out);
}

static void write_refused(const struct visit *w)
{
	const struct service_spec *spec = w->v->asked;
	struct frontend_asked a = {.v = w->v, .proto = w->port->proto};

	if (spec == NULL)
		return;
	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++) {
			a.kind = (enum frontend)k;
			a.addr = &spec->ips[k][i];
			a.port = w->port->port;
			if (a.addr->family == w->family)
				write_if_refused(w, &a);
		}
	a.kind = FRONTEND_COUNT;
	a.addr = NULL;
	a.port = spec->ports[w->index].node_port;
	if (a.port != 0)
		write_if_refused(w, &a);
}

/* --- a service port --- */

static void write_endpoint(
    const struct visit *w, const struct chosen_endpoints *all, const struct chosen_endpoint *e)
{
	static const char *const lists[] = {[LIST_CLUSTER] = "cluster", [LIST_LOCAL] = "local"};
	char key[24];

	report_line(w->out, NULL);
	report_str(w->out, "address", e->text);
	for (unsigned k = 0; k < LIST_COUNT; k++) {
		snprintf(key, sizeof(key), "%s", lists[k]);
		report_printf(w->out, key, "%s, %s", e->lists & 1u << k ? "in" : "out",
		    endpoints_why(all, e, (enum endpoint_list)k));
	}
	report_close(w->out);
}

static void write_endpoints(const struct visit *w)
{
	struct chosen_endpoints all = {0};

	endpoints_judge(&all, w->v, w->index, w->family, w->view->zone);
	report_list(w->out, "endpoints");
	for (size_t i = 0; i < all.count; i++)
		write_endpoint(w, &all, &all.e[i]);
	report_close(w->out);
	endpoints_clear(&all);
}

/* Those that limit who may reach its load-balancer IPs: of the other family's none counts. */
static void write_source_ranges(const struct visit *w)
{
	const struct service_spec *spec = w->v->spec;
	char cidr[CIDR_STRLEN];

	if (!rules_restricted(spec, w->family))
		return;
	report_list(w->out, "sourceRanges");
	for (uint32_t i = 0; i < spec->source_range_count; i++)
		if (spec->source_ranges[i].addr.family == w->family)
			report_str(w->out, NULL, ip_cidr_format(&spec->source_ranges[i], cidr));
	report_close(w->out);
}

static void write_port(const struct visit *w)
{
	const struct service_spec *spec = w->v->spec;
	char name[SVCPORT_NAME_LEN];

	report_object(w->out, NULL);
	report_str(w->out, "service",
	    names_service_port(name, w->v->namespace, w->v->name, spec->strings + w->port->name));
	report_str(w->out, "family", w->family == FAMILY_4 ? "IPv4" : "IPv6");
	report_str(w->out, "protocol", names_proto(w->port->proto));
	report_str(w->out, "internalTrafficPolicy", spec->internal_local ? "Local" : "Cluster");
	report_str(w->out, "externalTrafficPolicy", spec->external_local ? "Local" : "Cluster");
	report_uint(w->out, "affinitySeconds", spec->affinity_seconds);
	write_source_ranges(w);
	report_list(w->out, "frontends");
	if (w->view->cfg->mode == MODE_NFTABLES)
		write_elements(w);
	else if (w->view->cfg->mode == MODE_IPVS)
		service_report_ipvs(w->view, w->out, w->v, w->index, w->family);
	else
		write_rules(w);
	write_refused(w);
	report_close(w->out);
	write_endpoints(w);
	report_close(w->out);
}

/* --- one after the other --- */

static bool asked_for(const struct service_filter *f, const struct stored_service *v)
{
	return (f->namespace[0] == '\0' || strcmp(f->namespace, v->namespace) == 0) &&
	       (f->name[0] == '\0' || strcmp(f->name, v->name) == 0);
}

static void go_to(struct service_place *at, const struct stored_service *v)
{
	if (strcmp(at->namespace, v->namespace) == 0 && strcmp(at->name, v->name) == 0)
		return;
	memset(at, 0, sizeof(*at));
	strlcpy(at->namespace, v->namespace, sizeof(at->namespace));
	strlcpy(at->name, v->name, sizeof(at->name));
}

/* Moves AT on by one port, or one family. */
static void step(struct service_place *at)
{
	if (++at->family < FAMILY_COUNT)
		return;
	at->family = 0;
	at->port++;
}

bool service_report_next(const struct plan_view *view, const struct service_filter *filter,
    struct service_place *at, struct report *out)
{
	struct stored_service key = {.namespace = at->namespace, .name = at->name};
	struct stored_service *v = RB_NFIND(service_tree, &view->store->services, &key);

	for (; v != NULL; v = RB_NEXT(service_tree, &view->store->services, v)) {
		if (v->spec == NULL || !asked_for(filter, v))
			continue;
		go_to(at, v);
		while (at->port < v->spec->port_count) {
			struct visit w = {
			    view, out, v, &v->spec->ports[at->port], at->port, at->family};

			step(at);
			if (!plan_view_has(view, w.family) || !rules_has_family(v->spec, w.family))
				continue;
			write_port(&w);
			return true;
		}
	}
	return false;
}
