/*
 * Which virtual servers are ours: those that this process has made, and those that were ours when
 * it began. No others are changed or deleted, whoever asks.
 */
#ifndef APPLIER_IPVS_RECORD_H
#define APPLIER_IPVS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipvs_tables.h"
#include "common/siphash.h"

/*
 * Digests of keys, in a hash table that doubles. Begins with its KEY and nothing else: one that the
 * planner does not know, or it could choose servers that all meet in one place of the table.
 */
struct ipvs_record {
	struct siphash_key key;
	size_t size, used;
	uint64_t *slots; /* 0: free */
};

#define IPVS_RECORD_MAX (1u << 20) /* slots, of which half are used: 8 MiB */

/* Is the item of KIND in T whose fields are OF's, as far as KIND has them? */
bool ipvs_record_has(const struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of);
/* Adds it. False: there is no room or no memory. */
bool ipvs_record_put(struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of);
/* Takes it away. */
void ipvs_record_drop(struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of);
/*
 * Which virtual servers of the kernel are a kube-proxy's: one whose address kube-ipvs0 has, or
 * whose frontend, address or node port one of the ipsets. T is first given every entry of the
 * ipsets and every address (I), then asked of each virtual server. (A transaction could put the
 * evidence there, so the applier asks before it has written anything.)
 */
void ipvs_record_evidence(struct ipvs_record *t, const struct ipvs_item *i);
bool ipvs_record_claims(const struct ipvs_record *t, const struct ipvs_item *i);
/* Empties T and gives its memory back. */
void ipvs_record_clear(struct ipvs_record *t);

#endif
