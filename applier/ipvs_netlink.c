#include "applier/ipvs_netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/netlink.h"

uint16_t ipvs_genl_family;
unsigned ipvs_interface;

static const uint8_t domains[FAMILY_COUNT] = {AF_INET, AF_INET6};

int ipvs_talk(int fd, struct nlmsghdr *h, uint16_t flags, ipvs_visit visit, void *arg)
{
	static uint32_t seq;
	const uint32_t mine = ++seq; /* a visitor may talk on another socket meanwhile */
	_Alignas(struct nlmsghdr) uint8_t buf[NETLINK_BYTES];
	ssize_t n;

	h->nlmsg_flags |= (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = mine;
	if (write(fd, h, h->nlmsg_len) < 0)
		return errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		const struct nlmsghdr *m = (const struct nlmsghdr *)(const void *)buf;

		for (int left = (int)n; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

			if (m->nlmsg_seq != mine)
				continue;
			if (m->nlmsg_type == NLMSG_ERROR)
				return -e->error;
			if (m->nlmsg_type == NLMSG_DONE)
				return 0;
			if (visit != NULL)
				visit(arg, m);
		}
	}
	return n < 0 ? errno : EPIPE;
}

struct nlmsghdr *ipvs_begin_genl(struct ipvs_request *r, uint16_t family, uint8_t command)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->bytes);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = family;
	g->cmd = command;
	g->version = 1; /* IPVS_GENL_VERSION, and the controller takes any */
	return h;
}

struct nlmsghdr *ipvs_begin_set(
    struct ipvs_request *r, uint8_t command, uint8_t family, uint8_t set)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->bytes);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	char name[IPVS_SET_NAME_MAX];

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_IPSET << 8 | command);
	g->nfgen_family = domains[family];
	mnl_attr_put_u8(h, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
	mnl_attr_put_strz(h, IPSET_ATTR_SETNAME, ipvs_set_name(set, family, name));
	return h;
}

struct nlmsghdr *ipvs_begin_addr(struct ipvs_request *r, uint16_t type, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->bytes);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	h->nlmsg_type = type;
	m->ifa_family = domains[family];
	m->ifa_prefixlen = ip_bits(family);
	m->ifa_flags = IFA_F_NODAD;
	m->ifa_index = ipvs_interface;
	return h;
}
