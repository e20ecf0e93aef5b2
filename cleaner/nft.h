/*
 * What kube-proxies left in nf_tables: chains of iptables-nft with the jumps to them, and tables
 * kube-proxy of nftables mode.
 */
#ifndef CLEANER_NFT_H
#define CLEANER_NFT_H

#include "cleaner/plan.h"
#include "cleaner/tally.h"

/* Counts what is there into T, and the firewalls. 0, or an errno; ENOENT etc.: no nf_tables. */
int nft_scan(const struct plan *p, struct tally *t);
/* Removes it, one transaction a family, then counts again what is left and why. */
void nft_clean(const struct plan *p, struct tally *t);

#endif
