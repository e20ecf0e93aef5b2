#include "cleaner/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cleaner/hook_order.h"
#include "cleaner/ipvs.h"
#include "cleaner/lockdown.h"
#include "cleaner/modules.h"
#include "cleaner/nft.h"
#include "cleaner/nft_talk.h"
#include "cleaner/tally.h"
#include "cleaner/xt.h"

static int status = CHECK_GOOD;

static const char *const mode_names[] = {"", "iptables", "nftables", "ipvs", "userspace"};

/* A line: a verdict, a subject, words. */
__attribute__((format(printf, 3, 4))) static void say(
    int verdict, const char *subject, const char *fmt, ...)
{
	static const char *const marks[] = {"ok", "WARNING", "FAIL"};
	va_list ap;

	if (verdict > status)
		status = verdict;
	printf("%-8s %-14s ", marks[verdict], subject);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* --- what the machine has --- */

static void check_privilege(int argc, char **argv)
{
	const char *missing = argc > 1 ? argv[1] : "";
	const char *users = argc > 2 ? argv[2] : "";

	if (missing[0] != '\0')
		say(CHECK_FAILS, "capabilities",
		    "missing:%s; start kube-proxy as root or by its unit", missing);
	else
		say(CHECK_GOOD, "capabilities", "all there");
	if (users[0] != '\0')
		say(CHECK_FAILS, "users",
		    "missing:%s; create them with systemd-sysusers (packaging/kube-proxy.sysusers)",
		    users);
	else
		say(CHECK_GOOD, "users",
		    "_kproxy-a, _kproxy-p, _kproxy-w, _kproxy-l, _kproxy-c, _kproxy-r, _kproxy-b");
}

/* The modules of a mode. That one is loaded by the kernel when it is used is no remark. */
static const struct {
	unsigned modes; /* bit per enum proxy_mode */
	const char *name;
} modules[] = {
    {1u << MODE_IPTABLES | 1u << MODE_USERSPACE | 1u << MODE_IPVS, "ip_tables"},
    {1u << MODE_IPTABLES | 1u << MODE_USERSPACE | 1u << MODE_IPVS, "ip6_tables"},
    {1u << MODE_IPTABLES | 1u << MODE_USERSPACE | 1u << MODE_IPVS, "iptable_nat"},
    {1u << MODE_IPTABLES | 1u << MODE_USERSPACE | 1u << MODE_IPVS, "iptable_filter"},
    {1u << MODE_NFTABLES, "nf_tables"},
    {1u << MODE_NFTABLES, "nft_chain_nat"},
    {1u << MODE_NFTABLES, "nft_ct"},
    {1u << MODE_NFTABLES, "nft_masq"},
    {1u << MODE_NFTABLES, "nft_nat"},
    {1u << MODE_NFTABLES, "nft_numgen"},
    {1u << MODE_IPVS, "ip_vs"},
    {1u << MODE_IPVS, "ip_set"},
    {1u << MODE_IPVS, "dummy"},
    {~0u, "nf_conntrack"},
};

static void check_modules(const struct config *cfg)
{
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const enum module_state state = module_state(modules[i].name);

		if ((modules[i].modes & 1u << cfg->mode) == 0)
			continue;
		say(state == MODULE_MISSING ? CHECK_FAILS : CHECK_GOOD, "module", "%s: %s%s",
		    modules[i].name, module_states[state],
		    state == MODULE_UNKNOWN ? " (/lib/modules has no list of this kernel's)" : "");
	}
}

/* --- ports --- */

