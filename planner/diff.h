/*
 * What is in the kernel against what was written there: a snapshot of its own, so that the plan
 * is not disturbed, and the differences in words.
 */
#ifndef PLANNER_DIFF_H
#define PLANNER_DIFF_H

#include "planner/plan_view.h"
#include "planner/report.h"

/* A chain that is no service's, as it should be. */
struct diff_chain {
	struct ipt_chain chain;
	uint64_t digest;
};

/* Starts zeroed. */
struct diff {
	/* in iptables mode */
	struct snapshot snapshot;
	struct diff_chain *constant;
	size_t constant_count, constant_room;
	/* in nftables mode */
	bool families[FAMILY_COUNT], installed[FAMILY_COUNT];
	uint32_t timeouts[NFT_AFFINITIES];
	struct element_list kernel;
	/* in ipvs mode, beside what iptables mode has */
	struct ipvs_item *items;
	size_t item_count, item_room;

	struct report *out;
	uint64_t found; /* differences */
};

/* Nothing waits to be planned or written, and a snapshot is going to be asked for. */
void diff_begin(struct diff *d, const struct plan_view *view);
/* Adds a part of it. NULL, or how it breaks the protocol. */
const char *diff_add(struct diff *d, const struct txn_snapshot *part);
void diff_add_nft(struct diff *d, const struct config *cfg, const struct nft_snapshot *part);
void diff_add_ipvs(struct diff *d, const struct ipvs_snapshot *part);

/*
 * Once the last part is there, and nothing was planned since diff_begin(): writes the differences
 * into OUT, where an object is open. Returns how many there are.
 */
uint64_t diff_write(struct diff *d, const struct plan_view *view, struct report *out);
/* Frees what D holds; it is zeroed then. */
void diff_clear(struct diff *d);

/* --- for the modes --- */

/* Counts a difference. If it is to be told: its line is open then, until diff_line_end(). */
bool diff_line(struct diff *d, const char *is);
/* V: the service it is about; NULL: none. */
void diff_line_end(struct diff *d, const struct stored_service *v);
/* Tells the differences of items. */
void diff_compare_ipvs(struct diff *d, const struct plan_view *view);

#endif
