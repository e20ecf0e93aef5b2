#include "applier/nft_expr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/icmp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "applier/nft_batch.h" /* nft_nfproto */
#include "applier/nft_set.h"

struct expr {
	struct nlattr *whole, *data;
};

static struct expr begin_expr(struct nft_rule *r, const char *name)
{
	struct expr x = {.whole = nla_nest_start(r->m, NFTA_LIST_ELEM)};

	nla_put_string(r->m, NFTA_EXPR_NAME, name);
	x.data = nla_nest_start(r->m, NFTA_EXPR_DATA);
	return x;
}

static void end_expr(struct nft_rule *r, struct expr x)
{
	nla_nest_end(r->m, x.data);
	nla_nest_end(r->m, x.whole);
}

static void put(struct nft_rule *r, uint16_t attr, uint32_t value)
{
	nla_put_u32(r->m, attr, htonl(value));
}

/* An expression whose attributes are all numbers: pairs of attribute and value. */
static void put_expr(struct nft_rule *r, const char *name, const uint32_t *pairs, size_t count)
{
	struct expr x = begin_expr(r, name);

	for (size_t i = 0; i < count; i += 2)
		put(r, (uint16_t)pairs[i], pairs[i + 1]);
	end_expr(r, x);
}
#define EXPR(r, name, ...)                                                                         \
	put_expr(r, name, (const uint32_t[]){__VA_ARGS__},                                         \
	    sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void put_data(struct nft_rule *r, uint16_t attr, const void *bytes, size_t len)
{
	struct nlattr *nest = nla_nest_start(r->m, attr);

	nla_put(r->m, NFTA_DATA_VALUE, (int)len, bytes);
	nla_nest_end(r->m, nest);
}

/* The register of a key's byte AT; they begin with the first of four bytes. */
#define REG(at) (NFT_REG32_00 + (at) / 4)

static void put_cmp(struct nft_rule *r, uint32_t op, const void *bytes, size_t len)
{
	struct expr x = begin_expr(r, "cmp");

	put(r, NFTA_CMP_SREG, REG(0));
	put(r, NFTA_CMP_OP, op);
	put_data(r, NFTA_CMP_DATA, bytes, len);
	end_expr(r, x);
}

/* The register becomes itself & MASK ^ XOR. */
static void put_bitwise(struct nft_rule *r, uint32_t mask, uint32_t xor)
{
	struct expr x = begin_expr(r, "bitwise");

	put(r, NFTA_BITWISE_SREG, REG(0));
	put(r, NFTA_BITWISE_DREG, REG(0));
	put(r, NFTA_BITWISE_LEN, sizeof(mask));
	put_data(r, NFTA_BITWISE_MASK, &mask, sizeof(mask));
	put_data(r, NFTA_BITWISE_XOR, &xor, sizeof(xor));
	end_expr(r, x);
}

static void put_verdict(struct nft_rule *r, uint32_t code, unsigned chain)
{
	struct expr x = begin_expr(r, "immediate");
	struct nlattr *data, *verdict;

	put(r, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nla_nest_start(r->m, NFTA_IMMEDIATE_DATA);
	verdict = nla_nest_start(r->m, NFTA_DATA_VERDICT);
	put(r, NFTA_VERDICT_CODE, code);
	if (code == (uint32_t)NFT_JUMP || code == (uint32_t)NFT_GOTO)
		nla_put_string(r->m, NFTA_VERDICT_CHAIN, r->chain_name(chain));
	nla_nest_end(r->m, verdict);
	nla_nest_end(r->m, data);
	end_expr(r, x);
}

/* --- keys: the packet's, or of the connection it is in --- */

static void load_address(struct nft_rule *r, const struct nft_part *p, uint32_t reg)
{
	static const uint32_t offsets[FAMILY_COUNT][2] = {{16, 12}, {24, 8}};

	EXPR(r, "payload", NFTA_PAYLOAD_DREG, reg, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER,
	    NFTA_PAYLOAD_OFFSET, offsets[r->family][p->source], NFTA_PAYLOAD_LEN, p->len);
}

/* What the connection's first packet had. */
static void load_original(struct nft_rule *r, uint32_t key, uint32_t reg)
{
	struct expr x = begin_expr(r, "ct");

	put(r, NFTA_CT_KEY, key);
	put(r, NFTA_CT_DREG, reg);
	nla_put_u8(r->m, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	end_expr(r, x);
}

static void load_port(struct nft_rule *r, uint32_t reg)
{
	EXPR(r, "payload", NFTA_PAYLOAD_DREG, reg, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER,
	    NFTA_PAYLOAD_OFFSET, 2, NFTA_PAYLOAD_LEN, sizeof(uint16_t));
}

static void load_part(struct nft_rule *r, const struct nft_part *p, bool original, uint32_t reg)
{
	static const uint32_t addresses[FAMILY_COUNT][2] = {
	    {NFT_CT_DST_IP, NFT_CT_SRC_IP}, {NFT_CT_DST_IP6, NFT_CT_SRC_IP6}};

	if (p->field == NFT_PROTO)
		EXPR(r, "meta", NFTA_META_KEY, NFT_META_L4PROTO, NFTA_META_DREG, reg);
	else if (p->field == NFT_PORT && original)
		load_original(r, NFT_CT_PROTO_DST, reg);
	else if (p->field == NFT_PORT)
		load_port(r, reg);
	else if (original)
		load_original(r, addresses[r->family][p->source], reg);
	else
		load_address(r, p, reg);
}

/* Loads the key of SET; a number in it is drawn from FIRST on. Returns its bytes. */
static uint32_t load_key(struct nft_rule *r, unsigned set, bool original, uint32_t first)
{
	struct nft_part parts[NFT_PARTS_MAX];
	unsigned count = nft_key_parts(set, r->family, parts);
	uint32_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		if (parts[i].field == NFT_SLOT)
			EXPR(r, "numgen", NFTA_NG_DREG, REG(at), NFTA_NG_MODULUS,
			    nft_set(set)->slots, NFTA_NG_TYPE, NFT_NG_RANDOM, NFTA_NG_OFFSET,
			    first);
		else
			load_part(r, &parts[i], original, REG(at));
		at += nft_registers(parts[i].len) * 4;
	}
	return at;
}

/* What is found in a map replaces the key. */
static void put_lookup(struct nft_rule *r, unsigned set, bool invert)
{
	struct expr x = begin_expr(r, "lookup");
	const struct nft_set *s = nft_set(set);

	nla_put_string(r->m, NFTA_LOOKUP_SET, s->name);
	put(r, NFTA_LOOKUP_SREG, REG(0));
	if ((s->fields & NFT_TO) != 0)
		put(r, NFTA_LOOKUP_DREG, REG(0));
	if (invert)
		put(r, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	end_expr(r, x);
}

/* --- terms --- */

static void put_status(struct nft_rule *r, uint32_t key, uint32_t bits)
{
	static const uint32_t none = 0;

	EXPR(r, "ct", NFTA_CT_KEY, key, NFTA_CT_DREG, REG(0));
	put_bitwise(r, bits, 0);
	put_cmp(r, NFT_CMP_NEQ, &none, sizeof(none));
}

static void put_mark(struct nft_rule *r, uint32_t mask, uint32_t xor, bool set)
{
	static const uint32_t none = 0;

	EXPR(r, "meta", NFTA_META_KEY, NFT_META_MARK, NFTA_META_DREG, REG(0));
	put_bitwise(r, mask, xor);
	if (set)
		EXPR(r, "meta", NFTA_META_KEY, NFT_META_MARK, NFTA_META_SREG, REG(0));
	else
		put_cmp(r, NFT_CMP_EQ, &none, sizeof(none));
}

static void put_pod_if(struct nft_rule *r)
{
	char name[sizeof(r->params->pod_if)] = "";

	strlcpy(name, r->params->pod_if, sizeof(name));
	EXPR(r, "meta", NFTA_META_KEY, NFT_META_IIFNAME, NFTA_META_DREG, REG(0));
	put_cmp(r, NFT_CMP_EQ, name, r->params->pod_if_prefix ? strlen(name) : sizeof(name));
}

/* The packet's source or destination, of which FLAG tells, is an address of the node. */
static void put_is_local(struct nft_rule *r, uint32_t flag)
{
	static const uint32_t local = RTN_LOCAL;

	EXPR(r, "fib", NFTA_FIB_FLAGS, flag, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE,
	    NFTA_FIB_DREG, REG(0));
	put_cmp(r, NFT_CMP_EQ, &local, sizeof(local));
}

static void put_dnat(struct nft_rule *r, unsigned map, uint32_t first)
{
	load_key(r, map, false, first);
	put_lookup(r, map, false);
	EXPR(r, "nat", NFTA_NAT_TYPE, NFT_NAT_DNAT, NFTA_NAT_FAMILY, nft_nfproto[r->family],
	    NFTA_NAT_REG_ADDR_MIN, REG(0), NFTA_NAT_REG_PROTO_MIN, REG(ip_len(r->family)));
}

/* Behind the translation the packet's own destination is the endpoint. */
static void put_remember(struct nft_rule *r, unsigned map)
{
	const struct nft_part to = {NFT_ADDR, ip_len(r->family), false};
	uint32_t at = load_key(r, map, true, 0);
	struct expr x;

	load_address(r, &to, REG(at));
	load_port(r, REG(at + to.len));
	x = begin_expr(r, "dynset");
	nla_put_string(r->m, NFTA_DYNSET_SET_NAME, nft_set(map)->name);
	put(r, NFTA_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
	put(r, NFTA_DYNSET_SREG_KEY, REG(0));
	put(r, NFTA_DYNSET_SREG_DATA, REG(at));
	nla_put_u64(r->m, NFTA_DYNSET_TIMEOUT, htobe64(UINT64_C(1000) * r->seconds));
	end_expr(r, x);
}

static void put_reject(struct nft_rule *r)
{
	struct expr x = begin_expr(r, "reject");

	put(r, NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
	nla_put_u8(r->m, NFTA_REJECT_ICMP_CODE,
	    r->family == FAMILY_6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH);
	end_expr(r, x);
}

static void put_term(struct nft_rule *r, nft_term t)
{
	const uint32_t bit = UINT32_C(1) << r->params->masq_bit;
	const uint8_t arg = NFT_TERM_ARG(t);

	switch ((enum nft_term_kind)NFT_TERM_KIND(t)) {
	case NFT_TERM_IN:
	case NFT_TERM_NOT_IN:
	case NFT_TERM_ORIGINAL_IN:
		load_key(r, arg, NFT_TERM_KIND(t) == NFT_TERM_ORIGINAL_IN, 0);
		return put_lookup(r, arg, NFT_TERM_KIND(t) == NFT_TERM_NOT_IN);
	case NFT_TERM_NEW:
		return put_status(r, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_NEW));
	case NFT_TERM_TRANSLATED:
		return put_status(r, NFT_CT_STATUS, IPS_DST_NAT);
	case NFT_TERM_LOCAL_SOURCE:
		return put_is_local(r, NFTA_FIB_F_SADDR);
	case NFT_TERM_LOCAL_DESTINATION:
		return put_is_local(r, NFTA_FIB_F_DADDR);
	case NFT_TERM_POD_IF:
		return put_pod_if(r);
	case NFT_TERM_UNMARKED:
		return put_mark(r, bit, 0, false);
	case NFT_TERM_MARK:
		return put_mark(r, ~bit, bit, true);
	case NFT_TERM_CLEAR_MARK:
		return put_mark(r, UINT32_MAX, bit, true);
	case NFT_TERM_DNAT:
		return put_dnat(r, arg, 0);
	case NFT_TERM_DNAT_LOCAL:
		return put_dnat(r, arg, NFT_LOCAL_SLOT);
	case NFT_TERM_REMEMBER:
		return put_remember(r, arg);
	case NFT_TERM_MASQUERADE:
		return EXPR(r, "masq", NFTA_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	case NFT_TERM_REJECT:
		return put_reject(r);
	case NFT_TERM_DROP:
		return put_verdict(r, NF_DROP, 0);
	case NFT_TERM_RETURN:
		return put_verdict(r, (uint32_t)NFT_RETURN, 0);
	case NFT_TERM_JUMP:
		return put_verdict(r, (uint32_t)NFT_JUMP, arg);
	case NFT_TERM_GOTO:
		return put_verdict(r, (uint32_t)NFT_GOTO, arg);
	}
}

void nft_rule_encode(struct nft_rule *r, const nft_term terms[NFT_TERMS_MAX])
{
	struct nlattr *list = nla_nest_start(r->m, NFTA_RULE_EXPRESSIONS);

	for (unsigned i = 0; i < NFT_TERMS_MAX && terms[i] != 0; i++)
		put_term(r, terms[i]);
	nla_nest_end(r->m, list);
}
