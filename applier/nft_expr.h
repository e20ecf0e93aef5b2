/*
 * A rule as the kernel's expressions. It is written as a row of terms, which nft would print as its
 * matches and statements, in this order.
 */
#ifndef APPLIER_NFT_EXPR_H
#define APPLIER_NFT_EXPR_H

#include <netlink/attr.h>
#include <stdint.h>

#include "applier/ipt_entry.h" /* struct ipt_params */

/* A term: what it is, and in its low byte of which set or chain. 0: none. */
typedef uint16_t nft_term;
#define NFT_TERM(kind, arg) (nft_term)((kind) << 8 | (arg))
#define NFT_TERM_KIND(t)    ((t) >> 8)
#define NFT_TERM_ARG(t)	    ((t)&0xffu)
#define NFT_TERMS_MAX	    4 /* of a rule */

enum nft_term_kind {
	NFT_TERM_IN = 1,      /* what the set's key is of, is in SET */
	NFT_TERM_NOT_IN,      /* ... is not */
	NFT_TERM_ORIGINAL_IN, /* ... of the connection's first packet, before its translation, is */
	NFT_TERM_NEW,	      /* connection */
	NFT_TERM_TRANSLATED,  /* destination */
	NFT_TERM_LOCAL_SOURCE,
	NFT_TERM_LOCAL_DESTINATION,
	NFT_TERM_POD_IF, /* came in by the interface of local pods */
	NFT_TERM_UNMARKED,
	NFT_TERM_MARK,
	NFT_TERM_CLEAR_MARK,
	NFT_TERM_DNAT,	     /* to what the MAP has for the packet */
	NFT_TERM_DNAT_LOCAL, /* ... with a number from NFT_LOCAL_SLOT on */
	NFT_TERM_REMEMBER,   /* the connection's endpoint in MAP, for the rule's seconds */
	NFT_TERM_MASQUERADE,
	NFT_TERM_REJECT,
	NFT_TERM_DROP,
	NFT_TERM_RETURN,
	NFT_TERM_JUMP, /* to CHAIN */
	NFT_TERM_GOTO,
};

struct nft_rule {
	struct nl_msg *m;
	uint8_t family;
	const struct ipt_params *params;
	uint32_t seconds;
	const char *(*chain_name)(unsigned chain);
};

/* The expressions of TERMS, NFTA_RULE_EXPRESSIONS of R->m. */
void nft_rule_encode(struct nft_rule *r, const nft_term terms[NFT_TERMS_MAX]);

#endif
