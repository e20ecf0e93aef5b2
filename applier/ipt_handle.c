#include "applier/ipt_handle.h"

#include <errno.h>
#include <linux/netfilter/x_tables.h>
#include <stdio.h>
#include <string.h>

#include "applier/audit.h"
#include "applier/ipt_backend.h"

/* --- digests --- */

static uint64_t rule_digest(const struct ipt_handle *t, const void *entry)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct siphash s;

	siphash_init(&s, &t->policy->key);
	ipt_entry_digest(&s, entry, t->family, x->get_target(entry, t->h));
	return siphash_final(&s);
}

static uint64_t chain_digest(const struct ipt_handle *t, const char *name)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct siphash s;

	siphash_init(&s, &t->policy->key);
	for (const void *e = x->first_rule(name, t->h); e != NULL; e = x->next_rule(e, t->h))
		ipt_entry_digest(&s, e, t->family, x->get_target(e, t->h));
	return siphash_final(&s);
}

/* What a chain or hook of ours adds to the digest of its table: a sum, whatever their order. */
static uint64_t mark(const struct ipt_handle *t, const char *name, uint64_t digest)
{
	struct siphash s;

	siphash_init(&s, &t->policy->key);
	siphash_update(&s, name, strlen(name) + 1);
	siphash_update(&s, &digest, sizeof(digest));
	return siphash_final(&s);
}

static uint64_t hook_digest(const struct ipt_handle *t, unsigned number)
{
	struct ipt_blob b;
	struct siphash s;

	ipt_entry_encode_hook(&b, number, t->family);
	siphash_init(&s, &t->policy->key);
	ipt_blob_digest(&s, &b, t->family);
	return siphash_final(&s);
}

/* Bit of the hook that a rule of built-in chain NAME with DIGEST is, 0 if none. */
static uint32_t hook_bit(const struct ipt_handle *t, const uint64_t digests[IPT_HOOK_COUNT],
    const char *name, uint64_t digest)
{
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++)
		if (ipt_hooks[i].table == t->table && digests[i] == digest &&
		    strcmp(ipt_hooks[i].builtin, name) == 0)
			return 1u << i;
	return 0;
}

/* Feeds a chain that is not ours into S; *HOOKS gets the hooks found in it, which are ours. */
static void feed_foreign(const struct ipt_handle *t, struct siphash *s, const char *name,
    const uint64_t digests[IPT_HOOK_COUNT], uint32_t *hooks)
{
	const struct ipt_family *x = &ipt_families[t->family];
	bool builtin = x->builtin(name, t->h) != 0;
	struct xt_counters counters;

	siphash_update(s, name, strlen(name) + 1);
	if (builtin) {
		const char *policy = x->get_policy(name, &counters, t->h);

		siphash_update(s, policy, policy != NULL ? strlen(policy) : 0);
	}
	for (const void *e = x->first_rule(name, t->h); e != NULL; e = x->next_rule(e, t->h)) {
		uint64_t digest = rule_digest(t, e);
		uint32_t bit = builtin ? hook_bit(t, digests, name, digest) : 0;

		*hooks |= bit;
		if (bit == 0)
			siphash_update(s, &digest, sizeof(digest));
	}
}

/* Digest of everything in T that is not ours; *HOOKS gets the hooks that are on. */
static uint64_t foreign_digest(const struct ipt_handle *t, uint32_t *hooks)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct ipt_chain c = {.family = t->family, .table = t->table};
	uint64_t digests[IPT_HOOK_COUNT];
	struct siphash s;

	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++)
		digests[i] = hook_digest(t, i);
	*hooks = 0;
	siphash_init(&s, &t->policy->key);
	for (const char *n = x->first_chain(t->h); n != NULL; n = x->next_chain(t->h))
		if (!ipt_chain_parse(&c, n))
			feed_foreign(t, &s, n, digests, hooks);
	return siphash_final(&s);
}

int ipt_handle_walk(struct ipt_handle *t,
    int (*visit)(void *arg, const struct ipt_chain *c, uint64_t digest), void *arg)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct ipt_chain c = {.family = t->family, .table = t->table};
	int r = 0;

	for (const char *n = x->first_chain(t->h); n != NULL && r == 0; n = x->next_chain(t->h))
		if (ipt_chain_parse(&c, n))
			r = visit(arg, &c, chain_digest(t, n));
	return r;
}

/* --- reading and writing a table --- */

static int sum_chain(void *arg, const struct ipt_chain *c, uint64_t digest)
{
	struct ipt_handle *t = arg;
	char name[CHAIN_NAME_LEN];

	t->before += mark(t, ipt_chain_name(c, name), digest);
	return 0;
}

int ipt_handle_read(struct ipt_handle *t, const struct policy *p, uint8_t family, uint8_t table)
{
	*t = (struct ipt_handle){.policy = p, .family = family, .table = table};
	if (ipt_get_info(family, table, &t->entries, &t->size) != 0)
		return -1;
	t->h = ipt_families[family].init(ipt_table_names[table]);
	if (t->h == NULL)
		return -1;
	t->foreign = foreign_digest(t, &t->hooks);
	ipt_handle_walk(t, sum_chain, t);
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++)
		if ((t->hooks & 1u << i) != 0)
			t->before += mark(t, "hook", i);
	t->after = t->before;
	return 0;
}

