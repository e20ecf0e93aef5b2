#include "applier/nft_describe.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#include "applier/nft_elem.h"
#include "common/netlink.h"

static uint8_t nfproto_of(const struct nlmsghdr *h)
{
	return ((const struct nfgenmsg *)nlmsg_data(h))->nfgen_family;
}

/* The message of B that was refused. */
static const struct nlmsghdr *refused(const struct nft_batch *b, uint32_t seq)
{
	struct nlmsghdr *h = (void *)b->buf;

	for (int len = (int)b->len; nlmsg_ok(h, len); h = nlmsg_next(h, &len))
		if (h->nlmsg_seq == seq)
			return h;
	return NULL;
}

/* Which element, expression or name it was for, as far as the kernel told. Of a chain it is the
 * type that may be unknown. */
static void describe_attr(
    char *buf, size_t size, const struct nlmsghdr *h, const char *name, uint32_t at)
{
	const struct nlattr *attr = (const void *)((const uint8_t *)h + at);
	const char *text = nla_data(attr), *family = "";
	struct nft_elem e = {.family = nfproto_of(h) == NFPROTO_IPV6 ? FAMILY_6 : FAMILY_4};
	const unsigned type = h->nlmsg_type & 0xff;
	const struct nlattr *expr;
	size_t len;
	bool end;

	if (at == 0 || at + sizeof(*attr) > h->nlmsg_len || at + attr->nla_len > h->nlmsg_len)
		return;
	len = (size_t)nla_len(attr);
	while (e.set < NFT_SET_COUNT && strcmp(nft_set(e.set)->name, name) != 0)
		e.set++;
	expr = type == NFT_MSG_NEWRULE ? netlink_nested(attr, NFTA_EXPR_NAME) : NULL;
	if (expr != NULL) {
		text = nla_get_string(expr);
		if (strcmp(text, "reject") == 0 || strcmp(text, "fib") == 0)
			family = e.family == FAMILY_6 ? "_ipv6" : "_ipv4";
		snprintf(buf, size, "expression %s (module nft_%s%s)", text, text, family);
	} else if (type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM) {
		if (e.set < NFT_SET_COUNT && nft_elem_decode(&e, attr, &end))
			nft_elem_words(buf, size, &e);
	} else if (len > 1 && strnlen(text, len) == len - 1) {
		snprintf(buf, size, type == NFT_MSG_NEWCHAIN ? "module nft_chain_%s" : "%s", text);
	}
}

void nft_describe(const struct nft_batch *b, uint32_t seq, uint32_t at, char *buf, size_t size)
{
	static const char *const what[] = {[NFT_MSG_NEWTABLE] = "table",
	    [NFT_MSG_NEWCHAIN] = "chain",
	    [NFT_MSG_NEWRULE] = "rule in",
	    [NFT_MSG_NEWSET] = "set",
	    [NFT_MSG_NEWSETELEM] = "element of",
	    [NFT_MSG_DELSETELEM] = "deletion from"};
	const struct nlmsghdr *h = refused(b, seq);
	const char *name = NFT_TABLE;
	const struct nlattr *attr;
	char detail[160] = "";
	unsigned type;

	buf[0] = '\0';
	if (h == NULL || h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return;
	type = h->nlmsg_type & 0xff;
	/* chain or set: the second attribute of rules, sets and elements, the third of chains */
	attr = netlink_attr(h, sizeof(struct nfgenmsg),
	    type == NFT_MSG_NEWCHAIN ? NFTA_CHAIN_NAME : NFTA_RULE_CHAIN);
	if (attr != NULL && type != NFT_MSG_NEWTABLE)
		name = nla_get_string(attr);
	describe_attr(detail, sizeof(detail), h, name, at);
	snprintf(buf, size, "%s %s %s%s%s", nfproto_of(h) == NFPROTO_IPV6 ? "ip6" : "ip",
	    type < sizeof(what) / sizeof(what[0]) && what[type] != NULL ? what[type] : "change of",
	    name, detail[0] == '\0' ? "" : ": ", detail);
}
