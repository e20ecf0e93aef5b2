/*
 * Every setting: its default, a value from a flag, the same from a file, and what is said about a
 * wrong one. A setting without a case here fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/config_file.h"
#include "watcher/config_write.h"
#include "watcher/flag_settle.h"
#include "watcher/setting.h"

#include "capture.h"

#define HEAD "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

/* Values as setting_text() has them; BAD_FLAG and what files hold are as they are written. */
static const struct {
	const char *name; /* of the flag, else of the field */
	const char *standard, *flag, *value;
	const char *bad_flag;
	const char *file;     /* VALUE, as JSON; NULL for a flag alone */
	const char *bad_file; /* of the right type but wrong, or of a wrong type */
	const char *expected; /* is said of both */
} cases[] = {
    {"config", "", "/a/b", "/a/b", NULL, NULL, NULL, NULL},
    {"kubeconfig", "", "/k", "/k", NULL, "\"/k\"", "1", "expected a text"},
    {"master", "", "https://h:1", "https://h:1", "h:1", NULL, NULL, "expected a URL"},
    {"manifest-path", "", "m", "m", NULL, NULL, NULL, NULL},
    {"kube-api-content-type", "application/vnd.kubernetes.protobuf", "application/json",
	"application/json", "text/html", "\"application/json\"", "\"text/html\"",
	"expected application/json or"},
    {"kube-api-qps", "5", "0.25", "0.250", "inf", "0.25", "\"5\"", "expected a number"},
    {"kube-api-burst", "10", "7", "7", "-1", "7", "-1", "expected a whole number from 0"},
    {"hostname-override", "", "n.a-1", "n.a-1", "n_a", "\"n.a-1\"", "\"n_a\"",
	"expected a node's name"},
    {"bind-address", "0.0.0.0", "fd00::1", "fd00::1", "h", "\"fd00::1\"", "\"h\"",
	"expected an IP address"},
    {"cleanup", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"check-node", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"cleanup-ipvs", "true", "false", "false", "2", NULL, NULL, "expected true or false"},
    {"cleanup-keep", "", "nftables,iptables-nft", "iptables-nft,nftables", "iptables", NULL, NULL,
	"expected iptables-nft, iptables-legacy, ipvs or nftables"},
    {"init-only", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"write-config-to", "", "-", "-", NULL, NULL, NULL, NULL},
    {"dry-run", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"inspect", "", "/services?name=a", "/services?name=a", "/x", NULL, NULL,
	"the paths are /services, /explain and /diff"},
    {"oom-score-adj", "-999", "1000", "1000", "-1001", "1000", "-1001",
	"expected a whole number from -1000 to 1000"},
    {"help", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"help-all", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"version", "false", "raw", "raw", "2", NULL, NULL, "expected true, false or raw"},
    {"audit-log", "auto", "syslog", "syslog", "", NULL, NULL, "expected a path"},
    {"verify-audit-log", "", "/a", "/a", NULL, NULL, NULL, NULL},
    {"v", "0", "4", "4", "x", "4", "-1", "expected a whole number"},
    {"vmodule", "", "a=1,b*=2", "a=1,b*=2", "a",
	"[{\"filePattern\":\"a\",\"verbosity\":1},{\"filePattern\":\"b*\",\"verbosity\":2}]",
	"[{\"filePattern\":\"a\"}]", "expected "},
    {"logging-format", "text", "json", "json", "xml", "\"json\"", "\"xml\"",
	"expected text or json"},
    {"log-flush-frequency", "5s", "7s", "7s", "7", "7000000000", "\"7\"", "expected a duration"},
    {"cluster-cidr", "", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,11.0.0.0/8",
	"\"10.0.0.0/8,fd00::/8\"", "\"10.0.0.0/8,11.0.0.0/8\"", "expected a prefix"},
    {"detect-local-mode", "ClusterCIDR", "NodeCIDR", "NodeCIDR", "x", "\"NodeCIDR\"", "\"x\"",
	"expected ClusterCIDR"},
    {"pod-bridge-interface", "", "cni0", "cni0", "a/b", "\"cni0\"", "\"a b\"",
	"expected at most 15"},
    {"pod-interface-name-prefix", "", "veth", "veth", "0123456789012345", "\"veth\"",
	"\"0123456789012345\"", "expected at most 15"},
    {"proxy-mode", "", "nftables", "nftables", "x", "\"nftables\"", "\"x\"",
	"expected iptables, nftables, ipvs or userspace"},
    {"masquerade-all", "false", "true", "true", "2", "true", "\"true\"", "expected true or false"},
    {"iptables-masquerade-bit", "14", "31", "31", "32", "31", "32", "from 0 to 31"},
    {"iptables-sync-period", "30s", "90s", "1m30s", "0", "\"90s\"", "90", "expected a duration"},
    {"iptables-min-sync-period", "1s", "250ms", "250ms", "1", "\"250ms\"", "\"-1s\"",
	"expected a duration"},
    {"nodeport-addresses", "", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,primary",
	"[\"10.0.0.0/8\",\"fd00::/8\"]", "[\"10.0.0.0\"]", "expected at most 32 prefixes"},
    {"policy-node-port-range", "30000-32767", "20000-22767", "20000-22767", "9-8", NULL, NULL,
	"expected a range"},
    {"policy-frontends", "", "10.96.0.0/12,fd00::/8", "10.96.0.0/12,fd00::/8", "10.96.0.1", NULL,
	NULL, "expected at most 32 prefixes"},
    {"policy-endpoints", "", "10.244.0.0/16", "10.244.0.0/16", "any", NULL, NULL,
	"expected at most 32 prefixes"},
    {"policy-denied-endpoints",
	"168.63.129.16/32,100.100.100.200/32,192.0.0.192/32,fd00:ec2::/32,fd20:ce::254/128,"
	"fd00:c1::a9fe:a9fe/128",
	"192.0.2.0/24", "192.0.2.0/24", "x", NULL, NULL, "expected at most 32 prefixes"},
    {"suggest-policy", "false", "true", "true", "2", NULL, NULL, "expected true or false"},
    {"reserved-node-ports", "22,2379-2380,6443,10248-10259", "1,2-3", "1,2-3", "3-2", NULL, NULL,
	"expected ports and ranges"},
    {"iptables-localhost-nodeports", "false", "true", "true", "2", "true", "1",
	"expected true or false"},
    {"feature-gates", "", "A=true,B=false", "A=true,B=false", "A", "{\"A\":true,\"B\":false}",
	"{\"A\":1}", "expected "},
    {"conntrack-max-per-core", "32768", "0", "0", "-1", "0", "-1", "from 0 to 2147483647"},
    {"conntrack-min", "131072", "5", "5", "2147483648", "5", "2147483648", "from 0 to 2147483647"},
    {"conntrack-tcp-timeout-established", "24h0m0s", "0", "0s", "1", "\"0s\"", "\"-1s\"",
	"expected a duration"},
    {"conntrack-tcp-timeout-close-wait", "1h0m0s", "1001ms", "2s", "x", "\"1001ms\"", "1",
	"expected a duration"},
    {"conntrack-tcp-be-liberal", "false", "true", "true", "2", "true", "2",
	"expected true or false"},
    {"conntrack-udp-timeout", "0s", "30s", "30s", "3000000h", "\"30s\"", "\"\"",
	"expected a duration"},
    {"conntrack-udp-timeout-stream", "0s", "180s", "3m0s", "3", "\"180s\"", "true",
	"expected a duration"},
    {"healthz-bind-address", "0.0.0.0:10256", "[::1]:99", "[::1]:99", "h:1", "\"[::1]:99\"",
	"\"h:1\"", "expected IP"},
    {"healthz-port", "10256", "0", "0", "65536", NULL, NULL, "expected a port"},
    {"metrics-bind-address", "127.0.0.1:10249", "0.0.0.0", "0.0.0.0", "1.2.3.4:65536",
	"\"0.0.0.0\"", "\"1.2.3.4:65536\"", "expected IP"},
    {"metrics-port", "10249", "1", "1", "-1", NULL, NULL, "expected a port"},
    {"show-hidden-metrics-for-version", "", "1.16", "1.16", "2.0", "\"1.16\"", "1.16",
	"expected a "},
    {"bind-address-hard-fail", "false", "true", "true", "", "true", "\"\"",
	"expected true or false"},
    {"ipvs-scheduler", "", "wlc", "wlc", "best", "\"wlc\"", "\"best\"", "expected rr"},
    {"ipvs-exclude-cidrs", "", "10.0.0.0/8", "10.0.0.0/8", "primary", "[\"10.0.0.0/8\"]",
	"[\"10.0.0.0/8,11.0.0.0/8\"]", "expected at most 32 prefixes"},
    {"ipvs-strict-arp", "false", "true", "true", "2", "true", "{}", "expected true or false"},
    {"ipvs-sync-period", "30s", "1m", "1m0s", "0", "\"1m\"", "\"1\"", "expected a duration"},
    {"ipvs-min-sync-period", "1s", "2s", "2s", "2", "\"2s\"", "\"2\"", "expected a duration"},
    {"ipvs-tcp-timeout", "0s", "1s", "1s", "1", "\"1s\"", "1", "expected a duration"},
    {"ipvs-tcpfin-timeout", "0s", "1s", "1s", "1", "\"1s\"", "1", "expected a duration"},
    {"ipvs-udp-timeout", "0s", "1s", "1s", "1", "\"1s\"", "1", "expected a duration"},
    {"proxy-port-range", "", "30000+9", "30000-30009", "9-8", "\"30000+9\"", "\"9-8\"",
	"expected a range"},
    {"udp-timeout", "250ms", "2s", "2s", "0", "\"2s\"", "\"1\"", "expected a duration"},
    {"nftables.masqueradeBit", "14", NULL, "3", NULL, "3", "-1", "from 0 to 31"},
    {"nftables.masqueradeAll", "false", NULL, "true", NULL, "true", "0", "true or false"},
    {"nftables.syncPeriod", "30s", NULL, "3s", NULL, "\"3s\"", "3", "expected a duration"},
    {"nftables.minSyncPeriod", "1s", NULL, "3s", NULL, "\"3s\"", "3", "expected a duration"},
    {"config-sync-period", "15m0s", "1h", "1h0m0s", "0", "\"1h\"", "\"x\"", "expected a duration"},
    {"profiling", "false", "true", "true", "2", "true", "2", "expected true or false"},
};

