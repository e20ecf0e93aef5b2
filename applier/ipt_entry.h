/*
 * A typed rule as the kernel's bytes (struct ipt_entry, struct ip6t_entry), and the digest of a
 * chain of them. Pure; the planner links it too, so that both sides compute the same digests.
 */
#ifndef APPLIER_IPT_ENTRY_H
#define APPLIER_IPT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "common/siphash.h"
#include "ipc/config.h"

#define IPT_ENTRY_MAX 2048 /* bytes; ipt_ext.c asserts that no entry has more */

/* An entry; a jump is in it as libiptc wants it (the chain's name in the target's name). */
struct ipt_blob {
	uint32_t len;
	_Alignas(8) uint8_t bytes[IPT_ENTRY_MAX];
};

/* What is the same in every rule that has it: the policy's. */
struct ipt_params {
	uint8_t masq_bit; /* 0..31 */
	char pod_if[16];  /* IFNAMSIZ; the interface of local pods, or what theirs begin with */
	bool pod_if_prefix;
};

/* As CFG has it. */
struct ipt_params ipt_params_of(const struct config *cfg);

/* Encodes R, a rule that ipt_rule_check() allows in chain C. */
void ipt_entry_encode(struct ipt_blob *b, const struct ipt_rule *r, const struct ipt_chain *c,
    const struct ipt_params *params);
/* The chain that R, which may stand in C, jumps to; false if it jumps to none. */
bool ipt_rule_target(const struct ipt_rule *r, const struct ipt_chain *c, struct ipt_chain *target);
/* Encodes the jump of hook NUMBER for FAMILY. */
void ipt_entry_encode_hook(struct ipt_blob *b, unsigned number, uint8_t family);

/*
 * Feeds one entry of FAMILY into S: what it matches and does, not its counters, offsets or the
 * kernel's own marks in it. TARGET is the name of the chain it jumps to, a standard verdict
 * ("ACCEPT", "DROP", "RETURN") or the target extension's name: what libiptc's get_target tells.
 */
void ipt_entry_digest(struct siphash *s, const void *entry, uint8_t family, const char *target);
/* The same for an entry of ipt_entry_encode(). */
void ipt_blob_digest(struct siphash *s, const struct ipt_blob *b, uint8_t family);

#endif
