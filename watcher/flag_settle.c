#include "watcher/flag_settle.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/feature_gates.h"
#include "watcher/kubeconfig.h"
#include "watcher/mode_choose.h"

#define SEE_HELP     "see --help"
#define NAME_MAX_LEN (CONFIG_PATH_MAX + 64) /* of a setting, as the user knows it */

/* --- names and paths --- */

/* Lower case, as the kubelet registers it; the host's if none is given. */
static int settle_node_name(struct config *cfg)
{
	char *from = cfg->node_name, *to = cfg->node_name;

	if (cfg->node_name[0] == '\0' &&
	    (gethostname(cfg->node_name, sizeof(cfg->node_name) - 1) != 0 ||
		cfg->node_name[0] == '\0')) {
		log_usage("this machine has no host name; give --hostname-override");
		return -1;
	}
	for (; *from != '\0'; from++)
		if (!isspace((unsigned char)*from))
			*to++ = (char)tolower((unsigned char)*from);
	*to = '\0';
	return 0;
}

/* The processes need not share a working directory. */
static int make_absolute(const char *name, char path[CONFIG_PATH_MAX])
{
	char cwd[CONFIG_PATH_MAX], whole[2 * CONFIG_PATH_MAX];

	if (path[0] == '\0' || path[0] == '/')
		return 0;
	if (getcwd(cwd, sizeof(cwd)) == NULL) {
		log_usage("--%s \"%s\": the working directory cannot be found (%s); give an "
			  "absolute path",
		    name, path, strerror(errno));
		return -1;
	}
	snprintf(whole, sizeof(whole), "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
	if (strlcpy(path, whole, CONFIG_PATH_MAX) < CONFIG_PATH_MAX)
		return 0;
	log_usage("--%s: the absolute path is longer than %d bytes", name, CONFIG_PATH_MAX - 1);
	return -1;
}

/* "auto" becomes what it means here; the parent opens no guesses. */
static int settle_audit_log(struct config *cfg)
{
	if (strcmp(cfg->audit_log, "auto") == 0)
		strlcpy(cfg->audit_log, access("/dev/log", F_OK) == 0 ? "syslog" : "stderr",
		    sizeof(cfg->audit_log));
	if (strcmp(cfg->audit_log, "syslog") == 0 || strcmp(cfg->audit_log, "stderr") == 0)
		return 0;
	return make_absolute("audit-log", cfg->audit_log);
}

static int settle_paths(struct settings *s)
{
	const struct setting *row;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++)
		if (row->kind == SETTING_PATH && make_absolute(row->flag, (char *)s + row->at) != 0)
			return -1;
	return settle_audit_log(&s->cfg);
}

/* --- what must fit --- */

/* What logs a mistake: made in a file, or on the command line. */
static void (*mistake(const struct settings *s))(const char *fmt, ...)
{
	return s->cfg.config_file[0] != '\0' ? log_error : log_usage;
}

/* How the user knows the setting of FLAG: as a flag, or as a field of the file. */
static const char *name_of(const struct settings *s, const char *flag, char buf[NAME_MAX_LEN])
{
	const struct setting *row = setting_of_flag(flag, strlen(flag));

	if (s->cfg.config_file[0] != '\0')
		snprintf(buf, NAME_MAX_LEN, "%s: %s", s->cfg.config_file, row->field);
	else
		snprintf(buf, NAME_MAX_LEN, "--%s", flag);
	return buf;
}

/*
 * A file has a section for each mode, and ipvs mode has flags of its own; else those called
 * --iptables-* are for every mode, as upstream. What is masqueraded ipvs mode has from there.
 */
static bool has_own_section(const struct settings *s)
{
	return s->cfg.mode == MODE_NFTABLES && s->cfg.config_file[0] != '\0';
}

static const struct setting_mode *mode_of(const struct settings *s)
{
	return has_own_section(s) ? &s->nftables : &s->iptables;
}

static const struct setting_mode *periods_of(const struct settings *s)
{
	return s->cfg.mode == MODE_IPVS ? &s->ipvs : mode_of(s);
}

