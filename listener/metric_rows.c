#include "listener/metric_rows.h"

const struct metric_label_row metric_labels[LABEL_COUNT] = {
    [LABEL_FAMILY] = {"ip_family", FAMILY_COUNT, {"IPv4", "IPv6"}},
    [LABEL_TABLE] = {"table", IPT_TABLE_COUNT, {"nat", "filter"}},
    [LABEL_POLICY] = {"traffic_policy", METRICS_POLICIES, {"internal", "external"}},
    [LABEL_RESULT] = {"result", METRICS_CODES, {"ok", "unchanged", "stale", "busy", "kernel"}},
    [LABEL_OPERATION] = {"operation", METRICS_OPERATIONS, {"put", "delete", "other"}},
    [LABEL_CHANNEL] = {"channel", METRICS_CHANNELS,
	{"watcher-planner", "planner-applier", "applier-planner", "planner-listener",
	    "planner-relay"}},
    [LABEL_RESOURCE] = {"resource", METRICS_RESOURCES,
	{"services", "endpointslices", "nodes", "servicecidrs"}},
    /* As metrics_status_codes. */
    [LABEL_CODE] = {"code", METRICS_STATUS_CODES + 2,
	{"200", "301", "400", "401", "403", "404", "408", "410", "422", "429", "500", "502", "503",
	    "504", "other", "<error>"}},
    [LABEL_PROBE_CODE] = {"code", PROBE_CODES, {"200", "503"}},
    [LABEL_WHERE] = {"where", LEFTOVERS_WHERES, {"nf_tables", "x_tables", "ipvs", "nftables"}},
};

#define PLANNER(field)	offsetof(struct metrics_told, all.planner.field)
#define WATCHER(field)	offsetof(struct metrics_told, all.watcher.field)
#define LISTENER(field) offsetof(struct metrics_told, listener.field)

#define COUNTER(name_, at_) .name = (name_), .type = METRIC_COUNTER, .at = (at_)
#define GAUGE(name_, at_)   .name = (name_), .type = METRIC_GAUGE, .at = (at_)
#define HISTOGRAM(name_, at_, bounds_)                                                             \
	.name = (name_), .type = METRIC_HISTOGRAM, .unit = UNIT_US, .at = (at_),                   \
	.bounds = &metrics_##bounds_##_bounds
#define HELP(text)    .help = (text)
#define BY(...)	      .labels = {__VA_ARGS__}
#define IN_MODE(mode) .modes = 1u << (mode)
#define SECONDS_OF_MS .unit = UNIT_MS
#define SECONDS_OF_US .unit = UNIT_US
#define SKIP_ZERO     .marks = METRIC_SKIP_ZERO

/* The same of each process; the relay need not exist. */
#define OF_EACH(declare, name_, help_, field, unit_, ...)                                          \
	{declare(name_, PLANNER(applier.field)), HELP(help_), .constant = "process=\"applier\"",   \
	    .unit = (unit_), __VA_ARGS__},                                                         \
	    {declare(name_, PLANNER(process.field)), HELP(help_),                                  \
		.constant = "process=\"planner\"", .unit = (unit_), __VA_ARGS__},                  \
	    {declare(name_, WATCHER(process.field)), HELP(help_),                                  \
		.constant = "process=\"watcher\"", .unit = (unit_), __VA_ARGS__},                  \
	    {declare(name_, PLANNER(relay.process.field)), HELP(help_),                            \
		.constant = "process=\"relay\"", .unit = (unit_), SKIP_ZERO},                      \
	    {declare(name_, PLANNER(relay.broker.field)), HELP(help_),                             \
		.constant = "process=\"broker\"", .unit = (unit_), SKIP_ZERO},                     \
	{                                                                                          \
		declare(name_, LISTENER(process.field)), HELP(help_),                              \
		    .constant = "process=\"listener\"", .unit = (unit_), __VA_ARGS__               \
	}

