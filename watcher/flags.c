#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/flag_table.h"
#include "watcher/kubeconfig.h"
#include "watcher/oneshot.h"

#define SEE_HELP "see --help"

/* Names compare with "_" as "-", as Kubernetes programs take them. */
static bool name_is(const char *name, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] == '\0' || (text[i] == '_' ? '-' : text[i]) != name[i])
			return false;
	return name[len] == '\0';
}

static const struct flag *find(const char *text, size_t len)
{
	for (size_t i = 0; i < flag_count; i++)
		if (name_is(flag_table[i].name, text, len))
			return &flag_table[i];
	return NULL;
}

static const struct flag *find_letter(char letter)
{
	for (size_t i = 0; i < flag_count; i++)
		if (flag_table[i].letter != '\0' && flag_table[i].letter == letter)
			return &flag_table[i];
	return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* How many letters must be put, taken or changed to get from TEXT to NAME (Levenshtein). */
static size_t distance(const char *name, const char *text, size_t len)
{
	size_t row[64], n = strlen(name);

	if (n >= 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; i <= len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1,
			    diagonal + (tolower((unsigned char)text[i - 1]) != name[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

static enum flags_result unknown(const char *text, size_t len)
{
	const struct flag *nearest = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < flag_count && len < 64; i++) {
		size_t d = distance(flag_table[i].name, text, len);

		if (d < least) {
			least = d;
			nearest = &flag_table[i];
		}
	}
	if (nearest != NULL && least <= len / 3)
		log_error("unknown flag --%.*s; did you mean --%s? " SEE_HELP, (int)len, text,
		    nearest->name);
	else
		log_error("unknown flag --%.*s; " SEE_HELP, (int)len, text);
	return FLAGS_BAD;
}

/* VALUE is NULL if the flag had none with it; then the next argument is taken if it needs one. */
static enum flags_result take(
    struct flag_state *s, const struct flag *f, const char *value, int *at, int argc, char **argv)
{
	const char *expected;

	if (value == NULL && f->argument == NULL)
		value = "true";
	if (value == NULL) {
		if (*at + 1 >= argc) {
			log_error("--%s needs a value: --%s=%s; " SEE_HELP, f->name, f->name,
			    f->argument);
			return FLAGS_BAD;
		}
		value = argv[++*at];
	}
	expected = f->set(s, value);
	if (expected == NULL)
		return FLAGS_RUN;
	log_error("--%s \"%s\": %s; " SEE_HELP, f->name, value, expected);
	return FLAGS_BAD;
}

/* "-v4", "-v=4", "-v 4", "-h". */
static enum flags_result take_letter(struct flag_state *s, int *at, int argc, char **argv)
{
	const char *text = argv[*at] + 1;
	const struct flag *f = find_letter(text[0]);
	const char *value = text[1] == '=' ? text + 2 : text + 1;

	if (f == NULL || (f->argument == NULL && text[1] != '\0' && text[1] != '=')) {
		log_error("unknown flag %s; " SEE_HELP, argv[*at]);
		return FLAGS_BAD;
	}
	return take(s, f, text[1] == '\0' ? NULL : value, at, argc, argv);
}

static enum flags_result take_all(struct flag_state *s, int argc, char **argv)
{
	enum flags_result r = FLAGS_RUN;

	for (int i = 1; i < argc && r == FLAGS_RUN && !s->help; i++) {
		const char *arg = argv[i], *equals;
		const struct flag *f;
		size_t len;

		if (arg[0] != '-' || arg[1] == '\0' || strcmp(arg, "--") == 0) {
			if (strcmp(arg, "--") == 0 && i == argc - 1)
				break;
			log_error("\"%s\": only flags are expected (a switch takes its value as "
				  "--dry-run=false); " SEE_HELP,
			    arg);
			return FLAGS_BAD;
		}
		if (arg[1] != '-') {
			r = take_letter(s, &i, argc, argv);
			continue;
		}
		equals = strchr(arg, '=');
		len = equals == NULL ? strlen(arg) - 2 : (size_t)(equals - arg) - 2;
		f = find(arg + 2, len);
		r = f == NULL ? unknown(arg + 2, len)
			      : take(s, f, equals == NULL ? NULL : equals + 1, &i, argc, argv);
	}
	return r;
}

/* --- what the flags leave open --- */

static int default_node_name(struct config *cfg)
{
	if (cfg->node_name[0] != '\0')
		return 0;
	if (gethostname(cfg->node_name, sizeof(cfg->node_name) - 1) != 0 ||
	    cfg->node_name[0] == '\0') {
		log_error("this machine has no host name; give --hostname-override");
		return -1;
	}
	for (char *p = cfg->node_name; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

/* The processes need not share a working directory. */
static int make_absolute(const char *name, char path[CONFIG_PATH_MAX])
{
	char cwd[CONFIG_PATH_MAX], whole[2 * CONFIG_PATH_MAX];

	if (path[0] == '\0' || path[0] == '/')
		return 0;
	if (getcwd(cwd, sizeof(cwd)) == NULL) {
		log_error("--%s \"%s\": the working directory cannot be found (%s); give an "
			  "absolute path",
		    name, path, strerror(errno));
		return -1;
	}
	snprintf(whole, sizeof(whole), "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
	if (strlcpy(path, whole, CONFIG_PATH_MAX) < CONFIG_PATH_MAX)
		return 0;
	log_error("--%s: the absolute path is longer than %d bytes", name, CONFIG_PATH_MAX - 1);
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

static int make_paths_absolute(struct config *cfg)
{
	if (make_absolute("kubeconfig", cfg->kubeconfig) != 0 ||
	    make_absolute("manifest-path", cfg->manifest_path) != 0)
		return -1;
	return settle_audit_log(cfg);
}

/* A pod finds its apiserver in its environment; from here on it is in the configuration. */
static int in_cluster_master(struct config *cfg)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool v6;
	int n;

	if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0') {
		log_error("no source of Services: give --kubeconfig, --master or --manifest-path "
			  "(in a pod KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT would be "
			  "set); " SEE_HELP);
		return -1;
	}
	v6 = strchr(host, ':') != NULL;
	n = snprintf(cfg->master, sizeof(cfg->master), "https://%s%s%s:%s", v6 ? "[" : "", host,
	    v6 ? "]" : "", port);
	if (n < 0 || n >= (int)sizeof(cfg->master) || api_url_check(cfg->master) != NULL) {
		log_error("KUBERNETES_SERVICE_HOST \"%s\" and KUBERNETES_SERVICE_PORT \"%s\" make "
			  "no URL",
		    host, port);
		return -1;
	}
	cfg->in_cluster = true;
	return 0;
}

static void settle_healthz(struct flag_state *s)
{
	/* As upstream: the address's own port stands, unless the other flag switches all off. */
	if (s->healthz_port_given && (s->healthz_port == 0 || !s->bind_has_port))
		s->cfg->healthz_port = s->healthz_port;
}

static enum flags_result settle_source(struct config *cfg)
{
	struct api_access access_to;

	if (cfg->cleanup || cfg->init_only)
		return FLAGS_RUN; /* of no Service */
	if (cfg->manifest_path[0] != '\0') {
		if (cfg->kubeconfig[0] != '\0' || cfg->master[0] != '\0') {
			log_error("--manifest-path stands instead of an apiserver: it cannot be "
				  "given with --%s; " SEE_HELP,
			    cfg->kubeconfig[0] != '\0' ? "kubeconfig" : "master");
			return FLAGS_BAD;
		}
		if (access(cfg->manifest_path, R_OK) == 0)
			return FLAGS_RUN;
		log_error("--manifest-path \"%s\": cannot be read: %s%s", cfg->manifest_path,
		    strerror(errno), errno == EACCES ? " (by the user _kproxy-w)" : "");
		return FLAGS_CONFIG;
	}
	if (cfg->kubeconfig[0] == '\0' && cfg->master[0] == '\0' && in_cluster_master(cfg) != 0)
		return FLAGS_BAD;
	if (api_access_load(&access_to, cfg) != 0)
		return FLAGS_CONFIG;
	api_access_clear(&access_to);
	return FLAGS_RUN;
}

static enum flags_result settle(struct flag_state *s)
{
	struct config *cfg = s->cfg;

	if (cfg->min_sync_period_ms > cfg->sync_period_ms) {
		log_error("--iptables-min-sync-period (%gs) must not be longer than "
			  "--iptables-sync-period (%gs); " SEE_HELP,
		    (double)cfg->min_sync_period_ms / 1000, (double)cfg->sync_period_ms / 1000);
		return FLAGS_BAD;
	}
	if (cfg->dry_run + cfg->cleanup + cfg->init_only > 1) {
		log_error("--dry-run, --cleanup and --init-only each do one thing and exit: give "
			  "one of them; " SEE_HELP);
		return FLAGS_BAD;
	}
	settle_healthz(s);
	if (default_node_name(cfg) != 0 || make_paths_absolute(cfg) != 0)
		return FLAGS_BAD;
	if (getrandom(&cfg->key, sizeof(cfg->key), 0) != (ssize_t)sizeof(cfg->key)) {
		log_error("getrandom: %s", strerror(errno));
		return FLAGS_CONFIG;
	}
	return settle_source(cfg);
}

enum flags_result flags_parse(struct config *cfg, int argc, char **argv)
{
	struct flag_state s = {.cfg = cfg};
	enum flags_result r;

	flag_defaults(cfg);
	r = take_all(&s, argc, argv);
	if (r != FLAGS_RUN)
		return r;
	if (s.help) {
		flag_help();
		return FLAGS_DONE;
	}
	if (s.version) {
		printf("kube-proxy %s\n", VERSION);
		return FLAGS_DONE;
	}
	return settle(&s);
}
