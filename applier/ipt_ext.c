#include "applier/ipt_ext.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>
#include <stdio.h>
#include <string.h>

/* --- the bytes: every part is aligned, so the casts below are sound --- */

/* No entry is larger than one with a match of each sort and the largest target. */
#define PART(type) XT_ALIGN(sizeof(struct xt_entry_match) + sizeof(struct type))
_Static_assert(sizeof(struct ip6t_entry) + PART(xt_conntrack_mtinfo3) + PART(xt_comment_info) +
		       PART(xt_addrtype_info_v1) + PART(xt_mark_mtinfo1) + PART(xt_statistic_info) +
		       PART(xt_recent_mtinfo_v1) + PART(xt_sctp_info) + PART(xt_bpf_info_v1) +
		       PART(nf_nat_range2) <=
		   IPT_ENTRY_MAX,
    "an entry may not fit");

/* LEN bytes more, zero. */
static void *blob_take(struct ipt_blob *b, size_t len)
{
	void *p = b->bytes + b->len;

	memset(p, 0, XT_ALIGN(len));
	b->len += (uint32_t)XT_ALIGN(len);
	return p;
}

/* Begins a match of LEN bytes of data and returns them. */
static void *match_take(struct ipt_blob *b, const char *name, uint8_t revision, size_t len)
{
	struct xt_entry_match *m = blob_take(b, sizeof(*m) + len);

	m->u.match_size = (uint16_t)XT_ALIGN(sizeof(*m) + len);
	strlcpy(m->u.user.name, name, sizeof(m->u.user.name));
	m->u.user.revision = revision;
	return m->data;
}

static void *target_take(struct ipt_blob *b, const char *name, uint8_t revision, size_t len)
{
	struct xt_entry_target *t = blob_take(b, sizeof(*t) + len);

	t->u.target_size = (uint16_t)XT_ALIGN(sizeof(*t) + len);
	strlcpy(t->u.user.name, name, sizeof(t->u.user.name));
	t->u.user.revision = revision;
	return t->data;
}

/* --- matches --- */

static void match_ctstate(struct ipt_encoder *e, uint16_t states)
{
	struct xt_conntrack_mtinfo3 *ct = match_take(e->b, "conntrack", 3, sizeof(*ct));

	ct->match_flags = XT_CONNTRACK_STATE;
	ct->state_mask = states;
}

static void match_alien(struct ipt_encoder *e, uint16_t states)
{
	struct xt_conntrack_mtinfo3 *ct = match_take(e->b, "conntrack", 3, sizeof(*ct));

	ct->match_flags = ct->invert_flags = XT_CONNTRACK_STATE;
	ct->state_mask = states;
}

/*
 * A constant program, of classic BPF, over the network header: 1 if source and destination are the
 * same, 0 if a word of theirs differs.
 */
static void match_hairpin(struct ipt_encoder *e, uint16_t arg __attribute__((unused)))
{
	struct xt_bpf_info_v1 *bpf = match_take(e->b, "bpf", 1, sizeof(*bpf));
	struct sock_filter *code = bpf->bpf_program;
	const uint32_t len = (uint32_t)ip_len(e->family), src = e->family == FAMILY_4 ? 12 : 8;

	for (uint32_t at = 0; at < len; at += 4) {
		*code++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, src + at);
		*code++ = (struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0);
		*code++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, src + len + at);
		*code++ = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_X, 0, 0, (uint8_t)(len - at - 3));
	}
	*code++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 1);
	*code++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	bpf->mode = XT_BPF_MODE_BYTECODE;
	bpf->bpf_program_num_elem = (uint16_t)(code - bpf->bpf_program);
}

static void match_comment(struct ipt_encoder *e, uint16_t endpoint)
{
	struct xt_comment_info *c = match_take(e->b, "comment", 0, sizeof(*c));
	const char *name = (e->args & ARG_NAME) != 0 ? e->rule->name : "";
	const char *text = e->comment, *at = strchr(text, '%'); /* where the name belongs */
	char addr[IP_STRLEN];
	int len = snprintf(c->comment, sizeof(c->comment), "%.*s%s%s",
	    at != NULL ? (int)(at - text) : 0, text, name, at != NULL ? at + 1 : text);

	if (endpoint != 0)
		snprintf(c->comment + len, sizeof(c->comment) - (size_t)len,
		    e->family == FAMILY_4 ? "%s:%u" : "[%s]:%u", ip_format(&e->rule->to, addr),
		    e->rule->to_port);
}

static void match_local(struct ipt_encoder *e, uint16_t source)
{
	struct xt_addrtype_info_v1 *a = match_take(e->b, "addrtype", 1, sizeof(*a));

	*(source ? &a->source : &a->dest) = XT_ADDRTYPE_LOCAL;
}