/* clang-format off */
const struct metric_row metric_rows[] = {
    /* --- upstream's --- */
    {COUNTER("kubeproxy_conntrack_reconciler_deleted_entries_total", PLANNER(flows_deleted)),
	HELP("Stale UDP flows deleted from the kernel's connection tracking"), BY(LABEL_FAMILY)},
    {HISTOGRAM("kubeproxy_conntrack_reconciler_sync_duration_seconds", PLANNER(flow_passes), sync),
	HELP("Passes over the kernel's UDP flows, begun after changes, to their end"),
	BY(LABEL_FAMILY)},
    {HISTOGRAM("kubeproxy_network_programming_duration_seconds", PLANNER(network), network),
	HELP("From what endpoints changed for (as the apiserver's controllers say) to the rules "
	     "being programmed"), BY(LABEL_FAMILY)},
    {COUNTER("kubeproxy_proxy_healthz_total", LISTENER(healthz)),
	HELP("Answers of /healthz by HTTP status"), BY(LABEL_PROBE_CODE), SKIP_ZERO},
    {COUNTER("kubeproxy_proxy_livez_total", LISTENER(livez)),
	HELP("Answers of /livez by HTTP status"), BY(LABEL_PROBE_CODE), SKIP_ZERO},
    {HISTOGRAM("kubeproxy_sync_full_proxy_rules_duration_seconds", PLANNER(sync_full), sync),
	HELP("Rounds of programming that compared everything with the kernel"), BY(LABEL_FAMILY),
	IN_MODE(MODE_IPTABLES)},
    {HISTOGRAM("kubeproxy_sync_partial_proxy_rules_duration_seconds", PLANNER(sync_partial), sync),
	HELP("Rounds of programming that looked at what had changed"), BY(LABEL_FAMILY),
	IN_MODE(MODE_IPTABLES)},
    {HISTOGRAM("kubeproxy_sync_proxy_rules_duration_seconds", PLANNER(sync), sync),
	HELP("Rounds of programming, from planning to the kernel's answer"), BY(LABEL_FAMILY)},
    {GAUGE("kubeproxy_sync_proxy_rules_endpoint_changes_pending", PLANNER(changes_pending[1])),
	HELP("Services whose endpoints changed and wait to be programmed")},
    {COUNTER("kubeproxy_sync_proxy_rules_endpoint_changes_total", PLANNER(changes[1])),
	HELP("EndpointSlices that came or went")},
    {GAUGE("kubeproxy_sync_proxy_rules_iptables_last", PLANNER(rules_last)),
	HELP("Rules that the last round of programming wrote"), BY(LABEL_FAMILY, LABEL_TABLE),
	IN_MODE(MODE_IPTABLES)},
    {COUNTER("kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
	PLANNER(partial_failures)),
	HELP("Rounds of programming of what had changed that failed; everything is compared then"),
	BY(LABEL_FAMILY), IN_MODE(MODE_IPTABLES)},
    {COUNTER("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", PLANNER(failures)),
	HELP("Rounds of programming that failed"), BY(LABEL_FAMILY), IN_MODE(MODE_IPTABLES)},
    {GAUGE("kubeproxy_sync_proxy_rules_iptables_total", PLANNER(rules)),
	HELP("Rules in the proxy's chains"), BY(LABEL_FAMILY, LABEL_TABLE), IN_MODE(MODE_IPTABLES)},
    {GAUGE("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", PLANNER(queued_ms)),
	HELP("When something to program came last"), BY(LABEL_FAMILY), SECONDS_OF_MS, SKIP_ZERO},
    {GAUGE("kubeproxy_sync_proxy_rules_last_timestamp_seconds", PLANNER(synced_ms)),
	HELP("When a round of programming ended well last"), BY(LABEL_FAMILY), SECONDS_OF_MS,
	SKIP_ZERO},
    {COUNTER("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", PLANNER(failures)),
	HELP("Rounds of programming that failed"), BY(LABEL_FAMILY), IN_MODE(MODE_NFTABLES)},
    {GAUGE("kubeproxy_sync_proxy_rules_no_local_endpoints_total", PLANNER(no_local)),
	HELP("Service ports of the traffic policy Local that drop, as all endpoints are elsewhere"),
	BY(LABEL_FAMILY, LABEL_POLICY)},
    {GAUGE("kubeproxy_sync_proxy_rules_service_changes_pending", PLANNER(changes_pending[0])),
	HELP("Services that changed and wait to be programmed")},
    {COUNTER("kubeproxy_sync_proxy_rules_service_changes_total", PLANNER(changes[0])),
	HELP("Services that came or went")},
    OF_EACH(COUNTER, "process_cpu_seconds_total", "Processor time used, user and system", cpu_us,
	UNIT_US, .marks = 0),
    OF_EACH(GAUGE, "process_resident_memory_bytes", "Resident memory", resident_bytes,
	UNIT_ONE, SKIP_ZERO),
    OF_EACH(GAUGE, "process_start_time_seconds", "When the process began", started_ms,
	UNIT_MS, SKIP_ZERO),
    OF_EACH(GAUGE, "process_virtual_memory_bytes", "Virtual memory", virtual_bytes,
	UNIT_ONE, SKIP_ZERO),
    {HISTOGRAM("rest_client_request_duration_seconds", WATCHER(request_us), request),
	HELP("From a request to the apiserver to the head of its response"),
	.constant = "verb=\"GET\"", .marks = METRIC_HOST},
    {COUNTER("rest_client_requests_total", WATCHER(requests)),
	HELP("Requests to the apiserver by the HTTP status that came back"), BY(LABEL_CODE),
	.constant = "method=\"GET\"", .marks = METRIC_HOST | METRIC_SKIP_ZERO},

    /* --- ours --- */
    {COUNTER("kubeproxy_applier_commits_total", PLANNER(writes)),
	HELP("Commits to the kernel: tables in iptables mode, batches in nftables mode")},
    {COUNTER("kubeproxy_applier_lock_wait_seconds_total", PLANNER(lock_wait_us)),
	HELP("Waiting for /run/xtables.lock"), SECONDS_OF_US, IN_MODE(MODE_IPTABLES)},
    {COUNTER("kubeproxy_applier_operations_total", PLANNER(operations)),
	HELP("Operations sent to the applier: of chains in iptables mode, of elements in nftables "
	     "mode; hooks, tables and time-outs are other"), BY(LABEL_OPERATION)},
    {COUNTER("kubeproxy_applier_transactions_total", PLANNER(transactions)),
	HELP("Transactions by the applier's answer: stale, busy and kernel are failures"),
	BY(LABEL_RESULT)},
    {GAUGE("kubeproxy_channel_waiting_bytes", PLANNER(channels)),
	HELP("Bytes that wait to be read in the channels between the processes"),
	BY(LABEL_CHANNEL)},
    {COUNTER("kubeproxy_cleaner_failures_total", PLANNER(cleaner_failures)),
	HELP("Times that the cleaner ended before other kube-proxies' rules were removed")},
    {COUNTER("kubeproxy_conntrack_reconciler_failures_total", PLANNER(flow_failures)),
	HELP("Passes over the kernel's UDP flows that ended with an error"), BY(LABEL_FAMILY)},
    {COUNTER("kubeproxy_drift_checks_total", PLANNER(checks)),
	HELP("Looks whether the tables are as they were written"), IN_MODE(MODE_IPTABLES)},
    {COUNTER("kubeproxy_drift_found_total", PLANNER(drift_found)),
	HELP("Times that another program had changed what is the proxy's")},
    {COUNTER("kubeproxy_drift_repaired_total", PLANNER(drift_repairs)),
	HELP("Rounds of programming that put back nothing but what another program had changed")},
    {GAUGE("kubeproxy_endpoints", PLANNER(endpoints)),
	HELP("Endpoints in all EndpointSlices")},
    {GAUGE("kubeproxy_leftover_rules", PLANNER(leftovers)),
	HELP("Rules of other kube-proxies and modes in the kernel; in ipvs virtual servers and "
	     "addresses. They may answer before the proxy's own"), BY(LABEL_WHERE)},
    {GAUGE("kubeproxy_refused_frontends", PLANNER(refused)),
	HELP("Ports that Services ask for by an address, and node ports, that they may not have: "
	     "other Services have them, or no Service may")},
    {GAUGE("kubeproxy_services", PLANNER(services)), HELP("Services proxied")},
    {COUNTER("kubeproxy_snapshots_total", PLANNER(snapshots)),
	HELP("Times that all that is programmed was read from the kernel")},
    {COUNTER("kubeproxy_watcher_bad_objects_total", WATCHER(bad_objects)),
	HELP("Objects left out because something in them is wrong; the log names them")},
    {COUNTER("kubeproxy_watcher_events_total", WATCHER(events)),
	HELP("Objects that came from the apiserver, by lists and watches"), BY(LABEL_RESOURCE)},
    {COUNTER("kubeproxy_watcher_failures_total", WATCHER(failures)),
	HELP("Lists and watches that failed"), BY(LABEL_RESOURCE)},
    {COUNTER("kubeproxy_watcher_lists_total", WATCHER(lists)), HELP("Complete lists"),
	BY(LABEL_RESOURCE)},
    {COUNTER("kubeproxy_watcher_manifest_reads_total", WATCHER(manifest_reads)),
	HELP("Times that the manifests were sent whole"), SKIP_ZERO},
    {COUNTER("kubeproxy_watcher_watches_total", WATCHER(watches)), HELP("Watches begun"),
	BY(LABEL_RESOURCE)},
};
/* clang-format on */

const size_t metric_row_count = sizeof(metric_rows) / sizeof(metric_rows[0]);
