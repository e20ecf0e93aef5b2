/*
 * The plan of ipvs mode: differences of items. Work goes by what changed; a snapshot makes it
 * compare everything. The constant chains are planner/ipt_plan.h's.
 */
#ifndef PLANNER_IPVS_PLAN_H
#define PLANNER_IPVS_PLAN_H

#include "ipc/ipvs_ops.h"
#include "ipc/txn.h"
#include "planner/ipvs_desired.h"
#include "planner/ipvs_items.h"
#include "planner/udp.h"

struct plan_counts;

struct ipvs_plan {
	struct store *store;
	struct udp_index *udp; /* is kept up with what is planned */
	struct ipvs_desired desired;
	struct ipvs_items items;
	/*
	 * Real servers that are removed, and have or may have connections: no new ones come (weight
	 * 0), and a snapshot tells when the last has ended.
	 */
	size_t draining;
	/* For a clean-up: the applier deletes kube-ipvs0, and with it all its addresses. */
	bool ends;

	/* of the transaction being planned */
	const struct txn_visitor *out;
	void *arg;
	struct plan_counts *counts;
	bool full; /* the snapshot says who has connections */
};

/* All of them must outlive it. */
void ipvs_plan_init(struct ipvs_plan *p, struct store *s, const struct own_node *own,
    const char *zone, struct udp_index *udp);
void ipvs_plan_clear(struct ipvs_plan *p);

/* A part of what is in the kernel, and that all of it has come. */
void ipvs_plan_snapshot(struct ipvs_plan *p, const struct ipvs_snapshot *part);
void ipvs_plan_known(struct ipvs_plan *p, const bool families[FAMILY_COUNT]);
void ipvs_plan_forget(struct ipvs_plan *p);

/* Gives OUT the operations that make the kernel's state the desired one: what is put, then what
 * goes. */
void ipvs_plan_sync(struct ipvs_plan *p, bool full, const struct txn_visitor *out, void *arg,
    struct plan_counts *n);

#endif