static int check_periods(const struct settings *s)
{
	const bool ipvs = s->cfg.mode == MODE_IPVS;
	const struct setting_mode *m = periods_of(s);
	char shorter[NAME_MAX_LEN], longer[NAME_MAX_LEN];

	if (m->min_sync_period_ms <= m->sync_period_ms)
		return 0;
	if (has_own_section(s))
		log_error("%s: nftables.minSyncPeriod (%gs) must not be longer than "
			  "nftables.syncPeriod (%gs)",
		    s->cfg.config_file, (double)m->min_sync_period_ms / 1000,
		    (double)m->sync_period_ms / 1000);
	else
		mistake(s)("%s (%gs) must not be longer than %s (%gs)",
		    name_of(s, ipvs ? "ipvs-min-sync-period" : "iptables-min-sync-period", shorter),
		    (double)m->min_sync_period_ms / 1000,
		    name_of(s, ipvs ? "ipvs-sync-period" : "iptables-sync-period", longer),
		    (double)m->sync_period_ms / 1000);
	return -1;
}

/* A blank mode becomes one, and WHY says for what reason, else "". */
static int settle_mode(struct settings *s, char why[MODE_WHY_MAX])
{
	const struct setting *row = setting_of_flag("proxy-mode", strlen("proxy-mode"));
	const char *mode, *expected;
	struct utsname host;

	why[0] = '\0';
	if (s->cfg.cleanup) /* of every mode */
		s->cfg.mode = MODE_IPTABLES;
	if (s->cfg.mode != MODE_BLANK)
		return 0;
	mode = mode_choose("/proc/net", uname(&host) == 0 ? host.release : "", why);
	expected = setting_store(s, row, mode);
	if (expected == NULL)
		return check_periods(s); /* those of the mode, which was not known before */
	log_error("--proxy-mode is not set: %s, so it would be %s: %s", why, mode, expected);
	return -1;
}

static int check_detection(struct settings *s)
{
	struct config *cfg = &s->cfg;
	bool bridge = cfg->detect_local == DETECT_BRIDGE_INTERFACE;
	char missing[NAME_MAX_LEN];

	if (!bridge && cfg->detect_local != DETECT_INTERFACE_PREFIX)
		return 0;
	strlcpy(
	    cfg->pod_interface, bridge ? s->pod_bridge : s->pod_prefix, sizeof(cfg->pod_interface));
	if (cfg->pod_interface[0] != '\0')
		return 0;
	mistake(s)("%s \"\": expected an interface's name: local traffic is detected by %s",
	    name_of(s, bridge ? "pod-bridge-interface" : "pod-interface-name-prefix", missing),
	    bridge ? "BridgeInterface" : "InterfaceNamePrefix");
	return -1;
}

/*
 * The address's own port stands, unless the deprecated flag for the port is 0, which switches all
 * off. (Upstream the port of the default address stands even before a port that was given.)
 */
static void settle_bind(
    struct setting_bind *b, const struct settings *s, const char *address_flag, uint16_t port)
{
	b->nowhere |= port == 0;
	if (b->port == 0 || !setting_given(s, address_flag))
		b->port = port;
}

/* --- where objects come from --- */

/* A pod finds its apiserver in its environment; from here on it is in the configuration. */
static int in_cluster_master(struct config *cfg)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool v6;
	int n;

	if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0') {
		log_usage("no source of Services: give --kubeconfig, --master or --manifest-path "
			  "(this is not a pod: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT "
			  "is not set); " SEE_HELP);
		return -1;
	}
	v6 = strchr(host, ':') != NULL;
	n = snprintf(cfg->master, sizeof(cfg->master), "https://%s%s%s:%s", v6 ? "[" : "", host,
	    v6 ? "]" : "", port);
	if (n < 0 || n >= (int)sizeof(cfg->master) || api_url_check(cfg->master) != NULL) {
		log_usage("KUBERNETES_SERVICE_HOST \"%s\" and KUBERNETES_SERVICE_PORT \"%s\" are "
			  "not the host and port of a URL",
		    host, port);
		return -1;
	}
	cfg->in_cluster = true;
	return 0;
}

static enum flags_result settle_source(struct config *cfg)
{
	if (cfg->cleanup || cfg->check_node || cfg->init_only)
		return FLAGS_RUN; /* of no Service */
	if (cfg->manifest_path[0] != '\0') {
		if (cfg->kubeconfig[0] != '\0' || cfg->master[0] != '\0') {
			log_usage("--manifest-path is used instead of an apiserver: it cannot be "
				  "given with --%s; " SEE_HELP,
			    cfg->kubeconfig[0] != '\0' ? "kubeconfig" : "master");
			return FLAGS_BAD;
		}
		/* What is closed to the one-shot's user may be open to the watcher's. */
		if (access(cfg->manifest_path, R_OK) == 0 || errno == EACCES)
			return FLAGS_RUN;
		log_error("--manifest-path \"%s\": cannot be read: %s", cfg->manifest_path,
		    strerror(errno));
		return FLAGS_CONFIG;
	}
	if (cfg->kubeconfig[0] == '\0' && cfg->master[0] == '\0' && in_cluster_master(cfg) != 0)
		return FLAGS_BAD;
	return api_access_check(cfg) == 0 ? FLAGS_RUN : FLAGS_CONFIG;
}

