#include "applier/nft_elem.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "applier/nft_set.h"
#include "common/netlink.h"

#define KEY_MAX 64 /* bytes: all of the kernel's registers */
#define COMMENT 0  /* nftables' user data of an element: libnftnl/udata.h */

/* --- elements --- */

/* Where a part of a key is in E. */
static void *part_value(struct nft_elem *e, uint16_t field)
{
	switch (field) {
	case NFT_CLIENT:
		return e->client.b;
	case NFT_ADDR:
		return e->addr.b;
	case NFT_PROTO:
		return &e->proto;
	case NFT_PORT:
		return &e->port;
	case NFT_SLOT:
		return &e->slot;
	case NFT_NET:
		return e->net.addr.b;
	default:
		return &e->seconds;
	}
}

/* Key of E, whose port is in network order and whose seconds are milliseconds. */
static size_t put_key(uint8_t key[KEY_MAX], struct nft_elem *e)
{
	struct nft_part parts[NFT_PARTS_MAX];
	unsigned count = nft_key_parts(e->set, e->family, parts);
	size_t len = 0;

	memset(key, 0, KEY_MAX);
	for (unsigned i = 0; i < count; i++) {
		memcpy(key + len, part_value(e, parts[i].field), parts[i].len);
		len += nft_registers(parts[i].len) * 4;
	}
	return len;
}

static void put_data(struct nl_msg *m, uint16_t attr, const void *bytes, size_t len)
{
	struct nlattr *nest = nla_nest_start(m, attr);

	nla_put(m, NFTA_DATA_VALUE, (int)len, bytes);
	nla_nest_end(m, nest);
}

/* From the first address of a prefix to the last. */
static void last_of(struct ip_cidr *c)
{
	for (unsigned bit = c->bits; bit < ip_bits(c->addr.family); bit++)
		c->addr.b[bit / 8] = (uint8_t)(c->addr.b[bit / 8] | 0x80 >> bit % 8);
}

/* The next address; false if there is none. */
static bool increment(struct ip_addr *a)
{
	for (unsigned i = ip_len(a->family); i-- > 0;)
		if (++a->b[i] != 0)
			return true;
	return false;
}

