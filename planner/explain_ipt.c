/* A packet's way through the rules of iptables mode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/explain.h"
#include "planner/memory.h"
#include "planner/print.h"
#include "planner/relays.h"

#define PROBABILITY_ONE 2147483648.0 /* linux/netfilter/xt_statistic.h */

/* Chains do not loop; this bounds what a mistake could do. */
#define WALK_DEPTH_MAX 140

struct way {
	struct explain *x;
	struct ip_addr dst; /* of the packet as it is now */
	uint16_t port;
	bool translated, marked, masqueraded;
	bool quiet;   /* an endpoint's own chain: no step of its own */
	double share; /* of new clients that come by here */
	unsigned depth;
};

/* --- a rule and a packet --- */

static const struct ip_cidr loopbacks[FAMILY_COUNT] = {
    {{FAMILY_4, {127}}, 8}, {{FAMILY_6, {[15] = 1}}, 128}};

static bool same(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) == 0;
}

static bool addresses_match(const struct way *w, const struct ipt_rule *r, unsigned matches)
{
	const struct ip_addr *src = &w->x->packet->src;
	const struct ip_cidr *loopback = &loopbacks[w->dst.family];
	const bool to_loopback = ip_cidr_contains(loopback, &w->dst);

	return !((matches & MATCH_SRC && !ip_cidr_contains(&r->net, src)) ||
		 (matches & MATCH_NOT_SRC && ip_cidr_contains(&r->net, src)) ||
		 (matches & MATCH_SRC_TO && !same(src, &r->to)) ||
		 (matches & MATCH_DST && !ip_cidr_contains(&r->net, &w->dst)) ||
		 (matches & MATCH_NOT_LOOPBACK && to_loopback) ||
		 (matches & MATCH_LOCALNET && (!to_loopback || ip_cidr_contains(loopback, src))) ||
		 (matches & MATCH_HAIRPIN && !same(src, &w->dst)));
}

/* All but the masquerade mark, which rules of the same chain change. The connection is new. */
static bool rule_matches(const struct way *w, const struct ipt_rule *r)
{
	const struct ipt_template *t = &ipt_templates[r->template];
	const unsigned m = t->matches;

	if ((t->args & ARG_DST && !same(&r->dst, &w->dst)) ||
	    (t->args & ARG_PROTO && r->proto != w->x->packet->proto) ||
	    (t->args & ARG_DPORT && r->dport != w->port))
		return false;
	if (m & (MATCH_CTSTATE_INVALID | MATCH_CTSTATE_EST) ||
	    (m & MATCH_CTSTATE_DNAT && !w->translated) ||
	    (m & MATCH_CTSTATE_ALIEN && w->translated))
		return false;
	if (!addresses_match(w, r, m) || (m & MATCH_LOCAL_SRC && !w->x->from_node) ||
	    (m & MATCH_LOCAL_DST && !explain_is_local(w->x->view, &w->dst)))
		return false;
	if (m & (MATCH_POD_IF | MATCH_NOT_POD_IF))
		return explain_from_pod_interface(w->x) == ((m & MATCH_POD_IF) != 0);
	return true;
}

static bool mark_matches(const struct way *w, const struct ipt_rule *r)
{
	const unsigned m = ipt_templates[r->template].matches;

	return !(m & MATCH_MARKED && !w->marked) && !(m & MATCH_UNMARKED && w->marked);
}

/* --- the rules of a chain that match --- */

struct matched {
	unsigned number; /* as iptables -L --line-numbers counts */
	struct ipt_rule r;
};

struct collector {
	const struct way *w;
	unsigned number;
	struct matched *m;
	size_t count, room;
};

static void collect(void *arg, const struct ipt_rule *r)
{
	struct collector *c = arg;

	c->number++;
	if (!rule_matches(c->w, r))
		return;
	c->m = memory_grow(c->m, &c->room, c->count + 1, sizeof(*c->m));
	c->m[c->count++] = (struct matched){c->number, *r};
}

/* --- what a rule is for --- */

