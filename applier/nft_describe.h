/* What the kernel refused, in words. */
#ifndef APPLIER_NFT_DESCRIBE_H
#define APPLIER_NFT_DESCRIBE_H

#include "applier/nft_batch.h"

/*
 * Puts into BUF of SIZE bytes what message SEQ of B is about, and what in it has the attribute at
 * offset AT (0: not known), as the kernel's extended acknowledgement tells: an element, or the name
 * of a kind of expression that the kernel lacks.
 */
void nft_describe(const struct nft_batch *b, uint32_t seq, uint32_t at, char *buf, size_t size);

#endif
