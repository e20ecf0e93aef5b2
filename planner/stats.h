/*
 * What the planner counts for /metrics: how often and how long it synchronized, what became of it,
 * how long a change of endpoints took from its cause to the kernel. The clocks are the caller's.
 */
#ifndef PLANNER_STATS_H
#define PLANNER_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/metrics.h"
#include "ipc/objects.h"
#include "ipc/txn.h"
#include "planner/apply.h"
#include "planner/plan.h"

struct stats_time {
	uint64_t mono_us; /* of a clock that never goes back */
	uint64_t wall_ms; /* since the epoch */
};

/* Causes that wait are kept each by itself up to here, then the youngest stands for all later ones.
 */
#define STATS_CAUSES_MAX 4096

struct stats {
	struct metrics m;
	uint64_t start_ms;	     /* what was caused before we began says nothing of us */
	bool families[FAMILY_COUNT]; /* programmed at all */

	/* When what waits to be programmed was caused. */
	struct stats_cause {
		uint64_t wall_ms;
		uint32_t count;
		uint8_t family;
	} causes[STATS_CAUSES_MAX];
	size_t cause_count;
	size_t causes_planned; /* so many of them by the sync under way */

	/* The sync under way. */
	uint64_t began_us;
	bool full;	   /* compares everything with the kernel */
	unsigned concerns; /* families, a bit each */

	uint64_t flows_began_us;
};

void stats_init(struct stats *s, const struct stats_time *now);

/*
 * A change came of a service, or of the slice IN of which something changed (NULL: it went, or is
 * as it was); what the watcher counts: NULL, or how it breaks the protocol. S may be NULL.
 */
void stats_service(struct stats *s);
void stats_slice(struct stats *s, const struct slice *in);
const char *stats_watcher(struct stats *s, struct cursor *c);
/* Something waits to be programmed. */
void stats_queued(struct stats *s, const struct stats_time *now);

/* A sync begins, and has been planned: what it sends (nothing: it is done at once). */
void stats_begin(struct stats *s, const struct stats_time *now);
void stats_planned(
    struct stats *s, const struct plan_counts *n, const struct apply_counts *sent, bool repair);
/* It is in the kernel; or the applier's answer, whatever it is. After stats_result() if any. */
void stats_done(struct stats *s, const struct stats_time *now);
void stats_result(struct stats *s, const struct txn_result *r);

/* A pass over the kernel's flows of a family begins, or ended so. */
void stats_flows_begin(struct stats *s, const struct stats_time *now);
void stats_flows_end(
    struct stats *s, uint8_t family, uint64_t deleted, bool failed, const struct stats_time *now);

#endif
