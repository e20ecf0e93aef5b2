/*
 * The conversation with the applier: a transaction at a time, begun only if there is something to
 * say, and its answer.
 */
#ifndef PLANNER_APPLY_H
#define PLANNER_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/nft_ops.h"
#include "ipc/txn.h"

/* What was sent since somebody zeroed it. */
struct apply_counts {
	uint64_t puts, deletes,
	    others;	   /* operations: of chains, or of elements; hooks and the rest */
	unsigned families; /* that they were for, a bit each */
	uint64_t rules[FAMILY_COUNT][IPT_TABLE_COUNT];
};

struct apply {
	txn_sink send;
	void *arg;
	uint64_t generation; /* of the transaction sent last, 0 before */
	uint64_t base;	     /* the last one that was applied */
	bool in_flight;	     /* sent, not answered */
	bool begun;
	struct apply_counts counts;
	uint64_t *rules; /* of the chain put last, in COUNTS */
	struct txn_writer writer;
};

/* Frames go to SEND with ARG. */
void apply_init(struct apply *a, txn_sink send, void *arg);

/* Operations, with a struct apply as the argument, between transactions; the first one begins one.
 */
extern const struct txn_visitor apply_operations;
/* The same in nftables mode. */
extern const struct nft_visitor apply_elements;
/* Commits what was begun. Returns false if no operation came: nothing was sent then. */
bool apply_commit(struct apply *a);

/*
 * Takes the answer; *APPLIED tells whether the kernel now has what was asked. NULL, or how the
 * answer breaks the protocol.
 */
const char *apply_result(struct apply *a, const struct txn_result *r, bool *applied);

#endif
