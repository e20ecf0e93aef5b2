#include "applier/nft_probe.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netlink.h"

/* Has nf_tables TABLE, and in it CHAIN unless that is NULL? Without nf_tables: an error, so no. */
static bool there(int nl, uint8_t family, const char *table, const char *chain)
{
	_Alignas(struct nlmsghdr) char buf[2048]; /* no question or answer has more */
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type =
	    NFNL_SUBSYS_NFTABLES << 8 | (chain != NULL ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE);
	h->nlmsg_flags = NLM_F_REQUEST;
	g->nfgen_family = family;
	mnl_attr_put_strz(h, chain != NULL ? NFTA_CHAIN_TABLE : NFTA_TABLE_NAME, table);
	if (chain != NULL)
		mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
	return write(nl, h, h->nlmsg_len) > 0 &&
	       read(nl, buf, sizeof(buf)) >= (ssize_t)sizeof(*h) && h->nlmsg_type != NLMSG_ERROR;
}

#define ADVICE                                                                                     \
	"Both translate the same packets, and this one neither sees nor changes those rules. End " \
	"the other kube-proxy, then "

void nft_probe(bool nftables_mode)
{
	static const uint8_t numbers[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	static const char *const names[] = {"ip", "ip6"};
	int nl = netlink_open(NETLINK_NETFILTER);

	for (int i = 0; nl >= 0 && i < 2; i++) {
		if (there(nl, numbers[i], "nat", "KUBE-SERVICES"))
			log_warn("another kube-proxy made rules with %stables-nft (nftables' table "
				 "%s nat has chain KUBE-SERVICES). " ADVICE
				 "have it clean up (its own --cleanup), or reboot",
			    names[i], names[i]);
		if (!nftables_mode && there(nl, numbers[i], "kube-proxy", NULL))
			log_warn("a kube-proxy in nftables mode left table %s kube-proxy. " ADVICE
				 "nft delete table %s kube-proxy",
			    names[i], names[i]);
	}
	if (nl >= 0)
		close(nl);
}
