/*
 * What the kernel says of chains and rules of nf_tables: one message to one struct. Pure. A
 * message that lacks something, or is cut, is not understood (false), and nothing follows from it.
 */
#ifndef CLEANER_NFT_READ_H
#define CLEANER_NFT_READ_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#define NFT_READ_NAME_MAX 256 /* NFT_NAME_MAXLEN */

struct nft_chain {
	uint8_t family; /* NFPROTO_* */
	char table[NFT_READ_NAME_MAX];
	char name[NFT_READ_NAME_MAX];
	bool base;     /* called by the kernel, not by rules */
	bool filter;   /* of type filter */
	bool nat;      /* of type nat */
	uint32_t hook; /* NF_INET_* */
	int32_t priority;
	bool drops; /* its policy */
};
bool nft_read_chain(const struct nlmsghdr *h, struct nft_chain *c);

struct nft_rule {
	char table[NFT_READ_NAME_MAX];
	char chain[NFT_READ_NAME_MAX];
	uint64_t handle;
	char target[NFT_READ_NAME_MAX]; /* the chain that it jumps or goes to; "": none */
};
bool nft_read_rule(const struct nlmsghdr *h, struct nft_rule *r);

/* The generation of the rules, of NFT_MSG_NEWGEN. */
bool nft_read_generation(const struct nlmsghdr *h, uint32_t *generation);

/*
 * Of an error's answer H, which has the message it is about: the chain that DELCHAIN was to delete.
 * False if it is about something else.
 */
bool nft_read_refused_chain(
    const struct nlmsghdr *h, char table[NFT_READ_NAME_MAX], char name[NFT_READ_NAME_MAX]);

#endif
