#include "applier/nft_probe.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netlink.h"

/* Begins a message of TYPE about FAMILY. */
static struct nl_msg *message(uint16_t type, uint8_t family)
{
	const struct nfgenmsg g = {.nfgen_family = family,
	    .res_id = family == NFPROTO_UNSPEC ? htons(NFNL_SUBSYS_NFTABLES) : 0};

	return netlink_request(type, 0, &g, sizeof(g));
}

/* Has nf_tables TABLE, and in it CHAIN unless that is NULL? Without nf_tables: an error, so no. */
static bool there(int nl, uint8_t family, const char *table, const char *chain)
{
	_Alignas(struct nlmsghdr) char buf[2048]; /* no answer has more */
	const struct nlmsghdr *h = (void *)buf;
	struct nl_msg *m =
	    message((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 |
			       (chain != NULL ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE)),
		family);

	nla_put_string(m, chain != NULL ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain != NULL)
		nla_put_string(m, NFTA_CHAIN_NAME, chain);
	return netlink_send(nl, m, 0) == 0 && read(nl, buf, sizeof(buf)) >= (ssize_t)sizeof(*h) &&
	       h->nlmsg_type != NLMSG_ERROR;
}

/* Copies M to TO, and returns what is behind it. */
static uint8_t *append(uint8_t *to, struct nl_msg *m)
{
	return (uint8_t *)mempcpy(to, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len);
}

/* Takes TABLE away, with everything in it. False: the kernel said why not. */
static bool take_away(int nl, uint8_t family, const char *table)
{
	uint8_t buf[3 * NETLINK_REQUEST_MAX];
	uint8_t *end = append(buf, message(NFNL_MSG_BATCH_BEGIN, NFPROTO_UNSPEC));
	struct nl_msg *m =
	    message((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE), family);

	nla_put_string(m, NFTA_TABLE_NAME, table);
	end = append(end, m);
	end = append(end, message(NFNL_MSG_BATCH_END, NFPROTO_UNSPEC));
	/* what is done has no answer; an error, left there, would be the next question's */
	return write(nl, buf, (size_t)(end - buf)) > 0 && read(nl, buf, sizeof(buf)) < 0;
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
		if (!take_away(nl, numbers[i], "kube-proxy"))
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
