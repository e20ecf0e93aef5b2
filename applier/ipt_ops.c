/* What iptables mode allows, and with ipvs mode's items ipvs mode: the operations of a transaction,
 * before any is kept. */
#include <stdio.h>
#include <string.h>

#include "applier/ipt_apply.h"
#include "applier/ipt_handle.h"
#include "applier/ipvs_apply.h"

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

/*
 * The canonical order: chains that are put, hooks, chains that are deleted; tables by family and
 * number; of a table the names descend, of the put ones twice: new chains, then those that are
 * there. In it libiptc is linear; in any other order it searches all chains for each one's place,
 * and the lock is held as long.
 */
static const char *check_order(
    struct transaction *t, uint8_t phase, unsigned index, const char *name)
{
	const bool same = t->at.phase == phase && t->at.index == index && t->at.name[0] != '\0';

	if (phase < t->at.phase || (phase == t->at.phase && index < t->at.index))
		return "an operation out of order";
	if (same && strcmp(name, t->at.name) >= 0) {
		if (phase != 0 || t->at.second)
			return "a chain out of order";
		t->at.second = true;
	} else if (!same) {
		t->at.second = false;
	}
	t->at.phase = phase;
	t->at.index = (uint8_t)index;
	strlcpy(t->at.name, name, sizeof(t->at.name));
	return NULL;
}

/* The decoder has checked that chains, templates and hooks exist. */
static const char *check_chain(struct transaction *t, uint8_t phase, const struct ipt_chain *c)
{
	const char *why = check_op(t, c->family, c->table);
	char name[CHAIN_NAME_LEN];

	if (why == NULL)
		why = check_order(t, phase, (unsigned)c->family * IPT_TABLE_COUNT + c->table,
		    ipt_chain_name(c, name));
	if (why != NULL)
		audit_chain(t->refused, sizeof(t->refused), c);
	return why;
}

static const char *check_chain_put(void *arg, const struct ipt_chain *c)
{
	struct transaction *t = arg;
	const char *why = check_chain(t, 0, c);

	t->puts++;
	t->chain = *c;
	t->open = true;
	return why;
}

static const char *check_relay(const struct policy *p, uint16_t port)
{
	return port < p->relays.low || port > p->relays.high
		   ? "a relay's port that is none of this mode's"
		   : NULL;
}

static const char *check_rule(void *arg, const struct ipt_rule *r)
{
	struct transaction *t = arg;
	const char *why;

	if (!t->open)
		return "rules without a chain";
	why = ipt_rule_check(r, &t->chain);
	if (r->template >= T_IPVS_FIRST && t->policy->mode != MODE_IPVS)
		why = "a template of ipvs mode";
	if (why == NULL)
		why = ipt_rule_allowed(r, &t->policy->node);
	if (why == NULL && (ipt_templates[r->template].args & ARG_RELAY) != 0)
		why = check_relay(t->policy, r->to_port);
	if (why == NULL && r->template == T_RELAY_REJECT)
		why = check_relay(t->policy, r->dport);
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
	return check_chain(t, 2, c);
}

static const char *check_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct transaction *t = arg;
	const char *why = check_op(t, family, ipt_hooks[number].table);

	(void)on;
	if (why == NULL) /* in whichever order: they are few */
		why = check_order(t, 1, 0, "");
	if (why != NULL)
		snprintf(t->refused, sizeof(t->refused), "hook %u of %s", number,
		    audit_table(family, ipt_hooks[number].table));
	else
		t->hooks++;
	return why;
}

const char *ipt_check_ops(struct cursor *c, void *t)
{
	static const struct txn_visitor checks = {
	    check_chain_put, check_rule, check_chain_delete, check_hook, ipvs_check_item};

	return txn_decode_ops(c, &checks, t);
}
