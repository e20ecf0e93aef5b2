/*
 * The rules of nftables mode: constant, but for the masquerade bit, the interface of local pods and
 * the time-outs of session affinity. rules.nft has them as nft prints them.
 */
#ifndef APPLIER_NFT_RULES_H
#define APPLIER_NFT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/nft_batch.h"
#include "applier/policy.h" /* NFT_COMMENT_MAX */

/* Seconds of the affinity of each number; 0: not in use. */
typedef uint32_t nft_timeouts[NFT_AFFINITIES];

/*
 * What the table of FAMILY says of itself ("rules 0123456789abcdef"): a digest of all messages that
 * make it. A table that says the same was made of the same rules. Needs B as room to work.
 */
void nft_rules_comment(struct nft_batch *b, uint8_t family, const struct ipt_params *params,
    char comment[NFT_COMMENT_MAX]);

/*
 * Puts into B: the table of FAMILY that says COMMENT, in the place of the one that is there.
 * ELEMENTS: how many each set shall have at once, NULL if none. One of NFT_SIZE_FROM and more gets
 * room for twice as many and no more (ENFILE then): a hash table of fixed size, for one that grows
 * step by step costs half of the time that the kernel takes to fill it.
 */
#define NFT_SIZE_FROM 4096
void nft_rules_install(struct nft_batch *b, uint8_t family, const struct ipt_params *params,
    const char *comment, const uint32_t elements[NFT_SET_COUNT]);
/* ... the rules for session affinity become those for TIMEOUTS. */
void nft_rules_affinity(struct nft_batch *b, uint8_t family, const nft_timeouts timeouts);

/*
 * The name of the table's CHAIN, counted from 0; NULL behind the last. *USES: its rules and the
 * jumps to it, once a table is installed with AFFINITIES time-outs.
 */
const char *nft_rules_chain(
    unsigned chain, const struct ipt_params *params, unsigned affinities, uint32_t *uses);

#endif
