/* A packet's way through the rules of iptables, userspace and ipvs mode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/explain_way.h"
#include "planner/ipvs_print.h"
#include "planner/memory.h"
#include "planner/print.h"
#include "planner/relays.h"

#define PROBABILITY_ONE 2147483648.0 /* linux/netfilter/xt_statistic.h */

/* Chains do not loop; this bounds what a mistake could do. */
#define WALK_DEPTH_MAX 140

/* --- the rules of a chain that match --- */

struct matched {
	unsigned number; /* as iptables -L --line-numbers counts */
	struct ipt_rule r;
};

struct collector {
	const struct explain_way *w;
	unsigned number;
	struct matched *m;
	size_t count, room;
};

static void collect(void *arg, const struct ipt_rule *r)
{
	struct collector *c = arg;

	c->number++;
	if (!explain_matches(c->w, r))
		return;
	c->m = memory_grow(c->m, &c->room, c->count + 1, sizeof(*c->m));
	c->m[c->count++] = (struct matched){c->number, *r};
}

/* --- steps --- */

static void where_of(
    const struct ipt_chain *chain, unsigned number, char *buf, size_t size, bool table)
{
	char name[CHAIN_NAME_LEN];

	snprintf(buf, size, "%s%s rule %u",
	    !table		      ? ""
	    : chain->table == IPT_NAT ? "nat "
				      : "filter ",
	    ipt_chain_name(chain, name), number);
}

/* The rule as a line, and what its ipset has of the packet. */
static void print(
    FILE *out, const struct explain_way *w, const struct ipt_chain *chain, const struct ipt_rule *r)
{
	const struct ipvs_item *entry = explain_entry(w, r);
	char *text = NULL, set[IPVS_SET_NAME_MAX];
	size_t len = 0;
	FILE *line = open_memstream(&text, &len);

	if (line == NULL)
		return;
	print_rule(line, r, chain, &w->x->view->ipt->desired.params);
	if (fclose(line) == 0 && len > 0)
		fwrite(text, 1, len - 1, out); /* without the line's end */
	free(text);
	if (entry == NULL)
		return;
	fprintf(out, "; %s has { ", ipvs_set_name(entry->kind, entry->family, set));
	ipvs_print_entry(out, entry);
	fputs(" }", out);
}

static void step(
    const struct explain_way *w, const struct ipt_chain *chain, const struct matched *m)
{
	const char *why = explain_why(w, &m->r);
	char where[80], *text = NULL;
	size_t len = 0;
	FILE *out;

	if (w->quiet || why == NULL || (out = open_memstream(&text, &len)) == NULL)
		return;
	if (m->r.name[0] != '\0')
		strlcpy(w->x->service, m->r.name, sizeof(w->x->service));
	print(out, w, chain, &m->r);
	fclose(out);
	where_of(chain, m->number, where, sizeof(where), true);
	explain_step(w->x, why, where, text);
	free(text);
}

/* --- the way --- */

/* Finds the service port that a rule is about by its name. */
static struct stored_service *find_port(
    const struct explain_way *w, const struct ipt_rule *r, uint32_t *index)
{
	char ns[SVCPORT_NAME_LEN], *name, *port;
	struct stored_service key, *v;

	memcpy(ns, r->name, sizeof(ns));
	name = strchr(ns, '/');
	if (name == NULL)
		return NULL;
	*name++ = '\0';
	port = strchr(name, ':');
	if (port != NULL)
		*port++ = '\0';
	key.namespace = ns;
	key.name = name;
	v = RB_FIND(service_tree, &w->x->view->store->services, &key);
	for (uint32_t i = 0; v != NULL && v->spec != NULL && i < v->spec->port_count; i++) {
		*index = i;
		if (v->spec->ports[i].proto == r->proto &&
		    strcmp(v->spec->strings + v->spec->ports[i].name, port != NULL ? port : "") ==
			0)
			return v;
	}
	return NULL;
}

