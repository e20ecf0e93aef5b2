/* Settings of ipvs mode, and those that cannot have an effect here. */
#include <limits.h>

#include "watcher/setting.h"
#include "watcher/setting_check.h"

#define PERIOD_ABOVE_0 "expected a duration such as 30s, 500ms or 1h2m, more than 0"

#define OF_MODE(name, at_field, kind_, standard_, ...)                                             \
	{                                                                                          \
		.flag = (name), .kind = (kind_), SETTING_AT(at_field), .standard = (standard_),    \
		.group = GROUP_OTHER_MODES, __VA_ARGS__                                            \
	}
/* A flag that is taken whatever it says. */
#define IGNORED(name, argument_, standard_, help_)                                                 \
	{                                                                                          \
		.flag = (name), .kind = SETTING_TEXT, SETTING_AT(ignored.text),                    \
		.standard = (standard_), .marks = WITH_CONFIG | NO_EFFECT, .group = GROUP_IGNORED, \
		.argument = (argument_), .help = (help_)                                           \
	}
#define IGNORED_SWITCH(name, standard_, help_)                                                     \
	{                                                                                          \
		.flag = (name), .kind = SETTING_SWITCH, SETTING_AT(ignored.on),                    \
		.standard = (standard_), .marks = WITH_CONFIG | NO_EFFECT, .group = GROUP_IGNORED, \
		.help = (help_)                                                                    \
	}
/* A field that is taken if it is of the right type. */
#define IGNORED_FIELD(path, kind_, at_field, standard_)                                            \
	{                                                                                          \
		.field = (path), .kind = (kind_), SETTING_AT(at_field), .standard = (standard_),   \
		.high = INT32_MAX, .marks = NO_EFFECT, .group = GROUP_IGNORED                      \
	}
#define OF_NFTABLES(path, kind_, at_field, standard_, ...)                                         \
	{                                                                                          \
		.field = (path), .kind = (kind_), SETTING_AT(at_field), .standard = (standard_),   \
		.group = GROUP_OTHER_MODES, __VA_ARGS__                                            \
	}

