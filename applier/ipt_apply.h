/* How a transaction that has been checked gets into the kernel. */
#ifndef APPLIER_IPT_APPLY_H
#define APPLIER_IPT_APPLY_H

#include "applier/ipt_handle.h"
#include "applier/transaction.h"

/* Checks the operations that C stands on. NULL, or what is wrong. T is a struct transaction. */
const char *ipt_check_ops(struct cursor *c, void *t);

/*
 * Applies TXN under the xtables lock and fills R, which is zero but for the writes before, to which
 * it adds, and SUMMARY, the digests before and after of the tables touched, for the audit line.
 * KNOWN, by ipt_index(), is what they are compared with (R->drift) and what they are afterwards.
 * Nothing is written unless all of TXN can be.
 */
void ipt_apply(const struct policy *p, const struct transaction *txn,
    struct ipt_known known[IPT_TABLES], struct txn_result *r, char summary[AUDIT_TEXT_MAX]);

#endif
