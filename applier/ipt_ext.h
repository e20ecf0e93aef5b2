/* The extensions' parts of an entry: the data of each match and target, as the kernel wants it. */
#ifndef APPLIER_IPT_EXT_H
#define APPLIER_IPT_EXT_H

#include "applier/ipt_entry.h"

/* A rule being encoded: its parts, and the bytes so far. */
struct ipt_encoder {
	struct ipt_blob *b;
	const struct ipt_rule *rule; /* NULL for a hook */
	uint16_t args;		     /* those of RULE */
	uint8_t family;
	const char *comment;	    /* a template's or hook's */
	uint32_t mark;		    /* the masquerade bit's */
	char chain[CHAIN_NAME_LEN]; /* the one jumped to; without a jump the one RULE stands in */
};

/* Appends the matches of MATCHES (enum ipt_match); those of addresses stand in the entry itself. */
void ipt_ext_matches(struct ipt_encoder *e, uint32_t matches);
/* Appends the match on connection state NEW. */
void ipt_ext_match_new(struct ipt_encoder *e);
/* Appends a target of VERDICT. */
void ipt_ext_target(struct ipt_encoder *e, enum ipt_verdict verdict);

#endif
