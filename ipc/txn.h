/* planner <-> applier: snapshot, transactions of typed operations, results. */
#ifndef IPC_TXN_H
#define IPC_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h"
#include "applier/ipvs_tables.h"
#include "ipc/frame.h"

enum txn_message {
	/* planner -> applier */
	TXN_SNAPSHOT_REQUEST = 1, /* [] */
	TXN_BEGIN,		  /* [generation, base] */
	TXN_OPS,		  /* [[operation, ...]] */
	TXN_COMMIT,		  /* [generation, operations in all] */
	TXN_CHECK,		  /* [deep]: is all as it was last read or written? */
	/* applier -> planner */
	TXN_SNAPSHOT, /* in parts: struct txn_snapshot */
	TXN_RESULT,   /* struct txn_result */
	TXN_CHECKED,  /* [drift] */

	/* ipc/flows.h: the first two planner -> applier, the others applier -> planner */
	TXN_FLOWS_REQUEST, /* [family]: shows them, a part at a time */
	TXN_FLOWS_DELETE,  /* [[place, ...]]: deletes those of the part shown last */
	TXN_FLOWS,	   /* [[[dst, port, src, port], ...]] */
	TXN_FLOWS_END,	   /* struct flows_end */

	/* planner -> applier, for the service manager */
	TXN_ALIVE,  /* []: WATCHDOG=1 */
	TXN_STATUS, /* [phase, source, services, endpoints]: STATUS= in the applier's words */
};

/* What the service manager's STATUS= says, in the applier's words. */
enum txn_phase {
	PHASE_LISTS,	   /* waits for Services and EndpointSlices */
	PHASE_NODE,	   /* waits for what the Node must have */
	PHASE_PROGRAMMING, /* for the first time */
	PHASE_PROGRAMMED,
	PHASE_RETRYING, /* the last transaction failed */
	PHASE_COUNT
};
enum txn_source {
	SOURCE_APISERVER_NEW, /* has not answered yet */
	SOURCE_APISERVER,
	SOURCE_APISERVER_DOWN,
	SOURCE_MANIFESTS,
	SOURCE_COUNT
};
struct txn_status {
	uint8_t phase, source;
	uint32_t services, endpoints;
};

enum txn_op {
	OP_CHAIN_PUT =
	    1,	       /* [op, family, table, kind, hash, [rule, ...]]: the chain's whole content */
	OP_CHAIN_MORE, /* [op, [rule, ...]]: goes on with the chain put last */
	OP_CHAIN_DELETE, /* [op, family, table, kind, hash] */
	OP_HOOK,	 /* [op, family, number, on] */
	/* in ipvs mode as well */
	OP_ITEM_PUT,	/* [op, item]: one that is not there */
	OP_ITEM_CHANGE, /* [op, item]: a server's seconds, a real server's weight */
	OP_ITEM_DELETE, /* [op, item] */
};

/* --- planner's side: writing a transaction --- */

/* Takes each full frame. */
typedef void (*txn_sink)(void *arg, const struct frame *f);

struct txn_writer {
	txn_sink sink;
	void *arg;
	unsigned type; /* of the frames of operations; 0: TXN_OPS */
	uint64_t generation;
	uint64_t ops;		     /* operations so far (OP_CHAIN_MORE is none) */
	uint32_t in_frame;	     /* operations in the frame being filled */
	uint32_t rules;		     /* rules in the open chain operation */
	size_t ops_mark, rules_mark; /* where the counts stand in the frame */
	bool chain_open;
	struct frame frame;
};

/* Generations count from 1; BASE is the last answered with TXN_OK or TXN_UNCHANGED, 0 if none. */
void txn_begin(struct txn_writer *w, txn_sink sink, void *arg, uint64_t generation, uint64_t base);
/* Begins an operation of FIELDS fields, which the caller writes into W->frame: 512 bytes at most.
 */
void txn_op(struct txn_writer *w, unsigned op, uint32_t fields);
/* Begins a chain's content; the rules that follow are its whole content, in order. */
void txn_chain_put(struct txn_writer *w, const struct ipt_chain *c);
void txn_rule(struct txn_writer *w, const struct ipt_rule *r);
void txn_chain_delete(struct txn_writer *w, const struct ipt_chain *c);
void txn_hook(struct txn_writer *w, uint8_t family, unsigned number, bool on);
/* OP is one of OP_ITEM_*. */
void txn_item(struct txn_writer *w, enum txn_op op, const struct ipvs_item *i);
void txn_commit(struct txn_writer *w);

/* --- applier's side: reading one --- */

/* Called in the order of the operations; each returns NULL, or why it refuses. One that is NULL
 * lets its operations pass. */
struct txn_visitor {
	const char *(*chain_put)(void *arg, const struct ipt_chain *c);
	const char *(*rule)(void *arg, const struct ipt_rule *r);
	const char *(*chain_delete)(void *arg, const struct ipt_chain *c);
	const char *(*hook)(void *arg, uint8_t family, unsigned number, bool on);
	const char *(*item)(void *arg, enum txn_op op, const struct ipvs_item *i);
};

const char *txn_decode_begin(struct cursor *c, uint64_t *generation, uint64_t *base);
/* Decodes and visits. Shapes, numbers and table indices are checked here, arguments by the visitor.
 */
const char *txn_decode_ops(struct cursor *c, const struct txn_visitor *v, void *arg);
const char *txn_decode_commit(struct cursor *c, uint64_t *generation, uint64_t *ops);

/* --- answers --- */

#define SNAPSHOT_PART_MAX 1024 /* chains of one part */

struct txn_chain_digest {
	struct ipt_chain chain;
	uint64_t digest; /* keyed with the CONFIG's key */
};

struct txn_snapshot {
	bool families[FAMILY_COUNT];  /* which the kernel offers and the policy allows */
	uint32_t hooks[FAMILY_COUNT]; /* bit per hook that is on */
	uint32_t count;
	struct txn_chain_digest chains[SNAPSHOT_PART_MAX];
	bool last; /* no further part */
};

enum txn_code {
	TXN_OK = 0,
	TXN_UNCHANGED, /* nothing had to be written */
	TXN_STALE,     /* a chain jumped to is not there: ask a snapshot */
	TXN_BUSY,      /* other writers won every race: try again */
	TXN_KERNEL,    /* the kernel refused: errno and words */
};

struct txn_result {
	uint64_t generation;
	uint8_t code;	       /* enum txn_code */
	int32_t error;	       /* errno, 0 if none */
	uint64_t writes;       /* commits to the kernel since start */
	bool drift;	       /* another program had changed what was ours in a table touched */
	uint32_t lock_wait_ms; /* until the xtables lock was ours */
	char detail[256];      /* which family, table, chain; in words */
};

void txn_encode_snapshot_request(struct frame *f);
/*
 * DEEP: by the content of the tables; else by their numbers of entries and bytes, which every added
 * or removed rule changes, but not one put in the place of another as long.
 */
void txn_encode_check(struct frame *f, bool deep);
void txn_encode_checked(struct frame *f, bool drift);
const char *txn_decode_checked(struct cursor *c, bool *drift);
void txn_encode_alive(struct frame *f);
void txn_encode_status(struct frame *f, const struct txn_status *s);
const char *txn_decode_status(struct cursor *c, struct txn_status *s);
void txn_encode_snapshot(struct frame *f, const struct txn_snapshot *s);
const char *txn_decode_snapshot(struct cursor *c, struct txn_snapshot *s);
void txn_encode_result(struct frame *f, const struct txn_result *r);
const char *txn_decode_result(struct cursor *c, struct txn_result *r);

#endif
