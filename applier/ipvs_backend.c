#include "applier/ipvs_backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/ipt_ext.h"
#include "applier/ipvs_item.h"
#include "applier/ipvs_netlink.h"
#include "applier/sysctl.h"
#include "common/log.h"
#include "common/netlink.h"

#define VS "/proc/sys/net/ipv4/vs/"

static void open_at(int protocol, int number)
{
	int fd = netlink_open(protocol);

	if (fd < 0)
		fatal(EXIT_FAILED, "netlink: %s", strerror(errno));
	fd_place(fd, number);
}

/* On a socket of libnl's own, which is closed again. The kernel tries to load ip_vs. */
static void find_ipvs(void)
{
	struct nl_sock *s = nl_socket_alloc();
	int family = s != NULL && genl_connect(s) == 0 ? genl_ctrl_resolve(s, IPVS_GENL_NAME) : 0;

	ipvs_genl_family = family > 0 ? (uint16_t)family : 0;
	nl_socket_free(s);
}

static void set_timeouts(const struct config *cfg)
{
	struct nl_msg *m = ipvs_begin_genl(IPVS_CMD_SET_CONFIG, NLM_F_ACK);
	int error;

	nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_TCP, cfg->ipvs_tcp_s);
	nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, cfg->ipvs_tcp_fin_s);
	nla_put_u32(m, IPVS_CMD_ATTR_TIMEOUT_UDP, cfg->ipvs_udp_s); /* 0: leave */
	error = ipvs_talk(APPLIER_FD_IPVS, m, NULL, NULL);
	if (error != 0)
		log_warn("IPVS's time-outs cannot be set: %s", strerror(error));
}

/*
 * Before 5.9 a connection that reuses a port may go to a real server of weight 0, or wait a second
 * (Linux commit f0a5e4d7a594); from 4.1 on the parameter is there to avoid that.
 */
static bool reuse_is_broken(void)
{
	struct utsname u = {.release = ""};
	char *end = u.release;
	long major, minor;

	uname(&u);
	major = strtol(end, &end, 10);
	minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return major == 5 ? minor < 9 : major == 4 && minor > 0;
}

static void set_parameters(const struct config *cfg)
{
	sysctl_set(VS "conntrack", 1, false); /* netfilter is to see and masquerade its packets */
	sysctl_set(VS "expire_nodest_conn", 1, false);
	sysctl_set(VS "expire_quiescent_template", 1, false);
	if (reuse_is_broken())
		sysctl_set(VS "conn_reuse_mode", 0, false);
	if (cfg->ipvs_strict_arp) {
		sysctl_set("/proc/sys/net/ipv4/conf/all/arp_ignore", 1, false);
		sysctl_set("/proc/sys/net/ipv4/conf/all/arp_announce", 2, false);
	}
}

/* Makes the interface: a dummy that stays down, so that its addresses are this machine's and nobody
 * is told of them. */
static int make_interface(void)
{
	const struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
	struct nl_msg *m =
	    netlink_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_ACK, &any, sizeof(any));
	struct nlattr *nest;

	nla_put_string(m, IFLA_IFNAME, IPVS_INTERFACE);
	nest = nla_nest_start(m, IFLA_LINKINFO);
	nla_put_string(m, IFLA_INFO_KIND, "dummy");
	nla_nest_end(m, nest);
	return ipvs_talk(APPLIER_FD_ROUTE, m, NULL, NULL);
}

