#include "cleaner/nft_read.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "common/netlink.h"

/* The text of A, which must end within it, into BUF. */
static bool get_name(const struct nlattr *a, char buf[NFT_READ_NAME_MAX])
{
	int len = a == NULL ? 0 : nla_len(a);

	buf[0] = '\0';
	if (len <= 1 || len > NFT_READ_NAME_MAX || memchr(nla_data(a), '\0', (size_t)len) == NULL)
		return false;
	memcpy(buf, nla_data(a), (size_t)len);
	return buf[0] != '\0';
}

static bool get_u32(const struct nlattr *a, uint32_t *value)
{
	const uint8_t *bytes = netlink_bytes(a, sizeof(*value));

	if (bytes == NULL)
		return false;
	memcpy(value, bytes, sizeof(*value));
	*value = ntohl(*value);
	return true;
}

static const struct nlattr *attr_of(const struct nlmsghdr *h, uint16_t type)
{
	return netlink_attr(h, sizeof(struct nfgenmsg), type);
}

/* Is H the kernel's word of TYPE? */
static bool is(const struct nlmsghdr *h, uint16_t type)
{
	return h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type) &&
	       h->nlmsg_len >= NLMSG_HDRLEN + sizeof(struct nfgenmsg);
}

static bool get_chain(const struct nlmsghdr *h, struct nft_chain *c)
{
	const struct nlattr *hook = attr_of(h, NFTA_CHAIN_HOOK);
	uint32_t policy = NF_ACCEPT, priority;
	char type[NFT_READ_NAME_MAX];

	*c = (struct nft_chain){.family = ((const struct nfgenmsg *)nlmsg_data(h))->nfgen_family};
	if (!get_name(attr_of(h, NFTA_CHAIN_TABLE), c->table) ||
	    !get_name(attr_of(h, NFTA_CHAIN_NAME), c->name))
		return false;
	c->base = hook != NULL;
	if (!c->base)
		return true;
	get_u32(attr_of(h, NFTA_CHAIN_POLICY), &policy);
	c->drops = policy == NF_DROP;
	get_name(attr_of(h, NFTA_CHAIN_TYPE), type);
	c->filter = strcmp(type, "filter") == 0;
	c->nat = strcmp(type, "nat") == 0;
	if (!get_u32(netlink_nested(hook, NFTA_HOOK_HOOKNUM), &c->hook) ||
	    !get_u32(netlink_nested(hook, NFTA_HOOK_PRIORITY), &priority))
		return false;
	c->priority = (int32_t)priority;
	return true;
}

bool nft_read_chain(const struct nlmsghdr *h, struct nft_chain *c)
{
	return is(h, NFT_MSG_NEWCHAIN) && get_chain(h, c);
}

/* Where expression E of a rule goes; false if it goes nowhere. */
static bool get_target(const struct nlattr *e, char target[NFT_READ_NAME_MAX])
{
	const struct nlattr *data = netlink_nested(e, NFTA_EXPR_DATA), *verdict;
	char name[NFT_READ_NAME_MAX];
	uint32_t code;

	if (!get_name(netlink_nested(e, NFTA_EXPR_NAME), name) || strcmp(name, "immediate") != 0)
		return false;
	verdict = netlink_nested(netlink_nested(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
	return get_u32(netlink_nested(verdict, NFTA_VERDICT_CODE), &code) &&
	       ((int32_t)code == NFT_JUMP || (int32_t)code == NFT_GOTO) &&
	       get_name(netlink_nested(verdict, NFTA_VERDICT_CHAIN), target);
}

bool nft_read_rule(const struct nlmsghdr *h, struct nft_rule *r)
{
	const struct nlattr *expressions, *e;
	const uint8_t *handle;
	int left;

	*r = (struct nft_rule){0};
	if (!is(h, NFT_MSG_NEWRULE) || !get_name(attr_of(h, NFTA_RULE_TABLE), r->table) ||
	    !get_name(attr_of(h, NFTA_RULE_CHAIN), r->chain))
		return false;
	handle = netlink_bytes(attr_of(h, NFTA_RULE_HANDLE), sizeof(r->handle));
	if (handle == NULL)
		return false;
	memcpy(&r->handle, handle, sizeof(r->handle));
	r->handle = be64toh(r->handle);
	expressions = attr_of(h, NFTA_RULE_EXPRESSIONS);
	if (expressions != NULL)
		nla_for_each_nested(e, expressions, left) if (get_target(e, r->target)) break;
	return true;
}

bool nft_read_generation(const struct nlmsghdr *h, uint32_t *generation)
{
	return is(h, NFT_MSG_NEWGEN) && get_u32(attr_of(h, NFTA_GEN_ID), generation);
}

bool nft_read_refused_chain(
    const struct nlmsghdr *h, char table[NFT_READ_NAME_MAX], char name[NFT_READ_NAME_MAX])
{
	const struct nlmsgerr *e = nlmsg_data(h);
	const struct nlmsghdr *about = &e->msg;
	struct nft_chain c;

	if (nlmsg_datalen(h) < (int)sizeof(*e) ||
	    !nlmsg_ok(about, nlmsg_datalen(h) - (int)sizeof(int)) || !is(about, NFT_MSG_DELCHAIN) ||
	    !get_chain(about, &c))
		return false;
	memcpy(table, c.table, sizeof(c.table));
	memcpy(name, c.name, sizeof(c.name));
	return true;
}
