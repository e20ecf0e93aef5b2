/*
 * The plan of nftables mode: differences of elements. Work goes by what changed; a snapshot makes
 * it compare everything. planner/plan.h has what is common to the modes.
 */
#ifndef PLANNER_NFT_PLAN_H
#define PLANNER_NFT_PLAN_H

#include "ipc/nft_ops.h"
#include "planner/nft_clients.h"
#include "planner/nft_desired.h"
#include "planner/udp.h"

struct plan_counts;

struct nft_plan {
	struct store *store;
	struct nft_desired desired;

	struct udp_index *udp; /* is kept up with what is planned */

	/* The snapshot: what was in the kernel. */
	bool complete; /* its last part came */
	bool installed[FAMILY_COUNT];
	bool reinstall; /* ... but shall not count as such */
	struct element_list kernel;
	uint32_t kernel_timeouts[NFT_AFFINITIES]; /* what the rules are for */

	struct element_list node; /* what is no service's, as it was written */
	bool node_changed;

	/* of the transaction being planned */
	struct stored_service **seen; /* services looked at */
	size_t seen_count, seen_room;
	struct nft_clients clients; /* and where all operations go */
	struct plan_counts *counts;
};

/* All of them must outlive it. */
void nft_plan_init(struct nft_plan *p, struct store *s, const struct own_node *own,
    const char *zone, struct udp_index *udp);
void nft_plan_clear(struct nft_plan *p);

/* A part of what is in the kernel. NULL, or how it breaks the protocol. */
const char *nft_plan_snapshot(struct nft_plan *p, const struct nft_snapshot *part);
void nft_plan_forget(struct nft_plan *p);
/* The tables are made anew by the next nft_plan_sync() with a snapshot. */
void nft_plan_reinstall(struct nft_plan *p);

/*
 * Gives OUT the operations that make the kernel's state the desired one: everything (FULL, with a
 * snapshot), or what was touched. Deletions come before what is put.
 */
void nft_plan_sync(
    struct nft_plan *p, bool full, const struct nft_visitor *out, void *arg, struct plan_counts *n);

#endif
