#include "cleaner/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/privilege.h"
#include "cleaner/nft_talk.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/fds.h"

/*
 * What the cleaner may do once locked, besides memory, time and exit (common/sandbox.c). No open,
 * socket, connect, send, exec, fork, kill, ptrace.
 */
static const struct sandbox_rule cleaner_rules[] = {
    ALLOW_IF(read, 0, CLEANER_FD_PLANNER),
    ALLOW_IF(write, 0, CLEANER_FD_PLANNER),
    ALLOW_IF(write, 0, STDOUT_FILENO),
    ALLOW_IF(write, 0, STDERR_FILENO),
    /* waiting for the planner's byte, and between two looks */
    ALLOW(poll),
    ALLOW(ppoll),
    ALLOW(nanosleep),
    ALLOW(clock_nanosleep),
    /* netlink sockets connected to the kernel, which reach nobody else */
    ALLOW_IF(read, 0, CLEANER_FD_NFT),
    ALLOW_IF(write, 0, CLEANER_FD_NFT),
    ALLOW_IF(read, 0, APPLIER_FD_IPVS),
    ALLOW_IF(write, 0, APPLIER_FD_IPVS),
    ALLOW_IF(read, 0, APPLIER_FD_REALS),
    ALLOW_IF(write, 0, APPLIER_FD_REALS),
    ALLOW_IF(read, 0, APPLIER_FD_IPSET),
    ALLOW_IF(write, 0, APPLIER_FD_IPSET),
    ALLOW_IF(read, 0, APPLIER_FD_ROUTE),
    ALLOW_IF(write, 0, APPLIER_FD_ROUTE),
    /* the xtables lock; libiptc's sockets, which are duplicates of two that are open already */
    ALLOW_IF(flock, 0, CLEANER_FD_LOCK),
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

static void limit(void)
{
	static const struct {
		int resource;
		rlim_t max;
	} limits[] = {
	    {RLIMIT_CORE, 0},
	    {RLIMIT_NPROC, 1},
	    {RLIMIT_NOFILE, 64},
#ifndef __SANITIZE_ADDRESS__
	    /* a legacy table of a million rules, read and written whole */
	    {RLIMIT_DATA, (rlim_t)2 << 30},
#endif
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit l = {limits[i].max, limits[i].max};

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &l) != 0)
			fatal(EXIT_FAILED, "resource limits: %s", strerror(errno));
	}
}

void cleaner_lockdown(void)
{
	static const char *const readable[] = {NULL};

	limit();
	drop_capabilities(CAP_NET_ADMIN);
	try_to_regain();
	sandbox_no_new_privs();
	sandbox_landlock(readable, 0);
	sandbox_seccomp(cleaner_rules, sizeof(cleaner_rules) / sizeof(cleaner_rules[0]));
}