/* Does somebody listen on PORT, by a line of /proc/net/tcp or tcp6? */
static bool is_taken(const char *path, uint16_t port)
{
	char line[512];
	bool taken = false;
	FILE *f = fopen(path, "re");

	/* "0: 00000000:2808 00000000:0000 0A": number, local and remote end, state (LISTEN) */
	while (f != NULL && !taken && fgets(line, sizeof(line), f) != NULL) {
		char *p = strchr(line, ':');
		unsigned long at;

		p = p != NULL ? strchr(p + 1, ':') : NULL;
		at = p != NULL ? strtoul(p + 1, &p, 16) : 0;
		p = p != NULL ? strchr(p, ':') : NULL;
		if (p == NULL)
			continue; /* the heading */
		strtoul(p + 1, &p, 16);
		taken = at == port && strtoul(p, NULL, 16) == 0x0A;
	}
	if (f != NULL)
		fclose(f);
	return taken;
}

static void check_port(const char *flag, uint16_t port, bool hard)
{
	if (port == 0)
		return;
	if (is_taken("/proc/net/tcp", port) || is_taken("/proc/net/tcp6", port))
		say(hard ? CHECK_FAILS : CHECK_WARNINGS, "port",
		    "%u (%s): another program listens there, which may be the kube-proxy to be "
		    "replaced",
		    port, flag);
	else
		say(CHECK_GOOD, "port", "%u (%s): free", port, flag);
}

/* --- kernel parameters --- */

/* What applier/sysctl.c would set, as it is. */
static void check_sysctl(const char *path, long want, bool only_raise)
{
	char text[32] = "";
	FILE *f;
	long now;

	if (want <= 0)
		return;
	f = fopen(path, "re");
	if (f == NULL || fgets(text, sizeof(text), f) == NULL) {
		say(CHECK_GOOD, "sysctl", "%s: cannot be read (%s); it should be %ld", path,
		    strerror(errno), want);
	} else {
		now = strtol(text, NULL, 10);
		if (now == want || (only_raise && now > want))
			say(CHECK_GOOD, "sysctl", "%s is %ld, and stays", path, now);
		else
			say(CHECK_GOOD, "sysctl", "%s is %ld; a start sets it to %ld", path, now,
			    want);
	}
	if (f != NULL)
		fclose(f);
}

#define CONNTRACK "/proc/sys/net/netfilter/nf_conntrack_"

static void check_sysctls(const struct config *cfg)
{
	long max = sysconf(_SC_NPROCESSORS_ONLN) * (long)cfg->conntrack_max_per_core;

	if (max > 0 && max < (long)cfg->conntrack_min)
		max = (long)cfg->conntrack_min;
	check_sysctl(CONNTRACK "max", max, true);
	check_sysctl(CONNTRACK "tcp_timeout_established", cfg->conntrack_tcp_established_s, false);
	check_sysctl(CONNTRACK "tcp_timeout_close_wait", cfg->conntrack_tcp_close_wait_s, false);
	check_sysctl("/proc/sys/net/ipv4/conf/all/route_localnet",
	    cfg->localhost_nodeports && cfg->mode == MODE_IPTABLES, false);
	if (cfg->mode != MODE_IPVS)
		return;
	check_sysctl("/proc/sys/net/ipv4/vs/conntrack", 1, false);
	check_sysctl("/proc/sys/net/ipv4/vs/expire_nodest_conn", 1, false);
	check_sysctl("/proc/sys/net/ipv4/vs/expire_quiescent_template", 1, false);
}

/* --- rules --- */

/* What becomes of ROW at a start in CFG's mode. */
static const char *fate(const struct config *cfg, const struct leftovers_row *r)
{
	const bool x_tables = r->where == LEFTOVERS_X_TABLES && r->table != LEFTOVERS_MANGLE;

	if ((x_tables && cfg->mode != MODE_NFTABLES) ||
	    (r->where == LEFTOVERS_IPVS && cfg->mode == MODE_IPVS) ||
	    (r->where == LEFTOVERS_NFTABLES && cfg->mode == MODE_NFTABLES))
		return "a start takes them over, in one transaction";
	if (r->why == LEFTOVERS_POLICY || r->why == LEFTOVERS_IN_USE ||
	    r->why == LEFTOVERS_EXCLUDED)
		return leftovers_whys[r->why];
	return "a start removes them, once its own rules are programmed";
}