static void put_interval_end(struct nl_msg *m, struct nft_elem *e)
{
	uint8_t key[KEY_MAX];
	struct nlattr *nest;

	if (!increment(&e->net.addr))
		return; /* it goes up to the last address */
	nest = nla_nest_start(m, NFTA_LIST_ELEM);
	nla_put_u32(m, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	put_data(m, NFTA_SET_ELEM_KEY, key, put_key(key, e));
	nla_nest_end(m, nest);
}

static void put_endpoint(struct nl_msg *m, const struct nft_elem *e)
{
	uint8_t data[KEY_MAX] = {0};
	size_t len = ip_len(e->family);
	uint16_t port = htons(e->to_port);

	memcpy(data, e->to.b, len);
	memcpy(data + len, &port, sizeof(port));
	put_data(m, NFTA_SET_ELEM_DATA, data, len + 4);
}

static void put_comment(struct nl_msg *m, const char *name)
{
	uint8_t udata[2 + SVCPORT_NAME_LEN];
	size_t len = strlen(name) + 1;

	udata[0] = COMMENT;
	udata[1] = (uint8_t)len;
	memcpy(udata + 2, name, len);
	nla_put(m, NFTA_SET_ELEM_USERDATA, (int)len + 2, udata);
}

void nft_elem_encode(struct nl_msg *m, const struct nft_elem *elem, bool delete)
{
	const struct nft_set *s = nft_set(elem->set);
	const bool map = (s->fields & NFT_TO) != 0;
	const bool interval = (s->fields & NFT_NET) != 0, concatenated = s->fields != NFT_NET;
	struct nlattr *nest = nla_nest_start(m, NFTA_LIST_ELEM);
	struct nft_elem e = *elem;
	uint8_t key[KEY_MAX];

	e.port = htons(e.port);
	e.seconds *= 1000;
	put_data(m, NFTA_SET_ELEM_KEY, key, put_key(key, &e));
	if (interval)
		last_of(&e.net);
	if (interval && concatenated)
		put_data(m, NFTA_SET_ELEM_KEY_END, key, put_key(key, &e));
	if (map && !delete)
		put_endpoint(m, &e);
	if ((s->fields & NFT_NAME) != 0 && !delete)
		put_comment(m, e.name);
	nla_nest_end(m, nest);
	if (interval && !concatenated)
		put_interval_end(m, &e);
}

/* --- back --- */

bool nft_elem_prefix(struct nft_elem *e, const struct ip_addr *end)
{
	struct ip_cidr c = e->net;

	for (c.bits = 0; c.bits <= ip_bits(e->family); c.bits++) {
		struct ip_cidr last = c;
		bool more;

		last_of(&last);
		more = increment(&last.addr);
		if (ip_cidr_is_canonical(&c) &&
		    (end == NULL ? !more : more && ip_cmp(&last.addr, end) == 0)) {
			e->net = c;
			return true;
		}
	}
	return false;
}

/* The value of a key or of data, if it has LEN bytes. */
static const uint8_t *value_of(const struct nlattr *attr, size_t len)
{
	return netlink_bytes(netlink_nested(attr, NFTA_DATA_VALUE), (uint16_t)len);
}

static bool take_key(struct nft_elem *e, const struct nlattr *attr)
{
	struct nft_part parts[NFT_PARTS_MAX];
	unsigned count = nft_key_parts(e->set, e->family, parts);
	const uint8_t *from = value_of(attr, nft_key_len(parts, count));

	for (unsigned i = 0; from != NULL && i < count; i++) {
		memcpy(part_value(e, parts[i].field), from, parts[i].len);
		from += nft_registers(parts[i].len) * 4;
	}
	e->port = ntohs(e->port);
	e->seconds /= 1000;
	return from != NULL;
}

/* Without data it is an element to be deleted: the kernel's own have it. */
static bool take_endpoint(struct nft_elem *e, const struct nlattr *attr)
{
	const size_t len = ip_len(e->family);
	const uint8_t *from = value_of(attr, len + 4);
	uint16_t port;

	if (from == NULL)
		return attr == NULL;
	memcpy(e->to.b, from, len);
	memcpy(&port, from + len, sizeof(port));
	e->to_port = ntohs(port);
	return true;
}

static void take_comment(struct nft_elem *e, const struct nlattr *attr)
{
	const uint8_t *from = nla_data(attr);
	size_t len = (size_t)nla_len(attr);

	if (len > 2 && from[0] == COMMENT && from[1] == len - 2 && len - 2 <= sizeof(e->name) &&
	    memchr(from + 2, '\0', len - 2) == from + len - 1)
		memcpy(e->name, from + 2, len - 2);
}

/* The prefix of E, from its first address to the last, of which the key in LAST tells. */
static bool take_range(struct nft_elem *e, const struct nlattr *last)
{
	struct nft_elem to = *e;

	if (!take_key(&to, last))
		return false;
	return nft_elem_prefix(e, increment(&to.net.addr) ? &to.net.addr : NULL);
}

bool nft_elem_decode(struct nft_elem *e, const struct nlattr *elem, bool *end)
{
	const uint16_t fields = nft_set(e->set)->fields;
	const struct nlattr *flags = netlink_nested(elem, NFTA_SET_ELEM_FLAGS);
	const struct nlattr *comment = netlink_nested(elem, NFTA_SET_ELEM_USERDATA);

	*e = (struct nft_elem){.family = e->family, .set = e->set};
	e->addr.family = e->client.family = e->net.addr.family = e->to.family = e->family;
	*end = flags != NULL && (ntohl(nla_get_u32(flags)) & NFT_SET_ELEM_INTERVAL_END) != 0;
	if (comment != NULL)
		take_comment(e, comment);
	return take_key(e, netlink_nested(elem, NFTA_SET_ELEM_KEY)) &&
	       ((fields & NFT_TO) == 0 ||
		   take_endpoint(e, netlink_nested(elem, NFTA_SET_ELEM_DATA))) &&
	       ((fields & NFT_NET) == 0 || fields == NFT_NET ||
		   take_range(e, netlink_nested(elem, NFTA_SET_ELEM_KEY_END)));
}

const char *nft_elem_words(char *buf, size_t size, const struct nft_elem *e)
{
	const struct nft_set *s = nft_set(e->set);
	char ip[IP_STRLEN], cidr[CIDR_STRLEN];
	int n = snprintf(buf, size, "%s %s", e->family == FAMILY_6 ? "ip6" : "ip", s->name);

#define ADD(field, ...)                                                                            \
	if ((s->fields & (field)) != 0 && n >= 0 && (size_t)n < size)                              \
	n += snprintf(buf + n, size - (size_t)n, __VA_ARGS__)
	ADD(NFT_CLIENT, " client=%s", ip_format(&e->client, ip));
	ADD(NFT_ADDR, " address=%s", ip_format(&e->addr, ip));
	ADD(NFT_PROTO, " proto=%u", e->proto);
	ADD(NFT_PORT, " port=%u", e->port);
	ADD(NFT_SLOT, " number=%u", e->slot);
	ADD(NFT_NET, " net=%s", ip_cidr_format(&e->net, cidr));
	ADD(NFT_SECONDS, " seconds=%u", e->seconds);
	ADD(NFT_TO, " to=%s port=%u", ip_format(&e->to, ip), e->to_port);
	ADD(NFT_NAME, " name=%s", e->name);
#undef ADD
	return buf;
}
