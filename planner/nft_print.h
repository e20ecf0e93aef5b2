/* Operations of nftables mode as commands that nft(8) takes: what --dry-run shows. */
#ifndef PLANNER_NFT_PRINT_H
#define PLANNER_NFT_PRINT_H

#include <stdio.h>

#include "ipc/nft_ops.h"

/* The argument is the FILE they go to. The constant rules are not printed: there are `make
 * audit`'s. */
extern const struct nft_visitor nft_print_operations;
/* E's key as nft lists it: "10.0.0.1 . tcp . 80". */
void nft_print_key(FILE *out, const struct nft_elem *e);

#endif
