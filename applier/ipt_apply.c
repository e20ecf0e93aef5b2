#include "applier/ipt_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "applier/ipt_backend.h"
#include "applier/ipt_handle.h"

#define TRIES 10 /* against writers that ignore the lock */

/*
 * Tables are written in this order. filter before nat, as upstream has it: a service that loses its
 * last endpoint is rejected before it is no longer translated, so that no packet for a ClusterIP
 * leaves the node by the default route; one that gets its first is refused or lost a moment longer.
 */
static const struct {
	uint8_t family, table;
} order[] = {
    {FAMILY_4, IPT_FILTER},
    {FAMILY_4, IPT_NAT},
    {FAMILY_6, IPT_FILTER},
    {FAMILY_6, IPT_NAT},
};
#define ORDERED (sizeof(order) / sizeof(order[0]))

struct apply {
	const struct policy *policy;
	const struct transaction *txn;
	struct txn_result *result;
	struct ipt_handle tables[FAMILY_COUNT][IPT_TABLE_COUNT];
	bool done[FAMILY_COUNT][IPT_TABLE_COUNT]; /* written, or found to be so already */
	uint32_t next_chain;   /* of txn->chains, while the frames are read again */
	struct ipt_chain open; /* chain being filled, if FILL */
	bool fill;
};

/* Records a failure: errno, and what could not be done. Returns words for the decoder to stop at.
 */
static const char *failed(struct apply *a, const struct ipt_handle *t, int error, const char *verb,
			  const char *what)
{
	bool stale = error == ENOENT || error == EMLINK;
	const char *why = error == ENOENT   ? "a chain is not there"
			  : error == EMLINK ? "a rule still jumps to it"
					    : ipt_handle_strerror(t, error);

	a->result->code = stale ? TXN_STALE : TXN_KERNEL;
	a->result->error = error;
	snprintf(a->result->detail, sizeof(a->result->detail), "%s: cannot %s %s", why, verb, what);
	audit_write(a->policy, "refused: generation %llu: %s: cannot %s %s",
		    (unsigned long long)a->txn->generation, why, verb, what);
	return "failed";
}

static const char *chain_failed(struct apply *a, const char *verb, const struct ipt_chain *c)
{
	char what[AUDIT_TEXT_MAX];
	int error = errno;

	audit_chain(what, sizeof(what), c);
	return failed(a, &a->tables[c->family][c->table], error, verb, what);
}

/* --- the operations, read a second time --- */

static const char *do_chain_put(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;
	const struct chain_op *op = &a->txn->chains[a->next_chain++];
	struct ipt_handle *t = &a->tables[c->family][c->table];

	a->open = *c;
	a->fill = false;
	if (a->done[c->family][c->table])
		return NULL;
	if (ipt_chain_prepare(t, c, op->digest, &a->fill) != 0)
		return chain_failed(a, "empty", c);
	return NULL;
}

static const char *do_rule(void *arg, const struct ipt_rule *r)
{
	struct apply *a = arg;
	struct ipt_handle *t = &a->tables[a->open.family][a->open.table];
	char what[AUDIT_TEXT_MAX];
	int error;

	if (!a->fill || ipt_rule_append(t, &a->open, r) == 0)
		return NULL;
	error = errno;
	audit_rule(what, sizeof(what), r, &a->open);
	return failed(a, t, error, "add", what);
}

/* Deletions wait until every rule is in place. */
static const char *do_chain_delete(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;

	(void)c;
	a->next_chain++;
	a->fill = false;
	return NULL;
}

static const char *do_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct apply *a = arg;
	struct ipt_handle *t = &a->tables[family][ipt_hooks[number].table];
	char what[AUDIT_TEXT_MAX];
	int error;

	a->fill = false;
	if (a->done[family][ipt_hooks[number].table] || ipt_hook_set(t, number, on) == 0)
		return NULL;
	error = errno;
	audit_hook(what, sizeof(what), family, number);
	return failed(a, t, error, on ? "set" : "remove", what);
}

static const struct txn_visitor visitor = {do_chain_put, do_rule, do_chain_delete, do_hook};

/* Reads the frames again. They are the ones that were checked: nobody else can write them. */
static int fill_chains(struct apply *a)
{
	struct frame_reader reader;
	struct cursor c;
	uint32_t len;
	unsigned type;

	a->next_chain = 0;
	a->fill = false;
	for (size_t at = 0; at < a->txn->bytes; at += len) {
		const char *why;

		memcpy(&len, a->txn->frames + at, sizeof(len));
		at += sizeof(len);
		why = frame_open(&reader, a->txn->frames + at, len, &type, &c);
		if (why == NULL) {
			why = txn_decode_ops(&c, &visitor, a);
			frame_close(&reader);
		}
		if (why == NULL)
			continue;
		if (a->result->code == TXN_OK) { /* out of memory: not what a visitor said */
			a->result->code = TXN_KERNEL;
			a->result->error = ENOMEM;
			snprintf(a->result->detail, sizeof(a->result->detail), "operations: %s",
				 why);
		}
		return -1;
	}
	return 0;
}