static struct settings s, from_file;

/* PATH: VALUE as a document, in YAML's flow style, which is JSON. */
static void document(char *buf, size_t size, const char *path, const char *value)
{
	char copy[128], *save = NULL;
	unsigned depth = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(buf, size, HEAD);
	for (char *p = strtok_r(copy, ".", &save); p != NULL; p = strtok_r(NULL, ".", &save)) {
		snprintf(buf + strlen(buf), size - strlen(buf), "%s%s: ", depth ? "{" : "", p);
		depth++;
	}
	snprintf(buf + strlen(buf), size - strlen(buf), "%s", value);
	while (--depth > 0)
		strcat(buf, "}");
	strcat(buf, "\n");
}

static int read_text(struct settings *to, const char *text, char *said, size_t size)
{
	int r;

	settings_init(to);
	capture_begin(STDERR_FILENO);
	r = config_file_parse(to, "f.yaml", text, strlen(text), true);
	capture_end(STDERR_FILENO, said, size);
	return r;
}

static void assert_text(const struct settings *of, const struct setting *row, const char *want)
{
	char text[SETTING_TEXT_MAX];

	if (strcmp(setting_text(of, row, text), want) != 0)
		fail_msg(
		    "%s: \"%s\", expected \"%s\"", row->flag ? row->flag : row->field, text, want);
}

