/* The extensions' parts of an entry: the data of each match and target, as the kernel wants it. */
#ifndef APPLIER_IPT_EXT_H
#define APPLIER_IPT_EXT_H

#include "applier/ipt_entry.h"
#include "applier/ipvs_tables.h"

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

/*
 * The kernel's number of each of our ipsets, and one; ipvs_backend_open() fills it. 0 where there
 * is no kernel (in the planner): the set's own number stands for it.
 */
extern uint16_t ipt_set_numbers[FAMILY_COUNT][IPVS_SET_COUNT];

/* R's template matches a set: which it is, and in how many fields of a packet. */
uint8_t ipt_rule_set(const struct ipt_rule *r, uint8_t *dimensions);
/* Appends the matches of MATCHES (enum ipt_match); those of addresses stand in the entry itself. */
void ipt_ext_matches(struct ipt_encoder *e, uint32_t matches);
/* Appends a target of VERDICT. */
void ipt_ext_target(struct ipt_encoder *e, enum ipt_verdict verdict);

#endif
