#include "planner/apply.h"

#include <stddef.h>

void apply_init(struct apply *a, txn_sink send, void *arg)
{
	a->send = send;
	a->arg = arg;
	a->generation = a->base = 0;
	a->in_flight = a->begun = false;
}

static struct txn_writer *begin(struct apply *a, unsigned type)
{
	if (!a->begun) {
		a->writer.type = type;
		a->begun = true;
		a->generation++;
		txn_begin(&a->writer, a->send, a->arg, a->generation, a->base);
	}
	return &a->writer;
}

static struct txn_writer *writer(struct apply *a)
{
	return begin(a, TXN_OPS);
}

/* Counts an operation for FAMILY in COUNT. */
static void count(struct apply *a, uint64_t *n, uint8_t family)
{
	++*n;
	a->counts.families |= 1u << family;
}

static const char *apply_chain_put(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;

	txn_chain_put(writer(a), c);
	count(a, &a->counts.puts, c->family);
	a->rules = &a->counts.rules[c->family][c->table];
	return NULL;
}

static const char *apply_rule(void *arg, const struct ipt_rule *r)
{
	struct apply *a = arg;

	txn_rule(writer(a), r);
	++*a->rules;
	return NULL;
}

static const char *apply_chain_delete(void *arg, const struct ipt_chain *c)
{
	struct apply *a = arg;

	txn_chain_delete(writer(a), c);
	count(a, &a->counts.deletes, c->family);
	return NULL;
}

static const char *apply_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct apply *a = arg;

	txn_hook(writer(a), family, number, on);
	count(a, &a->counts.others, family);
	return NULL;
}

static const char *apply_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	txn_item(writer(arg), op, i);
	return NULL;
}

const struct txn_visitor apply_operations = {
    .chain_put = apply_chain_put,
    .rule = apply_rule,
    .chain_delete = apply_chain_delete,
    .hook = apply_hook,
    .item = apply_item,
};

static const char *apply_install(void *arg, uint8_t family)
{
	struct apply *a = arg;

	nft_write_install(begin(a, NFT_OPS), family);
	count(a, &a->counts.others, family);
	return NULL;
}

static const char *apply_put(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	nft_write_put(begin(a, NFT_OPS), e);
	count(a, &a->counts.puts, e->family);
	return NULL;
}

static const char *apply_remove_elem(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	nft_write_delete(begin(a, NFT_OPS), e);
	count(a, &a->counts.deletes, e->family);
	return NULL;
}

static const char *apply_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	struct apply *a = arg;

	nft_write_affinity(begin(a, NFT_OPS), family, number, seconds);
	count(a, &a->counts.others, family);
	return NULL;
}

static const char *apply_forget(void *arg, const struct nft_elem *e)
{
	struct apply *a = arg;

	nft_write_forget(begin(a, NFT_OPS), e);
	count(a, &a->counts.others, e->family);
	return NULL;
}

const struct nft_visitor apply_elements = {
    .install = apply_install,
    .put = apply_put,
    .remove_elem = apply_remove_elem,
    .affinity = apply_affinity,
    .forget = apply_forget,
};

bool apply_commit(struct apply *a)
{
	if (!a->begun)
		return false;
	txn_commit(&a->writer);
	a->begun = false;
	a->in_flight = true;
	return true;
}

const char *apply_result(struct apply *a, const struct txn_result *r, bool *applied)
{
	if (!a->in_flight)
		return "a result without a transaction";
	if (r->generation != a->generation)
		return "the result of another generation";
	a->in_flight = false;
	*applied = r->code == TXN_OK || r->code == TXN_UNCHANGED;
	if (*applied)
		a->base = a->generation;
	return NULL;
}