static const struct setting *row_of(size_t i)
{
	const char *name = cases[i].name;
	const struct setting *row = setting_of_flag(name, strlen(name));

	if (row == NULL)
		row = setting_of_field(name);
	if (row == NULL)
		fail_msg("%s: no such setting", name);
	return row;
}

#define EACH_CASE(i) for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)

static void every_setting_has_a_case(void **state)
{
	const struct setting *row;

	(void)state;
	for (size_t n = 0; (row = setting_at(n)) != NULL; n++) {
		bool found = setting_is_ignored(row);

		EACH_CASE(i)
		found |= row_of(i) == row;
		if (!found)
			fail_msg("%s has no case", row->flag ? row->flag : row->field);
	}
}

static void defaults(void **state)
{
	(void)state;
	settings_init(&s);
	EACH_CASE(i)
	assert_text(&s, row_of(i), cases[i].standard);
}

static void from_flags(void **state)
{
	(void)state;
	EACH_CASE(i)
	{
		const struct setting *row = row_of(i);
		const char *expected;

		if (row->flag == NULL)
			continue;
		settings_init(&s);
		expected = setting_take(&s, row, cases[i].flag);
		if (expected != NULL)
			fail_msg("--%s=%s: %s", row->flag, cases[i].flag, expected);
		assert_text(&s, row, cases[i].value);
		assert_true(setting_given(&s, row->flag));
		if (cases[i].bad_flag == NULL)
			continue;
		settings_init(&s);
		expected = setting_take(&s, row, cases[i].bad_flag);
		if (expected == NULL || strstr(expected, cases[i].expected) == NULL)
			fail_msg("--%s=%s: \"%s\"", row->flag, cases[i].bad_flag,
			    expected ? expected : "taken");
		assert_false(setting_given(&s, row->flag));
	}
}

