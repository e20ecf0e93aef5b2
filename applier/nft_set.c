#include "applier/nft_set.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define UDATA_MAX    256
#define AFFINITY_MAX 262144 /* clients; 40 MB or so of kernel memory at most */

unsigned nft_key_parts(unsigned set, uint8_t family, struct nft_part parts[NFT_PARTS_MAX])
{
	const struct nft_set *s = nft_set(set);
	const uint8_t ip = ip_len(family);
	const struct nft_part all[] = {{NFT_CLIENT, ip, true}, {NFT_ADDR, ip, s->twice},
	    {NFT_ADDR, ip, false}, {NFT_PROTO, 1, false}, {NFT_PORT, 2, false},
	    {NFT_SLOT, 4, false}, {NFT_NET, ip, set != NFT_SERVICE_CIDRS}, {NFT_SECONDS, 4, false}};
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if ((s->fields & all[i].field) != 0 && (i != 1 || s->twice))
			parts[n++] = all[i];
	return n;
}

/* --- user data: how nft prints keys and values, as its "typeof" leaves it in the kernel --- */

struct udata {
	uint8_t len;
	uint8_t b[UDATA_MAX];
};

static void put_number(struct udata *u, uint8_t type, uint32_t value)
{
	u->b[u->len++] = type;
	u->b[u->len++] = sizeof(value);
	memcpy(u->b + u->len, &value, sizeof(value));
	u->len = (uint8_t)(u->len + sizeof(value));
}

static uint8_t open_nest(struct udata *u, uint8_t type)
{
	u->b[u->len] = type;
	u->len = (uint8_t)(u->len + 2);
	return u->len;
}

static void close_nest(struct udata *u, uint8_t mark)
{
	u->b[mark - 1] = (uint8_t)(u->len - mark);
}

/* nft's numbers of kinds of expression, and of what a payload is of. */
enum { PAYLOAD = 7, META = 9, CT = 12, CONCAT = 13, NUMGEN = 23 };
enum { IN_TRANSPORT = 11, IN_IP = 12, IN_IP6 = 13 };

static void put_typeof(
    struct udata *u, const struct nft_part *p, uint8_t family, const struct nft_set *s)
{
	const bool ip6 = family == FAMILY_6;
	uint32_t kind = PAYLOAD, values[3], count = 2;
	uint8_t mark;

	switch (p->field) {
	case NFT_PROTO:
		kind = META;
		values[0] = NFT_META_L4PROTO;
		count = 1;
		break;
	case NFT_SLOT:
		kind = NUMGEN;
		values[0] = NFT_NG_RANDOM;
		values[1] = s->slots;
		values[2] = 0;
		count = 3;
		break;
	case NFT_SECONDS:
		kind = CT;
		values[0] = NFT_CT_EXPIRATION;
		values[1] = UINT32_MAX; /* of no direction */
		break;
	case NFT_PORT:
		values[0] = IN_TRANSPORT;
		values[1] = 2; /* dport */
		break;
	default:
		values[0] = ip6 ? IN_IP6 : IN_IP;
		values[1] = (ip6 ? 8u : 11u) + !p->source; /* saddr, daddr */
	}
	put_number(u, 0, kind);
	mark = open_nest(u, 1);
	for (unsigned i = 0; i < count; i++)
		put_number(u, (uint8_t)i, values[i]);
	close_nest(u, mark);
}

static void put_typeofs(struct udata *u, uint8_t type, const struct nft_part *p, unsigned count,
    uint8_t family, const struct nft_set *s)
{
	uint8_t mark = open_nest(u, type), parts;

	if (count == 1) {
		put_typeof(u, p, family, s);
	} else {
		put_number(u, 0, CONCAT);
		parts = open_nest(u, 1);
		for (unsigned i = 0; i < count; i++) {
			uint8_t part = open_nest(u, (uint8_t)i);

			put_typeof(u, &p[i], family, s);
			close_nest(u, part);
		}
		close_nest(u, parts);
	}
	close_nest(u, mark);
}

/* --- sets --- */

