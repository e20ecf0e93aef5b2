#include "watcher/flag_table.h"

#include <ctype.h>
#include <limits.h>
#include <linux/oom.h>
#include <stdio.h>
#include <string.h>

#include "watcher/flag_value.h"
#include "watcher/kubeconfig.h"

#define CONFIG_VERBOSITY_MAX 10 /* what the message may carry; more means no more */
#define HELP_COLUMN	     42 /* where the explanations begin */
#define BOOL_EXPECTED	     "expected true or false"
#define PATH_EXPECTED	     "expected a path of at most 1023 bytes"
#define DURATION_EXPECTED    "expected a duration such as 30s, 500ms or 1h2m"

static const char *set_bool(bool *out, const char *value)
{
	return value_bool(out, value) == 0 ? NULL : BOOL_EXPECTED;
}

static const char *set_path(char out[CONFIG_PATH_MAX], const char *value)
{
	return strlcpy(out, value, CONFIG_PATH_MAX) < CONFIG_PATH_MAX ? NULL : PATH_EXPECTED;
}

static const char *set_help(struct flag_state *s, const char *value)
{
	return set_bool(&s->help, value);
}

static const char *set_version(struct flag_state *s, const char *value)
{
	return set_bool(&s->version, value);
}

/* Node names are DNS subdomains in lower case; the kubelet registers them so. */
static const char *set_hostname(struct flag_state *s, const char *value)
{
	static const char expected[] =
	    "expected a node's name: letters, digits, \"-\" and \".\", at most 253 characters";
	size_t len;

	while (isspace((unsigned char)*value))
		value++;
	len = strlen(value);
	while (len > 0 && isspace((unsigned char)value[len - 1]))
		len--;
	if (len == 0 || len >= CONFIG_NODE_MAX)
		return expected;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (!isalnum(c) && c != '-' && c != '.')
			return expected;
		s->cfg->node_name[i] = (char)tolower(c);
	}
	s->cfg->node_name[len] = '\0';
	return NULL;
}

static const char *set_kubeconfig(struct flag_state *s, const char *value)
{
	return set_path(s->cfg->kubeconfig, value);
}

static const char *set_master(struct flag_state *s, const char *value)
{
	if (value[0] != '\0' && api_url_check(value) != NULL)
		return "expected a URL such as https://10.0.0.1:6443";
	return set_path(s->cfg->master, value);
}

static const char *set_manifest_path(struct flag_state *s, const char *value)
{
	return set_path(s->cfg->manifest_path, value);
}

static const char *set_dry_run(struct flag_state *s, const char *value)
{
	return set_bool(&s->cfg->dry_run, value);
}

static const char *set_mode(struct flag_state *s, const char *value)
{
	if (value[0] != '\0' && strcasecmp(value, "iptables") != 0)
		return "expected iptables, the only mode of this version";
	s->cfg->mode = MODE_IPTABLES;
	return NULL;
}

static const char *set_cluster_cidr(struct flag_state *s, const char *value)
{
	static const char expected[] =
	    "expected a prefix such as 10.244.0.0/16, or one of each family with a comma between";
	struct config *cfg = s->cfg;

	cfg->cluster_cidr_count = 0;
	while (*value != '\0') {
		char one[CIDR_STRLEN];
		size_t len = strcspn(value, ",");
		struct ip_cidr *c = &cfg->cluster_cidrs[cfg->cluster_cidr_count];

		if (len >= sizeof(one) || cfg->cluster_cidr_count == FAMILY_COUNT)
			return expected;
		memcpy(one, value, len);
		one[len] = '\0';
		if (ip_cidr_parse(c, one) != 0 ||
		    (c > cfg->cluster_cidrs && c[-1].addr.family == c->addr.family))
			return expected;
		cfg->cluster_cidr_count++;
		value += len;
		if (*value == ',' && *++value == '\0')
			return expected;
	}
	return NULL;
}

static const char *set_masquerade_all(struct flag_state *s, const char *value)
{
	return set_bool(&s->cfg->masquerade_all, value);
}

