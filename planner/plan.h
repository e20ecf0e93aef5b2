/*
 * The planner's core: objects in, operations out. Holds what should be and what was last written,
 * and tells the difference. Pure: no clock, no I/O but for log lines about objects left out; the
 * same input gives the same output whatever the order of its objects.
 */
#ifndef PLANNER_PLAN_H
#define PLANNER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "applier/ipt_entry.h"
#include "ipc/config.h"
#include "ipc/ipvs_ops.h"
#include "ipc/metrics.h"
#include "ipc/nft_ops.h"
#include "ipc/txn.h"
#include "planner/health.h"
#include "planner/store.h"
#include "planner/udp.h"

struct plan;

/* CFG must outlive the plan. The caller frees it with plan_free(). */
struct plan *plan_new(const struct config *cfg);
void plan_free(struct plan *p);

/* What is the same in every rule. */
const struct ipt_params *plan_params(const struct plan *p);

/* Objects go in here; see planner/store.h. */
struct store *plan_store(struct plan *p);
/* Which UDP flows are stale, by what was planned last; see planner/udp.h. */
struct udp_index *plan_udp(struct plan *p);
/* Tells the listener's side of what was planned last: see health_tell(). */
void plan_tell_health(
    struct plan *p, struct frame *f, void (*send)(void *arg, const struct frame *f), void *arg);
/* The own node; NULL when it does not exist. Of it the zone counts, and planner/own_node.h. */
void plan_node(struct plan *p, const struct node *n);
/* What the Node has to have before anything can be planned, and has not: in words, or NULL. */
const char *plan_missing(const struct plan *p);

/* A part of the machine's own addresses. NULL, or how it breaks the protocol. */
const char *plan_node_addrs(struct plan *p, const struct node_addrs_part *part);
/* The N prefixes that ClusterIPs are taken from. */
void plan_service_cidrs(struct plan *p, const struct ip_cidr *cidrs, uint32_t n);

/* A part of what is in the kernel. NULL, or how it breaks the protocol. */
const char *plan_snapshot(struct plan *p, const struct txn_snapshot *part);
const char *plan_nft_snapshot(struct plan *p, const struct nft_snapshot *part);
/* ... in ipvs mode before the parts of plan_snapshot(). */
const char *plan_ipvs_snapshot(struct plan *p, const struct ipvs_snapshot *part);
/*
 * Relays. Messages to the listener go to SEND; without, each has the port that it would be given
 * first.
 */
void plan_relays_to(struct plan *p, txn_sink send, void *arg);
/*
 * Tells the listener of what is to be planned. False if that cannot be planned yet: what the
 * listener says of ports goes to plan_proxy_port(), and then it is to be called again.
 */
bool plan_prepare(struct plan *p);
/* PROXY_PORT. NULL, or how it breaks the protocol. */
const char *plan_proxy_port(struct plan *p, struct cursor *c);
/* What was planned is in the kernel: relays that no rule leads to any more are closed. */
void plan_close_relays(struct plan *p);

/* What was written may not be what is in the kernel: nothing can be planned before a new snapshot.
 */
void plan_forget(struct plan *p);
/*
 * The kernel cannot do what the layout for large clusters takes: from now on there is only the
 * other. False if that is so already. After plan_forget().
 */
bool plan_refuse_compact(struct plan *p);
/*
 * A set of nftables mode is full: it got room for twice what it had when its table was made. The
 * table is made anew, with more. After plan_forget().
 */
void plan_nft_reinstall(struct plan *p);

/* Is there something to plan, whether or not it can be planned yet? */
bool plan_waiting(const struct plan *p);
/* ... and has everything come that it takes: a list of each kind, a snapshot, plan_missing()? */
bool plan_ready(const struct plan *p);

/* In ipvs mode: how many real servers are removed, and there while they have connections. */
size_t plan_draining(const struct plan *p);
/* ... and how many items there are. */
size_t plan_items(const struct plan *p);

struct plan_counts {
	uint64_t puts, deletes, hooks; /* operations: of chains, elements or items */
	uint64_t services, endpoints;  /* looked at: after a snapshot all there are */
	bool full;		       /* all of it was compared with a snapshot */
	bool families[FAMILY_COUNT];   /* which are programmed at all */
};

/*
 * Gives OUT, in order, the operations that make the kernel's state the desired one, and takes them
 * as done: if they fail, plan_forget(). No operation at all if nothing differs. plan_ready() must
 * hold. OUT's functions return NULL always. OUT's ARG is passed through. N is kept between two
 * halves (plan_half_done()).
 */
void plan_sync(struct plan *p, const struct txn_visitor *out, void *arg, struct plan_counts *n);
/*
 * Was that the first half only, so that nothing may be removed or reported as programmed yet? The
 * next plan_sync() gives the other half.
 */
bool plan_half_done(const struct plan *p);
/* The same in nftables mode. */
void plan_nft_sync(struct plan *p, const struct nft_visitor *out, void *arg, struct plan_counts *n);

/* How large it is: M's services, endpoints, rules, changes that wait, and policies not served. */
void plan_describe(const struct plan *p, struct metrics_planner *m);

#endif