enum flags_result flags_check(struct settings *s)
{
	struct config *cfg = &s->cfg;

	cfg->dry_run |= cfg->inspect[0] != '\0' || cfg->suggest_policy;
	if (cfg->suggest_policy) /* what is now allowed is not asked */
		cfg->policy =
		    (struct node_policy){.denied_endpoints = cfg->policy.denied_endpoints};
	if (check_periods(s) != 0 || check_detection(s) != 0)
		return cfg->config_file[0] != '\0' ? FLAGS_CONFIG : FLAGS_BAD;
	if (cfg->dry_run + cfg->cleanup + cfg->check_node + cfg->init_only > 1) {
		log_usage("--dry-run (--inspect), --cleanup, --check-node and --init-only each do "
			  "one thing and exit: give one of them; " SEE_HELP);
		return FLAGS_BAD;
	}
	if (s->verify_audit_log[0] != '\0') { /* alone it is the parent's */
		log_usage("--verify-audit-log=FILE is given alone; " SEE_HELP);
		return FLAGS_BAD;
	}
	if (cfg->cleanup_keep != 0 && !cfg->cleanup) {
		log_usage("--cleanup-keep says what --cleanup does not remove: it cannot be given "
			  "without --cleanup; " SEE_HELP);
		return FLAGS_BAD;
	}
	settle_bind(&s->healthz, s, "healthz-bind-address", s->healthz_port);
	settle_bind(&s->metrics, s, "metrics-bind-address", s->metrics_port);
	return FLAGS_RUN;
}

/*
 * How often systemd wants to hear from us: what it says in the environment counts for our parent
 * alone (sd_watchdog_enabled(3)).
 */
static uint64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long n;
	char *end;

	if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getppid()))
		return 0;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (usec[0] < '0' || usec[0] > '9' || *end != '\0' || errno != 0 || n < 1000) {
		log_warn("WATCHDOG_USEC \"%s\" is no time of a millisecond or more; the service "
			 "manager's watchdog is not fed",
		    usec);
		return 0;
	}
	return n / 1000;
}

enum flags_result flags_settle(struct settings *s)
{
	const struct setting_mode *mode;
	struct config *cfg = &s->cfg;
	char gates[NAME_MAX_LEN], why[MODE_WHY_MAX], name[SETTING_TEXT_MAX];
	enum flags_result r;

	if (settle_mode(s, why) != 0)
		return FLAGS_CONFIG;
	mode = mode_of(s);
	feature_gates_warn(s->feature_gates, name_of(s, "feature-gates", gates));
	cfg->no_external_ips = feature_gates_is_off(s->feature_gates, "AllowServiceExternalIPs");
	cfg->sync_period_ms = periods_of(s)->sync_period_ms;
	cfg->min_sync_period_ms = periods_of(s)->min_sync_period_ms;
	cfg->masquerade_bit = mode->masquerade_bit;
	cfg->masquerade_all = mode->masquerade_all;
	cfg->healthz_addr = s->healthz.addr;
	cfg->healthz_port = s->healthz.nowhere ? 0 : s->healthz.port;
	cfg->metrics_addr = s->metrics.addr;
	cfg->metrics_port = s->metrics.nowhere ? 0 : s->metrics.port;
	if (cfg->verbosity > CONFIG_VERBOSITY_MAX)
		cfg->verbosity = CONFIG_VERBOSITY_MAX;
	cfg->watchdog_ms = watchdog_ms();
	if (cfg->api_burst == 0)
		cfg->api_burst = 10;
	if (settle_node_name(cfg) != 0 || settle_paths(s) != 0)
		return FLAGS_BAD;
	if (getrandom(&cfg->key, sizeof(cfg->key), 0) != (ssize_t)sizeof(cfg->key)) {
		log_error("getrandom: %s", strerror(errno));
		return FLAGS_CONFIG;
	}
	r = settle_source(cfg);
	if (r == FLAGS_RUN && why[0] != '\0' && !cfg->init_only)
		log_info("proxy mode %s: --proxy-mode is not set: %s",
		    setting_text(s, setting_of_flag("proxy-mode", strlen("proxy-mode")), name),
		    why);
	return r;
}
