#include "applier/ipt_entry.h"

#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <string.h>

#include "applier/ipt_ext.h"

/* Where things stand in the entries of the two families. */
static const struct entry_layout {
	uint32_t src, src_mask, dst, dst_mask, in, in_mask, proto, flags, invflags;
	uint32_t ip_len; /* of struct ipt_ip, struct ip6t_ip6: what comes first */
	uint32_t target_offset, next_offset;
	uint32_t size;	    /* of the entry without matches and target */
	uint8_t proto_flag; /* without it ip6_tables does not look at proto */
	uint8_t goto_flag;
	struct ip_cidr loopback;
} layouts[FAMILY_COUNT] = {
#define IP(type, field) offsetof(struct type, field)
    [FAMILY_4] = {IP(ipt_ip, src), IP(ipt_ip, smsk), IP(ipt_ip, dst), IP(ipt_ip, dmsk),
	IP(ipt_ip, iniface), IP(ipt_ip, iniface_mask), IP(ipt_ip, proto), IP(ipt_ip, flags),
	IP(ipt_ip, invflags), sizeof(struct ipt_ip), offsetof(struct ipt_entry, target_offset),
	offsetof(struct ipt_entry, next_offset), sizeof(struct ipt_entry), 0, IPT_F_GOTO,
	{{FAMILY_4, {127}}, 8}},
    [FAMILY_6] = {IP(ip6t_ip6, src), IP(ip6t_ip6, smsk), IP(ip6t_ip6, dst), IP(ip6t_ip6, dmsk),
	IP(ip6t_ip6, iniface), IP(ip6t_ip6, iniface_mask), IP(ip6t_ip6, proto), IP(ip6t_ip6, flags),
	IP(ip6t_ip6, invflags), sizeof(struct ip6t_ip6), offsetof(struct ip6t_entry, target_offset),
	offsetof(struct ip6t_entry, next_offset), sizeof(struct ip6t_entry), IP6T_F_PROTO,
	IP6T_F_GOTO, {{FAMILY_6, {[15] = 1}}, 128}},
#undef IP
};

struct ipt_params ipt_params_of(const struct config *cfg)
{
	struct ipt_params p = {
	    .masq_bit = cfg->masquerade_bit,
	    .pod_if_prefix = cfg->detect_local == DETECT_INTERFACE_PREFIX,
	};

	strlcpy(p.pod_if, cfg->pod_interface, sizeof(p.pod_if));
	return p;
}

/* --- addresses --- */

/* Writes A, and the mask of its first BITS, at their offsets: raw bytes in network order. */
static void put_addr(
    struct ipt_blob *b, uint32_t at, uint32_t mask_at, const struct ip_addr *a, unsigned bits)
{
	memcpy(b->bytes + at, a->b, ip_len(a->family));
	for (unsigned i = 0; i < ip_len(a->family); i++) {
		unsigned set = bits > i * 8 ? bits - i * 8 : 0;

		b->bytes[mask_at + i] = (uint8_t)(0xff00u >> (set < 8 ? set : 8));
	}
}

static void put_u16(struct ipt_blob *b, uint32_t at, uint32_t value)
{
	uint16_t v = (uint16_t)value;

	memcpy(b->bytes + at, &v, sizeof(v));
}

/* As many bytes of an interface's name count as its mask has: without the NUL it is a prefix. */
static void put_interface(
    struct ipt_blob *b, const struct entry_layout *l, const struct ipt_params *params)
{
	size_t len = strnlen(params->pod_if, sizeof(params->pod_if) - 1);

	memcpy(b->bytes + l->in, params->pod_if, len);
	memset(b->bytes + l->in_mask, 0xff, len + !params->pod_if_prefix);
}

static void encode_ip(
    struct ipt_encoder *e, const struct ipt_template *t, const struct ipt_params *params)
{
	const uint32_t matches = t->matches;
	const struct entry_layout *l = &layouts[e->family];
	const struct ipt_rule *r = e->rule;