static void from_files(void **state)
{
	(void)state;
	EACH_CASE(i)
	{
		const struct setting *row = row_of(i);
		char text[1024], said[1024], where[160];

		assert_int_equal(row->field == NULL, cases[i].file == NULL);
		if (row->field == NULL)
			continue;
		document(text, sizeof(text), row->field, cases[i].file);
		if (read_text(&s, text, said, sizeof(said)) != 0)
			fail_msg("%s\n%s", text, said);
		assert_text(&s, row, cases[i].value);
		document(text, sizeof(text), row->field, cases[i].bad_file);
		if (read_text(&s, text, said, sizeof(said)) == 0)
			fail_msg("%s\nwas taken", text);
		snprintf(where, sizeof(where), "] f.yaml:3: %s", row->field);
		if (strstr(said, where) == NULL || strstr(said, cases[i].expected) == NULL)
			fail_msg("%s\n%s", text, said);
	}
}

/* All of them not at their defaults, written and read again. */
static void written_and_read(void **state)
{
	char *text = NULL, said[4096];
	const struct setting *row;
	size_t len;
	FILE *out;

	(void)state;
	settings_init(&s);
	EACH_CASE(i)
	{
		row = row_of(i);
		if (row->field != NULL)
			assert_null(setting_take(&s, row, cases[i].value));
	}
	out = open_memstream(&text, &len);
	config_print(out, &s);
	fclose(out);
	if (read_text(&from_file, text, said, sizeof(said)) != 0)
		fail_msg("%s\n%s", text, said);
	EACH_CASE(i)
	if (row_of(i)->field != NULL)
		assert_text(&from_file, row_of(i), cases[i].value);
	capture_begin(STDERR_FILENO);
	assert_false(config_file_differs(&s, &from_file, "f"));
	from_file.cfg.conntrack_min++;
	assert_true(config_file_differs(&s, &from_file, "f"));
	capture_end(STDERR_FILENO, said, sizeof(said));
	assert_non_null(strstr(said, "conntrack.min is now \"6\", not \"5\""));
	free(text);
}