/* nft's number of the type of a part's values. */
static uint32_t type_of(uint16_t field, uint8_t family)
{
	switch (field) {
	case NFT_PROTO:
		return 12; /* inet_proto */
	case NFT_PORT:
		return 13; /* inet_service */
	case NFT_SLOT:
		return 4; /* integer */
	case NFT_SECONDS:
		return 18; /* time */
	default:
		return family == FAMILY_6 ? 8 : 7; /* ipv6_addr, ipv4_addr */
	}
}

/* A type has six bits in that of a concatenation. */
static uint32_t concat_type(const struct nft_part *p, unsigned count, uint8_t family)
{
	uint32_t type = 0;

	for (unsigned i = 0; i < count; i++)
		type = type << 6 | type_of(p[i].field, family);
	return type;
}

uint32_t nft_key_len(const struct nft_part *p, unsigned count)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < count; i++)
		len += nft_registers(p[i].len) * 4;
	return len;
}

static void put_description(
    struct nl_msg *m, uint32_t size, const struct nft_part *p, unsigned count)
{
	struct nlattr *desc = nla_nest_start(m, NFTA_SET_DESC), *fields;

	if (size != 0) {
		nla_put_u32(m, NFTA_SET_DESC_SIZE, htonl(size));
	} else {
		fields = nla_nest_start(m, NFTA_SET_DESC_CONCAT);
		for (unsigned i = 0; i < count; i++) {
			struct nlattr *field = nla_nest_start(m, NFTA_LIST_ELEM);

			nla_put_u32(m, NFTA_SET_FIELD_LEN, htonl(p[i].len));
			nla_nest_end(m, field);
		}
		nla_nest_end(m, fields);
	}
	nla_nest_end(m, desc);
}

void nft_set_encode(struct nl_msg *m, unsigned set, uint8_t family, uint32_t size)
{
	const struct nft_set *s = nft_set(set);
	const struct nft_part to[] = {
	    {NFT_ADDR, ip_len(family), false}, {NFT_PORT, sizeof(uint16_t), false}};
	const bool map = (s->fields & NFT_TO) != 0;
	struct nft_part parts[NFT_PARTS_MAX];
	unsigned count = nft_key_parts(set, family, parts);
	uint32_t flags = map ? NFT_SET_MAP : 0;
	struct udata u = {0};

	flags |= nft_set_dynamic(set) ? NFT_SET_TIMEOUT | NFT_SET_EVAL : 0;
	if ((s->fields & NFT_NET) != 0)
		flags |= NFT_SET_INTERVAL | (count > 1 ? NFT_SET_CONCAT : 0);
	nla_put_string(m, NFTA_SET_NAME, s->name);
	nla_put_u32(m, NFTA_SET_FLAGS, htonl(flags));
	nla_put_u32(m, NFTA_SET_KEY_TYPE, htonl(concat_type(parts, count, family)));
	nla_put_u32(m, NFTA_SET_KEY_LEN, htonl(nft_key_len(parts, count)));
	put_number(&u, 0, count == 1 ? 2 : 0); /* the key is in network order; its parts tell */
	if (map) {
		nla_put_u32(m, NFTA_SET_DATA_TYPE, htonl(concat_type(to, 2, family)));
		nla_put_u32(m, NFTA_SET_DATA_LEN, htonl(nft_key_len(to, 2)));
		put_number(&u, 1, 0);
	}
	nla_put_u32(m, NFTA_SET_ID, htonl(set + 1));
	if (nft_set_dynamic(set))
		size = AFFINITY_MAX;
	else if ((flags & NFT_SET_INTERVAL) != 0)
		size = 0;
	if (size != 0 || (flags & NFT_SET_CONCAT) != 0)
		put_description(m, size, parts, count);
	put_typeofs(&u, 3, parts, count, family, s);
	if (map) {
		put_typeofs(&u, 4, to, 2, family, s);
		put_number(&u, 6, 0); /* values are no intervals */
	}
	nla_put(m, NFTA_SET_USERDATA, (int)u.len, u.b);
}