	if ((matches & (MATCH_SRC | MATCH_NOT_SRC)) != 0)
		put_addr(e->b, l->src, l->src_mask, &r->net.addr, r->net.bits);
	if ((matches & MATCH_NOT_SRC) != 0)
		e->b->bytes[l->invflags] |= IPT_INV_SRCIP; /* ip6_tables has the same numbers */
	if ((matches & MATCH_DST) != 0)
		put_addr(e->b, l->dst, l->dst_mask, &r->net.addr, r->net.bits);
	if ((matches & MATCH_SRC_TO) != 0)
		put_addr(e->b, l->src, l->src_mask, &r->to, ip_bits(e->family));
	if ((e->args & ARG_DST) != 0)
		put_addr(e->b, l->dst, l->dst_mask, &r->dst, ip_bits(e->family));
	if ((matches & MATCH_NOT_LOOPBACK) != 0) {
		put_addr(e->b, l->dst, l->dst_mask, &l->loopback.addr, l->loopback.bits);
		e->b->bytes[l->invflags] |= IPT_INV_DSTIP;
	}
	if ((matches & MATCH_LOCALNET) != 0) {
		put_addr(e->b, l->src, l->src_mask, &l->loopback.addr, l->loopback.bits);
		put_addr(e->b, l->dst, l->dst_mask, &l->loopback.addr, l->loopback.bits);
		e->b->bytes[l->invflags] |= IPT_INV_SRCIP;
	}
	if ((matches & (MATCH_POD_IF | MATCH_NOT_POD_IF)) != 0)
		put_interface(e->b, l, params);
	if ((matches & MATCH_NOT_POD_IF) != 0)
		e->b->bytes[l->invflags] |= IPT_INV_VIA_IN;
	if (t->verdict == VERDICT_GOTO)
		e->b->bytes[l->flags] |= l->goto_flag;
	if ((e->args & ARG_PROTO) != 0) {
		put_u16(e->b, l->proto, r->proto);
		e->b->bytes[l->flags] |= l->proto_flag;
	}
}

/* --- entries --- */

bool ipt_rule_target(const struct ipt_rule *r, const struct ipt_chain *c, struct ipt_chain *target)
{
	const struct ipt_template *t = &ipt_templates[r->template];

	*target = (struct ipt_chain){.family = c->family, .table = c->table};
	if (t->verdict != VERDICT_JUMP && t->verdict != VERDICT_GOTO)
		return false;
	if ((t->args & ARG_TARGET) != 0) {
		target->kind = r->target_kind;
		memcpy(target->hash, r->target_hash, sizeof(target->hash));
	} else {
		target->kind = (uint8_t)__builtin_ctz(t->targets);
	}
	return true;
}

static void entry_begin(struct ipt_blob *b, uint8_t family)
{
	b->len = layouts[family].size;
	memset(b->bytes, 0, b->len);
}

/* The matches are there: the target and the lengths follow. */
static void entry_end(struct ipt_encoder *e, enum ipt_verdict verdict)
{
	put_u16(e->b, layouts[e->family].target_offset, e->b->len);
	ipt_ext_target(e, verdict);
	put_u16(e->b, layouts[e->family].next_offset, e->b->len);
}

void ipt_entry_encode(struct ipt_blob *b, const struct ipt_rule *r, const struct ipt_chain *c,
    const struct ipt_params *params)
{
	const struct ipt_template *t = &ipt_templates[r->template];
	struct ipt_encoder e = {
	    b, r, t->args, c->family, t->comment, UINT32_C(1) << params->masq_bit, ""};
	struct ipt_chain jump;

	ipt_chain_name(ipt_rule_target(r, c, &jump) ? &jump : c, e.chain);
	entry_begin(b, c->family);
	encode_ip(&e, t, params);
	ipt_ext_matches(&e, t->matches);
	entry_end(&e, t->verdict);
}

void ipt_entry_encode_hook(struct ipt_blob *b, unsigned number, uint8_t family)
{
	const struct ipt_hook *h = &ipt_hooks[number];
	struct ipt_encoder e = {.b = b, .family = family, .comment = h->comment};

	strlcpy(e.chain, ipt_chain_kinds[h->kind].name, sizeof(e.chain));
	entry_begin(b, family);
	if (h->only == HOOK_NEW)
		ipt_ext_matches(&e, MATCH_CTSTATE_NEW);
	if (h->only == HOOK_LOCAL)
		ipt_ext_matches(&e, MATCH_LOCAL_DST);
	ipt_ext_matches(&e, MATCH_COMMENT);
	entry_end(&e, VERDICT_JUMP);
}

