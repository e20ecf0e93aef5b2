/* nftables mode: a transaction's checks, and how it gets into the kernel. */
#ifndef APPLIER_NFT_APPLY_H
#define APPLIER_NFT_APPLY_H

#include "applier/nft_rules.h"
#include "applier/transaction.h"

/* The time-outs of session affinity that are in force, per family. */
typedef nft_timeouts nft_affinities[FAMILY_COUNT];

/* Decodes and checks the operations of an NFT_OPS message, on whose first field C stands. NULL, or
 * what is wrong. T is a struct transaction. */
const char *nft_check_ops(struct cursor *c, void *t);

/*
 * Applies TXN, all or nothing, fills R, which is zero but for the writes before, and SUMMARY for
 * the audit line: a digest of the operations and the generation they became. AFFINITIES is what is
 * in force, and then what has become so.
 */
void nft_apply(const struct policy *p, const struct transaction *txn, nft_affinities affinities,
    struct txn_result *r, char summary[AUDIT_TEXT_MAX]);

#endif