/* The chain that R, in CHAIN, jumps to. False if it does not, or to one that nobody has. */
static bool target_of(const struct explain_way *w, const struct ipt_rule *r,
    const struct ipt_chain *chain, struct change *to)
{
	memset(to, 0, sizeof(*to));
	if (!ipt_rule_target(r, chain, &to->chain))
		return false;
	if (to->chain.kind == CHAIN_NET) {
		to->addr = r->net.addr;
		to->bits = r->net.bits;
	} else if (ipt_chain_kinds[to->chain.kind].hashed) {
		to->service = find_port(w, r, &to->port_index);
		to->addr = r->to;
		to->port = r->to_port;
		return to->service != NULL;
	}
	return true;
}

/* Did the packet's way end, or does it go on behind the jump that led here? */
static bool walk(struct explain_way *w, const struct change *place);

/* KUBE-POSTROUTING sees the chosen endpoint's address, unless what came in stays in. */
void explain_masquerade(const struct explain_way *w, struct explain_endpoint *e)
{
	const struct change place = {
	    .chain = {.family = w->dst.family, .table = IPT_NAT, .kind = CHAIN_POSTROUTING}};
	struct explain_way after = *w;

	after.quiet = true;
	if (w->x->from_node || !explain_is_local(w->x->view, &w->dst))
		walk(&after, &place);
	e->marked = w->marked;
	e->masqueraded = after.masqueraded;
	memcpy(e->by, after.masqueraded_by, sizeof(e->by));
}

/* What is translated to R's endpoint by rule NUMBER of CHAIN. */
static void add_endpoint(const struct explain_way *w, const struct ipt_rule *r,
    const struct ipt_chain *chain, unsigned number)
{
	struct explain_endpoint *e = explain_add(w->x, &r->to, r->to_port, w->share);

	explain_masquerade(w, e);
	where_of(chain, number, e->rule, sizeof(e->rule), false);
}

/* A rule that chooses R's endpoint, by chance or as the last one. Its own chain may mark. */
static bool choose(struct explain_way *w, const struct ipt_chain *chain, const struct matched *m)
{
	const bool last = !(ipt_templates[m->r.template].matches & MATCH_STATISTIC);
	const double share = last ? 1 : m->r.probability / PROBABILITY_ONE;
	struct explain_way one = *w;
	struct change to;

	one.share = w->share * share;
	w->share -= one.share;
	one.quiet = true;
	one.translated = true;
	one.dst = m->r.to;
	one.port = m->r.to_port;
	if (target_of(w, &m->r, chain, &to)) {
		struct explain_way own = *w; /* there it is not translated yet */

		own.quiet = true;
		own.share = 0;
		walk(&own, &to);
		one.marked = own.marked;
	}
	add_endpoint(&one, &m->r, chain, m->number);
	return last;
}

static bool jump(
    struct explain_way *w, const struct ipt_chain *chain, const struct matched *m, bool *back)
{
	struct change to;

	step(w, chain, m);
	*back = ipt_templates[m->r.template].verdict == VERDICT_JUMP;
	return target_of(w, &m->r, chain, &to) && walk(w, &to);
}

/* To the relay of M's rule, which sends it on to each of its endpoints in turn. */
static void relay(
    const struct explain_way *w, const struct ipt_chain *chain, const struct matched *m)
{
	const struct plan_view *view = w->x->view;
	struct chosen_endpoints chosen = {0};
	uint32_t index;
	const struct stored_service *v = find_port(w, &m->r, &index);
	enum endpoint_list list = LIST_CLUSTER;

	if (v == NULL)
		return;
	if (relays_port(v, index, w->dst.family, LIST_LOCAL) == m->r.to_port)
		list = LIST_LOCAL;
	endpoints_choose(&chosen, v, index, w->dst.family, view->ipt->desired.zone);
	w->x->affinity_seconds = v->spec->affinity_seconds;
	for (size_t i = 0; i < chosen.count; i++) {
		struct explain_endpoint *e;

		if (!(chosen.e[i].lists & 1u << list))
			continue;
		e = explain_add(w->x, &chosen.e[i].addr, chosen.e[i].port,
		    w->share / (double)chosen.in_list[list]);
		e->marked = e->masqueraded = true; /* it comes from the relay */
		where_of(chain, m->number, e->rule, sizeof(e->rule), false);
	}
	endpoints_clear(&chosen);
}

