/*
 * What the parent allows, whatever the planner asks for. Filled from CONFIG and the kernel before
 * the first child exists, then made read-only.
 */
#ifndef APPLIER_POLICY_H
#define APPLIER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "applier/ipt_entry.h"
#include "common/ip.h"
#include "common/siphash.h"
#include "ipc/config.h"
#include "ipc/relay.h"

#define NFT_COMMENT_MAX 32 /* bytes, with the NUL */

struct policy {
	uint8_t mode;		     /* enum proxy_mode */
	bool families[FAMILY_COUNT]; /* which the kernel offers: the backend fills it */
	struct ipt_params params;
	struct node_policy node;
	struct relay_ports relays; /* that rules may redirect to; userspace mode's alone */
	struct siphash_key key;	   /* of the digests; no secret to the children */
	struct siphash_key
	    secret; /* of what the applier records of what it is asked: no child knows it */
	int audit_fd;
	bool audit_is_syslog; /* a datagram socket that wants a priority before each line */
	int lock_fd;	      /* of /run/xtables.lock: ipt_backend_open() fills it */
	/* What each family's nf_tables table says of itself: nft_backend_open() fills it. */
	char nft_comment[FAMILY_COUNT][NFT_COMMENT_MAX];

	/* ipvs mode: no operation reaches these, whoever made what is there. */
	uint32_t ipvs_exclude_count;
	struct ip_cidr ipvs_exclude[CONFIG_PREFIXES_MAX];
	char ipvs_scheduler[CONFIG_WORD_MAX];

	/* Quotas; beyond one the planner is broken. */
	uint32_t max_ops;      /* of a transaction */
	uint32_t max_rules;    /* of a transaction */
	uint64_t max_bytes;    /* of a transaction's frames */
	uint64_t max_ms;       /* of the processor, for a transaction */
	uint32_t max_requests; /* transactions and snapshots in one second */
};

/* A policy from CFG, in a page of its own that lives as long as the process. fatal() on failure. */
struct policy *policy_new(const struct config *cfg, int audit_fd);
/* From now on a write to P kills the process. */
void policy_freeze(struct policy *p);

#endif
