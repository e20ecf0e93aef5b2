/* ipvs mode, planner <-> applier: items in transactions (beside ipc/txn.h's operations), and what
 * is in the kernel. */
#ifndef IPC_IPVS_OPS_H
#define IPC_IPVS_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "applier/ipvs_tables.h"
#include "ipc/frame.h"

enum ipvs_message {
	/* applier -> planner */
	IPVS_SNAPSHOT = 80, /* in parts, before those of TXN_SNAPSHOT: struct ipvs_snapshot */
};

/* An item as a field: [kind, family, field, ...]. */
void ipvs_encode_item(struct frame *f, const struct ipvs_item *i);
/* Kind and family are checked here, values by ipvs_item_check(). */
void ipvs_decode_item(struct cursor *c, struct ipvs_item *i);

#define IPVS_SNAPSHOT_PART_MAX 1024 /* items of one part */

struct ipvs_snapshot {
	uint32_t count;
	struct ipvs_item items[IPVS_SNAPSHOT_PART_MAX];
};

void ipvs_encode_snapshot(struct frame *f, const struct ipvs_snapshot *s);
const char *ipvs_decode_snapshot(struct cursor *c, struct ipvs_snapshot *s);

#endif
