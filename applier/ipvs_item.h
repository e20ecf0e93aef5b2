/* Items as the kernel's messages: written one at a time, and listed. */
#ifndef APPLIER_IPVS_ITEM_H
#define APPLIER_IPVS_ITEM_H

#include "applier/ipvs_netlink.h"
#include "applier/policy.h"

/* Has the kernel P's scheduler? It tries to load one that it has not. */
bool ipvs_item_scheduler(const struct policy *p);
/* Does OP (OP_ITEM_*) to I, which ipvs_item_check() has passed. 0, or an errno. */
int ipvs_item_write(const struct policy *p, unsigned op, const struct ipvs_item *i);
/*
 * Gives VISIT every item of KIND: of a set or of kube-ipvs0 those of I's family; of IPVS_REAL those
 * of the virtual server I. I is filled anew for each. 0, or an errno.
 */
int ipvs_item_dump(const struct policy *p, struct ipvs_item *i,
    void (*visit)(void *arg, const struct ipvs_item *i), void *arg);

#endif
