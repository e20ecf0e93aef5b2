/*
 * The kernel's iptables, one table at a time, through libiptc. Everything that writes takes a
 * struct ipt_chain or a hook's number, never a name: there is no way to touch another chain.
 */
#ifndef APPLIER_IPT_HANDLE_H
#define APPLIER_IPT_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_entry.h"
#include "applier/policy.h"

struct xtc_handle;

/* A table as read at one moment, with changes that nobody sees before ipt_handle_commit(). */
struct ipt_handle {
	struct xtc_handle *h; /* NULL: not read */
	const struct policy *policy;
	uint8_t family, table;
	bool changed;
	uint32_t info[2]; /* ipt_get_info() just before it was read */
	uint32_t hooks;	  /* bit per hook that is on */
};

/* What a table was when it was last read or written: whether it still is costs less to ask. */
struct ipt_known {
	bool valid;
	uint32_t info[2]; /* ipt_get_info() */
	uint64_t digest;  /* ipt_handle_digest() */
};

/* Reads a table. 0, or -1 with errno. Close it in either case. */
int ipt_handle_read(struct ipt_handle *t, const struct policy *p, uint8_t family, uint8_t table);
void ipt_handle_close(struct ipt_handle *t);
/* Tables in the order in which they are written: see ipt_apply.c. */
#define IPT_TABLES (FAMILY_COUNT * IPT_TABLE_COUNT)
static inline unsigned ipt_index(unsigned family, unsigned table)
{
	return family * IPT_TABLE_COUNT + (IPT_TABLE_COUNT - 1 - table);
}

/*
 * Reads the tables of WANTED (bit per ipt_index()). 0, or -1 with errno and words in WHY.
 * ipt_tables_close() in either case.
 */
int ipt_tables_read(struct ipt_handle t[IPT_TABLES], const struct policy *p, unsigned wanted,
    char *why, size_t size);
void ipt_tables_close(struct ipt_handle t[IPT_TABLES]);

/*
 * Digest of all that is ours in T as it is now, with its changes. VISIT, if not NULL, is given each
 * of its chains with that one's.
 */
uint64_t ipt_handle_digest(struct ipt_handle *t,
    void (*visit)(void *arg, const struct ipt_chain *c, uint64_t digest), void *arg);

/* Each changes T: 0, or -1 with errno. */
int ipt_chain_create(struct ipt_handle *t, const struct ipt_chain *c); /* if it is missing */
/* ENOENT if R jumps to a chain that is not there. */
int ipt_rule_append(struct ipt_handle *t, const struct ipt_chain *c, const struct ipt_rule *r);
/* Empties C: before it is filled, or deleted. Absent is fine. */
int ipt_chain_flush(struct ipt_handle *t, const struct ipt_chain *c);
/* C must be flushed. One that a foreign rule still jumps to stays, empty. Absent is fine. */
int ipt_chain_delete(struct ipt_handle *t, const struct ipt_chain *c);
int ipt_hook_set(struct ipt_handle *t, unsigned number, bool on);

/*
 * Writes T's changes. 0, or -1 with errno: EAGAIN if the table's entries or bytes are not as many
 * as when T was read, so that another has written, who ignored the lock. T is spent.
 */
int ipt_handle_commit(struct ipt_handle *t);

#endif
