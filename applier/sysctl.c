#include "applier/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define CONNTRACK "/proc/sys/net/netfilter/nf_conntrack_"

#define TEXT_MAX 16 /* a number in decimal, with its NUL */

/* Reads TEXT, which is all zero, from PATH, or with O_WRONLY writes it. 0, or -1 with errno. */
static int move_number(const char *path, int flags, char text[TEXT_MAX])
{
	int fd = open(path, flags | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = flags == O_WRONLY ? write(fd, text, strlen(text)) : read(fd, text, TEXT_MAX - 1);
	close(fd);
	return n > 0 ? 0 : -1;
}

void sysctl_set(const char *path, int value, bool only_raise)
{
	char text[TEXT_MAX] = "", want[TEXT_MAX];
	long now;

	if (move_number(path, O_RDONLY, text) != 0) {
		log_warn("%s: %s; it should be %d", path, strerror(errno), value);
		return;
	}
	now = strtol(text, NULL, 10);
	if (now == value || (only_raise && now > value))
		return;
	snprintf(want, sizeof(want), "%d", value);
	if (move_number(path, O_WRONLY, want) != 0)
		log_warn(
		    "%s cannot be set to %d: %s; it stays %ld", path, value, strerror(errno), now);
	else
		log_info("%s set to %d; it was %ld", path, value, now);
}

/* How many connections the kernel is to track; 0: as many as it does. */
static int connections(const struct config *cfg)
{
	/* those of the machine, whichever of them we may run on */
	uint64_t n = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * cfg->conntrack_max_per_core;

	if (n > 0 && n < cfg->conntrack_min)
		n = cfg->conntrack_min;
	return n < INT32_MAX ? (int)n : INT32_MAX;
}

void sysctl_apply(const struct config *cfg)
{
	const int max = connections(cfg);
	const struct {
		const char *path;
		int value;
		bool wanted, only_raise;
	} list[] = {
	    {"/proc/self/oom_score_adj", cfg->oom_score_adj, !cfg->init_only, false},
	    {CONNTRACK "max", max, max > 0, true},
	    /* of which a quarter have a place of their own in the hash table; the same number as
	       nf_conntrack's parameter hashsize, which needs more privilege */
	    {CONNTRACK "buckets", max / 4, max > 0, true},
#define IF_ANY(v) (int)(v), (v) > 0, false
	    {CONNTRACK "tcp_timeout_established", IF_ANY(cfg->conntrack_tcp_established_s)},
	    {CONNTRACK "tcp_timeout_close_wait", IF_ANY(cfg->conntrack_tcp_close_wait_s)},
	    {CONNTRACK "udp_timeout", IF_ANY(cfg->conntrack_udp_s)},
	    {CONNTRACK "udp_timeout_stream", IF_ANY(cfg->conntrack_udp_stream_s)},
	    {CONNTRACK "tcp_be_liberal", IF_ANY(cfg->conntrack_tcp_be_liberal)},
	    {"/proc/sys/net/ipv4/conf/all/route_localnet",
		IF_ANY(cfg->localhost_nodeports && cfg->mode == MODE_IPTABLES)},
#undef IF_ANY
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].wanted)
			sysctl_set(list[i].path, list[i].value, list[i].only_raise);
}
