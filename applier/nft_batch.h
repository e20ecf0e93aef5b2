/* A transaction for nf_tables as bytes: messages one after another in a buffer of fixed size. */
#ifndef APPLIER_NFT_BATCH_H
#define APPLIER_NFT_BATCH_H

#include <netlink/attr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/nft_tables.h"

/* No message has more: an attribute's length, that of a list of elements, is 16 bits. */
#define NFT_MESSAGE_MAX 65536

struct nft_batch {
	struct nl_msg *m; /* the message that was begun last */
	uint8_t *buf;
	size_t size;  /* of BUF */
	size_t len;   /* of what is in it */
	uint32_t seq; /* of the message begun last; they count from 0, the batch's own beginning */
	bool full;    /* something did not fit and is left out: the batch must not be sent */
	/* Elements of one set that are put or deleted in a row share a message. */
	struct nlattr *list; /* NULL: none is open */
	uint16_t elems_type; /* NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM */
	uint8_t elems_family, elems_set;
};

/* A buffer of SIZE bytes; memory follows as it is used. fatal() on failure. */
void nft_batch_init(struct nft_batch *b, size_t size);
/* Gives the memory back and begins anew. */
void nft_batch_clear(struct nft_batch *b);

void nft_batch_begin(struct nft_batch *b);
/* The transaction is good only in GENERATION of the kernel's rules. */
void nft_batch_for(struct nft_batch *b, uint32_t generation);
/* Begins a message about our table of FAMILY, whose first attribute (the same of every type) names
 * it. */
struct nl_msg *nft_message_begin(
    struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family);
void nft_message_end(struct nft_batch *b);
/* E, which nft_elem_check() allows, into its set or out of it. */
void nft_batch_elem(struct nft_batch *b, const struct nft_elem *e, bool delete);
/* Whatever is in SET of FAMILY goes. */
void nft_batch_flush_set(struct nft_batch *b, uint8_t family, unsigned set);
/* Has it nothing but its beginning? */
bool nft_batch_empty(const struct nft_batch *b);
/* Ends the transaction; without, the kernel tries it and does nothing. */
void nft_batch_end(struct nft_batch *b);

/* NFPROTO_* and nf_tables' own word for a FAMILY_*. */
extern const uint8_t nft_nfproto[FAMILY_COUNT];
extern const char *const nft_family_name[FAMILY_COUNT];

#endif
