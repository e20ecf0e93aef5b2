#include <stdio.h>
#include <string.h>

#include "applier/nft_apply.h"
#include "applier/nft_elem.h"
#include "ipc/nft_ops.h"

/* What holds for an operation of any kind. */
static const char *check_op(struct transaction *t, uint8_t family)
{
	t->touched |= 1u << family;
	if (!t->policy->families[family])
		return "an address family that is not offered";
	if (transaction_ops(t) >= t->policy->max_ops)
		return "more operations than a transaction may have";
	return NULL;
}

static const char *check_elem(struct transaction *t, const struct nft_elem *e, bool delete)
{
	const char *why = check_op(t, e->family);

	if (why == NULL)
		why = nft_elem_check(e, delete);
	if (why == NULL && !delete)
		why = nft_elem_allowed(e, &t->policy->node);
	if (why != NULL)
		nft_elem_words(t->refused, sizeof(t->refused), e);
	return why;
}

static const char *check_put(void *arg, const struct nft_elem *e)
{
	struct transaction *t = arg;
	const char *why = check_elem(t, e, false);

	t->puts++;
	t->elements[e->family][e->set]++;
	return why;
}

static const char *check_delete(void *arg, const struct nft_elem *e)
{
	const char *why = check_elem(arg, e, true);

	((struct transaction *)arg)->deletes++;
	return why;
}

/* A new table: nothing can have been done to the one before. */
static const char *check_table(void *arg, uint8_t family)
{
	struct transaction *t = arg;
	bool first = (t->touched & 1u << family) == 0;
	const char *why = check_op(t, family);

	t->others++;
	if (why == NULL && !first)
		why = "a table made after other operations on it";
	return why;
}

/* The decoder has checked the numbers. */
static const char *check_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	struct transaction *t = arg;
	const char *why = check_op(t, family);

	(void)number;
	(void)seconds;
	t->others++;
	return why;
}

/* What is compared with E is only ever forgotten. */
static const char *check_forget(void *arg, const struct nft_elem *e)
{
	struct transaction *t = arg;
	const char *why = check_op(t, e->family);

	t->others++;
	if (why == NULL && !nft_set_dynamic(e->set))
		why = "clients of a set that has none";
	if (why != NULL)
		nft_elem_words(t->refused, sizeof(t->refused), e);
	return why;
}

const char *nft_check_ops(struct cursor *c, void *t)
{
	static const struct nft_visitor checks = {
	    check_table, check_put, check_delete, check_affinity, check_forget};

	return nft_decode_ops(c, &checks, t);
}