static int make_set(uint8_t family, uint8_t set)
{
	const char *type = ipvs_kinds[set].type;
	struct nl_msg *m = ipvs_begin_set(IPSET_CMD_CREATE, NLM_F_ACK | NLM_F_CREATE, family, set);
	struct nlattr *data;
	int error;

	nla_put_string(m, IPSET_ATTR_TYPENAME, type);
	nla_put_u8(m, IPSET_ATTR_REVISION, strcmp(type, "hash:ip,port,net") == 0 ? 2 : 1);
	nla_put_u8(m, IPSET_ATTR_FAMILY,
	    ipvs_kinds[set].fields == IPVS_PORT ? AF_UNSPEC
	    : family == FAMILY_4		? AF_INET
						: AF_INET6);
	data = nla_nest_start(m, IPSET_ATTR_DATA);
	if (ipvs_kinds[set].fields == IPVS_PORT) {
		nla_put_u16(m, IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, 0);
		nla_put_u16(m, IPSET_ATTR_PORT_TO | NLA_F_NET_BYTEORDER, UINT16_MAX);
	} else {
		nla_put_u32(m, IPSET_ATTR_MAXELEM | NLA_F_NET_BYTEORDER, htonl(1u << 20));
	}
	nla_nest_end(m, data);
	error = ipvs_talk(APPLIER_FD_IPSET, m, NULL, NULL);
	return error == EEXIST ? 0 : error; /* made by another kube-proxy, in other sizes */
}

/* The number by which a rule names the set. */
static int find_set(int fd, uint8_t family, uint8_t set)
{
	struct ip_set_req_get_set q = {.op = IP_SET_OP_GET_BYNAME, .version = IPSET_PROTOCOL_MIN};
	socklen_t len = sizeof(q);

	ipvs_set_name(set, family, q.set.name);
	if (getsockopt(fd, SOL_IP, SO_IP_SET, &q, &len) != 0)
		return errno;
	ipt_set_numbers[family][set] = (uint16_t)(q.set.index + 1);
	return q.set.index == IPSET_INVALID_ID ? ENOENT : 0;
}

static bool make_sets(uint8_t family)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	char name[IPVS_SET_NAME_MAX];
	uint8_t s;

	for (s = 0; s < (uint8_t)IPVS_SET_COUNT && error == 0; s++) {
		error = make_set(family, s);
		if (error == 0)
			error = find_set(fd, family, s);
	}
	close(fd);
	if (error != 0)
		log_warn("IPv%d is left alone: ipset %s: %s", family == FAMILY_4 ? 4 : 6,
		    ipvs_set_name((uint8_t)(s - 1), family, name), strerror(error));
	return error == 0;
}

void ipvs_backend_open(struct policy *p, const struct config *cfg)
{
	int error;

	open_at(NETLINK_GENERIC, APPLIER_FD_IPVS);
	open_at(NETLINK_GENERIC, APPLIER_FD_REALS);
	open_at(NETLINK_NETFILTER, APPLIER_FD_IPSET);
	open_at(NETLINK_ROUTE, APPLIER_FD_ROUTE);
	find_ipvs();
	ipvs_interface = if_nametoindex(IPVS_INTERFACE);
	if (ipvs_genl_family == 0)
		fatal(EXIT_CONFIG, "the kernel has no IPVS: load ip_vs (modprobe), or take "
				   "--proxy-mode=nftables");
	if (!ipvs_item_scheduler(p))
		fatal(EXIT_CONFIG,
		    "--ipvs-scheduler=%s: the kernel has no such scheduler; load ip_vs_%s "
		    "(modprobe), or take another",
		    p->ipvs_scheduler, p->ipvs_scheduler);
	set_timeouts(cfg);
	set_parameters(cfg);
	error = make_interface();
	ipvs_interface = if_nametoindex(IPVS_INTERFACE);
	if (ipvs_interface == 0)
		fatal(EXIT_CONFIG, IPVS_INTERFACE " cannot be made: %s; load dummy (modprobe)",
		    strerror(error));
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		p->families[f] = p->families[f] && make_sets((uint8_t)f);
	if (!p->families[FAMILY_4] && !p->families[FAMILY_6])
		fatal(EXIT_CONFIG, "the kernel takes our ipsets in neither family: load ip_set, "
				   "ip_set_hash_ipport and the others that the warnings name");
	log_warn(
	    "ipvs mode is deprecated by Kubernetes; nftables mode (--proxy-mode=nftables) does "
	    "the same, and a changed endpoint is in the kernel after a millisecond, among "
	    "50,000 Services as among 1,000 (make bench)");
}
