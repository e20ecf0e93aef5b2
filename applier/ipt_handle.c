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

/* What a chain of ours adds to the digest of its table: a sum, whatever their order. */
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

/* Position of hook NUMBER's rule in its built-in chain, counted from 0; -1: it is off. */
static int hook_at(const struct ipt_handle *t, unsigned number)
{
	const struct ipt_family *x = &ipt_families[t->family];
	uint64_t digest = hook_digest(t, number);
	const void *e = x->first_rule(ipt_hooks[number].builtin, t->h);

	for (int at = 0; e != NULL; e = x->next_rule(e, t->h), at++)
		if (rule_digest(t, e) == digest)
			return at;
	return -1;
}

uint64_t ipt_handle_digest(struct ipt_handle *t,
    void (*visit)(void *arg, const struct ipt_chain *c, uint64_t digest), void *arg)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct ipt_chain c = {.family = t->family, .table = t->table};
	uint64_t sum = t->hooks;

	for (const char *n = x->ops->first_chain(t->h); n != NULL; n = x->ops->next_chain(t->h)) {
		uint64_t digest;

		if (!ipt_chain_parse(&c, n))
			continue;
		digest = chain_digest(t, n);
		sum += mark(t, n, digest);
		if (visit != NULL)
			visit(arg, &c, digest);
	}
	return sum;
}

/* --- reading and writing a table --- */

int ipt_handle_read(struct ipt_handle *t, const struct policy *p, uint8_t family, uint8_t table)
{
	*t = (struct ipt_handle){.policy = p, .family = family, .table = table};
	if (ipt_get_info(family, ipt_table_names[table], t->info) != 0 ||
	    (t->h = ipt_families[family].ops->init(ipt_table_names[table])) == NULL)
		return -1;
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++)
		if (ipt_hooks[i].table == table && hook_at(t, i) >= 0)
			t->hooks |= 1u << i;
	return 0;
}

void ipt_handle_close(struct ipt_handle *t)
{
	if (t->h != NULL)
		ipt_families[t->family].ops->free(t->h);
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
			    ipt_families[f].ops->strerror(errno));
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
	uint32_t now[2];

	if (ipt_get_info(t->family, ipt_table_names[t->table], now) != 0)
		return -1;
	if (memcmp(now, t->info, sizeof(now)) != 0) {
		errno = EAGAIN;
		return -1;
	}
	return ipt_families[t->family].ops->commit(t->h) != 0 ? 0 : -1;
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

	if (x->ops->is_chain(ipt_chain_name(c, name), t->h))
		return 0;
	return changed(t, x->ops->create_chain(name, t->h));
}

int ipt_rule_append(struct ipt_handle *t, const struct ipt_chain *c, const struct ipt_rule *r)
{
	const struct ipt_family *x = &ipt_families[t->family];
	struct ipt_chain target;
	char name[CHAIN_NAME_LEN];
	struct ipt_blob b;

	/* libiptc would take the name for an extension's, and the kernel look for a module. */
	if (ipt_rule_target(r, c, &target) &&
	    !x->ops->is_chain(ipt_chain_name(&target, name), t->h)) {
		errno = ENOENT;
		return -1;
	}
	ipt_entry_encode(&b, r, c, &t->policy->params);
	return changed(t, x->append_entry(ipt_chain_name(c, name), b.bytes, t->h));
}

int ipt_chain_flush(struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];

	if (x->first_rule(ipt_chain_name(c, name), t->h) == NULL)
		return 0;
	return changed(t, x->ops->flush_entries(name, t->h));
}

int ipt_chain_delete(struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];
	unsigned references;

	if (!x->ops->is_chain(ipt_chain_name(c, name), t->h) ||
	    !x->get_references(&references, name, t->h) || references > 0)
		return 0;
	return changed(t, x->delete_chain(name, t->h));
}

int ipt_hook_set(struct ipt_handle *t, unsigned number, bool on)
{
	const struct ipt_family *x = &ipt_families[t->family];
	const char *builtin = ipt_hooks[number].builtin;
	struct ipt_blob b;
	int at;

	if (((t->hooks & 1u << number) != 0) == on)
		return 0;
	t->hooks ^= 1u << number;
	while (!on && (at = hook_at(t, number)) >= 0)
		if (changed(t, x->delete_num_entry(builtin, (unsigned)at, t->h)) != 0)
			return -1;
	if (!on)
		return 0;
	ipt_entry_encode_hook(&b, number, t->family);
	return changed(t, x->insert_entry(builtin, b.bytes, 0, t->h));
}
