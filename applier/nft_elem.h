/* Elements as nf_tables has them: bytes, and back. Pure. */
#ifndef APPLIER_NFT_ELEM_H
#define APPLIER_NFT_ELEM_H

#include <netlink/attr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/nft_tables.h"

/* E in a list of elements; with DELETE its key alone. */
void nft_elem_encode(struct nl_msg *m, const struct nft_elem *e, bool delete);

/*
 * Reads one element of a list, of E->family and E->set. False if it is of another shape. *END: it
 * only tells where the prefix before it ends, E->net.addr being the address after its last.
 */
bool nft_elem_decode(struct nft_elem *e, const struct nlattr *attr, bool *end);
/*
 * E->net.bits, if E's prefix is what ends before END (NULL: with the last address there is). False
 * if that is no prefix.
 */
bool nft_elem_prefix(struct nft_elem *e, const struct ip_addr *end);

/* Puts E into words in BUF of SIZE bytes, and returns BUF. */
const char *nft_elem_words(char *buf, size_t size, const struct nft_elem *e);

#endif
