/* Operations of nftables mode as commands that nft(8) takes: what --dry-run shows. */
#ifndef PLANNER_NFT_PRINT_H
#define PLANNER_NFT_PRINT_H

#include "ipc/nft_ops.h"

/* The argument is the FILE they go to. The constant rules are not printed: there are `make
 * audit`'s. */
extern const struct nft_visitor nft_print_operations;

#endif
