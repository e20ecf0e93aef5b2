/*
 * nftables mode, planner <-> applier: operations of a transaction (between TXN_BEGIN and
 * TXN_COMMIT, ipc/txn.h), and what is in the kernel.
 */
#ifndef IPC_NFT_OPS_H
#define IPC_NFT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/nft_tables.h"
#include "ipc/frame.h"
#include "ipc/txn.h"

enum nft_message {
	/* planner -> applier */
	NFT_OPS = 32, /* [[operation, ...]] */
	/* applier -> planner */
	NFT_SNAPSHOT = 48, /* in parts: struct nft_snapshot */
	NFT_DRIFT,	   /* []: another program has changed one of our tables */
};

/* INSTALL replaces the table that is there: only as the first operation of its family. */
enum nft_op {
	NFT_OP_INSTALL = 1, /* [op, family]: a table with the constant rules and empty sets */
	NFT_OP_PUT,	    /* [op, family, set, field, ...]: an element that is not there yet */
	NFT_OP_DELETE,	    /* [op, family, set, key field, ...]: an element */
	NFT_OP_AFFINITY, /* [op, family, number, seconds]: the time-out of an affinity; 0: none */
	NFT_OP_FORGET,	 /* [op, family, set, ip, proto, port, endpoint ip, port]: its clients */
};

/* --- planner's side: W's type is NFT_OPS --- */

void nft_write_install(struct txn_writer *w, uint8_t family);
void nft_write_put(struct txn_writer *w, const struct nft_elem *e);
void nft_write_delete(struct txn_writer *w, const struct nft_elem *e);
void nft_write_affinity(struct txn_writer *w, uint8_t family, unsigned number, uint32_t seconds);
/* E's set is NFT_AFFINITY + the number; it names frontend and endpoint. */
void nft_write_forget(struct txn_writer *w, const struct nft_elem *e);

/* --- applier's side --- */

/* Called in the order of the operations; each returns NULL, or why it refuses. */
struct nft_visitor {
	const char *(*install)(void *arg, uint8_t family);
	const char *(*put)(void *arg, const struct nft_elem *e);
	const char *(*remove_elem)(void *arg, const struct nft_elem *e);
	const char *(*affinity)(void *arg, uint8_t family, unsigned number, uint32_t seconds);
	const char *(*forget)(void *arg, const struct nft_elem *e);
};

/* Decodes and visits. Shapes, families and set numbers are checked here, arguments by the visitor.
 */
const char *nft_decode_ops(struct cursor *c, const struct nft_visitor *v, void *arg);

/* --- answers --- */

#define NFT_SNAPSHOT_PART_MAX 256 /* elements of one part */

struct nft_snapshot {
	bool families[FAMILY_COUNT];  /* which the kernel offers and the policy allows */
	bool installed[FAMILY_COUNT]; /* a table with just our rules of this version is there */
	bool there[FAMILY_COUNT];     /* some table of this name is */
	uint32_t count;
	struct nft_elem elems[NFT_SNAPSHOT_PART_MAX]; /* of installed tables, but dynamic sets' */
	bool last;
};

void nft_encode_snapshot(struct frame *f, const struct nft_snapshot *s);
const char *nft_decode_snapshot(struct cursor *c, struct nft_snapshot *s);
void nft_encode_drift(struct frame *f);
const char *nft_decode_drift(struct cursor *c);

#endif
