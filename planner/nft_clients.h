/*
 * Clients that session affinity binds to an endpoint are in the kernel alone: which of them have to
 * be forgotten, because their frontend leads there no more. Lists of elements are sorted.
 */
#ifndef PLANNER_NFT_CLIENTS_H
#define PLANNER_NFT_CLIENTS_H

#include "ipc/nft_ops.h"
#include "planner/elements.h"

/* Where the operations go. */
struct nft_clients {
	const struct nft_visitor *out;
	void *arg;
};

/* E, which may stand for an endpoint, is gone from WAS; IS has what its frontend leads to now. */
void nft_clients_gone(const struct nft_clients *c, struct element *was, size_t was_count,
    const struct element *e, struct element *is, size_t is_count);
/*
 * Frontend F, in LIST, has the policy Local now: who came to an endpoint elsewhere shall not stay
 * with it. (Pods might, but they are not told from others by their affinity.)
 */
void nft_clients_elsewhere(
    const struct nft_clients *c, struct element *list, size_t count, const struct element *f);

#endif
