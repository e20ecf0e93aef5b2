#include "applier/ipvs_netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/netlink.h"

uint16_t ipvs_genl_family;
unsigned ipvs_interface;

static const uint8_t domains[FAMILY_COUNT] = {AF_INET, AF_INET6};

int ipvs_talk(int fd, struct nl_msg *m, ipvs_visit visit, void *arg)
{
	static uint32_t seq;
	const uint32_t mine = ++seq; /* a visitor may talk on another socket meanwhile */
	_Alignas(struct nlmsghdr) uint8_t buf[NETLINK_BYTES];
	int error = netlink_send(fd, m, mine);
	ssize_t n = 0;

	while (error == 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		struct nlmsghdr *h = (void *)buf;

		for (int left = (int)n; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = nlmsg_data(h);

			if (h->nlmsg_seq != mine)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR)
				return -e->error;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (visit != NULL)
				visit(arg, h);
		}
	}
	return error != 0 ? error : n < 0 ? errno : EPIPE;
}

struct nl_msg *ipvs_begin_genl(uint8_t command, uint16_t flags)
{
	const struct genlmsghdr g = {.cmd = command, .version = IPVS_GENL_VERSION};

	return netlink_request(ipvs_genl_family, flags, &g, sizeof(g));
}

struct nl_msg *ipvs_begin_set(uint8_t command, uint16_t flags, uint8_t family, uint8_t set)
{
	const struct nfgenmsg g = {.nfgen_family = domains[family]};
	struct nl_msg *m =
	    netlink_request((uint16_t)(NFNL_SUBSYS_IPSET << 8 | command), flags, &g, sizeof(g));
	char name[IPVS_SET_NAME_MAX];

	nla_put_u8(m, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
	nla_put_string(m, IPSET_ATTR_SETNAME, ipvs_set_name(set, family, name));
	return m;
}

struct nl_msg *ipvs_begin_addr(uint16_t type, uint16_t flags, uint8_t family)
{
	const struct ifaddrmsg a = {.ifa_family = domains[family],
	    .ifa_prefixlen = ip_bits(family),
	    .ifa_flags = IFA_F_NODAD,
	    .ifa_index = ipvs_interface};

	return netlink_request(type, flags, &a, sizeof(a));
}
