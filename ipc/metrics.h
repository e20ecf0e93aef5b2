/*
 * What the processes count. The watcher tells the planner (STATS) when something happened; the
 * listener asks the planner when it is asked itself, and is told all of it (METRICS). Everything is
 * a number, so a message is an array of them in the order of the structs; what they are called to
 * the world is the listener's to know (listener/metric_rows.c).
 */
#ifndef IPC_METRICS_H
#define IPC_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "common/process.h"
#include "ipc/frame.h"
#include "ipc/leftovers.h"

enum metrics_message {
	METRICS_STATS = 11,   /* watcher -> planner: [apiserver, [number, ...]] */
	METRICS_REQUEST = 32, /* listener -> planner, planner -> relay: [] */
	METRICS_ALL = 33,     /* planner -> listener: [apiserver, [number, ...], [number, ...]] */
	METRICS_USE = 36,     /* relay -> planner, which asked with REQUEST: [[number, ...]] */
};

/* --- histograms: how many were up to each bound, more than the last, and the sum --- */

/* The bounds in microseconds, those of upstream. */
struct metrics_bounds {
	unsigned count;
	const uint64_t *us;
};
extern const struct metrics_bounds metrics_sync_bounds, metrics_network_bounds,
    metrics_request_bounds;

#define METRICS_SYNC_BOUNDS    15
#define METRICS_NETWORK_BOUNDS 81
#define METRICS_REQUEST_BOUNDS 12

/* A histogram of N bounds: each observation counts in one bucket. */
#define METRICS_HISTOGRAM(n) ((n) + 2)

/* Counts an observation of US microseconds in HISTOGRAM, which has BOUNDS. */
void metrics_observe(uint64_t *histogram, const struct metrics_bounds *bounds, uint64_t us);

/* --- the watcher's --- */

/* HTTP status codes that are counted each by itself. */
#define METRICS_STATUS_CODES 14
extern const uint16_t metrics_status_codes[METRICS_STATUS_CODES];

enum { METRICS_RESOURCES = 4 }; /* services, endpoint slices, the own node, service CIDRs */

/* Does the apiserver answer? */
enum metrics_source { METRICS_SOURCE_NEW, METRICS_SOURCE_ANSWERS, METRICS_SOURCE_DOWN };

struct metrics_watcher {
	struct process_use process;
	/* by status code; of another one; no response */
	uint64_t requests[METRICS_STATUS_CODES + 2];
	uint64_t request_us[METRICS_HISTOGRAM(METRICS_REQUEST_BOUNDS)]; /* to the response's head */
	uint64_t lists[METRICS_RESOURCES];				/* complete ones */
	uint64_t watches[METRICS_RESOURCES];				/* begun */
	uint64_t failures[METRICS_RESOURCES];				/* of lists and watches */
	uint64_t events[METRICS_RESOURCES]; /* objects that came, in lists too */
	uint64_t bad_objects;		    /* left out, as a whole */
	uint64_t manifest_reads;
	uint64_t source; /* enum metrics_source */
};

/* --- the planner's, and what the applier tells it --- */

enum { METRICS_CODES = 5 }; /* enum txn_code */
enum metrics_policy { METRICS_INTERNAL, METRICS_EXTERNAL, METRICS_POLICIES };
enum metrics_operation { METRICS_PUT, METRICS_DELETE, METRICS_OTHER, METRICS_OPERATIONS };
enum metrics_channel {
	METRICS_FROM_WATCHER,
	METRICS_TO_APPLIER,
	METRICS_FROM_APPLIER,
	METRICS_TO_LISTENER,
	METRICS_TO_RELAY,
	METRICS_CHANNELS
};

/* --- of the processes that relay --- */

struct metrics_relay {
	struct process_use process, broker; /* the relay leaves BROKER to the broker */
};

struct metrics_planner {
	struct process_use process, applier;
	struct metrics_relay relay; /* zeroed if there is none */
	uint64_t sync[FAMILY_COUNT][METRICS_HISTOGRAM(METRICS_SYNC_BOUNDS)];
	uint64_t sync_full[FAMILY_COUNT][METRICS_HISTOGRAM(METRICS_SYNC_BOUNDS)];
	uint64_t sync_partial[FAMILY_COUNT][METRICS_HISTOGRAM(METRICS_SYNC_BOUNDS)];
	uint64_t network[FAMILY_COUNT][METRICS_HISTOGRAM(METRICS_NETWORK_BOUNDS)];
	uint64_t queued_ms[FAMILY_COUNT], synced_ms[FAMILY_COUNT]; /* when last; since the epoch */
	uint64_t changes[2], changes_pending[2];		   /* of services, of slices */
	uint64_t failures[FAMILY_COUNT], partial_failures[FAMILY_COUNT];
	uint64_t rules[FAMILY_COUNT][IPT_TABLE_COUNT], rules_last[FAMILY_COUNT][IPT_TABLE_COUNT];
	uint64_t no_local[FAMILY_COUNT][METRICS_POLICIES];
	uint64_t flow_passes[FAMILY_COUNT][METRICS_HISTOGRAM(METRICS_SYNC_BOUNDS)];
	uint64_t flows_deleted[FAMILY_COUNT], flow_failures[FAMILY_COUNT];

	uint64_t services, endpoints; /* programmed */
	uint64_t refused;	      /* frontends that Services ask for and may not have */
	uint64_t transactions[METRICS_CODES];
	uint64_t operations[METRICS_OPERATIONS];
	uint64_t writes;       /* commits to the kernel, the applier says */
	uint64_t lock_wait_us; /* for the xtables lock */
	uint64_t drift_found, drift_repairs;
	uint64_t snapshots, checks;
	uint64_t channels[METRICS_CHANNELS];  /* bytes that wait in each */
	uint64_t leftovers[LEFTOVERS_WHERES]; /* rules of other kube-proxies */
	uint64_t cleaner_failures;	      /* the cleaner ended before it was done */
};

/* --- messages --- */

#define METRICS_HOST_MAX 256

struct metrics {
	char apiserver[METRICS_HOST_MAX]; /* host and port; "": none */
	struct metrics_watcher watcher;
	struct metrics_planner planner;
};

void metrics_encode_stats(struct frame *f, const char *apiserver, const struct metrics_watcher *w);
void metrics_encode_request(struct frame *f);
void metrics_encode_use(struct frame *f, const struct metrics_relay *use);
void metrics_encode_all(struct frame *f, const struct metrics *m);

/* NULL, or how the message breaks the protocol. STATS fills M's part of the watcher. */
const char *metrics_decode_stats(struct cursor *c, struct metrics *m);
const char *metrics_decode_use(struct cursor *c, struct metrics_relay *use);
const char *metrics_decode_all(struct cursor *c, struct metrics *m);

#endif
