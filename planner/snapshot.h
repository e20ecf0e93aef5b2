/* What the applier found in the kernel: chains with their digests, hooks. */
#ifndef PLANNER_SNAPSHOT_H
#define PLANNER_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/txn.h"

struct snapshot_chain {
	uint64_t digest;
	struct ipt_chain chain;
	bool wanted; /* the desired state has it too */
};

struct snapshot {
	bool complete; /* the last part came */
	bool families[FAMILY_COUNT];
	uint32_t hooks[FAMILY_COUNT];
	struct snapshot_chain *chains; /* sorted once complete */
	size_t count, room;
};

/* Frees what S holds; as if no part had come. Safe on a zeroed struct. */
void snapshot_clear(struct snapshot *s);
/* Adds a part. NULL, or how it breaks the protocol. */
const char *snapshot_add(struct snapshot *s, const struct txn_snapshot *part);
/* The entry for chain C of a complete snapshot, or NULL. */
struct snapshot_chain *snapshot_find(const struct snapshot *s, const struct ipt_chain *c);

#endif
