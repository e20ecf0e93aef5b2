#include "applier/ipt_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "applier/ipt_backend.h"
#include "applier/ipt_handle.h"
#include "applier/ipt_words.h"

#define TRIES 10 /* against writers that ignore the lock */

/*
 * The operations are read once per phase: every chain exists before the first jump to it, and has
 * lost its last jump before it is deleted.
 */
enum phase { CREATE, FILL, EMPTY, DELETE, PHASES };

struct apply {
	const struct policy *policy;
	const struct transaction *txn;
	struct txn_result *result;
	struct ipt_known *known;
	struct ipt_handle tables[IPT_TABLES];
	uint64_t before[IPT_TABLES]; /* their digests as read */
	enum phase phase;
	bool tell;	       /* it is the first try: what changes is told */
	struct ipt_chain open; /* chain being filled */
};

static struct ipt_handle *table_of(struct apply *a, uint8_t family, uint8_t table)
{
	return &a->tables[ipt_index(family, table)];
}

/* Records what could not be done, and errno. Returns words for the decoder to stop at. */
static const char *failed(
    struct apply *a, const struct ipt_handle *t, const char *verb, const char *what)
{
	int error = errno;
	bool stale = error == ENOENT && a->phase < PHASES; /* else the kernel lacks a module */
	const char *why =
	    stale ? "a chain is not there" : ipt_families[t->family].ops->strerror(error);

	a->result->code = stale ? TXN_STALE : TXN_KERNEL;
	a->result->error = error;
	snprintf(a->result->detail, sizeof(a->result->detail), "%s: cannot %s %s", why, verb, what);
	audit_write(a->policy, "refused: generation %llu: %s: cannot %s %s",
	    (unsigned long long)a->txn->generation, why, verb, what);
	return "failed";
}

/* --- the operations, read again; audit_*() leave errno alone --- */

/* Does ACT to C if this is its PHASE. */
static const char *do_chain(struct apply *a, enum phase phase, const struct ipt_chain *c,
    int (*act)(struct ipt_handle *t, const struct ipt_chain *c), const char *verb)
{
	struct ipt_handle *t = table_of(a, c->family, c->table);
	char what[AUDIT_TEXT_MAX];

	if (a->phase != phase || act(t, c) == 0)
		return NULL;
	return failed(a, t, verb, audit_chain(what, sizeof(what), c));
}

static const char *do_chain_put(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;
	const char *why = do_chain(a, CREATE, c, ipt_chain_create, "create");

	a->open = *c;
	if (a->tell && a->phase == FILL)
		ipt_words_chain(table_of(a, c->family, c->table), c);
	return why != NULL ? why : do_chain(a, FILL, c, ipt_chain_flush, "empty");
}

static const char *do_rule(void *arg, const struct ipt_rule *r)
{
	struct apply *a = arg;
	struct ipt_handle *t = table_of(a, a->open.family, a->open.table);
	char what[AUDIT_TEXT_MAX];

	if (a->tell && a->phase == FILL)
		ipt_words_rule(t, &a->open, r);
	if (a->phase != FILL || ipt_rule_append(t, &a->open, r) == 0)
		return NULL;
	return failed(a, t, "add", audit_rule(what, sizeof(what), r, &a->open));
}

static const char *do_chain_delete(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;
	const char *why = do_chain(a, EMPTY, c, ipt_chain_flush, "empty");

	if (a->tell && a->phase == EMPTY)
		ipt_words_delete(table_of(a, c->family, c->table), c);

	return why != NULL ? why : do_chain(a, DELETE, c, ipt_chain_delete, "delete");
}

static const char *do_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct apply *a = arg;
	struct ipt_handle *t = table_of(a, family, ipt_hooks[number].table);

	if (a->tell && a->phase == FILL)
		ipt_words_hook(a->policy, family, number, on);
	if (a->phase != FILL || ipt_hook_set(t, number, on) == 0)
		return NULL;
	return failed(a, t, on ? "prepend to" : "remove from", ipt_hooks[number].builtin);
}

static const char *decode(struct cursor *c, void *a)
{
	/* ipvs mode's items are ipvs_apply()'s */
	static const struct txn_visitor visitor = {
	    do_chain_put, do_rule, do_chain_delete, do_hook, NULL};

	return txn_decode_ops(c, &visitor, a);
}

