/*
 * When to write: what came in is planned and sent to the applier, its answers say what to do next;
 * the listener is told how far it is.
 */
#ifndef PLANNER_SYNC_H
#define PLANNER_SYNC_H

#include "common/process.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/profiler.h"
#include "ipc/txn.h"
#include "planner/apply.h"
#include "planner/conntrack.h"
#include "planner/feed.h"
#include "planner/leftovers.h"
#include "planner/pace.h"
#include "planner/plan.h"
#include "planner/queries.h"
#include "planner/stats.h"
#include "planner/status.h"

struct event;

/* Start zeroed but for configuration, channels, plan and feed. */
struct planner {
	struct config cfg;
	struct channel *watcher, *applier, *listener;
	struct channel *relay; /* NULL: nothing is relayed */
	struct plan *plan;
	struct feed feed;
	struct apply apply;
	struct conntrack conntrack;
	struct queries queries;
	struct leftovers leftovers;
	struct pace pace;
	struct stats stats;
	struct status_line status;
	struct profiler profiler;
	bool profiled;			  /* ... or watcher or relay is; one at a time */
	struct process_stat self, parent; /* what they use */
	struct event *sync_timer, *retry_timer, *check_timer;
	struct event *drain_timer; /* runs while real servers wait for their connections' end */
	uint64_t drain_ms;
	uint64_t backoff_ms;
	struct plan_counts counts;
	bool snapshot_asked;
	unsigned checks;  /* asked so far */
	bool check_asked; /* ... and not answered */
	bool drifted;	  /* told so while a transaction was under way */
	bool checking; /* a snapshot shows what others changed; nothing else waits to be written */
	bool synced;   /* everything was programmed once */
	bool told_missing;   /* the log knows what the rules wait for */
	bool told_pending;   /* the listener knows that something waits */
	bool alive_asked;    /* the watcher was, and has not answered ... */
	bool alive_of_relay; /* ... or has, and the relay was asked */
	bool use_asked;	     /* the relay was what it uses, and has not answered */
	enum feed_node told_node;
	struct frame frame;
	union {
		struct txn_snapshot ipt;
		struct nft_snapshot nft;
		struct ipvs_snapshot ipvs;
	} snapshot; /* scratch */
};

/* Asks the applier what is in the kernel; from then on events do the rest. */
void sync_start(struct planner *p, struct event_base *base);

/* Is everything programmed, and nothing under way? */
bool sync_quiet(const struct planner *p);
/* Why there is nothing to look at, or nothing that is to be trusted: in words, or NULL. */
const char *sync_failing(const struct planner *p);
/* Asks for a snapshot that goes to P->queries.diff; until it is there nothing is written. */
void sync_look(struct planner *p);
/* Somebody else changed what is ours: finds out what, and puts it right. */
void sync_repair(struct planner *p);
/* What came in while the snapshot was awaited may be written now. */
void sync_go_on(struct planner *p);

/* --- for the answers of the applier (answers.c) --- */

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
struct stats_time sync_now(void);
/* What a mode's kernel state consists of, in a word. */
const char *sync_things(const struct planner *p);
/* Something came in: writes it when it may. */
void sync_schedule(struct planner *p);
/* What was planned is in the kernel. */
void sync_finished(struct planner *p);
/* It is not, as R says: asks for a snapshot after a pause, a longer one each time. */
void sync_failed(struct planner *p, const struct txn_result *r);
/* Is it in such a pause? */
bool sync_retrying(const struct planner *p);

/* Handlers of the channels, with a struct planner as their argument. */
const char *sync_on_watcher(void *arg, unsigned type, struct cursor *c);
const char *sync_on_applier(void *arg, unsigned type, struct cursor *c);
const char *sync_on_relay(void *arg, unsigned type, struct cursor *c);

#endif
