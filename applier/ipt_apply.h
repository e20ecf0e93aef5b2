/* How a transaction that has been checked gets into the kernel. */
#ifndef APPLIER_IPT_APPLY_H
#define APPLIER_IPT_APPLY_H

#include "applier/transaction.h"

/*
 * Applies TXN under the xtables lock and fills R, which is zero but for the writes before, to which
 * it adds, and SUMMARY, the digests before and after of the tables touched, for the audit line.
 * Nothing is written unless all of TXN can be.
 */
void ipt_apply(const struct policy *p, const struct transaction *txn, struct txn_result *r,
    char summary[AUDIT_TEXT_MAX]);

#endif