/* Rule M of CHAIN takes the packet. Returns whether that ends its way; *BACK: or the chain's. */
static bool take(
    struct explain_way *w, const struct ipt_chain *chain, const struct matched *m, bool *back)
{
	switch ((enum ipt_verdict)ipt_templates[m->r.template].verdict) {
	case VERDICT_JUMP:
	case VERDICT_GOTO:
		return jump(w, chain, m, back);
	case VERDICT_DNAT: /* an endpoint's own chain: what it is for is known */
		return true;
	case VERDICT_REDIRECT:
		step(w, chain, m);
		relay(w, chain, m);
		return true;
	case VERDICT_SET_MARK:
		w->marked = true;
		return false;
	case VERDICT_CLEAR_MARK:
		w->marked = false;
		return false;
	case VERDICT_MASQUERADE:
		w->masqueraded = true;
		where_of(chain, m->number, w->masqueraded_by, sizeof(w->masqueraded_by), true);
		return true;
	case VERDICT_REJECT:
		w->x->verdict = EXPLAIN_REJECTED;
		break;
	case VERDICT_DROP:
		w->x->verdict = EXPLAIN_DROPPED;
		break;
	case VERDICT_ACCEPT:
		w->x->verdict = EXPLAIN_ACCEPTED;
		break;
	case VERDICT_RETURN:
		*back = false;
		break;
	}
	step(w, chain, m);
	return *back;
}

/* Does T choose an endpoint? */
static bool chooses(uint8_t t)
{
	return t == T_ENDPOINT_RANDOM || t == T_ENDPOINT_LAST || t == T_DNAT_RANDOM ||
	       t == T_DNAT_LAST;
}

static bool take_all(
    struct explain_way *w, const struct ipt_chain *chain, const struct collector *c)
{
	bool told = false, remembers = false;

	for (size_t i = 0; i < c->count; i++) {
		const struct matched *m = &c->m[i];
		bool back = true;

		if (m->r.template == T_ENDPOINT_AFFINE) { /* the kernel alone knows its clients */
			if (!remembers)
				step(w, chain, m);
			remembers = true;
			w->x->affinity_seconds = m->r.seconds;
			continue;
		}
		if (chooses(m->r.template)) {
			if (!told)
				step(w, chain, m);
			told = true;
			if (choose(w, chain, m))
				return true;
			continue;
		}
		if (!explain_mark_matches(w, &m->r))
			continue;
		if (take(w, chain, m, &back))
			return true;
		if (!back)
			return false;
	}
	return false;
}

static bool walk(struct explain_way *w, const struct change *place)
{
	struct collector c = {.w = w};
	struct rule_sink to = {collect, &c};
	bool ended;

	if (w->depth == WALK_DEPTH_MAX)
		return true;
	w->depth++;
	/* All of them before any is taken: the chains below use the same scratch. */
	desired_rules(&w->x->view->ipt->desired, place, &to);
	ended = take_all(w, &place->chain, &c);
	free(c.m);
	w->depth--;
	return ended;
}

/* Each is prepended, so the last one comes first. */
bool explain_hooks(struct explain_way *w, uint8_t table, const char *builtin)
{
	for (unsigned i = IPT_HOOK_COUNT; i-- > 0;) {
		const struct ipt_hook *h = &ipt_hooks[i];
		const struct change place = {
		    .chain = {.family = w->dst.family, .table = table, .kind = h->kind}};

		if (h->table != table || strcmp(h->builtin, builtin) != 0 ||
		    !ipt_plan_has_hook(w->x->view->ipt, i) ||
		    (h->only == HOOK_LOCAL && !explain_is_local(w->x->view, &w->dst)))
			continue;
		if (walk(w, &place))
			return true;
	}
	return false;
}

void explain_iptables(struct explain *x)
{
	const bool local = explain_is_local(x->view, &x->packet->dst);
	struct explain_way w = {
	    .x = x, .dst = x->packet->dst, .port = x->packet->port, .share = 1, .quiet = false};

	/* An address that is translated is no service's any more: the filter has nothing on it. */
	if (explain_hooks(&w, IPT_NAT, x->from_node ? "OUTPUT" : "PREROUTING"))
		return;
	if (x->from_node && explain_hooks(&w, IPT_FILTER, "OUTPUT"))
		return;
	if (local)
		explain_hooks(
		    &w, IPT_FILTER, "INPUT"); /* what the node sends itself comes in again */
	else if (!x->from_node)
		explain_hooks(&w, IPT_FILTER, "FORWARD");
}