static const char *set_masquerade_bit(struct flag_state *s, const char *value)
{
	uint64_t bit;

	if (value_number(&bit, value, 0, 31) != 0)
		return "expected a whole number from 0 to 31";
	s->cfg->masquerade_bit = (uint8_t)bit;
	return NULL;
}

static const char *set_sync_period(struct flag_state *s, const char *value)
{
	uint64_t ms;

	if (value_duration_ms(&ms, value) != 0 || ms == 0)
		return DURATION_EXPECTED ", more than 0";
	s->cfg->sync_period_ms = ms;
	return NULL;
}

static const char *set_min_sync_period(struct flag_state *s, const char *value)
{
	return value_duration_ms(&s->cfg->min_sync_period_ms, value) == 0 ? NULL
									  : DURATION_EXPECTED;
}

static const char *set_cleanup(struct flag_state *s, const char *value)
{
	return set_bool(&s->cfg->cleanup, value);
}

/* What there is of ipvs mode is cleaned up with the rest. */
static const char *set_cleanup_ipvs(struct flag_state *s, const char *value)
{
	bool ignored;

	(void)s;
	return set_bool(&ignored, value);
}

static const char *set_init_only(struct flag_state *s, const char *value)
{
	return set_bool(&s->cfg->init_only, value);
}

static const char *set_count(uint32_t *out, const char *value)
{
	uint64_t n;

	if (value_number(&n, value, 0, INT32_MAX) != 0)
		return "expected a whole number from 0 to 2147483647";
	*out = (uint32_t)n;
	return NULL;
}

/* The kernel counts in whole seconds; a part of one is not 0, which means something else. */
static const char *set_seconds(uint32_t *out, const char *value)
{
	uint64_t ms;

	if (value_duration_ms(&ms, value) != 0 || ms > UINT64_C(1000) * INT32_MAX)
		return DURATION_EXPECTED ", or 0 to leave what is set";
	*out = (uint32_t)((ms + 999) / 1000);
	return NULL;
}

static const char *set_conntrack_max_per_core(struct flag_state *s, const char *value)
{
	return set_count(&s->cfg->conntrack_max_per_core, value);
}

static const char *set_conntrack_min(struct flag_state *s, const char *value)
{
	return set_count(&s->cfg->conntrack_min, value);
}

static const char *set_conntrack_tcp_established(struct flag_state *s, const char *value)
{
	return set_seconds(&s->cfg->conntrack_tcp_established_s, value);
}

static const char *set_conntrack_tcp_close_wait(struct flag_state *s, const char *value)
{
	return set_seconds(&s->cfg->conntrack_tcp_close_wait_s, value);
}

static const char *set_conntrack_udp(struct flag_state *s, const char *value)
{
	return set_seconds(&s->cfg->conntrack_udp_s, value);
}

static const char *set_conntrack_udp_stream(struct flag_state *s, const char *value)
{
	return set_seconds(&s->cfg->conntrack_udp_stream_s, value);
}

static const char *set_conntrack_tcp_be_liberal(struct flag_state *s, const char *value)
{
	return set_bool(&s->cfg->conntrack_tcp_be_liberal, value);
}

static const char *set_oom_score_adj(struct flag_state *s, const char *value)
{
	bool negative = value[0] == '-';
	uint64_t n;

	if (value_number(&n, value + negative, 0, OOM_SCORE_ADJ_MAX) != 0)
		return "expected a whole number from -1000 to 1000";
	s->cfg->oom_score_adj = (int16_t)(negative ? -(int)n : (int)n);
	return NULL;
}

static const char *set_healthz_bind_address(struct flag_state *s, const char *value)
{
	uint16_t port = 0;

	s->bind_has_port = true;
	if (value[0] == '\0') {
		s->cfg->healthz_port = 0;
		return NULL;
	}
	if (value_bind_address(&s->cfg->healthz_addr, &port, value) != 0)
		return "expected IP, IP:port or [IPv6]:port, or nothing to serve no health";
	s->bind_has_port = port != 0;
	s->cfg->healthz_port = port != 0 ? port : DEFAULT_HEALTHZ_PORT;
	return NULL;
}