/* The fields of v1alpha1 in Kubernetes 1.16 and all that later releases added. */
static void fields_of_kubernetes(void **state)
{
	static const char *const fields[] = {"featureGates", "bindAddress", "healthzBindAddress",
	    "metricsBindAddress", "enableProfiling", "clusterCIDR", "hostnameOverride",
	    "clientConnection.kubeconfig", "clientConnection.acceptContentTypes",
	    "clientConnection.contentType", "clientConnection.qps", "clientConnection.burst",
	    "iptables.masqueradeBit", "iptables.masqueradeAll", "iptables.syncPeriod",
	    "iptables.minSyncPeriod", "ipvs.syncPeriod", "ipvs.minSyncPeriod", "ipvs.scheduler",
	    "ipvs.excludeCIDRs", "ipvs.strictARP", "oomScoreAdj", "mode", "portRange",
	    "resourceContainer", "udpIdleTimeout", "conntrack.max", "conntrack.maxPerCore",
	    "conntrack.min", "conntrack.tcpEstablishedTimeout", "conntrack.tcpCloseWaitTimeout",
	    "configSyncPeriod", "nodePortAddresses", "winkernel.networkName", "winkernel.sourceVip",
	    "winkernel.enableDSR",
	    /* since */
	    "ipvs.tcpTimeout", "ipvs.tcpFinTimeout", "ipvs.udpTimeout",
	    "showHiddenMetricsForVersion", "bindAddressHardFail", "detectLocalMode",
	    "detectLocal.bridgeInterface", "detectLocal.interfaceNamePrefix",
	    "winkernel.rootHnsEndpointName", "winkernel.forwardHealthCheckVip",
	    "iptables.localhostNodePorts", "iptables.snatNodeInternalIP", "conntrack.tcpBeLiberal",
	    "conntrack.udpTimeout", "conntrack.udpStreamTimeout", "nftables.masqueradeBit",
	    "nftables.masqueradeAll", "nftables.syncPeriod", "nftables.minSyncPeriod",
	    "logging.format", "logging.flushFrequency", "logging.verbosity", "logging.vmodule",
	    "logging.options.text.splitStream", "logging.options.text.infoBufferSize",
	    "logging.options.json.splitStream", "logging.options.json.infoBufferSize",
	    "windowsRunAsService"};

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (setting_of_field(fields[i]) == NULL)
			fail_msg("%s is not known", fields[i]);
}

/* What kubeadm writes: everything empty but two things. */
static void empty_is_default(void **state)
{
	static const char text[] = HEAD
	    "bindAddress: ''\nclusterCIDR: ''\nconfigSyncPeriod: 0s\n"
	    "clientConnection: {acceptContentTypes: '', burst: 0, contentType: '', qps: 0}\n"
	    "conntrack: {maxPerCore: null, min: null, tcpCloseWaitTimeout: null, udpTimeout: 0s}\n"
	    "detectLocalMode: ''\nhealthzBindAddress: ''\nmetricsBindAddress: ''\nmode: ''\n"
	    "iptables: {masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}\n"
	    "ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, syncPeriod: 0s, scheduler: ''}\n"
	    "logging: {flushFrequency: 0, options: {json: {infoBufferSize: '0'}}, verbosity: 0}\n"
	    "nodePortAddresses: null\noomScoreAdj: null\nportRange: ''\nwinkernel: {sourceVip: "
	    "''}\n"
	    "udpIdleTimeout: 0s\nfeatureGates: null\nnftables: null\nhostnameOverride: ''\n";
	char said[2048];

	(void)state;
	assert_int_equal(read_text(&s, text, said, sizeof(said)), 0);
	assert_string_equal(said, "");
	EACH_CASE(i)
	assert_text(&s, row_of(i), cases[i].standard);
}

