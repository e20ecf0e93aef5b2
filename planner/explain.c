#include "planner/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/frontend_owner.h"
#include "planner/frontends.h"
#include "planner/memory.h"
#include "planner/relays.h"

bool explain_is_local(const struct plan_view *view, const struct ip_addr *a)
{
	static const struct ip_cidr loopbacks[FAMILY_COUNT] = {
	    {{FAMILY_4, {127}}, 8}, {{FAMILY_6, {[15] = 1}}, 128}};

	if (ip_cidr_contains(&loopbacks[a->family], a) || node_is_local(view->local, a))
		return true;
	/* Before the watcher has listed the machine's addresses the Node's stand for them. */
	for (uint32_t i = 0; view->local->count == 0 && i < view->own->addr_count; i++)
		if (ip_cmp(&view->own->addrs[i], a) == 0)
			return true;
	return view->cfg->mode == MODE_IPVS &&
	       ipvs_items_there(&view->ipvs->items, IPVS_ADDRESS,
		   &(struct ipvs_item){.family = a->family, .addr = *a}) != NULL;
}

static bool is_pod_interface(const struct config *cfg, const char *name)
{
	if (cfg->detect_local == DETECT_INTERFACE_PREFIX)
		return strncmp(name, cfg->pod_interface, strlen(cfg->pod_interface)) == 0;
	return strcmp(name, cfg->pod_interface) == 0;
}

bool explain_from_pod_interface(struct explain *x)
{
	x->guessed |= x->pod_guess;
	return x->pod;
}

void explain_step(struct explain *x, const char *why, const char *where, const char *what)
{
	report_object(x->out, NULL);
	report_str(x->out, "why", why);
	report_str(x->out, "at", where);
	report_str(x->out, "rule", what);
	report_close(x->out);
}

struct explain_endpoint *explain_add(
    struct explain *x, const struct ip_addr *addr, uint16_t port, double share)
{
	struct explain_endpoint *e;

	x->endpoints = memory_grow(x->endpoints, &x->room, x->count + 1, sizeof(*x->endpoints));
	e = &x->endpoints[x->count++];
	memset(e, 0, sizeof(*e));
	e->addr = *addr;
	e->port = port;
	e->share = share;
	e->marked = x->marked;
	x->verdict = EXPLAIN_TRANSLATED;
	return e;
}

static int endpoint_cmp(const void *a, const void *b)
{
	const struct explain_endpoint *x = a, *y = b;
	const int n = ip_cmp(&x->addr, &y->addr);

	return n != 0 ? n : x->port - y->port;
}

void explain_merge(struct explain *x)
{
	size_t n = 0;

	if (x->count == 0)
		return;
	qsort(x->endpoints, x->count, sizeof(*x->endpoints), endpoint_cmp);
	for (size_t i = 1; i < x->count; i++)
		if (endpoint_cmp(&x->endpoints[n], &x->endpoints[i]) == 0)
			x->endpoints[n].share += x->endpoints[i].share;
		else
			x->endpoints[++n] = x->endpoints[i];
	x->count = n + 1;
}

/* --- who sends --- */

/* Behind the beginning of an interface's name. */
static const char *prefix_mark(const struct plan_view *view)
{
	return view->cfg->detect_local == DETECT_INTERFACE_PREFIX ? "*" : "";
}

static void write_source(const struct explain *x)
{
	const struct ip_cidr *pods = own_node_pods(x->view->own, x->packet->src.family);
	const char *in = x->packet->in, *name = x->view->cfg->pod_interface;
	char cidr[CIDR_STRLEN];

	if (x->from_node)
		report_str(x->out, "source", "this node itself: the address is one of its own");
	else if (pods != NULL)
		report_printf(x->out, "source", "%s, by local detection's prefix %s",
		    ip_cidr_contains(pods, &x->packet->src) ? "a pod" : "outside",
		    ip_cidr_format(pods, cidr));
	else if (!own_node_pods_by_interface(x->view->own))
		report_str(
		    x->out, "source", "outside: local detection is off, so pods are not known");
	else if (in[0] != '\0')
		report_printf(x->out, "source", "%s: interface %s is %s%s%s",
		    x->pod ? "a pod" : "outside", in, x->pod ? "" : "not ", name,
		    prefix_mark(x->view));
	else
		report_printf(x->out, "source",
		    "a pod if it came in by %s%s, else outside: an address does not tell, give "
		    "in=INTERFACE",
		    name, prefix_mark(x->view));
}

/* --- what comes of it --- */

static const char *const verdicts[] = {
    [EXPLAIN_PASSES] = "passes",
    [EXPLAIN_TRANSLATED] = "translated",
    [EXPLAIN_REJECTED] = "rejected",
    [EXPLAIN_DROPPED] = "dropped",
    [EXPLAIN_ACCEPTED] = "accepted",
};

static const char *const meanings[] = {
    [EXPLAIN_PASSES] = "no rule of the proxy decides about it: it goes on as it is",
    [EXPLAIN_TRANSLATED] = "sent to one of the endpoints below",
    [EXPLAIN_REJECTED] = "refused: ICMP port unreachable, which ends a TCP connection as well",
    [EXPLAIN_DROPPED] = "dropped without a word",
    [EXPLAIN_ACCEPTED] = "accepted, whatever stands behind it in the node's firewall",
};

static void write_endpoint(const struct explain *x, const struct explain_endpoint *e)
{
	char text[ENDPOINT_STRLEN];

	report_line(x->out, NULL);
	report_str(x->out, "address", names_endpoint(text, &e->addr, e->port));
	if (!x->no_shares)
		report_percent(x->out, "percent", e->share * 100);
	report_bool(x->out, "masqueraded", e->masqueraded);
	if (e->masqueraded && !e->marked)
		report_str(x->out, "because", "it reaches itself");
	if (e->by[0] != '\0')
		report_str(x->out, "by", e->by);
	report_str(x->out, "rule", e->rule);
	report_close(x->out);
}

