/* Flags in pflag's syntax to a configuration, and what is said about wrong ones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "common/version.h"
#include "ipc/leftovers.h"
#include "watcher/flag_value.h"
#include "watcher/mode_choose.h"
#include "watcher/oneshot.h"
#include "watcher/setting.h"

#include "capture.h"

static struct config cfg;

/* Splits LINE at blanks and parses it. */
static enum flags_result parse(const char *line, char *said, size_t size)
{
	char copy[1024], *argv[32] = {(char[]){"kube-proxy"}}, *save = NULL;
	enum flags_result r;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok_r(copy, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	capture_begin(STDERR_FILENO);
	r = flags_parse(&cfg, argc, argv);
	capture_end(STDERR_FILENO, said, size);
	return r;
}

/* Nothing is said, but for the mode's choice where none is named. */
static void good(const char *line)
{
	char said[1024], *rest = said;

	if (parse(line, said, sizeof(said)) != FLAGS_RUN)
		fail_msg("%s: %s", line, said);
	if (strstr(said, "] proxy mode ") != NULL)
		rest = strchr(said, '\n') + 1;
	assert_string_equal(rest, "");
}

static const char master[] = "--master=https://10.0.0.1:6443";

static void good_with_master(const char *line)
{
	char whole[1024];

	snprintf(whole, sizeof(whole), "%s %s", master, line);
	good(whole);
}

static void test_defaults(void **state)
{
	char host[256];

	(void)state;
	good(master);
	gethostname(host, sizeof(host));
	assert_int_equal(strcasecmp(cfg.node_name, host), 0);
	assert_int_equal(cfg.mode, MODE_IPTABLES);
	assert_int_equal(cfg.masquerade_bit, 14);
	assert_int_equal(cfg.sync_period_ms, 30000);
	assert_int_equal(cfg.min_sync_period_ms, 1000);
	assert_int_equal(cfg.healthz_port, 10256);
	assert_int_equal(cfg.healthz_addr.family, FAMILY_4);
	assert_string_equal(cfg.audit_log, access("/dev/log", F_OK) == 0 ? "syslog" : "stderr");
	assert_string_equal(cfg.master, "https://10.0.0.1:6443");
	assert_false(cfg.in_cluster);
	assert_false(cfg.masquerade_all);
	assert_false(cfg.dry_run);
	assert_true(cfg.key.k0 != 0 || cfg.key.k1 != 0);
}

static void test_syntax(void **state)
{
	(void)state;
	good_with_master("--iptables-masquerade-bit 0 --masquerade-all --dry-run=false -v 3");
	assert_int_equal(cfg.masquerade_bit, 0);
	assert_true(cfg.masquerade_all);
	assert_false(cfg.dry_run);
	assert_int_equal(cfg.verbosity, 3);
	good_with_master("--iptables_masquerade_bit=31 -v4 --dry_run");
	assert_int_equal(cfg.masquerade_bit, 31);
	assert_int_equal(cfg.verbosity, 4);
	assert_true(cfg.dry_run);
	good_with_master("-v=5 --v=6 --masquerade-all=T --masquerade-all=0");
	assert_int_equal(cfg.verbosity, 6); /* the last one counts */
	assert_false(cfg.masquerade_all);
	good_with_master("--hostname-override=Node-A.Example --proxy-mode= --audit-log=syslog");
	assert_int_not_equal(cfg.mode, MODE_BLANK);
	assert_string_equal(cfg.node_name, "node-a.example");
	assert_string_equal(cfg.audit_log, "syslog");
}

static void test_cluster_cidr(void **state)
{
	char buf[CIDR_STRLEN], said[1024];

	(void)state;
	/* Host bits are no error: what they are taken for is said. */
	assert_int_equal(parse("--master=https://h --cluster-cidr=10.244.1.5/16,fd00::/8 "
			       "--nodeport-addresses=10.0.0.0/8,192.0.2.7/24,fd00::1/64",
			     said, sizeof(said)),
	    FLAGS_RUN);
	assert_non_null(
	    strstr(said, "--cluster-cidr: 10.244.1.5/16 has host bits set; using 10.244.0.0/16\n"));
	assert_non_null(strstr(
	    said, "--nodeport-addresses: 192.0.2.7/24 has host bits set; using 192.0.2.0/24\n"));
	assert_non_null(strstr(said, "fd00::1/64 has host bits set; using fd00::/64\n"));
	assert_null(strstr(said, "10.0.0.0/8"));
	assert_int_equal(cfg.cluster_cidr_count, 2);
	assert_string_equal(ip_cidr_format(&cfg.cluster_cidrs[0], buf), "10.244.0.0/16");
	assert_string_equal(ip_cidr_format(&cfg.cluster_cidrs[1], buf), "fd00::/8");
	good_with_master("--cluster-cidr=10.0.0.0/8 --cluster-cidr=");
	assert_int_equal(cfg.cluster_cidr_count, 0);
}

static void test_periods(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t ms;
	} cases[] = {
	    {"30s", 0, 30000},
	    {"1h2m3s", 0, 3723000},
	    {"1.5s", 0, 1500},
	    {".5m", 0, 30000},
	    {"250ms", 0, 250},
	    {"0", 0, 0},
	    {"+1s", 0, 1000},
	    {"1us", 0, 1},
	    {"0.5us", 0, 1},
	    {"1\xc2\xb5s", 0, 1},
	    {"2.5h", 0, 9000000},
	    {"0s", 0, 0},
	    {"", -1, 0},
	    {"30", -1, 0},
	    {"-1s", -1, 0},
	    {"1x", -1, 0},
	    {"s", -1, 0},
	    {".s", -1, 0},
	    {"1s ", -1, 0},
	    {"1s2", -1, 0},
	    {"99999999999999999999h", -1, 0},
	    {"2562048h", -1, 0},
	    {"2562047h", 0, 9223369200000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 0;

		if (value_duration_ms(&ms, cases[i].text) != cases[i].result || ms != cases[i].ms)
			fail_msg("\"%s\": %ju ms", cases[i].text, (uintmax_t)ms);
	}
	good_with_master("--iptables-sync-period=1m --iptables-min-sync-period 0");
	assert_int_equal(cfg.sync_period_ms, 60000);
	assert_int_equal(cfg.min_sync_period_ms, 0);
}

static void test_kernel(void **state)
{
	(void)state;
	good(master);
	assert_int_equal(cfg.conntrack_max_per_core, 32768);
	assert_int_equal(cfg.conntrack_min, 131072);
	assert_int_equal(cfg.conntrack_tcp_established_s, 86400);
	assert_int_equal(cfg.conntrack_tcp_close_wait_s, 3600);
	assert_int_equal(cfg.conntrack_udp_s, 0);
	assert_int_equal(cfg.conntrack_udp_stream_s, 0);
	assert_false(cfg.conntrack_tcp_be_liberal);
	assert_int_equal(cfg.oom_score_adj, -999);
	good_with_master("--conntrack-max-per-core=0 --conntrack-min=2147483647 "
			 "--conntrack-tcp-timeout-established=0 "
			 "--conntrack-tcp-timeout-close-wait=1m --conntrack-udp-timeout=1ms "
			 "--conntrack-udp-timeout-stream=1001ms --conntrack-tcp-be-liberal "
			 "--oom-score-adj=-1000");
	assert_int_equal(cfg.conntrack_max_per_core, 0);
	assert_int_equal(cfg.conntrack_min, INT32_MAX);
	assert_int_equal(cfg.conntrack_tcp_established_s, 0);
	assert_int_equal(cfg.conntrack_tcp_close_wait_s, 60);
	assert_int_equal(cfg.conntrack_udp_s, 1);
	assert_int_equal(cfg.conntrack_udp_stream_s, 2);
	assert_true(cfg.conntrack_tcp_be_liberal);
	assert_int_equal(cfg.oom_score_adj, -1000);
	good_with_master("--oom-score-adj 17");
	assert_int_equal(cfg.oom_score_adj, 17);
}

/* What serves no Service asks for none, not even for a kubeconfig that is there. */
static void test_one_thing(void **state)
{
	(void)state;
	good("--cleanup");
	assert_true(cfg.cleanup);
	good("--cleanup --cleanup-ipvs --kubeconfig=/nonexistent/x");
	good("--cleanup --cleanup-ipvs=false");
	assert_false(cfg.cleanup_ipvs);
	assert_int_equal(cfg.cleanup_keep, 0);
	good("--cleanup --cleanup-keep=ipvs,iptables-legacy");
	assert_int_equal(cfg.cleanup_keep, 1 << LEFTOVERS_IPVS | 1 << LEFTOVERS_X_TABLES);
	good("--check-node");
	assert_true(cfg.check_node);
	good("--init-only");
	assert_true(cfg.init_only);
	assert_false(cfg.cleanup);
}

static void test_healthz(void **state)
{
	static const struct {
		const char *line;
		const char *addr;
		uint16_t port;
	} cases[] = {
	    {"--healthz-bind-address=127.0.0.1", "127.0.0.1", 10256},
	    {"--healthz-bind-address=127.0.0.1:99", "127.0.0.1", 99},
	    {"--healthz-bind-address=::1", "::1", 10256},
	    {"--healthz-bind-address=[::]:99", "::", 99},
	    {"--healthz-bind-address=", "0.0.0.0", 0},
	    {"--healthz-bind-address=127.0.0.1:0", "127.0.0.1", 0},
	    {"--healthz-bind-address=[::1]:0 --healthz-port=98", "::1", 0},
	    {"--healthz-port=98", "0.0.0.0", 98},
	    {"--healthz-port=0", "0.0.0.0", 0},
	    {"--healthz-port=0 --healthz-bind-address=::1", "::1", 0},
	    {"--healthz-port=98 --healthz-bind-address=::1", "::1", 98},
	    {"--healthz-port=98 --healthz-bind-address=[::1]:97", "::1", 97},
	    {"--healthz-port=98 --healthz-bind-address=", "0.0.0.0", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[IP_STRLEN];

		good_with_master(cases[i].line);
		if (strcmp(ip_format(&cfg.healthz_addr, buf), cases[i].addr) != 0 ||
		    cfg.healthz_port != cases[i].port)
			fail_msg("%s: %s port %u", cases[i].line, buf, cfg.healthz_port);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *line, *says;
		enum flags_result result;
	} cases[] = {
	    {"", "no source of Services", FLAGS_BAD},
	    {"--master=10.0.0.1:6443", "--master \"10.0.0.1:6443\": expected a URL", FLAGS_BAD},
	    {"--master=https://", "expected a URL", FLAGS_BAD},
	    {"--master=https://u:p@h", "--master \"...@h\": expected a URL", FLAGS_BAD},
	    {"--master", "--master needs a value", FLAGS_BAD},
	    {"--maste=x", "did you mean --master?", FLAGS_BAD},
	    {"--cluster-cird=x", "did you mean --cluster-cidr?", FLAGS_BAD},
	    {"--frobnicate", "unknown flag --frobnicate; see --help", FLAGS_BAD},
	    {"--conntrack-max", "did you mean --conntrack-max-per-core?", FLAGS_BAD},
	    {"--CONNTRACK_MAX=5", "did you mean --conntrack-max-per-core?", FLAGS_BAD},
	    {"--nodeport", "did you mean --nodeport-addresses?", FLAGS_BAD},
	    {"--log-json", "did you mean --log-json-split-stream or --log-json-info-buffer-size?",
		FLAGS_BAD},
	    {"--sync-period=1s",
		"did you mean --iptables-sync-period, --iptables-min-sync-period, "
		"--ipvs-sync-period or --ipvs-min-sync-period?",
		FLAGS_BAD},
	    {"--ipvs", "--ipvs; 8 flags have this in their names; see --help", FLAGS_BAD},
	    {"-x", "unknown flag -x; see --help", FLAGS_BAD},
	    {"-hv", "unknown flag -hv", FLAGS_BAD},
	    {"-proxy-mode=nftables", "-proxy-mode; flags have two dashes: --proxy-mode; see",
		FLAGS_BAD},
	    {"-proxy_mode nftables", "flags have two dashes: --proxy-mode", FLAGS_BAD},
	    {"-version", "flags have two dashes: --version", FLAGS_BAD},
	    {"-vmodule=a=1", "flags have two dashes: --vmodule", FLAGS_BAD},
	    {"-master=https://u:secret@h", "-master; flags have two dashes: --master; see",
		FLAGS_BAD},
	    {"-proxy-mod=nftables", "did you mean --proxy-mode?", FLAGS_BAD},
	    {"--version=1.36", "--version \"1.36\": expected true, false or raw", FLAGS_BAD},
	    {"true", "unexpected argument \"true\": kube-proxy takes flags only", FLAGS_BAD},
	    {"-", "takes flags only", FLAGS_BAD},
	    {"--dry-run=2", "--dry-run \"2\": expected true or false", FLAGS_BAD},
	    {"--iptables-masquerade-bit=32", "from 0 to 31", FLAGS_BAD},
	    {"--iptables-masquerade-bit=-1", "from 0 to 31", FLAGS_BAD},
	    {"--iptables-masquerade-bit=", "from 0 to 31", FLAGS_BAD},
	    {"--iptables-sync-period=0", "more than 0", FLAGS_BAD},
	    {"--iptables-sync-period=30", "a duration such as", FLAGS_BAD},
	    {"--iptables-sync-period=5s --iptables-min-sync-period=6s",
		"must not be longer than --iptables-sync-period (5s)", FLAGS_BAD},
	    {"--cluster-cidr=10.0.0.0", "10.0.0.0 has no prefix length", FLAGS_BAD},
	    {"--cluster-cidr=10.0.0.0/8,11.0.0.0/8", "two IPv4 prefixes; expected a prefix",
		FLAGS_BAD},
	    {"--cluster-cidr=fd00::/8,fd00::/9", "two IPv6 prefixes; expected a prefix", FLAGS_BAD},
	    {"--cluster-cidr=10.0.0.0/8,", "expected a prefix", FLAGS_BAD},
	    {"--cluster-cidr=10.0.0.0/8,fd00::/8,fe00::/8", "expected a prefix", FLAGS_BAD},
	    {"--proxy-mode=kernelspace", "expected iptables, nftables, ipvs or userspace",
		FLAGS_BAD},
	    {"--hostname-override=a_b", "expected a node's name", FLAGS_BAD},
	    {"--healthz-bind-address=localhost", "expected IP", FLAGS_BAD},
	    {"--healthz-bind-address=1.2.3.4:", "expected IP", FLAGS_BAD},
	    {"--healthz-bind-address=1.2.3.4:65536", "expected IP", FLAGS_BAD},
	    {"--healthz-bind-address=[::1", "expected IP", FLAGS_BAD},
	    {"--cleanup --dry-run", "each do one thing", FLAGS_BAD},
	    {"--init-only --cleanup", "each do one thing", FLAGS_BAD},
	    {"--check-node --cleanup", "each do one thing", FLAGS_BAD},
	    {"--cleanup-keep=nftables", "cannot be given without --cleanup", FLAGS_BAD},
	    {"--check-node --cleanup-keep=nftables", "cannot be given without --cleanup",
		FLAGS_BAD},
	    {"--cleanup --cleanup-keep=iptables",
		"--cleanup-keep \"iptables\": expected iptables-nft", FLAGS_BAD},
	    {"--cleanup --cleanup-keep=ipvs,", "expected iptables-nft", FLAGS_BAD},
	    {"--cleanup --cleanup-keep=,ipvs", "expected iptables-nft", FLAGS_BAD},
	    {"--cleanup-ipvs=x", "true or false", FLAGS_BAD},
	    {"--conntrack-min=-1", "from 0 to 2147483647", FLAGS_BAD},
	    {"--conntrack-max-per-core=2147483648", "from 0 to 2147483647", FLAGS_BAD},
	    {"--conntrack-udp-timeout=5", "a duration such as", FLAGS_BAD},
	    {"--conntrack-udp-timeout=-5s", "a duration such as", FLAGS_BAD},
	    {"--oom-score-adj=1001", "from -1000 to 1000", FLAGS_BAD},
	    {"--oom-score-adj=--1", "from -1000 to 1000", FLAGS_BAD},
	    {"--oom-score-adj=-", "from -1000 to 1000", FLAGS_BAD},
	    {"--healthz-port=65536", "expected a port", FLAGS_BAD},
	    {"--audit-log=", "expected a path", FLAGS_BAD},
	    {"-v=x", "--v \"x\": expected", FLAGS_BAD},
	    {"--manifest-path=/x --kubeconfig=/y", "cannot be given with --kubeconfig", FLAGS_BAD},
	    {"--manifest-path=/nonexistent/x", "No such file", FLAGS_CONFIG},
	    {"--kubeconfig=/nonexistent/x", "kubeconfig /nonexistent/x: cannot be read",
		FLAGS_CONFIG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char said[2048], *newline;
		enum flags_result r = parse(cases[i].line, said, sizeof(said));

		newline = strchr(said, '\n');
		if (r != cases[i].result || strstr(said, cases[i].says) == NULL)
			fail_msg("%s: %d \"%s\"", cases[i].line, (int)r, said);
		if (newline == NULL || newline[1] != '\0')
			fail_msg("%s: not one line: %s", cases[i].line, said);
		/* A mistake on the command line has no log line's head. */
		if (r == FLAGS_BAD && strncmp(said, "kube-proxy: ", 12) != 0)
			fail_msg("%s: %s", cases[i].line, said);
	}
}

static enum flags_result answer(char *flag, char *text, size_t size)
{
	/* Nothing behind --help counts; what stands before it does. */
	char *argv[] = {(char[]){"kube-proxy"}, flag, (char[]){"--nonsense"}};
	enum flags_result r;

	capture_begin(STDOUT_FILENO);
	r = flags_parse(&cfg, strstr(flag, "version") != NULL ? 2 : 3, argv);
	capture_end(STDOUT_FILENO, text, size);
	return r;
}

static void test_help(void **state)
{
	static char help[32768], all[32768];
	const struct setting *row;
	char said[1024];

	(void)state;
	assert_int_equal(answer((char[]){"-h"}, help, sizeof(help)), FLAGS_DONE);
	assert_int_equal(answer((char[]){"--help-all"}, all, sizeof(all)), FLAGS_DONE);
	assert_non_null(strstr(help, "\n  -v, --v LEVEL\n"));
	assert_non_null(strstr(help, "Exit status: 0 "));
	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		char line[128];

		if (row->flag == NULL)
			continue;
		snprintf(line, sizeof(line), " --%s%s%s\n", row->flag, row->argument ? " " : "",
		    row->argument ? row->argument : "");
		if (strstr(all, line) == NULL)
			fail_msg("--help-all has no%s", line);
		if ((strstr(help, line) != NULL) != !(row->marks & NO_EFFECT))
			fail_msg("--help: %s", line);
	}
	for (char *line = strtok(all, "\n"); line != NULL; line = strtok(NULL, "\n"))
		if (strlen(line) > 80)
			fail_msg("too long: %s", line);
	assert_int_equal(parse("--nonsense --help", said, sizeof(said)), FLAGS_BAD);
}

static void test_version(void **state)
{
	char text[1024], whole[64];

	(void)state;
	/* Scripts match the whole output, kubeadm's for the kubelet among them. */
	assert_int_equal(answer((char[]){"--version"}, text, sizeof(text)), FLAGS_DONE);
	snprintf(whole, sizeof(whole), "Kubernetes %s\n", KUBERNETES_VERSION);
	assert_string_equal(text, whole);
	assert_int_equal(answer((char[]){"--version=1"}, text, sizeof(text)), FLAGS_DONE);
	assert_string_equal(text, whole);
	assert_int_equal(answer((char[]){"--version=raw"}, text, sizeof(text)), FLAGS_DONE);
	assert_ptr_equal(strstr(text, "version.Info{Major:\"1\", Minor:\""), text);
	snprintf(whole, sizeof(whole), "GitVersion:\"%s\"", KUBERNETES_VERSION);
	assert_non_null(strstr(text, whole));
	assert_non_null(strstr(text, "}\nkube-proxy " VERSION "\n"));
	good_with_master("--version=false");
}

static void test_in_cluster(void **state)
{
	char said[1024];

	(void)state;
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	/* Outside of a pod there are no credentials to find; where to look is said. */
	assert_int_equal(parse("", said, sizeof(said)), FLAGS_CONFIG);
	assert_string_equal(cfg.master, "https://[fd00::1]:443");
	assert_true(cfg.in_cluster);
	assert_non_null(strstr(said, "/var/run/secrets/kubernetes.io/serviceaccount/token"));
	setenv("KUBERNETES_SERVICE_HOST", "a b", 1);
	assert_int_equal(parse("", said, sizeof(said)), FLAGS_BAD);
	/* A master of the user's own is never given the pod's credentials. */
	good(master);
	assert_false(cfg.in_cluster);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
}

static void test_absolute_paths(void **state)
{
	char cwd[512], want[600];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	good("--manifest-path=tests/data --audit-log=a.log");
	snprintf(want, sizeof(want), "%s/tests/data", cwd);
	assert_string_equal(cfg.manifest_path, want);
	snprintf(want, sizeof(want), "%s/a.log", cwd);
	assert_string_equal(cfg.audit_log, want);
	good("--manifest-path=/etc --audit-log=stderr");
	assert_string_equal(cfg.manifest_path, "/etc");
	assert_string_equal(cfg.audit_log, "stderr");
}

/* --- the mode where none is named --- */

static void test_mode(void **state)
{
	static const struct {
		const char *file, *release, *mode, *why;
	} cases[] = {
	    {"ip_tables_names", "6.1.0-18-amd64", "iptables", "the kernel has x_tables"},
	    {"ip6_tables_names", "4.19.0", "iptables", "the kernel has x_tables"},
	    {NULL, "6.18.44", "nftables", "\"modprobe ip_tables\" before the start"},
	    {NULL, "5.13.0-rc1", "nftables", "/ip_tables_names is not there"},
	    {NULL, "10.0", "nftables", ""},
	    {NULL, "who knows", "nftables", ""},
	    {NULL, "5.12.19", "userspace", "nftables mode needs Linux 5.13, not 5.12.19"},
	    {NULL, "4.19.0", "userspace", "has no x_tables"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char dir[] = "/tmp/kp-mode-XXXXXX", path[64] = "", why[MODE_WHY_MAX];
		const char *mode;

		assert_non_null(mkdtemp(dir));
		if (cases[i].file != NULL) {
			snprintf(path, sizeof(path), "%s/%s", dir, cases[i].file);
			close(open(path, O_CREAT | O_WRONLY, 0));
		}
		mode = mode_choose(dir, cases[i].release, why);
		if (path[0] != '\0')
			unlink(path);
		rmdir(dir);
		assert_string_equal(mode, cases[i].mode);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].release, why);
	}
}

/* What systemd says counts for the process that it says it of: our parent. */
static void test_watchdog(void **state)
{
	static const struct {
		const char *usec, *pid;
		uint64_t ms;
		bool warns;
	} cases[] = {
	    {NULL, NULL, 0, false},
	    {"120000000", NULL, 120000, false},
	    {"120000000", "ours", 120000, false},
	    {"120000000", "1000000000", 0, false},
	    {"1000", NULL, 1, false},
	    {"999", NULL, 0, true},
	    {"", NULL, 0, true},
	    {"-5000", NULL, 0, true},
	    {"5000x", NULL, 0, true},
	    {"99999999999999999999999", NULL, 0, true},
	};
	char said[1024], pid[32];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", getppid());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].usec != NULL)
			setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid != NULL)
			setenv("WATCHDOG_PID",
			    strcmp(cases[i].pid, "ours") == 0 ? pid : cases[i].pid, 1);
		assert_int_equal(parse("--manifest-path=/etc", said, sizeof(said)), FLAGS_RUN);
		if (cfg.watchdog_ms != cases[i].ms ||
		    (strstr(said, "WATCHDOG_USEC") != NULL) != cases[i].warns)
			fail_msg("case %zu: %llu ms, said \"%s\"", i,
			    (unsigned long long)cfg.watchdog_ms, said);
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
	}
}

