/* Does a rule match a packet? */
#include "applier/ipt_ext.h"
#include "planner/explain_way.h"

static const struct ip_cidr loopbacks[FAMILY_COUNT] = {
    {{FAMILY_4, {127}}, 8}, {{FAMILY_6, {[15] = 1}}, 128}};

static bool same(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) == 0;
}

static bool addresses_match(const struct explain_way *w, const struct ipt_rule *r, unsigned matches)
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

const struct ipvs_item *explain_entry(const struct explain_way *w, const struct ipt_rule *r)
{
	const uint32_t matches = ipt_templates[r->template].matches;
	struct ipvs_items *items = &w->x->view->ipvs->items;
	const struct query_packet *p = w->x->packet;
	const struct ipvs_item packet = {.family = w->dst.family,
	    .addr = matches & MATCH_SET_FROM ? p->src : w->dst,
	    .proto = p->proto,
	    .port = w->port,
	    .to = p->src};
	uint8_t dimensions, set;
	const struct ipvs_node *n;

	if (!(matches & (MATCH_SET | MATCH_SET_FROM)))
		return NULL;
	set = ipt_rule_set(r, &dimensions);
	n = set == IPVS_SOURCE_CIDR ? ipvs_items_source(items, &packet)
				    : ipvs_items_there(items, (enum ipvs_kind)set, &packet);
	return n != NULL ? &n->item : NULL;
}

bool explain_matches(const struct explain_way *w, const struct ipt_rule *r)
{
	const struct ipt_template *t = &ipt_templates[r->template];
	const uint32_t m = t->matches;

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
	if (m & (MATCH_SET | MATCH_SET_FROM) && explain_entry(w, r) == NULL)
		return false;
	if (m & (MATCH_POD_IF | MATCH_NOT_POD_IF))
		return explain_from_pod_interface(w->x) == ((m & MATCH_POD_IF) != 0);
	return true;
}

bool explain_mark_matches(const struct explain_way *w, const struct ipt_rule *r)
{
	const unsigned m = ipt_templates[r->template].matches;

	return !(m & MATCH_MARKED && !w->marked) && !(m & MATCH_UNMARKED && w->marked);
}
