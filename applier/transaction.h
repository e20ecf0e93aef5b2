/* A transaction as it comes in: every operation checked, kept until it is complete. */
#ifndef APPLIER_TRANSACTION_H
#define APPLIER_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/audit.h"
#include "applier/nft_tables.h"
#include "applier/policy.h"
#include "ipc/txn.h"

struct transaction {
	const struct policy *policy;
	uint64_t generation;
	uint64_t began_ms; /* of the process's time: transaction_start_clock() */
	uint8_t *frames;   /* TXN_OPS as they came, each after its length (uint32_t) */
	size_t bytes;
	uint32_t puts, deletes, hooks, rules;
	uint32_t others; /* nftables mode: what is about no element */
	uint32_t elements[FAMILY_COUNT][NFT_SET_COUNT]; /* nftables mode: put into each set */
	unsigned touched; /* bit per ipt_index() of a table; nftables mode: per family */
	bool open;	  /* CHAIN is being put: rules may follow */
	struct {
		uint8_t phase;		   /* 0: chains are put, 1: hooks, 2: chains are deleted */
		uint8_t index;		   /* of the table: family, number */
		bool second;		   /* the second descent of its names */
		char name[CHAIN_NAME_LEN]; /* of the last chain; "": none of this table yet */
	} at;				   /* where in the canonical order the operations are */
	struct ipt_chain chain;
	char refused[AUDIT_TEXT_MAX]; /* the operation that was refused, in words; "" if none */
};

/* Takes address space for P's quotas; memory follows as it is used. fatal() on failure. */
void transaction_init(struct transaction *t, const struct policy *p);
/* Begins an empty one. */
void transaction_begin(struct transaction *t, uint64_t generation);
/* Decodes, and checks or does, the operations of a frame: ipt_check_ops(), nft_check_ops(). NULL,
 * or what is wrong. */
typedef const char *(*transaction_decoder)(struct cursor *c, void *arg);
/*
 * Checks, with CHECK on T, and keeps the operations of a message of LEN bytes at FRAME, of which C
 * stands on the first field. NULL, or which rule of the policy or the protocol it breaks; T is of
 * no use then.
 */
const char *transaction_add(struct transaction *t, struct cursor *c, const void *frame, size_t len,
    transaction_decoder check);
/*
 * Decodes all that was kept again. 0; -1 if DECODE refused something; -EINTR: a signal waits, which
 * ends the process; -ETIME: the policy's time for a transaction is over, if LIMITED. It looks
 * between frames.
 */
int transaction_read(
    const struct transaction *t, bool limited, transaction_decoder decode, void *arg);
/* Gives the memory back. */
void transaction_clear(struct transaction *t);
/* From here on the policy's time for a transaction runs. */
void transaction_start_clock(struct transaction *t);
/* Operations so far. */
uint64_t transaction_ops(const struct transaction *t);

#endif
