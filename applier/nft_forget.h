/* Clients of session affinity whose endpoint has gone. */
#ifndef APPLIER_NFT_FORGET_H
#define APPLIER_NFT_FORGET_H

#include <stddef.h>
#include <stdint.h>

#include "applier/nft_tables.h"
#include "applier/policy.h"

struct nft_forget {
	const struct policy *policy;
	uint64_t *gone; /* a digest of each frontend and endpoint; room for the policy's max_ops */
	size_t count;
	uint32_t sets[FAMILY_COUNT]; /* bit per number of an affinity */
};

void nft_forget_begin(struct nft_forget *f, const struct policy *p);
/* The clients of E's endpoint in E's set, which is NFT_AFFINITY + a number. */
void nft_forget_add(struct nft_forget *f, const struct nft_elem *e);
/* Deletes them all from the kernel, between nft_begin() and nft_end(). What fails is logged: the
 * clients stay until their time-out. */
void nft_forget_all(struct nft_forget *f);

#endif