static const char *set_healthz_port(struct flag_state *s, const char *value)
{
	uint64_t port;

	if (value_number(&port, value, 0, 65535) != 0)
		return "expected a port from 1 to 65535, or 0 to serve no health";
	s->healthz_port = (uint16_t)port;
	s->healthz_port_given = true;
	return NULL;
}

static const char *set_audit_log(struct flag_state *s, const char *value)
{
	return value[0] == '\0' ? "expected a path, syslog, stderr or auto"
				: set_path(s->cfg->audit_log, value);
}

static const char *set_verbosity(struct flag_state *s, const char *value)
{
	uint64_t v;

	if (value_number(&v, value, 0, INT_MAX) != 0)
		return "expected a whole number, 0 or more";
	s->cfg->verbosity = v > CONFIG_VERBOSITY_MAX ? CONFIG_VERBOSITY_MAX : (int)v;
	return NULL;
}

const struct flag flag_table[] = {
    {"kubeconfig", 0, GROUP_SOURCE, "FILE", set_kubeconfig,
	"How to reach the apiserver and with which credentials.\n"
	"Without it, in a pod: the pod's service account."},
    {"master", 0, GROUP_SOURCE, "URL", set_master,
	"The apiserver; overrides the kubeconfig's server."},
    {"manifest-path", 0, GROUP_SOURCE, "PATH", set_manifest_path,
	"Instead of an apiserver: a file, or a directory's *.yaml,\n"
	"*.yml and *.json, with Services, EndpointSlices and the Node.\n"
	"Read again whenever something there changes."},
    {"hostname-override", 0, GROUP_NODE, "NAME", set_hostname,
	"This node's name (default: the host name in lower case)."},
    {"cluster-cidr", 0, GROUP_NODE, "CIDR[,CIDR]", set_cluster_cidr,
	"The pods' addresses, one prefix of a family: what comes from\n"
	"elsewhere to a ClusterIP is masqueraded."},
    {"proxy-mode", 0, GROUP_RULES, "MODE", set_mode, "iptables (default)."},
    {"masquerade-all", 0, GROUP_RULES, NULL, set_masquerade_all,
	"Masquerade everything that goes to a ClusterIP."},
    {"iptables-masquerade-bit", 0, GROUP_RULES, "N", set_masquerade_bit,
	"The packet mark's bit for masquerading, 0..31 (default 14)."},
    {"iptables-sync-period", 0, GROUP_RULES, "DURATION", set_sync_period,
	"How often to look whether the kernel is as programmed.\n"
	"A change that waits twice as long is late (default 30s)."},
    {"iptables-min-sync-period", 0, GROUP_RULES, "DURATION", set_min_sync_period,
	"The shortest between two changes of the rules (default 1s)."},
    {"dry-run", 0, GROUP_RULES, NULL, set_dry_run,
	"Print the rules, change nothing, and exit. Needs no privilege."},
    {"cleanup", 0, GROUP_RULES, NULL, set_cleanup,
	"Take away every rule and chain that this or another\n"
	"kube-proxy left, and exit. Needs no apiserver."},
    {"cleanup-ipvs", 0, GROUP_RULES, NULL, set_cleanup_ipvs,
	"Accepted; --cleanup does all there is."},
    {"init-only", 0, GROUP_RULES, NULL, set_init_only,
	"Set the kernel's parameters below, and exit."},
    {"conntrack-max-per-core", 0, GROUP_CONNTRACK, "N", set_conntrack_max_per_core,
	"Connections tracked at the most, for each processor\n"
	"(default 32768; 0: as it is). Only ever raised."},
    {"conntrack-min", 0, GROUP_CONNTRACK, "N", set_conntrack_min,
	"... but no fewer than these in all (default 131072)."},
    {"conntrack-tcp-timeout-established", 0, GROUP_CONNTRACK, "DURATION",
	set_conntrack_tcp_established,
	"How long an idle TCP connection is tracked\n"
	"(default 24h; 0: as it is)."},
    {"conntrack-tcp-timeout-close-wait", 0, GROUP_CONNTRACK, "DURATION",
	set_conntrack_tcp_close_wait, "... one in CLOSE_WAIT (default 1h; 0: as it is)."},
    {"conntrack-tcp-be-liberal", 0, GROUP_CONNTRACK, NULL, set_conntrack_tcp_be_liberal,
	"Track TCP segments outside the window too."},
    {"conntrack-udp-timeout", 0, GROUP_CONNTRACK, "DURATION", set_conntrack_udp,
	"How long a UDP flow without an answer is tracked\n"
	"(default 0: as it is)."},
    {"conntrack-udp-timeout-stream", 0, GROUP_CONNTRACK, "DURATION", set_conntrack_udp_stream,
	"... one with an answer (default 0: as it is)."},
    {"oom-score-adj", 0, GROUP_CONNTRACK, "N", set_oom_score_adj,
	"The processes' place when memory runs out, -1000 (last)\n"
	"to 1000 (default -999)."},
    {"healthz-bind-address", 0, GROUP_HEALTH, "IP[:PORT]", set_healthz_bind_address,
	"Where /healthz is answered (default 0.0.0.0:10256).\n"
	"Empty: nowhere."},
    {"healthz-port", 0, GROUP_HEALTH, "PORT", set_healthz_port,
	"The port, if the address above names none. 0: no health."},
    {"audit-log", 0, GROUP_LOG, "WHERE", set_audit_log,
	"Where each change of the kernel's rules is recorded: a path,\n"
	"syslog, stderr or auto (default)."},
    {"v", 'v', GROUP_LOG, "LEVEL", set_verbosity, "How much to log (default 0)."},
    {"help", 'h', GROUP_LOG, NULL, set_help, "Print this and exit."},
    {"version", 0, GROUP_LOG, NULL, set_version, "Print the version and exit."},
};
const size_t flag_count = sizeof(flag_table) / sizeof(flag_table[0]);

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_SOURCE] = "Where Services and EndpointSlices come from",
    [GROUP_NODE] = "Node and network",
    [GROUP_RULES] = "Rules",
    [GROUP_CONNTRACK] = "Connection tracking and memory",
    [GROUP_HEALTH] = "Health",
    [GROUP_LOG] = "Logs and help",
};