static void ipv6_node(void **state)
{
	char said[256];

	(void)state;
	assert_int_equal(read_text(&s, HEAD "bindAddress: '::'\n", said, sizeof(said)), 0);
	assert_text(&s, setting_of_field("healthzBindAddress"), "[::]:10256");
	assert_text(&s, setting_of_field("metricsBindAddress"), "[::1]:10249");
	read_text(&s, HEAD "bindAddress: '::'\nhealthzBindAddress: 1.2.3.4\n", said, sizeof(said));
	assert_text(&s, setting_of_field("healthzBindAddress"), "1.2.3.4");
}

/* Documents as a whole, and what is only warned of. */
static void documents(void **state)
{
	static const struct {
		const char *text, *says;
		int result;
	} docs[] = {
	    {"", "f.yaml: the file is empty; expected a KubeProxyConfiguration", -1},
	    {"# nothing\n", "the file is empty", -1},
	    {HEAD "---\n" HEAD "oomScoreAdj: x\n", "only the first of 2 documents", 0},
	    {HEAD "---\n", "", 0},
	    {"[]", "f.yaml:1: expected a KubeProxyConfiguration", -1},
	    {"kind: KubeProxyConfiguration\n", "apiVersion \"\": expected kubeproxy.config", -1},
	    {"apiVersion: kubeproxy.config.k8s.io/v1alpha2\nkind: KubeProxyConfiguration\n",
		"f.yaml:1: apiVersion \"kubeproxy.config.k8s.io/v1alpha2\": expected", -1},
	    {"apiVersion: v1\nkind: ConfigMap\n", "f.yaml:2: kind \"ConfigMap\"", -1},
	    {HEAD "a: [\n", "f.yaml:4:", -1},
	    {HEAD "\tx: 1\n", "f.yaml:3:", -1},
	    {HEAD "clusterCidr: 10.0.0.0/8\n",
		"f.yaml:3: there is no field clusterCidr; did you mean clusterCIDR? ignoring", 0},
	    {HEAD "iptables:\n  masqueradebit: 3\n",
		"f.yaml:4: there is no field iptables.masqueradebit; did you mean "
		"iptables.masqueradeBit?",
		0},
	    {HEAD "proxyMode: iptables\n", "there is no field proxyMode; ignoring it", 0},
	    {"apiVersion: v1\nkind: Config\n", "(a kubeconfig is given with --kubeconfig)", -1},
	    {HEAD "clusterCIDR: 10.1.2.3/16\n",
		"f.yaml:3: clusterCIDR: 10.1.2.3/16 has host bits set; using 10.1.0.0/16", 0},
	    {HEAD "nodePortAddresses:\n- 10.1.0.0/16\n- 10.2.3.4/16\n",
		"f.yaml:5: nodePortAddresses: 10.2.3.4/16 has host bits set; using 10.2.0.0/16", 0},
	    {HEAD "clusterCIDR: 10.0.0.0/8,11.0.0.0/8\n",
		"f.yaml:3: clusterCIDR \"10.0.0.0/8,11.0.0.0/8\": two IPv4 prefixes; expected", -1},
	    {HEAD "unknown: true\n", "f.yaml:3: there is no field unknown", 0},
	    {HEAD "a.b: 1\n", "there is no field a.b", 0},
	    {HEAD "iptables.syncPeriod: 3s\n", "there is no field iptables.syncPeriod", 0},
	    {HEAD "iptables: 5\n", "f.yaml:3: iptables 5: expected a map", -1},
	    {HEAD "conntrack:\n  min: 1\n  min: 2\n", "f.yaml:5: min: duplicate key", 0},
	    {HEAD "winkernel: {sourceVip: a}\n", "winkernel.sourceVip has no effect", 0},
	    {HEAD "conntrack: {max: 5}\n", "f.yaml:3: conntrack.max has no effect", 0},
	    {HEAD "winkernel: {enableDSR: true}\n", "winkernel.enableDSR has no effect", 0},
	    {"{\"apiVersion\": \"kubeproxy.config.k8s.io/v1alpha1\",\n"
	     "\t\"kind\": \"KubeProxyConfiguration\", \"oomScoreAdj\": 7}\n",
		"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
		char said[2048];
		int r = read_text(&s, docs[i].text, said, sizeof(said));

		if (r != docs[i].result || strstr(said, docs[i].says) == NULL ||
		    (docs[i].says[0] == '\0' && said[0] != '\0'))
			fail_msg("%s\n%d: %s", docs[i].text, r, said);
	}
	assert_int_equal(s.cfg.oom_score_adj, 7);
}

/* One that is wrong does not hide the next. */
static void all_that_is_wrong(void **state)
{
	char said[2048];

	(void)state;
	assert_int_equal(read_text(&s, HEAD "oomScoreAdj: 1001\nmode: x\nconntrack: {min: -1}\n",
			     said, sizeof(said)),
	    -1);
	assert_non_null(strstr(said, "f.yaml:3: oomScoreAdj \"1001\": expected"));
	assert_non_null(strstr(said, "f.yaml:4: mode \"x\": expected"));
	assert_non_null(strstr(said, "f.yaml:5: conntrack.min \"-1\": expected"));
}

/* The section of the mode counts; flags have one for all. */
static void of_the_mode(void **state)
{
	static const struct {
		uint8_t mode;
		const char *file;
		uint64_t period;
		uint8_t bit;
	} modes[] = {
	    {MODE_IPTABLES, "", 20000, 3},
	    {MODE_IPTABLES, "/f", 20000, 3},
	    {MODE_NFTABLES, "", 20000, 3},
	    {MODE_NFTABLES, "/f", 50000, 5},
	};
	char said[512];

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		settings_init(&s);
		s.cfg.mode = modes[i].mode;
		s.cfg.init_only = true; /* needs no apiserver */
		strcpy(s.cfg.config_file, modes[i].file);
		s.iptables = (struct setting_mode){20000, 2000, 3, true};
		s.nftables = (struct setting_mode){50000, 5000, 5, false};
		assert_int_equal(flags_check(&s), FLAGS_RUN);
		assert_int_equal(flags_settle(&s), FLAGS_RUN);
		assert_int_equal(s.cfg.sync_period_ms, modes[i].period);
		assert_int_equal(s.cfg.min_sync_period_ms, modes[i].period / 10);
		assert_int_equal(s.cfg.masquerade_bit, modes[i].bit);
		assert_int_equal(s.cfg.masquerade_all, modes[i].bit == 3);
	}
	s.nftables.min_sync_period_ms = 50001;
	capture_begin(STDERR_FILENO);
	assert_int_equal(flags_check(&s), FLAGS_CONFIG);
	capture_end(STDERR_FILENO, said, sizeof(said));
	assert_non_null(strstr(said, "/f: nftables.minSyncPeriod (50.001s) must not be longer"));
}

