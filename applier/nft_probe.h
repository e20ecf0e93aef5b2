/* Another kube-proxy's rules in nf_tables, and what its own modes leave there. */
#ifndef APPLIER_NFT_PROBE_H
#define APPLIER_NFT_PROBE_H

#include <stdbool.h>

/*
 * Warns of what iptables-nft of a kube-proxy left, and unless in nftables mode takes away the
 * tables that nftables mode of this or another one left. With CAP_NET_ADMIN, before the lock-down.
 * Says nothing where the kernel has no nf_tables.
 */
void nft_probe(bool nftables_mode);

#endif
