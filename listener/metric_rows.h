/*
 * What /metrics tells: a row for each metric, or for each process of one. The names, labels and
 * bounds of kube-proxy's own are upstream's (1.36); tests/data/upstream-metrics says which are not
 * here, and why.
 */
#ifndef LISTENER_METRIC_ROWS_H
#define LISTENER_METRIC_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/config.h"
#include "ipc/metrics.h"

/* The listener's own. */
enum { PROBE_200, PROBE_503, PROBE_CODES };

struct metrics_listener {
	struct process_use process;
	uint64_t healthz[PROBE_CODES], livez[PROBE_CODES]; /* answers, by their status */
};

/* All that there is to tell. */
struct metrics_told {
	struct metrics all;
	struct metrics_listener listener;
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* A label and its values. Several span an array of arrays. */
enum metric_label {
	NO_LABEL,
	LABEL_FAMILY,
	LABEL_TABLE,
	LABEL_POLICY,
	LABEL_RESULT,
	LABEL_OPERATION,
	LABEL_CHANNEL,
	LABEL_RESOURCE,
	LABEL_CODE,
	LABEL_PROBE_CODE,
	LABEL_WHERE,
	LABEL_COUNT
};
struct metric_label_row {
	const char *name;
	unsigned count;
	const char *values[METRICS_STATUS_CODES + 2];
};
extern const struct metric_label_row metric_labels[LABEL_COUNT];

enum metric_unit { UNIT_ONE, UNIT_MS, UNIT_US }; /* told in seconds */

enum {
	METRIC_SKIP_ZERO = 1, /* where there is nothing, there is no sample */
	METRIC_HOST = 2,      /* with the apiserver as the label host */
};

#define METRIC_LABELS_MAX 2

struct metric_row {
	const char *name, *help;
	enum metric_type type;
	enum metric_unit unit;
	size_t at; /* in struct metrics_told: numbers */
	enum metric_label labels[METRIC_LABELS_MAX];
	const char *constant;		     /* a label with its value, or NULL */
	const struct metrics_bounds *bounds; /* of a histogram */
	unsigned modes;			     /* a bit each of enum proxy_mode; 0: every one */
	unsigned marks;
};

/* Rows of one name stand together. */
extern const struct metric_row metric_rows[];
extern const size_t metric_row_count;

#endif
