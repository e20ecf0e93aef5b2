/* What kube-proxies left in x_tables (iptables-legacy), through libiptc under the xtables lock. */
#ifndef CLEANER_XT_H
#define CLEANER_XT_H

#include "cleaner/plan.h"
#include "cleaner/tally.h"

/*
 * Opens the sockets and reads which tables there are, so that none is set up by looking at it.
 * Before the lock-down. Fills P->legacy.
 */
void xt_open(struct plan *p);
/* Counts what is there into T, and the firewalls. */
void xt_scan(const struct plan *p, struct tally *t);
/* Removes it, and counts again what is left and why. */
void xt_clean(const struct plan *p, struct tally *t);

#endif
