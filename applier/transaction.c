#include "applier/transaction.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "applier/ipt_handle.h"
#include "common/log.h"

/* Memory that is taken when it is written to, and given back after the transaction. */
static void *reserve(size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "%zu bytes for transactions: %s", size, strerror(errno));
	return p;
}

void transaction_init(struct transaction *t, const struct policy *p)
{
	*t = (struct transaction){.policy = p, .frames = reserve(p->max_bytes)};
}

void transaction_begin(struct transaction *t, uint64_t generation)
{
	*t = (struct transaction){
	    .policy = t->policy, .frames = t->frames, .generation = generation};
}

uint64_t transaction_ops(const struct transaction *t)
{
	return (uint64_t)t->puts + t->deletes + t->hooks + t->others;
}

/* What holds for an operation of any kind. */
static const char *check_op(struct transaction *t, uint8_t family, uint8_t table)
{
	t->open = false;
	if (!t->policy->families[family])
		return "an address family that is not offered";
	if (transaction_ops(t) >= t->policy->max_ops)
		return "more operations than a transaction may have";
	t->touched |= 1u << ipt_index(family, table);
	return NULL;
}

/* The decoder has checked that chains, templates and hooks exist. */
static const char *check_chain(struct transaction *t, const struct ipt_chain *c)
{
	const char *why = check_op(t, c->family, c->table);

	if (why != NULL)
		audit_chain(t->refused, sizeof(t->refused), c);
	return why;
}

static const char *check_chain_put(void *arg, const struct ipt_chain *c)
{
	struct transaction *t = arg;
	const char *why = check_chain(t, c);

	t->puts++;
	t->chain = *c;
	t->open = true;
	return why;
}

static const char *check_rule(void *arg, const struct ipt_rule *r)
{
	struct transaction *t = arg;
	const char *why;

	if (!t->open)
		return "rules without a chain";
	why = ipt_rule_check(r, &t->chain);
	if (why == NULL && (ipt_templates[r->template].args & ARG_RELAY) != 0 &&
	    (r->to_port < t->policy->relays.low || r->to_port > t->policy->relays.high))
		why = "a relay's port that is none of this mode's";
	if (why == NULL && t->rules++ == t->policy->max_rules)
		why = "more rules than a transaction may have";
	if (why != NULL)
		audit_rule(t->refused, sizeof(t->refused), r, &t->chain);
	return why;
}

static const char *check_chain_delete(void *arg, const struct ipt_chain *c)
{
	struct transaction *t = arg;

	t->deletes++;
	return check_chain(t, c);
}

static const char *check_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct transaction *t = arg;
	const char *why = check_op(t, family, ipt_hooks[number].table);

	(void)on;
	if (why != NULL)
		snprintf(t->refused, sizeof(t->refused), "hook %u of %s", number,
		    audit_table(family, ipt_hooks[number].table));
	else
		t->hooks++;
	return why;
}

const char *transaction_check_ops(struct cursor *c, void *t)
{
	static const struct txn_visitor checks = {
	    check_chain_put, check_rule, check_chain_delete, check_hook};

	return txn_decode_ops(c, &checks, t);
}

const char *transaction_add(struct transaction *t, struct cursor *c, const void *frame, size_t len,
    transaction_decoder check)
{
	uint32_t n = (uint32_t)len;
	const char *why;

	if (t->policy->max_bytes - t->bytes < sizeof(n) + len)
		return "more bytes than a transaction may have";
	why = check(c, t);
	if (why != NULL)
		return why;
	memcpy(t->frames + t->bytes, &n, sizeof(n));
	memcpy(t->frames + t->bytes + sizeof(n), frame, len);
	t->bytes += sizeof(n) + len;
	return NULL;
}

/* The frames are the ones that were checked: nobody else can write them. */
int transaction_read(const struct transaction *t, transaction_decoder decode, void *arg)
{
	struct frame_reader reader;
	struct cursor c;
	uint32_t len;
	unsigned type;

	for (size_t at = 0; at < t->bytes; at += len) {
		const char *why;

		memcpy(&len, t->frames + at, sizeof(len));
		at += sizeof(len);
		if (frame_open(&reader, t->frames + at, len, &type, &c) != NULL)
			return -ENOMEM; /* it was good before: memory is what it lacks */
		why = decode(&c, arg);
		frame_close(&reader);
		if (why != NULL)
			return -1;
	}
	return 0;
}

void transaction_clear(struct transaction *t)
{
	madvise(t->frames, t->policy->max_bytes, MADV_DONTNEED);
	malloc_trim(0); /* libiptc takes ten times the table and gives it back to malloc alone */
}
