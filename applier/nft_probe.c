#include "applier/nft_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netlink.h"

/* Begins a message of TYPE about FAMILY at BUF. */
static struct nlmsghdr *message(void *buf, uint16_t type, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST;
	g->nfgen_family = family;
	g->res_id = family == NFPROTO_UNSPEC ? htons(NFNL_SUBSYS_NFTABLES) : 0;
	return h;
}

/* Has nf_tables TABLE, and in it CHAIN unless that is NULL? Without nf_tables: an error, so no. */
static bool there(int nl, uint8_t family, const char *table, const char *chain)
{
	_Alignas(struct nlmsghdr) char buf[2048]; /* no question or answer has more */
	struct nlmsghdr *h = message(buf,
	    (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 |
		       (chain != NULL ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE)),
	    family);

	mnl_attr_put_strz(h, chain != NULL ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain != NULL)
		mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
	return write(nl, h, h->nlmsg_len) > 0 &&
	       read(nl, buf, sizeof(buf)) >= (ssize_t)sizeof(*h) && h->nlmsg_type != NLMSG_ERROR;
}

/* Takes TABLE away, with everything in it. */
static void take_away(int nl, uint8_t family, const char *table)
{
	_Alignas(struct nlmsghdr) char buf[1024]; /* three short messages */
	struct nlmsghdr *h = message(buf, NFNL_MSG_BATCH_BEGIN, NFPROTO_UNSPEC);

	h = message(mnl_nlmsg_get_payload_tail(h),
	    (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE), family);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	h = message(mnl_nlmsg_get_payload_tail(h), NFNL_MSG_BATCH_END, NFPROTO_UNSPEC);
	if (write(nl, buf, (size_t)((char *)mnl_nlmsg_get_payload_tail(h) - buf)) < 0)
		log_warn("nf_tables: %s", strerror(errno));
}

void nft_probe(bool nftables_mode)
{
	static const uint8_t numbers[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	static const char *const names[] = {"ip", "ip6"};
	int nl = netlink_open(NETLINK_NETFILTER);

	for (int i = 0; nl >= 0 && i < 2; i++) {
		if (there(nl, numbers[i], "nat", "KUBE-SERVICES"))
			log_warn(
			    "another kube-proxy made rules with %stables-nft (nftables' table "
			    "%s nat has chain KUBE-SERVICES). Both translate the same packets, "
			    "and this one neither sees nor changes those rules. End the other "
			    "kube-proxy, then have it clean up (its own --cleanup), or reboot",
			    names[i], names[i]);
		if (nftables_mode || !there(nl, numbers[i], "kube-proxy", NULL))
			continue;
		take_away(nl, numbers[i], "kube-proxy");
		if (there(nl, numbers[i], "kube-proxy", NULL))
			log_warn("table %s kube-proxy, of a kube-proxy in nftables mode, cannot be "
				 "taken away: nft delete table %s kube-proxy",
			    names[i], names[i]);
		else
			log_info("table %s kube-proxy, which nftables mode left, is taken away",
			    names[i]);
	}
	if (nl >= 0)
		close(nl);
}