static const char *const whys[IPT_TEMPLATE_COUNT] = {
    [T_CLUSTER_IP] = "the destination is a cluster IP of a service",
    [T_EXTERNAL_IP] = "the destination is an external IP of a service",
    [T_LOAD_BALANCER_IP] = "the destination is a load-balancer IP of a service",
    [T_LOCALNET_RETURN] = "node ports on loopback are for this node alone",
    [T_NODEPORTS_LAST] = "the destination is an address of this node, where node ports answer",
    [T_NODEPORTS_ANY] = "the destination is an address of this node, where node ports answer",
    [T_NODEPORTS_IN] = "the destination is an address of this node where node ports answer",
    [T_SERVICE_NET] = "services have addresses under this prefix",
    [T_SERVICE_NET_GOTO] = "services have addresses under this prefix",
    [T_NODE_PORT] = "the destination is a node port of a service",
    [T_SOURCE_RANGE] = "the source is in a source range of the service",
    [T_EXTERNAL_MASQ] = "externalTrafficPolicy Cluster: masqueraded, to come back by this node",
    [T_EXTERNAL_POD] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_POD_IF] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_LOCAL_MASQ] = "what the node itself sends is masqueraded",
    [T_EXTERNAL_LOCAL] = "the node reaches every endpoint, whatever externalTrafficPolicy says",
    [T_EXTERNAL_POLICY] = "to the endpoints that externalTrafficPolicy allows",
    [T_CLUSTER_IP_MASQ_OUTSIDE] = "the source is no pod by local detection: masqueraded",
    [T_CLUSTER_IP_MASQ_OUTSIDE_IF] = "the source is no pod by local detection: masqueraded",
    [T_CLUSTER_IP_MASQ_ALL] = "--masquerade-all: masqueraded",
    [T_ENDPOINT_AFFINE] = "session affinity: a client that is remembered goes where it went",
    [T_ENDPOINT_RANDOM] = "an endpoint is drawn",
    [T_ENDPOINT_LAST] = "the one endpoint there is",
    [T_DNAT_RANDOM] = "an endpoint is drawn",
    [T_DNAT_LAST] = "the one endpoint there is",
    [T_MARK_MASQ] = "the masquerade mark is set",
    [T_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_NO_LOCAL_DROP] = "internalTrafficPolicy Local, and no endpoint is on this node",
    [T_EXTERNAL_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_EXTERNAL_NO_LOCAL_DROP] = "externalTrafficPolicy Local, and no endpoint is on this node",
    [T_NODE_PORT_NO_ENDPOINTS_REJECT] = "the service has no endpoint",
    [T_NODE_PORT_NO_LOCAL_DROP] = "externalTrafficPolicy Local, and no endpoint is on this node",
    [T_FIREWALL_RETURN] = "the source is in a source range of the service",
    [T_FIREWALL_DROP] = "the source is in no source range of the service",
    [T_LOCALNET_DROP] = "loopback is for this node alone (CVE-2020-8558)",
    [T_HEALTH_CHECK_ACCEPT] = "the destination is a health check node port",
    [T_PORTAL] = "the destination is an address of a service: to its relay",
    [T_PORTAL_POD_IF] = "a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_PORTAL_NODE_PORT] = "the destination is a node port of a service: to its relay",
    [T_PORTAL_NODE_PORT_POD_IF] =
	"a pod reaches every endpoint, whatever externalTrafficPolicy says",
    [T_RELAY_REJECT] = "the destination is a relay's own port, which is nobody's way in",
    [T_FORWARD_MARKED] = "what is to be masqueraded may be forwarded",
};

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

static void step(const struct way *w, const struct ipt_chain *chain, const struct matched *m)
{
	const char *why = whys[m->r.template];
	char where[80], *text = NULL;
	size_t len = 0;
	FILE *out;

	if (w->quiet || why == NULL || (out = open_memstream(&text, &len)) == NULL)
		return;
	if (m->r.name[0] != '\0')
		strlcpy(w->x->service, m->r.name, sizeof(w->x->service));
	print_rule(out, &m->r, chain, &w->x->view->ipt->desired.params);
	fclose(out);
	if (len > 0)
		text[len - 1] = '\0'; /* the line's end */
	where_of(chain, m->number, where, sizeof(where), true);
	explain_step(w->x, why, where, text);
	free(text);
}

