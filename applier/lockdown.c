#include "applier/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netlink.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/privilege.h"
#include "common/log.h"
#include "common/sandbox.h"

/* NET_ADMIN stays; the others start the children under their own uids, then go. */
static const cap_value_t needed[] = {CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_SETPCAP};
#define NEEDED ((int)(sizeof(needed) / sizeof(needed[0])))

int capabilities_missing(char *buf, size_t size)
{
	cap_t caps = cap_get_proc();
	size_t len = 0;
	int missing = 0;

	if (caps == NULL)
		fatal(EXIT_FAILED, "capabilities: %s", strerror(errno));
	buf[0] = '\0';
	for (int i = 0; i < NEEDED; i++) {
		cap_flag_value_t have = CAP_CLEAR;
		char *name;

		if (cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &have) == 0 && have == CAP_SET)
			continue;
		missing++;
		name = cap_to_name(needed[i]);
		if (name != NULL && len < size)
			len += (size_t)snprintf(buf + len, size - len, " %s", name);
		cap_free(name);
	}
	cap_free(caps);
	return missing;
}

/*
 * What the parent may do once locked, besides memory, time and exit (common/sandbox.c). No open,
 * socket, connect, send, exec, fork, kill, ptrace. An argument is numbered from 0.
 */
static const struct sandbox_rule applier_rules[] = {
    ALLOW_IF(read, 0, APPLIER_FD_PLANNER),
    ALLOW_IF(read, 0, APPLIER_FD_SIGNALS),
    ALLOW_IF(write, 0, APPLIER_FD_PLANNER),
    ALLOW_IF(write, 0, APPLIER_FD_AUDIT),
    ALLOW_IF(write, 0, APPLIER_FD_NOTIFY),
    ALLOW_IF(write, 0, STDERR_FILENO),
    /* the kernel's flows: netlink sockets connected to it, which reach nobody else */
    ALLOW_IF(read, 0, APPLIER_FD_FLOWS),
    ALLOW_IF(write, 0, APPLIER_FD_FLOWS),
    ALLOW_IF(read, 0, APPLIER_FD_FLOW_DELETE),
    ALLOW_IF(write, 0, APPLIER_FD_FLOW_DELETE),
    ALLOW(poll),
    ALLOW(ppoll),
    ALLOW(rt_sigpending), /* within a long transaction: is SIGTERM waiting? */
    ALLOW(wait4),
};
/* ... and in iptables mode */
static const struct sandbox_rule ipt_rules[] = {
    /* the xtables lock, and the pauses while another holds it */
    ALLOW(flock),
    ALLOW(nanosleep),
    ALLOW(clock_nanosleep),
    /* libiptc's sockets are duplicates of two that are open already; ip6_tables has the same
       numbers */
    ALLOW_IF(fcntl, 1, F_DUPFD_CLOEXEC),
    ALLOW_IF2(fcntl, 1, F_SETFD, 2, FD_CLOEXEC),
    ALLOW_IF2(getsockopt, 1, IPPROTO_IP, 2, IPT_SO_GET_INFO),
    ALLOW_IF2(getsockopt, 1, IPPROTO_IP, 2, IPT_SO_GET_ENTRIES),
    ALLOW_IF2(getsockopt, 1, IPPROTO_IPV6, 2, IPT_SO_GET_INFO),
    ALLOW_IF2(getsockopt, 1, IPPROTO_IPV6, 2, IPT_SO_GET_ENTRIES),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IP, 2, IPT_SO_SET_REPLACE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IP, 2, IPT_SO_SET_ADD_COUNTERS),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPT_SO_SET_REPLACE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPT_SO_SET_ADD_COUNTERS),
};
/* ... and in nftables mode: one netlink socket connected to the kernel, and whether it hears of
   others' changes */
static const struct sandbox_rule nft_rules[] = {
    ALLOW_IF(read, 0, APPLIER_FD_NFT),
    ALLOW_IF(write, 0, APPLIER_FD_NFT),
    ALLOW_IF2(setsockopt, 1, SOL_NETLINK, 2, NETLINK_ADD_MEMBERSHIP),
    ALLOW_IF2(setsockopt, 1, SOL_NETLINK, 2, NETLINK_DROP_MEMBERSHIP),
};

/* ... and in ipvs mode, beside those of iptables mode: netlink sockets connected to the kernel */
static const struct sandbox_rule ipvs_rules[] = {
    ALLOW_IF(read, 0, APPLIER_FD_IPVS),
    ALLOW_IF(write, 0, APPLIER_FD_IPVS),
    ALLOW_IF(read, 0, APPLIER_FD_REALS),
    ALLOW_IF(write, 0, APPLIER_FD_REALS),
    ALLOW_IF(read, 0, APPLIER_FD_IPSET),
    ALLOW_IF(write, 0, APPLIER_FD_IPSET),
    ALLOW_IF(read, 0, APPLIER_FD_ROUTE),
    ALLOW_IF(write, 0, APPLIER_FD_ROUTE),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t append(
    struct sandbox_rule *rules, size_t n, const struct sandbox_rule *more, size_t count)
{
	memcpy(rules + n, more, count * sizeof(*more));
	return n + count;
}

void lockdown(uid_t uid, gid_t gid, uint8_t mode)
{
	struct sandbox_rule
	    rules[COUNT(applier_rules) + COUNT(ipt_rules) + COUNT(nft_rules) + COUNT(ipvs_rules)];
	size_t n = append(rules, 0, applier_rules, COUNT(applier_rules));
	static const cap_value_t keep = CAP_NET_ADMIN;
	static const char *const readable[] = {NULL};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal(EXIT_FAILED, "dumpable: %s", strerror(errno));
	drop_bounding_set(NO_CAPABILITY);
	drop_user(uid, gid, NO_GROUP);
	drop_capabilities(keep);
	try_to_regain();
	sandbox_no_new_privs();
	sandbox_landlock(readable, 0);
	if (mode == MODE_NFTABLES)
		n = append(rules, n, nft_rules, COUNT(nft_rules));
	else
		n = append(rules, n, ipt_rules, COUNT(ipt_rules));
	if (mode == MODE_IPVS)
		n = append(rules, n, ipvs_rules, COUNT(ipvs_rules));
	sandbox_seccomp(rules, n);
}
