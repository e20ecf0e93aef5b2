/* ipvs mode: items checked, done, and shown. */
#ifndef APPLIER_IPVS_APPLY_H
#define APPLIER_IPVS_APPLY_H

#include "applier/ipt_handle.h"
#include "applier/transaction.h"
#include "ipc/ipvs_ops.h"

/* Checks OP on I for the transaction T, of which it is a part then. NULL, or why it is not allowed.
 */
const char *ipvs_check_item(void *t, enum txn_op op, const struct ipvs_item *i);

/*
 * Does TXN: its operations on chains as ipt_apply(), then its items in their order, each by itself:
 * what the kernel refuses is told, and stops no other. R and SUMMARY as ipt_apply().
 */
void ipvs_apply(const struct policy *p, const struct transaction *txn,
    struct ipt_known known[IPT_TABLES], struct txn_result *r, char summary[AUDIT_TEXT_MAX]);

/*
 * Puts every item that is in the kernel and that an operation could name into FRAME, a part at a
 * time, and calls SEND for each. NULL, or SEND's own words, or why it could not be read.
 */
const char *ipvs_snapshot_read(
    const struct policy *p, struct frame *frame, const char *(*send)(void *arg), void *arg);

#endif