static void write_outcome(const struct explain *x)
{
	if (x->service[0] != '\0')
		report_str(x->out, "service", x->service);
	report_str(x->out, "outcome", verdicts[x->verdict]);
	report_str(x->out, "meaning", meanings[x->verdict]);
	if (x->affinity_seconds > 0)
		report_printf(x->out, "affinity",
		    "a client that was here in the last %u seconds goes where it went then",
		    x->affinity_seconds);
	if (x->chooses != NULL)
		report_str(x->out, "chosen", x->chooses);
	report_list(x->out, "endpoints");
	for (size_t i = 0; i < x->count; i++)
		write_endpoint(x, &x->endpoints[i]);
	report_close(x->out);
}

/* --- the answer --- */

/* By the node port, which no rule of X's mode takes on the loopback address: the listener does. */
static void explain_loopback(struct explain *x)
{
	static const struct ip_addr loopback[FAMILY_COUNT] = {
	    {FAMILY_4, {127, 0, 0, 1}}, {FAMILY_6, {[15] = 1}}};
	const struct query_packet *p = x->packet;
	struct chosen_endpoints chosen = {0};
	struct stored_service *v;
	uint32_t i;

	if (!x->from_node || ip_cmp(&p->dst, &loopback[p->dst.family]) != 0)
		return;
	v = relays_on_loopback(x->view->store, p->dst.family, p->proto, p->port, &i);
	if (v == NULL)
		return;
	names_service_port(
	    x->service, v->namespace, v->name, v->spec->strings + v->spec->ports[i].name);
	explain_step(x, "a node port on the loopback address", "the listener", "relays it");
	x->affinity_seconds = v->spec->affinity_seconds;
	endpoints_choose(&chosen, v, i, p->dst.family, x->view->zone);
	for (size_t k = 0; k < chosen.count; k++) {
		struct explain_endpoint *e;

		if (!(chosen.e[k].lists & 1u << LIST_CLUSTER))
			continue;
		e = explain_add(x, &chosen.e[k].addr, chosen.e[k].port,
		    1 / (double)chosen.in_list[LIST_CLUSTER]);
		e->marked = e->masqueraded = true; /* it comes from the relay */
		snprintf(e->rule, sizeof(e->rule), "the listener's relay");
	}
	endpoints_clear(&chosen);
}

static void send_it(struct explain *x)
{
	report_list(x->out, "steps");
	if (!plan_view_has(x->view, x->packet->dst.family))
		; /* nothing meets it */
	else if (x->view->cfg->mode == MODE_NFTABLES)
		explain_nftables(x);
	else if (x->view->cfg->mode == MODE_IPVS)
		explain_ipvs(x);
	else
		explain_iptables(x);
	if (x->verdict == EXPLAIN_PASSES)
		explain_loopback(x);
	report_close(x->out);
	write_outcome(x);
	free(x->endpoints);
}

/* One answer. Returns whether another guess would have another one. */
static bool write_case(const struct explain *begin, bool pod)
{
	struct explain x = *begin;

	if (x.pod_guess)
		x.pod = pod;
	report_object(x.out, NULL);
	send_it(&x);
	if (x.guessed)
		report_printf(x.out, "if", "it came in by %s interface than %s%s",
		    pod ? "no other" : "another", x.view->cfg->pod_interface, prefix_mark(x.view));
	report_close(x.out);
	return x.guessed;
}

/* --- who asked for the destination in vain --- */

#define REFUSED_MAX 16

struct refused {
	struct report *out;
	unsigned count;
};

static void write_refused(void *arg, const struct frontend_asked *a, const char *why)
{
	struct refused *r = arg;

	if (r->count == REFUSED_MAX)
		return;
	if (r->count++ == 0)
		report_list(r->out, "refused");
	report_line(r->out, NULL);
	report_printf(r->out, "service", "%s/%s", a->v->namespace, a->v->name);
	report_str(r->out, "kind", frontends_kind_name(a->kind));
	report_str(r->out, "because", why);
	report_close(r->out);
}

static void write_losers(const struct explain *x)
{
	const struct query_packet *p = x->packet;
	struct refused r = {x->out, 0};

	frontend_owner_losers(x->view->store, &p->dst, p->proto, p->port, write_refused, &r);
	if (r.count > 0)
		report_close(x->out);
}

void explain_packet(
    const struct plan_view *view, const struct query_packet *packet, struct report *out)
{
	struct explain x = {.view = view, .packet = packet, .out = out};
	char from[IP_STRLEN], to[ENDPOINT_STRLEN];

	x.from_node = explain_is_local(view, &packet->src);
	if (!x.from_node && own_node_pods_by_interface(view->own)) {
		x.pod_guess = packet->in[0] == '\0';
		x.pod = !x.pod_guess && is_pod_interface(view->cfg, packet->in);
	}
	report_str(out, "from", ip_format(&packet->src, from));
	write_source(&x);
	report_printf(out, "to", "%s/%s", names_endpoint(to, &packet->dst, packet->port),
	    names_proto(packet->proto));
	report_bool(out, "local", explain_is_local(view, &packet->dst));
	if (!plan_view_has(view, packet->dst.family))
		report_str(out, "note",
		    "of this family nothing is programmed: the kernel has not what it takes");
	leftovers_write_warnings(view->leftovers, packet->dst.family, out);
	report_list(out, "answers");
	if (write_case(&x, false))
		write_case(&x, true);
	report_close(out);
	write_losers(&x);
}