/* What /flagz and /configz say: everything that counts, and no password. */
static void test_shown(void **state)
{
	json_t *all, *config;
	const char *line = cfg.flags_text, *end;
	char before[128] = "", said[1024];
	size_t lines = 0;

	(void)state;
	assert_int_equal(
	    parse("--master=https://10.0.0.1:6443 --nodeport-addresses=10.0.0.0/8,fd00::/8 "
		  "--kube-api-qps=2.5 --masquerade-all --vmodule=a=1,b=2 --feature-gates=X=true "
		  "--oom-score-adj=-5 --cluster-cidr=10.1.0.0/16",
		said, sizeof(said)),
	    FLAGS_RUN);
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, "="), line);
		assert_true(strcmp(before, name) < 0);
		memcpy(before, name, sizeof(before));
	}
	assert_true(lines > 40);
	assert_non_null(strstr(cfg.flags_text, "\nmaster=https://10.0.0.1:6443\n"));
	assert_non_null(strstr(cfg.flags_text, "\nnodeport-addresses=10.0.0.0/8,fd00::/8\n"));
	assert_non_null(strstr(cfg.flags_text, "\nmasquerade-all=true\n"));
	assert_null(strstr(cfg.flags_text, "\nlog-dir=")); /* has no effect, so no value */

	all = json_loads(cfg.config_json, 0, NULL);
	config = json_object_get(all, "kubeproxy.config.k8s.io");
	assert_non_null(config);
	assert_int_equal(json_array_size(json_object_get(config, "nodePortAddresses")), 2);
	assert_true(json_real_value(json_object_get(
			json_object_get(config, "clientConnection"), "qps")) == 2.5);
	assert_true(
	    json_is_true(json_object_get(json_object_get(config, "iptables"), "masqueradeAll")));
	assert_true(json_is_true(json_object_get(json_object_get(config, "featureGates"), "X")));
	assert_int_equal(json_integer_value(json_object_get(config, "oomScoreAdj")), -5);
	assert_string_equal(
	    json_string_value(json_object_get(config, "clusterCIDR")), "10.1.0.0/16");
	assert_int_equal(
	    json_integer_value(json_object_get(
		json_array_get(json_object_get(json_object_get(config, "logging"), "vmodule"), 1),
		"verbosity")),
	    2);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mode),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_syntax),
	    cmocka_unit_test(test_cluster_cidr),
	    cmocka_unit_test(test_periods),
	    cmocka_unit_test(test_kernel),
	    cmocka_unit_test(test_one_thing),
	    cmocka_unit_test(test_healthz),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_help),
	    cmocka_unit_test(test_version),
	    cmocka_unit_test(test_in_cluster),
	    cmocka_unit_test(test_absolute_paths),
	    cmocka_unit_test(test_watchdog),
	    cmocka_unit_test(test_shown),
	};

	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
