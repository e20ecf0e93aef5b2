/* iptables mode: what is in the kernel, and whether it is what it was. */
#ifndef APPLIER_IPT_SNAPSHOT_H
#define APPLIER_IPT_SNAPSHOT_H

#include <stdbool.h>

#include "applier/ipt_handle.h"
#include "applier/policy.h"
#include "ipc/txn.h"

/*
 * Reads the tables of all families under P, and gives our chains in them to SEND in parts, each
 * with all of the hooks; SEND returns NULL, or why there is no use in more. KNOWN, by ipt_index(),
 * is what the tables are then. NULL, or what went wrong, with more in DETAIL (SIZE bytes).
 */
const char *ipt_snapshot_read(const struct policy *p, struct ipt_known known[IPT_TABLES],
    const char *(*send)(void *arg, const struct txn_snapshot *part), void *arg, char *detail,
    size_t size);

/*
 * Is a table other than KNOWN? Its numbers of entries and bytes tell, or if DEEP its content. KNOWN
 * follows what others change beside our chains.
 */
bool ipt_drift(const struct policy *p, struct ipt_known known[IPT_TABLES], bool deep);

#endif