void flag_defaults(struct config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->mode = MODE_IPTABLES;
	cfg->masquerade_bit = 14;
	cfg->sync_period_ms = 30000;
	cfg->min_sync_period_ms = 1000;
	cfg->conntrack_max_per_core = 32768;
	cfg->conntrack_min = 131072;
	cfg->conntrack_tcp_established_s = 24 * 60 * 60;
	cfg->conntrack_tcp_close_wait_s = 60 * 60;
	cfg->oom_score_adj = -999;
	cfg->healthz_addr.family = FAMILY_4; /* 0.0.0.0 */
	cfg->healthz_port = DEFAULT_HEALTHZ_PORT;
	strlcpy(cfg->audit_log, "auto", sizeof(cfg->audit_log));
}

static void print_flag(const struct flag *f)
{
	char left[64];
	const char *line = f->help;

	snprintf(left, sizeof(left), "  %c%c%c --%s%s%s", f->letter ? '-' : ' ',
	    f->letter ? f->letter : ' ', f->letter ? ',' : ' ', f->name, f->argument ? " " : "",
	    f->argument ? f->argument : "");
	if (strlen(left) >= HELP_COLUMN) { /* a long one has a line to itself */
		puts(left);
		left[0] = '\0';
	}
	for (const char *next; line != NULL; line = next) {
		next = strchr(line, '\n');
		printf("%-*s%.*s\n", HELP_COLUMN, line == f->help ? left : "",
		    next == NULL ? (int)strlen(line) : (int)(next - line), line);
		if (next != NULL)
			next++;
	}
}

void flag_help(void)
{
	printf("Usage: kube-proxy [flags]\n\n"
	       "Makes the addresses of Kubernetes Services reach their endpoints on this node.\n");
	for (unsigned g = 0; g < GROUP_COUNT; g++) {
		printf("\n%s:\n", group_titles[g]);
		for (size_t i = 0; i < flag_count; i++)
			if (flag_table[i].group == g)
				print_flag(&flag_table[i]);
	}
}