void ipt_handle_close(struct ipt_handle *t)
{
	if (t->h != NULL)
		ipt_families[t->family].free(t->h);
	t->h = NULL;
}

int ipt_tables_read(struct ipt_handle t[IPT_TABLES], const struct policy *p, unsigned wanted,
    char *why, size_t size)
{
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++)
		for (uint8_t n = 0; n < (uint8_t)IPT_TABLE_COUNT; n++) {
			unsigned i = ipt_index(f, n);

			if ((wanted & 1u << i) == 0 || ipt_handle_read(&t[i], p, f, n) == 0)
				continue;
			snprintf(why, size, "cannot read %s: %s", audit_table(f, n),
			    ipt_families[f].strerror(errno));
			return -1;
		}
	return 0;
}

void ipt_tables_close(struct ipt_handle t[IPT_TABLES])
{
	for (size_t i = 0; i < IPT_TABLES; i++)
		ipt_handle_close(&t[i]);
}

int ipt_handle_commit(struct ipt_handle *t)
{
	uint32_t hooks, entries, size;

	if (foreign_digest(t, &hooks) != t->foreign) {
		errno = ENOTRECOVERABLE;
		return -1;
	}
	/*
	 * The kernel itself refuses only if the number of entries changed. This narrows the gap
	 * that a writer who ignores the lock can slip through to the time of the system call.
	 */
	if (ipt_get_info(t->family, t->table, &entries, &size) != 0)
		return -1;
	if (entries != t->entries || size != t->size) {
		errno = EAGAIN;
		return -1;
	}
	return ipt_families[t->family].commit(t->h) != 0 ? 0 : -1;
}

const char *ipt_handle_strerror(const struct ipt_handle *t, int error)
{
	return error == ENOTRECOVERABLE ? "a rule that is not ours would have changed"
					: ipt_families[t->family].strerror(error);
}

/* --- changes; libiptc says 1 for success --- */

static int changed(struct ipt_handle *t, int ok)
{
	if (ok == 0)
		return -1;
	t->changed = true;
	return 0;
}

int ipt_chain_create(struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];

	ipt_chain_name(c, name);
	if (x->is_chain(name, t->h))
		return 0;
	if (changed(t, x->create_chain(name, t->h)) != 0)
		return -1;
	t->after += mark(t, name, chain_digest(t, name));
	return 0;
}

int ipt_chain_prepare(struct ipt_handle *t, const struct ipt_chain *c, uint64_t digest, bool *fill)
{
	char name[CHAIN_NAME_LEN];
	uint64_t old;

	ipt_chain_name(c, name);
	old = chain_digest(t, name);
	*fill = old != digest;
	if (!*fill)
		return 0;
	t->after += mark(t, name, digest) - mark(t, name, old);
	return changed(t, ipt_families[t->family].flush_entries(name, t->h));
}

int ipt_rule_append(struct ipt_handle *t, const struct ipt_chain *c, const struct ipt_rule *r)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct ipt_chain target;
	char name[CHAIN_NAME_LEN];
	struct ipt_blob b;

	/* libiptc would take the name for an extension's, and the kernel look for a module. */
	if (ipt_rule_target(r, c, &target) && !x->is_chain(ipt_chain_name(&target, name), t->h)) {
		errno = ENOENT;
		return -1;
	}
	ipt_entry_encode(&b, r, c, t->policy->masq_bit);
	return changed(t, x->append_entry(ipt_chain_name(c, name), b.bytes, t->h));
}

int ipt_chain_flush(struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];

	if (!x->is_chain(ipt_chain_name(c, name), t->h))
		return 0;
	t->after -= mark(t, name, chain_digest(t, name));
	return changed(t, x->flush_entries(name, t->h));
}

int ipt_chain_delete(struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];

	if (!x->is_chain(ipt_chain_name(c, name), t->h))
		return 0;
	return changed(t, x->delete_chain(name, t->h));
}

/* Deletes every rule that is exactly hook NUMBER. */
static int hook_off(struct ipt_handle *t, unsigned number)
{
	const struct ipt_family *x = &ipt_families[t->family];
	const char *chain = ipt_hooks[number].builtin;
	uint64_t digest = hook_digest(t, number);
	const void *e = x->first_rule(chain, t->h);
	unsigned at = 0;

	while (e != NULL) {
		if (rule_digest(t, e) != digest) {
			e = x->next_rule(e, t->h);
			at++;
		} else if (changed(t, x->delete_num_entry(chain, at, t->h)) != 0) {
			return -1;
		} else { /* E is gone */
			e = x->first_rule(chain, t->h);
			at = 0;
		}
	}
	return 0;
}

int ipt_hook_set(struct ipt_handle *t, unsigned number, bool on)
{
	bool is = (t->hooks & 1u << number) != 0;
	struct ipt_blob b;

	if (is == on)
		return 0;
	t->hooks ^= 1u << number;
	t->after += on ? mark(t, "hook", number) : -mark(t, "hook", number);
	if (!on)
		return hook_off(t, number);
	ipt_entry_encode_hook(&b, number, t->family);
	return changed(
	    t, ipt_families[t->family].insert_entry(ipt_hooks[number].builtin, b.bytes, 0, t->h));
}
