/* nf_tables' netlink: dumps, and batches that are done as a whole or not at all. */
#ifndef CLEANER_NFT_TALK_H
#define CLEANER_NFT_TALK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "cleaner/nft_read.h"

#define CLEANER_FD_NFT 16

typedef void (*nft_visit)(void *arg, const struct nlmsghdr *h);

/* Opens the socket at CLEANER_FD_NFT. 0, or -1 with errno. */
int nft_talk_open(void);

/* Each: 0, or an errno. What changes during a dump may be in it or not: the batch tells. */
int nft_get_generation(uint32_t *generation);
int nft_dump_chains(uint8_t nfproto, nft_visit visit, void *arg);
int nft_dump_rules(uint8_t nfproto, const char *table, nft_visit visit, void *arg);

/* A transaction. Starts zeroed; nft_batch_free() in the end. */
struct batch {
	uint8_t *bytes;
	size_t len, room;
	uint32_t seq;
	uint8_t family;
	int failed; /* an errno: it does not fit, or there is no memory */
};

void batch_begin(struct batch *b, uint8_t nfproto, uint32_t generation);
void batch_delete_rule(struct batch *b, const char *table, const char *chain, uint64_t handle);
/* All rules of CHAIN. */
void batch_flush_chain(struct batch *b, const char *table, const char *chain);
void batch_delete_chain(struct batch *b, const char *table, const char *chain);
void batch_delete_table(struct batch *b, const char *table);
/*
 * Sends it. 0, or an errno (ERESTART: the generation is another one), with nothing done. If the
 * kernel refuses to delete a chain (EBUSY: somebody jumps to it), TABLE and CHAIN name it, else
 * they are "".
 */
int batch_send(struct batch *b, char table[NFT_READ_NAME_MAX], char chain[NFT_READ_NAME_MAX]);
void batch_free(struct batch *b);

#endif
