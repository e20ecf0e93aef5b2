#include "applier/nft_apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/nft_backend.h"
#include "applier/nft_elem.h"
#include "applier/nft_forget.h"
#include "common/log.h"
#include "common/siphash.h"
#include "ipc/nft_ops.h"

#define TRIES 3 /* against writers that are faster */
/* Bytes of a transaction from where on the kernel shall not tell us of its every element. */
#define LARGE 65536

struct apply {
	const struct policy *policy;
	const struct transaction *txn;
	struct nft_batch *batch;
	struct nft_forget *forget;
	nft_affinities affinities; /* as they will be */
	unsigned rewrite;	   /* bit per family whose rules for affinity change */
};

/* --- the operations, read again, go straight into the batch --- */

static void tell(const struct apply *a, const char *verb, const struct nft_elem *e)
{
	char words[AUDIT_TEXT_MAX] = "";

	if (audit_wants_words())
		nft_elem_words(words, sizeof(words), e);
	audit_change(a->policy, verb, words);
}

static const char *do_install(void *arg, uint8_t family)
{
	struct apply *a = arg;

	audit_change(a->policy, "makes", family == FAMILY_6 ? "table ip6" : "table ip");
	nft_rules_install(a->batch, family, &a->policy->params, a->policy->nft_comment[family],
	    a->txn->elements[family]);
	memset(a->affinities[family], 0, sizeof(a->affinities[family]));
	return NULL;
}

static const char *do_put(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	tell(a, "adds", e);
	nft_batch_elem(a->batch, e, false);
	return NULL;
}

static const char *do_delete(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	tell(a, "deletes", e);
	nft_batch_elem(a->batch, e, true);
	return NULL;
}

static const char *do_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	struct apply *a = arg;
	struct nft_elem e = {.family = family, .set = NFT_TIMEOUTS, .slot = number};

	e.seconds = a->affinities[family][number];
	if (e.seconds != 0)
		nft_batch_elem(a->batch, &e, true);
	e.seconds = seconds;
	if (seconds != 0)
		nft_batch_elem(a->batch, &e, false);
	tell(a, "sets", &e);
	nft_batch_flush_set(a->batch, family, NFT_AFFINITY + number);
	a->affinities[family][number] = seconds;
	a->rewrite |= 1u << family;
	return NULL;
}

static const char *do_forget(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	nft_forget_add(a->forget, e);
	return NULL;
}

static const char *decode(struct cursor *c, void *arg)
{
	static const struct nft_visitor visitor = {
	    do_install, do_put, do_delete, do_affinity, do_forget};

	return nft_decode_ops(c, &visitor, arg);
}

/* --- the result --- */

static void failed(const struct apply *a, const struct transaction *txn, struct txn_result *r,
    int error, const char *what)
{
	/* It is not as the planner believes: somebody else has put or deleted something. */
	bool stale = error == ENOENT || error == EEXIST || error == EBUSY;

	r->code = stale ? TXN_STALE : TXN_KERNEL;
	r->error = error;
	snprintf(r->detail, sizeof(r->detail), "nf_tables: %s%s%s", strerror(error),
	    what[0] == '\0' ? "" : ": ", what);
	audit_write(a->policy, "refused: generation %llu: %s", (unsigned long long)txn->generation,
	    r->detail);
}

static void summarize(const struct policy *p, const struct transaction *txn, uint32_t generation,
    const struct txn_result *r, char summary[AUDIT_TEXT_MAX])
{
	struct siphash s;

	siphash_init(&s, &p->key);
	siphash_update(&s, txn->frames, txn->bytes);
	snprintf(summary, AUDIT_TEXT_MAX, "; operations %016llx; ruleset %u->%u",
	    (unsigned long long)siphash_final(&s), generation, generation + (r->code == TXN_OK));
}

/*
 * Sends the batch, again if other programs commit something at the same time. The kernel copies a
 * large one before it looks at the generation: some writer may always be faster, so that the last
 * try is for any. Nothing is lost by that: each operation fails by itself where our tables are not
 * as the planner believes, and what others did to them is told as a drift.
 */
static int commit(struct apply *a, uint32_t *generation, char *detail, size_t size)
{
	for (int left = TRIES; left > 0; left--) {
		if (nft_begin(generation, a->batch->len > LARGE) != 0)
			return errno;
		if (nft_send(a->batch, left > 1 ? *generation : 0, detail, size) == 0)
			return 0;
		if (errno != ERESTART && errno != EINTR && errno != ENOBUFS)
			return errno;
	}
	return errno;
}

void nft_apply(const struct policy *p, const struct transaction *txn, nft_affinities affinities,
    struct txn_result *r, char summary[AUDIT_TEXT_MAX])
{
	static struct nft_forget forget;
	struct apply a = {.policy = p, .txn = txn, .batch = nft_backend_batch(), .forget = &forget};
	uint32_t generation = 0;
	char detail[256] = "";
	bool empty;
	int error;

	r->generation = txn->generation;
	memcpy(a.affinities, affinities, sizeof(a.affinities));
	nft_forget_begin(&forget, p);
	nft_batch_begin(a.batch);
	error = -transaction_read(txn, true, decode, &a); /* our visitor refuses nothing */
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if ((a.rewrite & 1u << f) != 0)
			nft_rules_affinity(a.batch, (uint8_t)f, a.affinities[f]);
	empty = nft_batch_empty(a.batch);
	nft_batch_end(a.batch);
	if (error == 0 && !empty && !audit_ready(p)) {
		error = EIO;
		strlcpy(detail, AUDIT_FULL, sizeof(detail));
	}
	if (error == 0 && !empty)
		error = commit(&a, &generation, detail, sizeof(detail));
	nft_batch_clear(a.batch);
	if (error != 0) {
		failed(&a, txn, r, error, detail);
	} else {
		r->code = empty ? TXN_UNCHANGED : TXN_OK;
		r->writes += !empty;
		memcpy(affinities, a.affinities, sizeof(a.affinities));
		nft_forget_all(&forget);
	}
	summarize(p, txn, generation, r, summary);
	nft_end();
}
