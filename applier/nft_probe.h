/* Another kube-proxy's rules in nf_tables, which this program neither sees nor changes. */
#ifndef APPLIER_NFT_PROBE_H
#define APPLIER_NFT_PROBE_H

#include <stdbool.h>

/*
 * Warns of what iptables-nft or nftables mode of a kube-proxy left. With CAP_NET_ADMIN, before the
 * lock-down. In nftables mode our own
 * table is no news. Says nothing where the kernel has no nf_tables.
 */
void nft_probe(bool nftables_mode);

#endif
