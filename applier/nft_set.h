/* Sets and maps as nf_tables has them. Pure. */
#ifndef APPLIER_NFT_SET_H
#define APPLIER_NFT_SET_H

#include <netlink/attr.h>
#include <stdbool.h>
#include <stdint.h>

#include "applier/nft_tables.h"

/* A part of a key; each begins in a register (four bytes) of its own. */
struct nft_part {
	uint16_t field; /* enum nft_field */
	uint8_t len;	/* bytes of it */
	bool source;	/* an address or prefix: of the packet's source, else its destination */
};
#define NFT_PARTS_MAX 5
/* The parts of SET's key in their order, and how many. */
unsigned nft_key_parts(unsigned set, uint8_t family, struct nft_part parts[NFT_PARTS_MAX]);
/* Registers that something of LEN bytes takes. */
static inline uint32_t nft_registers(uint32_t len)
{
	return (len + 3) / 4;
}

/* Bytes of the key of these parts. */
uint32_t nft_key_len(const struct nft_part *parts, unsigned count);

/*
 * What declares SET, after the table: attributes of NFT_MSG_NEWSET. SIZE: elements it has room for;
 * 0: any number.
 */
void nft_set_encode(struct nl_msg *m, unsigned set, uint8_t family, uint32_t size);

#endif