static void match_mark(struct ipt_encoder *e, uint16_t invert)
{
	struct xt_mark_mtinfo1 *m = match_take(e->b, "mark", 1, sizeof(*m));

	m->mark = m->mask = e->mark;
	m->invert = (uint8_t)invert;
}

static void match_statistic(struct ipt_encoder *e, uint16_t mode)
{
	struct xt_statistic_info *s = match_take(e->b, "statistic", 0, sizeof(*s));

	s->mode = mode;
	s->u.random.probability = e->rule->probability;
}

/* A list of clients has its endpoint's chain's name. */
static void match_recent(struct ipt_encoder *e, uint16_t what)
{
	struct xt_recent_mtinfo_v1 *r = match_take(e->b, "recent", 1, sizeof(*r));

	r->seconds = (e->args & ARG_SECONDS) != 0 ? e->rule->seconds : 0;
	r->check_set = (uint8_t)what;
	strlcpy(r->name, e->chain, sizeof(r->name));
	r->side = XT_RECENT_SOURCE;
	/* as iptables has it from its own --mask 255.255.255.255; without --mask it sets all 16 */
	memset(&r->mask, 0xff, ip_len(e->family));
}

static void match_sctp(struct ipt_encoder *e, bool dport)
{
	struct xt_sctp_info *s = match_take(e->b, "sctp", 0, sizeof(*s));

	if (dport) {
		s->dpts[0] = s->dpts[1] = e->rule->dport;
		s->flags = XT_SCTP_DEST_PORTS;
	}
	for (unsigned i = 0; i < XT_NUM_SCTP_FLAGS; i++)
		s->flag_info[i].chunktype = UINT8_MAX; /* unused, as iptables leaves it */
}

static void match_proto(struct ipt_encoder *e, uint16_t arg __attribute__((unused)))
{
	bool dport = (e->args & ARG_DPORT) != 0;
	bool tcp = e->rule->proto == IPPROTO_TCP;
	struct xt_udp *ports; /* struct xt_tcp begins like it */

	if (e->rule->proto == IPPROTO_SCTP) {
		match_sctp(e, dport);
		return;
	}
	ports = match_take(
	    e->b, tcp ? "tcp" : "udp", 0, tcp ? sizeof(struct xt_tcp) : sizeof(struct xt_udp));
	ports->spts[1] = UINT16_MAX;
	ports->dpts[0] = dport ? e->rule->dport : 0;
	ports->dpts[1] = dport ? e->rule->dport : UINT16_MAX;
}

uint16_t ipt_set_numbers[FAMILY_COUNT][IPVS_SET_COUNT];

uint8_t ipt_rule_set(const struct ipt_rule *r, uint8_t *dimensions)
{
	uint8_t set = (uint8_t)(ipt_templates[r->template].matches / MATCH_SET_NUMBER), fields;

	if (set == IPVS_NODE_PORT || set == IPVS_NODE_PORT_LOCAL)
		set = (uint8_t)(set + (r->proto == IPPROTO_UDP) + 2 * (r->proto == IPPROTO_SCTP));
	fields = ipvs_kinds[set].fields;
	*dimensions = fields & (IPVS_TO | IPVS_NET) ? 3 : fields & IPVS_PROTO ? 2 : 1;
	return set;
}

static void match_set(struct ipt_encoder *e, uint16_t from)
{
	struct xt_set_info_match_v4 *s = match_take(e->b, "set", 4, sizeof(*s));
	const uint8_t set = ipt_rule_set(e->rule, &s->match_set.dim);
	const uint16_t number = ipt_set_numbers[e->family][set];

	s->match_set.index = number != 0 ? (uint16_t)(number - 1) : set;
	s->match_set.flags = (uint8_t)(s->match_set.dim == 3 ? IPSET_DIM_THREE_SRC : from);
}

/* In the order in which they stand in a rule. */
static const struct {
	uint32_t match;
	uint16_t arg;
	void (*encode)(struct ipt_encoder *e, uint16_t arg);
} matchers[] = {
    {MATCH_CTSTATE_INVALID, XT_CONNTRACK_STATE_INVALID, match_ctstate},
    {MATCH_CTSTATE_EST,
	XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED),
	match_ctstate},
    {MATCH_CTSTATE_DNAT, XT_CONNTRACK_STATE_DNAT, match_ctstate},
    {MATCH_CTSTATE_NEW, XT_CONNTRACK_STATE_BIT(IP_CT_NEW), match_ctstate},
    {MATCH_HAIRPIN, 0, match_hairpin},
    {MATCH_COMMENT, false, match_comment},
    {MATCH_COMMENT_TO, true, match_comment},
    {MATCH_CTSTATE_ALIEN,
	XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) |
	    XT_CONNTRACK_STATE_DNAT,
	match_alien},
    {MATCH_LOCAL_DST, false, match_local},
    {MATCH_LOCAL_SRC, true, match_local},
    {MATCH_MARKED, false, match_mark},
    {MATCH_UNMARKED, true, match_mark},
    {MATCH_STATISTIC, XT_STATISTIC_MODE_RANDOM, match_statistic},
    {MATCH_RECENT, XT_RECENT_CHECK | XT_RECENT_REAP, match_recent},
    {MATCH_RECENT_SET, XT_RECENT_SET, match_recent},
    {MATCH_PROTO, 0, match_proto},
    {MATCH_SET, 0, match_set},
    {MATCH_SET_FROM, IPSET_DIM_ONE_SRC, match_set},
};