static void check_rules(const struct config *cfg, const struct tally *t)
{
	const struct leftovers_row *rows = &t->rows[0][0][0];
	char place[LEFTOVERS_TEXT_MAX], content[LEFTOVERS_TEXT_MAX];

	if (tally_empty(t))
		say(CHECK_GOOD, "rules", "no kube-proxy's rules are there");
	for (size_t i = 0; i < LEFTOVERS_WHERES * FAMILY_COUNT * LEFTOVERS_TABLES; i++)
		if (rows[i].chains + rows[i].rules > 0)
			say(CHECK_WARNINGS, "rules", "%s: %s; %s", leftovers_place(place, &rows[i]),
			    leftovers_content(content, &rows[i]), fate(cfg, &rows[i]));
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (t->rows[LEFTOVERS_NF_TABLES][f][LEFTOVERS_NAT].chains > 0 &&
		    t->rows[LEFTOVERS_X_TABLES][f][LEFTOVERS_NAT].chains > 0)
			say(CHECK_WARNINGS, "hook order",
			    "IPv%d: both iptables-legacy and iptables-nft translate; the table "
			    "that was made last after boot answers first (nft list hooks shows "
			    "the order)",
			    f == FAMILY_6 ? 6 : 4);
}

static void check_hook_order(const struct plan *p)
{
	static char line[HOOK_ORDER_TEXT_MAX];
	const int error = hook_order_scan(p);

	if (error != 0)
		say(CHECK_WARNINGS, "hook order", "the base chains of nf_tables cannot be read: %s",
		    strerror(error));
	for (unsigned k = 0; k < HOOK_ORDER_HOOKS; k++)
		say(hook_order_write(k, line) ? CHECK_WARNINGS : CHECK_GOOD, "hook order", "%s",
		    line);
}

/* A policy in x_tables does not matter to rules that are there too. */
static void check_firewalls(const struct config *cfg, const struct tally *t)
{
	char advice[LEFTOVERS_TEXT_MAX];
	unsigned found = 0;

	for (uint32_t i = 0; i < t->firewall_count; i++)
		if (!t->firewalls[i].legacy || cfg->mode == MODE_NFTABLES) {
			say(CHECK_WARNINGS, "firewall", "%s",
			    leftovers_advice(advice, &t->firewalls[i]));
			found++;
		}
	if (found == 0)
		say(CHECK_GOOD, "firewall", "no policy of DROP where Services' traffic passes");
}

static bool is_askable(enum module_state state)
{
	return state != MODULE_LOADABLE && state != MODULE_MISSING;
}

int check_node(struct plan *p, const struct config *cfg, int argc, char **argv)
{
	static struct tally tally;
	const bool privileged = argc < 2 || strstr(argv[1], "cap_net_admin") == NULL;
	struct utsname host;

	if (uname(&host) == 0)
		say(CHECK_GOOD, "kernel", "%s", host.release);
	say(CHECK_GOOD, "mode", "%s", mode_names[cfg->mode]);
	check_privilege(argc, argv);
	check_modules(cfg);
	check_port("--healthz-port", cfg->healthz_port, cfg->bind_address_hard_fail);
	check_port("--metrics-port", cfg->metrics_port, cfg->bind_address_hard_fail);
	check_sysctls(cfg);
	if (!privileged) {
		say(CHECK_FAILS, "rules", "cannot be read without CAP_NET_ADMIN");
		fflush(stdout);
		return status;
	}
	p->sees_nf_tables = is_askable(module_state("nf_tables")) && nft_talk_open() == 0;
	xt_open(p);
	ipvs_open(p);
	fflush(stdout);
	cleaner_lockdown();
	if (p->sees_nf_tables)
		nft_scan(p, &tally);
	xt_scan(p, &tally);
	ipvs_scan(p, &tally);
	check_rules(cfg, &tally);
	check_hook_order(p);
	check_firewalls(cfg, &tally);
	return fflush(stdout) == 0 ? status : CHECK_FAILS;
}
