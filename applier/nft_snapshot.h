/* nftables mode: what is in the kernel. */
#ifndef APPLIER_NFT_SNAPSHOT_H
#define APPLIER_NFT_SNAPSHOT_H

#include "applier/nft_apply.h"
#include "ipc/nft_ops.h"

/*
 * Reads all that is there and gives it to SEND in parts; SEND returns NULL, or why the rest is not
 * worth reading. Fills AFFINITIES. A table is `installed` if it says that it is made of our rules,
 * has each chain with as many rules and jumps to it as it should have, each set, and no element
 * that the planner could not have put; what the last part says counts. NULL, or what is wrong.
 */
const char *nft_snapshot_read(const struct policy *p, nft_affinities affinities,
    const char *(*send)(void *arg, const struct nft_snapshot *s), void *arg);

/* Gives each element of SET in the table of FAMILY to VISIT. 0; -1 with errno; EINVAL if one of
 * them is of another shape than ours. */
int nft_dump_elems(
    uint8_t family, uint8_t set, void (*visit)(void *arg, const struct nft_elem *e), void *arg);

#endif