/* --- digests --- */

/* NAME to its NUL, which ends it in the digest too: the kernel leaves what is behind undefined. */
static void digest_name(struct siphash *s, const char *name)
{
	siphash_update(s, name, strnlen(name, XT_EXTENSION_MAXNAMELEN));
	siphash_update(s, "", 1);
}

/* Under another number at each start, an ipset of ours is the same one. */
static struct xt_set_info digest_set(const struct xt_entry_match *m, uint8_t family)
{
	struct xt_set_info info;

	memcpy(&info, m->data, sizeof(info));
	for (uint16_t i = 0; i < (uint16_t)IPVS_SET_COUNT; i++)
		if (ipt_set_numbers[family][i] == info.index + 1) {
			info.index = i;
			break;
		}
	return info;
}

static void digest_match(struct siphash *s, const struct xt_entry_match *m, uint8_t family)
{
	static const struct {
		const char *name;
		size_t len;
	} pointed[] = {{"statistic", offsetof(struct xt_statistic_info, master)},
	    {"bpf", offsetof(struct xt_bpf_info_v1, filter)}};
	size_t len = m->u.match_size - sizeof(*m);

	/* The kernel's pointer behind them is not shown to us; ours is zero. */
	for (size_t i = 0; i < sizeof(pointed) / sizeof(pointed[0]); i++)
		if (strncmp(m->u.user.name, pointed[i].name, sizeof(m->u.user.name)) == 0 &&
		    len > pointed[i].len)
			len = pointed[i].len;
	digest_name(s, m->u.user.name);
	siphash_update(s, &m->u.user.revision, sizeof(m->u.user.revision));
	siphash_update(s, &m->u.match_size, sizeof(m->u.match_size));
	if (strncmp(m->u.user.name, "set", sizeof(m->u.user.name)) == 0 &&
	    len >= sizeof(struct xt_set_info)) {
		const struct xt_set_info set = digest_set(m, family);

		siphash_update(s, &set, sizeof(set));
		siphash_update(s, m->data + sizeof(set), len - sizeof(set));
		return;
	}
	siphash_update(s, m->data, len);
}

void ipt_entry_digest(struct siphash *s, const void *entry, uint8_t family, const char *target)
{
	/* a revision, and the data of a standard target */
	static const uint8_t
	    zero[1 + sizeof(struct xt_standard_target) - sizeof(struct xt_entry_target)];
	const struct entry_layout *l = &layouts[family];
	const uint8_t *p = entry;
	const struct xt_entry_target *t;
	uint16_t target_offset;

	memcpy(&target_offset, p + l->target_offset, sizeof(target_offset));
	siphash_update(s, p, l->ip_len);
	for (uint32_t at = l->size; at < target_offset;) {
		const struct xt_entry_match *m = (const void *)(p + at);

		digest_match(s, m, family);
		at += m->u.match_size;
	}
	t = (const void *)(p + target_offset);
	digest_name(s, target);
	siphash_update(s, &t->u.target_size, sizeof(t->u.target_size));
	/*
	 * A jump's or verdict's data, which the kernel shows under an empty name, is an offset or a
	 * number. TARGET stands for it; libiptc wants zeros there.
	 */
	if (t->u.user.name[0] == '\0') {
		siphash_update(s, zero, sizeof(zero));
		return;
	}
	siphash_update(s, &t->u.user.revision, sizeof(t->u.user.revision));
	siphash_update(s, t->data, t->u.target_size - sizeof(*t));
}

void ipt_blob_digest(struct siphash *s, const struct ipt_blob *b, uint8_t family)
{
	const struct xt_entry_target *t;
	uint16_t target_offset;

	memcpy(&target_offset, b->bytes + layouts[family].target_offset, sizeof(target_offset));
	t = (const void *)(b->bytes + target_offset);
	ipt_entry_digest(s, b->bytes, family, t->u.user.name);
}