static int read_again(struct apply *a)
{
	int r = transaction_read(a->txn, true, decode, a);

	if (r < -1) {
		errno = -r;
		failed(a, &a->tables[0], "read", "the operations again");
	}
	return r == 0 ? 0 : -1;
}

static int prepare(struct apply *a)
{
	struct txn_result *r = a->result;
	bool changed = false;

	if (ipt_tables_read(a->tables, a->policy, a->txn->touched, a->result->detail,
		sizeof(a->result->detail)) != 0) {
		a->result->code = TXN_KERNEL;
		a->result->error = errno;
		return -1;
	}
	for (size_t i = 0; i < IPT_TABLES; i++)
		if (a->tables[i].h != NULL)
			a->before[i] = ipt_handle_digest(&a->tables[i], NULL, NULL);
	for (a->phase = CREATE; a->phase < PHASES; a->phase++) {
		if (a->phase >= EMPTY && a->txn->deletes == 0)
			break;
		if (read_again(a) != 0)
			return -1;
	}
	if (a->tell)
		ipt_words_end(a->policy);
	for (size_t i = 0; i < IPT_TABLES; i++)
		changed |= a->tables[i].changed;
	if (!changed || audit_ready(a->policy))
		return 0;
	r->code = TXN_KERNEL;
	r->error = EIO;
	strlcpy(r->detail, AUDIT_FULL, sizeof(r->detail));
	return -1;
}

/*
 * Writes what is prepared: 0; 1 if another writer was faster: try again; -1 on failure.
 *
 * filter goes before nat (ipt_index()), as upstream has it: a service that loses its last endpoint
 * is rejected before it is no longer translated, so that no packet for a ClusterIP leaves the node
 * by the default route; one that gets its first is refused or lost a moment longer.
 */
static int commit(struct apply *a, char summary[AUDIT_TEXT_MAX])
{
	a->phase = PHASES;
	for (size_t i = 0; i < IPT_TABLES; i++) {
		struct ipt_handle *t = &a->tables[i];
		size_t len = strlen(summary);
		uint64_t after = a->before[i];

		if (t->h == NULL)
			continue;
		if (t->changed)
			after = ipt_handle_digest(t, NULL, NULL);
		if (t->changed && ipt_handle_commit(t) != 0) {
			if (errno == EAGAIN)
				return 1;
			failed(a, t, "write", audit_table(t->family, t->table));
			return -1;
		}
		a->result->writes += t->changed;
		a->result->drift |= a->known[i].valid && a->known[i].digest != a->before[i];
		a->known[i].digest = after;
		a->known[i].valid =
		    ipt_get_info(t->family, ipt_table_names[t->table], a->known[i].info) == 0;
		snprintf(summary + len, AUDIT_TEXT_MAX - len, "; %s %016llx->%016llx",
		    audit_table(t->family, t->table), (unsigned long long)a->before[i],
		    (unsigned long long)after);
	}
	return 0;
}

void ipt_apply(const struct policy *p, const struct transaction *txn,
    struct ipt_known known[IPT_TABLES], struct txn_result *r, char summary[AUDIT_TEXT_MAX])
{
	struct apply a = {.policy = p, .txn = txn, .result = r, .known = known};
	uint64_t writes = r->writes;
	int again = 1;

	r->generation = txn->generation;
	summary[0] = '\0';
	if (ipt_lock(p, &r->lock_wait_ms) != 0) {
		r->code = TXN_BUSY;
		r->error = errno;
		snprintf(
		    r->detail, sizeof(r->detail), "/run/xtables.lock is held by another program");
		return;
	}
	/* What a try that failed later has written is written, and audited, by the next again. */
	for (int i = 0; i < TRIES && again == 1; i++) {
		a.tell = i == 0;
		again = prepare(&a) == 0 ? commit(&a, summary) : -1;
		ipt_tables_close(a.tables);
	}
	ipt_unlock(p);
	if (again == 1) {
		r->code = TXN_BUSY;
		r->error = EAGAIN;
		snprintf(r->detail, sizeof(r->detail), "another program wrote the table %d times",
		    TRIES);
	} else if (again == 0) {
		r->code = r->writes == writes ? TXN_UNCHANGED : TXN_OK;
	}
}
