/*
 * The desired state in nftables mode: the elements a service should have (SEMANTICS' frontends,
 * traffic policies and masquerading as membership in sets), and those of the node. Pure.
 */
#ifndef PLANNER_NFT_DESIRED_H
#define PLANNER_NFT_DESIRED_H

#include "planner/elements.h"
#include "planner/endpoints.h"
#include "planner/hairpins.h"
#include "planner/own_node.h"
#include "planner/slots.h"

struct nft_desired {
	const struct own_node *own;
	const char *zone; /* our node's */
	const struct local_addrs *local;
	bool families[FAMILY_COUNT];
	struct hairpins hairpins;
	uint32_t stamp;
	uint32_t timeouts[NFT_AFFINITIES]; /* seconds; 0: not in use */
	uint32_t users[NFT_AFFINITIES];	   /* services looked at that use them */
	bool freed;			   /* one has no user any more */

	/* Of the service looked at last: sorted. */
	struct element_list list;
	uint64_t endpoints;

	/* scratch */
	struct chosen_endpoints chosen;
	struct slots slots[LIST_COUNT];
};

void nft_desired_clear(struct nft_desired *d);

/*
 * Fills D->list with what V should have. PREV: the COUNT elements that it, or in PREV everybody,
 * had before, sorted.
 */
void nft_desired_service(
    struct nft_desired *d, struct stored_service *v, const struct element *prev, size_t count);

/* Fills D->list with what is no service's: where pods are, and the ClusterIPs of S. */
void nft_desired_node(struct nft_desired *d, const struct store *s);

/* The hash that stands for a comment. */
uint32_t nft_name_hash(const struct config *cfg, const char *name);

#endif
