#include "applier/ipt_words.h"

#include <stdio.h>
#include <string.h>

#include "applier/audit.h"
#include "applier/ipt_backend.h"

/*
 * The rules that the chain has: three bits of each one's digest under the secret key, so that
 * nobody can make a rule whose bits are there. Of a thousand rules one in 50 million new ones looks
 * old.
 */
#define BITS  (1u << 20)
#define PARTS 3

static uint8_t seen[BITS / 8];
static bool used;
static uint32_t before, kept;
static struct ipt_chain chain;

/* Were all bits of DIGEST set? ADD: they are now. */
static bool look(uint64_t digest, bool add)
{
	bool all = true;

	for (unsigned i = 0; i < PARTS; i++, digest >>= 20) {
		uint8_t *byte = &seen[digest % BITS / 8];
		const uint8_t bit = (uint8_t)(1u << digest % 8);

		all &= (*byte & bit) != 0;
		if (add)
			*byte |= bit;
	}
	return all;
}

void ipt_words_chain(const struct ipt_handle *t, const struct ipt_chain *c)
{
	const struct ipt_family *x = &ipt_families[t->family];
	char name[CHAIN_NAME_LEN];
	struct siphash s;

	ipt_words_end(t->policy);
	chain = *c;
	before = kept = 0;
	if (!audit_wants_words() || !x->ops->is_chain(ipt_chain_name(c, name), t->h))
		return;
	if (used)
		memset(seen, 0, sizeof(seen));
	used = false;
	for (const void *e = x->first_rule(name, t->h); e != NULL; e = x->next_rule(e, t->h)) {
		siphash_init(&s, &t->policy->secret);
		ipt_entry_digest(&s, e, t->family, x->get_target(e, t->h));
		look(siphash_final(&s), true);
		used = true;
		before++;
	}
}

void ipt_words_rule(const struct ipt_handle *t, const struct ipt_chain *c, const struct ipt_rule *r)
{
	char words[AUDIT_TEXT_MAX];
	struct ipt_blob b;
	struct siphash s;

	if (!audit_wants_words())
		return;
	ipt_entry_encode(&b, r, c, &t->policy->params);
	siphash_init(&s, &t->policy->secret);
	ipt_blob_digest(&s, &b, t->family);
	if (before > 0 && look(siphash_final(&s), false))
		kept++;
	else
		audit_change(t->policy, "adds", audit_rule(words, sizeof(words), r, c));
}

void ipt_words_end(const struct policy *p)
{
	char words[AUDIT_TEXT_MAX], name[96];

	if (before > kept && audit_wants_words()) {
		snprintf(words, sizeof(words), "%u of %u rules: %s", before - kept, before,
		    audit_chain(name, sizeof(name), &chain));
		audit_change(p, "removes", words);
	}
	before = kept = 0;
}

void ipt_words_delete(const struct ipt_handle *t, const struct ipt_chain *c)
{
	char words[96];

	audit_change(t->policy, "deletes", audit_chain(words, sizeof(words), c));
}

void ipt_words_hook(const struct policy *p, uint8_t family, unsigned number, bool on)
{
	const struct ipt_hook *h = &ipt_hooks[number];
	char words[128];

	snprintf(words, sizeof(words), "%s %s: %s", audit_table(family, h->table), h->builtin,
	    h->comment);
	audit_change(p, on ? "hooks" : "unhooks", words);
}