static void single_values(void **state)
{
	static const struct {
		const char *flag, *text, *want; /* WANT NULL: refused */
	} values[] = {
	    {"kube-api-qps", "-1", "-1"},
	    {"kube-api-qps", "0", "5"},
	    {"kube-api-qps", "0.00001", "0.001"},
	    {"kube-api-qps", "1e3", "1000"},
	    {"kube-api-qps", "5000000", NULL},
	    {"kube-api-qps", "", NULL},
	    {"kube-api-qps", "0x10", NULL},
	    {"nodeport-addresses", "primary", "primary"},
	    {"nodeport-addresses", "primary,10.0.0.0/8", NULL},
	    {"nodeport-addresses", "10.0.0.0/8,", NULL},
	    {"nodeport-addresses", " 10.0.0.0/8", NULL},
	    {"proxy-port-range", "0-0", ""},
	    {"proxy-port-range", "30000", "30000-30000"},
	    {"proxy-port-range", "30000-", NULL},
	    {"proxy-port-range", "65535+1", NULL},
	    {"proxy-port-range", "0-1", NULL},
	    {"proxy-port-range", "123456789-1", NULL},
	    {"detect-local-mode", "bridgeinterface", "BridgeInterface"},
	    {"pod-bridge-interface", "..", NULL},
	    {"iptables-sync-period", "1h2m3.5s", "1h2m3.5s"},
	    {"iptables-sync-period", "1h", "1h0m0s"},
	    {"iptables-masquerade-bit", "0xe", "14"},
	    {"iptables-masquerade-bit", "0X1F", "31"},
	    {"iptables-masquerade-bit", "017", "15"},
	    {"iptables-masquerade-bit", "0o17", "15"},
	    {"iptables-masquerade-bit", "0b11", "3"},
	    {"iptables-masquerade-bit", "0", "0"},
	    {"iptables-masquerade-bit", "0x", NULL},
	    {"iptables-masquerade-bit", "08", NULL},
	    {"iptables-masquerade-bit", "0b2", NULL},
	    {"iptables-masquerade-bit", " 1", NULL},
	    {"iptables-masquerade-bit", "", NULL},
	    {"iptables-masquerade-bit", "18446744073709551617", NULL},
	    {"oom-score-adj", "+7", "7"},
	    {"oom-score-adj", "-0x10", "-16"},
	    {"oom-score-adj", "-0", "0"},
	    {"oom-score-adj", "--1", NULL},
	    {"vmodule", "=1", NULL},
	    {"vmodule", "a=-1", NULL},
	    {"feature-gates", "A=maybe", NULL},
	    {"feature-gates", "=true", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct setting *row = setting_of_flag(values[i].flag, strlen(values[i].flag));
		const char *expected;

		settings_init(&s);
		expected = setting_take(&s, row, values[i].text);
		if ((expected == NULL) != (values[i].want != NULL))
			fail_msg("--%s=%s: %s", values[i].flag, values[i].text,
			    expected ? expected : "taken");
		if (expected == NULL)
			assert_text(&s, row, values[i].want);
	}
}

/* Lists and maps grow with each flag; at their bound they refuse. */
static void given_twice(void **state)
{
	const struct setting *gates = setting_of_field("featureGates");
	const struct setting *ports = setting_of_field("nodePortAddresses");
	char text[64], name[256];
	size_t i;

	(void)state;
	settings_init(&s);
	assert_null(setting_take(&s, gates, "A=true,B=true"));
	assert_null(setting_take(&s, gates, "A=false"));
	assert_text(&s, gates, "B=true,A=false");
	assert_null(setting_take(&s, gates, "A=true,B=false"));
	assert_text(&s, gates, "A=true,B=false");
	for (i = 0; i < SETTING_GATES_MAX; i++) {
		snprintf(name, sizeof(name), "%0200zu=true", i);
		if (setting_take(&s, gates, name) != NULL)
			break;
	}
	assert_in_range(i, 9, 10);
	for (i = 0; i < CONFIG_PREFIXES_MAX; i++) {
		snprintf(text, sizeof(text), "10.%zu.0.0/16", i);
		assert_null(setting_take(&s, ports, text));
	}
	assert_int_equal(s.cfg.nodeport_address_count, CONFIG_PREFIXES_MAX);
	assert_non_null(setting_take(&s, ports, "11.0.0.0/8"));
	assert_int_equal(s.cfg.nodeport_address_count, CONFIG_PREFIXES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_setting_has_a_case),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(from_flags),
	    cmocka_unit_test(from_files),
	    cmocka_unit_test(written_and_read),
	    cmocka_unit_test(fields_of_kubernetes),
	    cmocka_unit_test(empty_is_default),
	    cmocka_unit_test(ipv6_node),
	    cmocka_unit_test(documents),
	    cmocka_unit_test(all_that_is_wrong),
	    cmocka_unit_test(of_the_mode),
	    cmocka_unit_test(single_values),
	    cmocka_unit_test(given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
