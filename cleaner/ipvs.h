/* What ipvs mode left: virtual servers with their real ones, kube-ipvs0, ipsets. */
#ifndef CLEANER_IPVS_H
#define CLEANER_IPVS_H

#include "cleaner/plan.h"
#include "cleaner/tally.h"

/*
 * Opens the sockets, and finds out what the kernel has, without having it load anything. Before the
 * lock-down. Fills P->sees_ipvs and P->sees_ipset.
 */
void ipvs_open(struct plan *p);
/* Counts what is there into T, and records which virtual servers are a kube-proxy's. */
void ipvs_scan(const struct plan *p, struct tally *t);
/*
 * Gives real servers the weight 0, so that they get no new connections, and removes virtual servers
 * without connections, and addresses without virtual servers. With P->at_once, all of them. Those
 * of UDP do not wait for their flows longer than until the next call. When no virtual server is
 * left, kube-ipvs0 and the ipsets go. Counts what is left and why.
 */
void ipvs_clean(const struct plan *p, struct tally *t);

#endif
