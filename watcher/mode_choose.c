#include "watcher/mode_choose.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel that nftables mode needs. */
#define NFT_MAJOR 5
#define NFT_MINOR 13

/* The kernel shows these once ip_tables is built in or loaded; only root may read them. */
static bool has_x_tables(const char *proc_net)
{
	static const char *const files[] = {"ip_tables_names", "ip6_tables_names"};
	char path[256];

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", proc_net, files[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* Something that is no version is a kernel of some other making: it may be new. */
static bool is_older(const char *release)
{
	char *dot;
	unsigned long major = strtoul(release, &dot, 10);
	unsigned long minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;

	return dot != release && (major < NFT_MAJOR || (major == NFT_MAJOR && minor < NFT_MINOR));
}

const char *mode_choose(const char *proc_net, const char *release, char why[MODE_WHY_MAX])
{
	if (has_x_tables(proc_net)) {
		snprintf(why, MODE_WHY_MAX, "the kernel has x_tables");
		return "iptables";
	}
	if (!is_older(release)) {
		snprintf(why, MODE_WHY_MAX,
		    "the kernel has no x_tables (%s/ip_tables_names is not there; \"modprobe "
		    "ip_tables\" before the start, if there is such a module, means iptables)",
		    proc_net);
		return "nftables";
	}
	snprintf(why, MODE_WHY_MAX,
	    "the kernel has no x_tables (%s/ip_tables_names is not there), and nftables mode "
	    "needs Linux %d.%d, not %.32s",
	    proc_net, NFT_MAJOR, NFT_MINOR, release);
	return "userspace";
}
