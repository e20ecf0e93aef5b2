#include "applier/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netlink.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
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

void drop_bounding_set(void)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_drop_bound(c) != 0 || cap_get_bound(c) != 0)
			fatal(EXIT_FAILED, "bounding set: %s", strerror(errno));
	if (cap_reset_ambient() != 0)
		fatal(EXIT_FAILED, "ambient set: %s", strerror(errno));
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0 ||
	    prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != (int)bits)
		fatal(EXIT_FAILED, "securebits: %s", strerror(errno));
}

void drop_user(uid_t uid, gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		fatal(EXIT_FAILED, "becoming uid %u, gid %u: %s", uid, gid, strerror(errno));
	if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid ||
	    getresgid(&rg, &eg, &sg) != 0 || rg != gid || eg != gid || sg != gid ||
	    getgroups(0, NULL) != 0)
		fatal(EXIT_FAILED, "uid %u, gid %u did not take", uid, gid);
}

void drop_capabilities(const cap_value_t *keep, int count)
{
	cap_t caps = cap_init(), now;

	if (caps == NULL ||
	    (count > 0 && (cap_set_flag(caps, CAP_PERMITTED, count, keep, CAP_SET) != 0 ||
			      cap_set_flag(caps, CAP_EFFECTIVE, count, keep, CAP_SET) != 0)) ||
	    cap_set_proc(caps) != 0)
		fatal(EXIT_FAILED, "capabilities: %s", strerror(errno));
	now = cap_get_proc();
	if (now == NULL || cap_compare(now, caps) != 0)
		fatal(EXIT_FAILED, "capabilities did not take");
	cap_free(now);
	cap_free(caps);
}

/* Every path back must be shut: root's uid, and a dropped capability. */
static void try_to_regain(void)
{
	cap_t caps = cap_from_text("cap_net_admin,cap_setuid,cap_sys_admin=ep");

	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		fatal(EXIT_FAILED, "root's id could be regained");
	if (caps == NULL || cap_set_proc(caps) == 0)
		fatal(EXIT_FAILED, "a dropped capability could be regained");
	cap_free(caps);
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
	static const cap_value_t keep[] = {CAP_NET_ADMIN};
	static const char *const readable[] = {NULL};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal(EXIT_FAILED, "dumpable: %s", strerror(errno));
	drop_bounding_set();
	drop_user(uid, gid);
	drop_capabilities(keep, 1);
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