void ipt_ext_matches(struct ipt_encoder *e, uint32_t matches)
{
	for (size_t i = 0; i < sizeof(matchers) / sizeof(matchers[0]); i++)
		if ((matches & matchers[i].match) != 0)
			matchers[i].encode(e, matchers[i].arg);
}

/* --- targets --- */

/*
 * Revision 2, of both families (Linux 4.18): iptables since 1.8.0 makes this one, and prints
 * "[unsupported revision]" for the older ones.
 */
static void target_dnat(struct ipt_encoder *e)
{
	struct nf_nat_range2 *n = target_take(e->b, "DNAT", 2, sizeof(*n));
	const struct ipt_rule *r = e->rule;

	n->flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
	memcpy(&n->min_addr, r->to.b, ip_len(e->family));
	memcpy(&n->max_addr, r->to.b, ip_len(e->family));
	n->min_proto.all = n->max_proto.all = htons(r->to_port);
}

/* To a port of this machine: there is no address to say, so none can be said wrongly. */
static void target_redirect(struct ipt_encoder *e)
{
	const __be16 port = htons(e->rule->to_port);

	if (e->family == FAMILY_4) {
		struct nf_nat_ipv4_multi_range_compat *n =
		    target_take(e->b, "REDIRECT", 0, sizeof(*n));

		n->rangesize = 1;
		n->range[0].flags = NF_NAT_RANGE_PROTO_SPECIFIED;
		n->range[0].min.all = n->range[0].max.all = port;
	} else {
		struct nf_nat_range *n = target_take(e->b, "REDIRECT", 0, sizeof(*n));

		n->flags = NF_NAT_RANGE_PROTO_SPECIFIED;
		n->min_proto.all = n->max_proto.all = port;
	}
}

static void target_masquerade(struct ipt_encoder *e)
{
	bool v4 = e->family == FAMILY_4;
	/* IPv6's data begins with the flags, IPv4's with the number of ranges before them */
	uint32_t *n = target_take(e->b, "MASQUERADE", 0,
	    v4 ? sizeof(struct nf_nat_ipv4_multi_range_compat) : sizeof(struct nf_nat_range));

	if (v4)
		*n++ = 1;
	*n = NF_NAT_RANGE_PROTO_RANDOM_FULLY;
}

static void target_reject(struct ipt_encoder *e)
{
	uint32_t *with = target_take(e->b, "REJECT", 0, sizeof(*with)); /* both families' data */

	*with = e->family == FAMILY_4 ? IPT_ICMP_PORT_UNREACHABLE : IP6T_ICMP6_PORT_UNREACH;
}

/* new mark = (mark & ~MASK) ^ the masquerade bit */
static void target_mark(struct ipt_encoder *e, uint32_t mask)
{
	struct xt_mark_tginfo2 *m = target_take(e->b, "MARK", 2, sizeof(*m));

	m->mark = e->mark;
	m->mask = mask;
}

void ipt_ext_target(struct ipt_encoder *e, enum ipt_verdict verdict)
{
	/* libiptc turns the name of a chain or of a standard verdict into its number */
	const char *const names[] = {[VERDICT_JUMP] = e->chain,
	    [VERDICT_GOTO] = e->chain,
	    [VERDICT_ACCEPT] = "ACCEPT",
	    [VERDICT_DROP] = "DROP",
	    [VERDICT_RETURN] = "RETURN"};

	if (verdict == VERDICT_DNAT)
		target_dnat(e);
	else if (verdict == VERDICT_SET_MARK)
		target_mark(e, e->mark);
	else if (verdict == VERDICT_CLEAR_MARK) /* it is set: the rule before returned if not */
		target_mark(e, 0);
	else if (verdict == VERDICT_MASQUERADE)
		target_masquerade(e);
	else if (verdict == VERDICT_REJECT)
		target_reject(e);
	else if (verdict == VERDICT_REDIRECT)
		target_redirect(e);
	else
		target_take(e->b, names[verdict], 0,
		    sizeof(struct xt_standard_target) - sizeof(struct xt_entry_target));
}