static const struct setting rows[] = {
    OF_MODE("ipvs-scheduler", cfg.ipvs_scheduler, SETTING_TEXT, "", .field = "ipvs.scheduler",
	.check = check_scheduler, .argument = "NAME",
	.help =
	    "How a virtual server chooses: rr (if empty), wrr, lc, wlc, lblc, lblcr, sh, dh, sed, "
	    "nq, mh, fo, ovf or twos."),
    OF_MODE("ipvs-exclude-cidrs", cfg.ipvs_exclude, SETTING_PREFIXES, "",
	.count_at = offsetof(struct settings, cfg.ipvs_exclude_count), .field = "ipvs.excludeCIDRs",
	.expected = "expected at most 32 prefixes such as 192.0.2.0/24, separated by commas",
	.argument = "CIDR,...", .help = "Prefixes whose virtual servers are never changed."),
    OF_MODE("ipvs-strict-arp", cfg.ipvs_strict_arp, SETTING_SWITCH, "false",
	.field = "ipvs.strictARP", .help = "Set arp_ignore to 1 and arp_announce to 2."),
    OF_MODE("ipvs-sync-period", ipvs.sync_period_ms, SETTING_DURATION, "30s",
	.field = "ipvs.syncPeriod", .low = 1, .expected = PERIOD_ABOVE_0, .marks = EMPTY_IS_DEFAULT,
	.argument = "DURATION", .help = "As --iptables-sync-period, for ipvs mode."),
    OF_MODE("ipvs-min-sync-period", ipvs.min_sync_period_ms, SETTING_DURATION, "1s",
	.field = "ipvs.minSyncPeriod", .marks = EMPTY_IS_DEFAULT, .argument = "DURATION",
	.help = "As --iptables-min-sync-period, for ipvs mode."),
    OF_MODE("ipvs-tcp-timeout", cfg.ipvs_tcp_s, SETTING_SECONDS, "0", .field = "ipvs.tcpTimeout",
	.argument = "DURATION", .help = "Idle timeout of TCP connections. 0: leave it as it is."),
    OF_MODE("ipvs-tcpfin-timeout", cfg.ipvs_tcp_fin_s, SETTING_SECONDS, "0",
	.field = "ipvs.tcpFinTimeout", .argument = "DURATION",
	.help = "Timeout of TCP connections after a FIN. 0: leave it as it is."),
    OF_MODE("ipvs-udp-timeout", cfg.ipvs_udp_s, SETTING_SECONDS, "0", .field = "ipvs.udpTimeout",
	.argument = "DURATION", .help = "Idle timeout of UDP flows. 0: leave it as it is."),
    OF_NFTABLES(
	"nftables.masqueradeBit", SETTING_NUMBER, nftables.masquerade_bit, "14", .high = 31),
    OF_NFTABLES("nftables.masqueradeAll", SETTING_SWITCH, nftables.masquerade_all, "false"),
    OF_NFTABLES("nftables.syncPeriod", SETTING_DURATION, nftables.sync_period_ms, "30s", .low = 1,
	.expected = PERIOD_ABOVE_0, .marks = EMPTY_IS_DEFAULT),
    OF_NFTABLES("nftables.minSyncPeriod", SETTING_DURATION, nftables.min_sync_period_ms, "1s",
	.marks = EMPTY_IS_DEFAULT),

    {.flag = "config-sync-period",
	.field = "configSyncPeriod",
	.kind = SETTING_DURATION,
	SETTING_AT(config_sync_ms),
	.low = 1,
	.expected = PERIOD_ABOVE_0,
	.standard = "15m",
	.marks = EMPTY_IS_DEFAULT | NO_EFFECT,
	.group = GROUP_IGNORED,
	.argument = "DURATION",
	.help = "The apiserver sends changes; nothing is polled."},
    IGNORED("boot-id-file", "FILE", "/proc/sys/kernel/random/boot_id", "A proxy does not use it."),
    IGNORED("machine-id-file", "FILE", "/etc/machine-id,/var/lib/dbus/machine-id",
	"A proxy does not use it."),
    IGNORED("cloud-provider-gce-l7lb-src-cidrs", "CIDRS", "130.211.0.0/22,35.191.0.0/16",
	"A proxy does not use it."),
    IGNORED("cloud-provider-gce-lb-src-cidrs", "CIDRS",
	"130.211.0.0/22,209.85.152.0/22,209.85.204.0/22,35.191.0.0/16", "A proxy does not use it."),
    IGNORED("default-not-ready-toleration-seconds", "N", "300", "A proxy does not use it."),
    IGNORED("default-unreachable-toleration-seconds", "N", "300", "A proxy does not use it."),
    IGNORED("azure-container-registry-config", "FILE", "", "A proxy pulls no images."),
    IGNORED_SWITCH("logtostderr", "true", "Logs go to standard error."),
    IGNORED_SWITCH("alsologtostderr", "false", "Logs go to standard error only."),
    IGNORED("stderrthreshold", "SEVERITY", "2", "All logs go to standard error."),
    IGNORED("log-dir", "DIR", "", "No log files are written."),
    IGNORED("log-file", "FILE", "", "No log files are written."),
    IGNORED("log-file-max-size", "MIB", "1800", "No log files are written."),
    IGNORED_SWITCH("one-output", "false", "Logs go to standard error only."),
    IGNORED("log-backtrace-at", "FILE:N", ":0", "No stack traces are logged."),
    IGNORED_SWITCH("add-dir-header", "false", "The header of a log line is fixed."),
    IGNORED_SWITCH("skip-headers", "false", "The header of a log line is fixed."),
    IGNORED_SWITCH("skip-log-headers", "false", "No log files are written."),
    IGNORED_SWITCH("log-json-split-stream", "false", "Logs go to standard error only."),
    IGNORED("log-json-info-buffer-size", "SIZE", "0", "Every line is written at once."),
    IGNORED_SWITCH("log-text-split-stream", "false", "Logs go to standard error only."),
    IGNORED("log-text-info-buffer-size", "SIZE", "0", "Every line is written at once."),

    IGNORED_FIELD("clientConnection.acceptContentTypes", SETTING_TEXT, ignored.text, ""),
    IGNORED_FIELD("conntrack.max", SETTING_NUMBER, ignored.number, "0"),
    IGNORED_FIELD("iptables.snatNodeInternalIP", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("resourceContainer", SETTING_TEXT, ignored.text, ""),
    IGNORED_FIELD("winkernel.networkName", SETTING_TEXT, ignored.text, ""),
    IGNORED_FIELD("winkernel.sourceVip", SETTING_TEXT, ignored.text, ""),
    IGNORED_FIELD("winkernel.enableDSR", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("winkernel.rootHnsEndpointName", SETTING_TEXT, ignored.text, ""),
    IGNORED_FIELD("winkernel.forwardHealthCheckVip", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("windowsRunAsService", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("logging.options.text.splitStream", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("logging.options.text.infoBufferSize", SETTING_TEXT, ignored.text, "0"),
    IGNORED_FIELD("logging.options.json.splitStream", SETTING_SWITCH, ignored.on, "false"),
    IGNORED_FIELD("logging.options.json.infoBufferSize", SETTING_TEXT, ignored.text, "0"),
};

const struct setting_rows setting_other_rows = {rows, sizeof(rows) / sizeof(rows[0])};
