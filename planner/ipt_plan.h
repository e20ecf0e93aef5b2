/*
 * The plan of iptables mode, and of ipvs mode's constant chains: differences of chains. Work goes
 * by what changed; a snapshot makes it compare everything. planner/plan.h has what is common to the
 * modes.
 */
#ifndef PLANNER_IPT_PLAN_H
#define PLANNER_IPT_PLAN_H

#include "ipc/txn.h"
#include "planner/changes.h"
#include "planner/desired.h"
#include "planner/snapshot.h"
#include "planner/udp.h"

struct plan_counts;

struct ipt_plan {
	struct store *store;
	struct udp_index *udp; /* is kept up with what is planned */
	struct desired desired;
	struct snapshot snapshot;
	bool ipvs; /* ipvs mode: no chain is a service's, and services are left to its plan */
	bool compact_refused;
	bool nodeports_changed; /* where node ports answer, which ends nat's KUBE-SERVICES */
	uint64_t services_digest[FAMILY_COUNT]; /* of nat's KUBE-SERVICES */
	/* How many rules there are in chains of services, all in nat, and in those without a hash.
	 */
	size_t service_rules[FAMILY_COUNT];
	uint32_t static_rules[FAMILY_COUNT][IPT_TABLE_COUNT][CHAIN_KIND_COUNT];

	/* of the transaction being planned */
	bool full; /* compare everything with the snapshot; else what was touched with what it owns
		    */
	struct changes changes;
	/* Did a service's part of a shared chain change? */
	bool shared_changed[FAMILY_COUNT][SHARED_COUNT];
	bool layout_changed;
	struct plan_counts *counts;
};

/* All of them must outlive it. */
void ipt_plan_init(
    struct ipt_plan *p, struct store *s, struct udp_index *udp, const struct config *cfg);
void ipt_plan_clear(struct ipt_plan *p);

/* Is C of a kind without a hash, and in the kernel always in the mode? */
bool ipt_plan_has_chain(const struct ipt_plan *p, const struct ipt_chain *c);
/* Is hook H on in the mode? */
bool ipt_plan_has_hook(const struct ipt_plan *p, unsigned h);

/* Has the snapshot chains that the mode has not, such as another mode's, which translate? */
bool ipt_plan_replaces(const struct ipt_plan *p);

/* A part of what is in the kernel. NULL, or how it breaks the protocol. */
const char *ipt_plan_snapshot(struct ipt_plan *p, const struct txn_snapshot *part);
void ipt_plan_forget(struct ipt_plan *p);

/* How many rules of ours FAMILY's TABLE has, as far as it was planned. */
size_t ipt_plan_rules(const struct ipt_plan *p, uint8_t family, uint8_t table);

/*
 * Gives OUT the operations that make the kernel's state the desired one: everything (FULL, with a
 * snapshot), or what was touched.
 */
void ipt_plan_sync(
    struct ipt_plan *p, bool full, const struct txn_visitor *out, void *arg, struct plan_counts *n);

#endif