/* --- the way --- */

/* Finds the service port that a rule is about by its name. */
static struct stored_service *find_port(
    const struct way *w, const struct ipt_rule *r, uint32_t *index)
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
static bool target_of(
    const struct way *w, const struct ipt_rule *r, const struct ipt_chain *chain, struct change *to)
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
static bool walk(struct way *w, const struct change *place);

/* KUBE-POSTROUTING, which the chosen endpoint's address is seen by. */
static bool masquerades(const struct way *w)
{
	const struct change place = {
	    .chain = {.family = w->dst.family, .table = IPT_NAT, .kind = CHAIN_POSTROUTING}};
	struct way after = *w;

	after.quiet = true;
	walk(&after, &place);
	return after.masqueraded;
}

/* What is translated to R's endpoint by rule NUMBER of CHAIN. */
static void add_endpoint(
    const struct way *w, const struct ipt_rule *r, const struct ipt_chain *chain, unsigned number)
{
	struct explain_endpoint *e = explain_add(w->x, &r->to, r->to_port, w->share);

	e->marked = w->marked;
	e->masqueraded = masquerades(w);
	where_of(chain, number, e->rule, sizeof(e->rule), false);
}

/* A rule that chooses R's endpoint, by chance or as the last one. Its own chain may mark. */
static bool choose(struct way *w, const struct ipt_chain *chain, const struct matched *m)
{
	const bool last = !(ipt_templates[m->r.template].matches & MATCH_STATISTIC);
	const double share = last ? 1 : m->r.probability / PROBABILITY_ONE;
	struct way one = *w;
	struct change to;

	one.share = w->share * share;
	w->share -= one.share;
	one.quiet = true;
	one.translated = true;
	one.dst = m->r.to;
	one.port = m->r.to_port;
	if (target_of(w, &m->r, chain, &to)) {
		struct way own = *w; /* there it is not translated yet */

		own.quiet = true;
		own.share = 0;
		walk(&own, &to);
		one.marked = own.marked;
	}
	add_endpoint(&one, &m->r, chain, m->number);
	return last;
}

static bool jump(struct way *w, const struct ipt_chain *chain, const struct matched *m, bool *back)
{
	struct change to;

	step(w, chain, m);
	*back = ipt_templates[m->r.template].verdict == VERDICT_JUMP;
	return target_of(w, &m->r, chain, &to) && walk(w, &to);
}

/* To the relay of M's rule, which sends it on to each of its endpoints in turn. */
static void relay(const struct way *w, const struct ipt_chain *chain, const struct matched *m)
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
static bool take(struct way *w, const struct ipt_chain *chain, const struct matched *m, bool *back)
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

static bool take_all(struct way *w, const struct ipt_chain *chain, const struct collector *c)
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
		if (!mark_matches(w, &m->r))
			continue;
		if (take(w, chain, m, &back))
			return true;
		if (!back)
			return false;
	}
	return false;
}

static bool walk(struct way *w, const struct change *place)
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

/* The jumps of a built-in chain: each is prepended, so the last one comes first. */
static bool walk_hooks(struct way *w, uint8_t table, const char *builtin)
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
	struct way w = {
	    .x = x, .dst = x->packet->dst, .port = x->packet->port, .share = 1, .quiet = false};

	/* An address that is translated is no service's any more: the filter has nothing on it. */
	if (walk_hooks(&w, IPT_NAT, x->from_node ? "OUTPUT" : "PREROUTING"))
		return;
	if (x->from_node && walk_hooks(&w, IPT_FILTER, "OUTPUT"))
		return;
	if (local)
		walk_hooks(&w, IPT_FILTER, "INPUT"); /* what the node sends itself comes in again */
	else if (!x->from_node)
		walk_hooks(&w, IPT_FILTER, "FORWARD");
}