/* Does DO to each chain that is put (DELETED false) or deleted, in the tables still to be done. */
static int each_chain(struct apply *a, bool deleted,
		      int (*act)(struct ipt_handle *t, const struct ipt_chain *c), const char *verb)
{
	for (uint32_t i = 0; i < a->txn->chain_count; i++) {
		const struct chain_op *op = &a->txn->chains[i];
		const struct ipt_chain *c = &op->chain;

		if (op->deleted != deleted || a->done[c->family][c->table])
			continue;
		if (act(&a->tables[c->family][c->table], c) == 0)
			continue;
		chain_failed(a, verb, c);
		return -1;
	}
	return 0;
}

/* --- a try --- */

static int read_tables(struct apply *a)
{
	for (size_t i = 0; i < ORDERED; i++) {
		uint8_t f = order[i].family, t = order[i].table;

		if (!a->txn->touched[f][t] || a->done[f][t])
			continue;
		if (ipt_handle_read(&a->tables[f][t], a->policy, f, t) == 0)
			continue;
		a->result->code = TXN_KERNEL;
		a->result->error = errno;
		snprintf(a->result->detail, sizeof(a->result->detail), "cannot read %s: %s",
			 audit_table(f, t), ipt_families[f].strerror(errno));
		return -1;
	}
	return 0;
}

/*
 * Every chain exists before the first jump to it, and loses its last jump before it is deleted, so
 * libiptc itself sees whatever is missing or still in use.
 */
static int prepare(struct apply *a)
{
	if (read_tables(a) != 0 || each_chain(a, false, ipt_chain_create, "create") != 0 ||
	    fill_chains(a) != 0 || each_chain(a, true, ipt_chain_flush, "empty") != 0)
		return -1;
	return each_chain(a, true, ipt_chain_delete, "delete");
}

static void summarize(const struct ipt_handle *t, char summary[AUDIT_TEXT_MAX])
{
	size_t len = strlen(summary);

	snprintf(summary + len, AUDIT_TEXT_MAX - len, "; %s %016llx->%016llx",
		 audit_table(t->family, t->table), (unsigned long long)t->before,
		 (unsigned long long)t->after);
}

/* Writes what is prepared. 0; 1 if another writer was faster: try again; -1 on failure. */
static int commit(struct apply *a, char summary[AUDIT_TEXT_MAX])
{
	for (size_t i = 0; i < ORDERED; i++) {
		uint8_t f = order[i].family, n = order[i].table;
		struct ipt_handle *t = &a->tables[f][n];

		if (!a->txn->touched[f][n] || a->done[f][n])
			continue;
		if (t->changed && ipt_handle_commit(t) != 0) {
			if (errno == EAGAIN)
				return 1;
			a->result->code = TXN_KERNEL;
			a->result->error = errno;
			snprintf(a->result->detail, sizeof(a->result->detail),
				 "cannot write %s: %s", audit_table(f, n),
				 ipt_handle_strerror(t, errno));
			return -1;
		}
		if (t->changed) {
			a->result->code = TXN_OK;
			a->result->writes++;
		}
		a->done[f][n] = true;
		summarize(t, summary);
	}
	return 0;
}

static int try(struct apply *a, char summary[AUDIT_TEXT_MAX])
{
	int r = prepare(a) == 0 ? commit(a, summary) : -1;

	for (size_t i = 0; i < ORDERED; i++)
		ipt_handle_close(&a->tables[order[i].family][order[i].table]);
	return r;
}

void ipt_apply(const struct policy *p, const struct transaction *txn, struct txn_result *r,
	       char summary[AUDIT_TEXT_MAX])
{
	struct apply a = {.policy = p, .txn = txn, .result = r};
	uint64_t writes = r->writes;
	int again = 1;

	r->generation = txn->generation;
	r->code = TXN_OK;
	r->error = 0;
	r->detail[0] = summary[0] = '\0';
	if (ipt_lock(p) != 0) {
		r->code = TXN_BUSY;
		r->error = errno;
		snprintf(r->detail, sizeof(r->detail),
			 "/run/xtables.lock is held by another program");
		return;
	}
	for (int i = 0; i < TRIES && again == 1; i++)
		again = try(&a, summary);
	ipt_unlock(p);
	if (again == 1) {
		r->code = TXN_BUSY;
		r->error = EAGAIN;
		snprintf(r->detail, sizeof(r->detail), "another program wrote the table %d times",
			 TRIES);
	} else if (again == 0 && r->writes == writes) {
		r->code = TXN_UNCHANGED;
	}
}
