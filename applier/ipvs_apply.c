#include "applier/ipvs_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "applier/ipt_apply.h"
#include "applier/ipvs_item.h"

static const char *check(const struct policy *p, enum txn_op op, const struct ipvs_item *i)
{
	if (p->mode != MODE_IPVS)
		return "an operation of ipvs mode";
	if (!p->families[i->family])
		return "an address family that is not offered";
	if (op == OP_ITEM_CHANGE && i->kind != IPVS_SERVER && i->kind != IPVS_REAL)
		return "a change of what has nothing to change";
	for (uint32_t k = 0; i->kind >= IPVS_ADDRESS && k < p->ipvs_exclude_count; k++)
		if (ip_cidr_contains(&p->ipvs_exclude[k], &i->addr))
			return "an address in --ipvs-exclude-cidrs";
	return ipvs_item_check(i);
}

const char *ipvs_check_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	struct transaction *t = arg;
	const char *why = check(t->policy, op, i);

	t->open = false;
	if (why == NULL && transaction_ops(t) >= t->policy->max_ops)
		why = "more operations than a transaction may have";
	if (why != NULL)
		ipvs_item_text(t->refused, sizeof(t->refused), i);
	t->others++;
	return why;
}

/* --- doing --- */

struct apply {
	const struct policy *policy;
	struct txn_result *result;
	unsigned done, failed;
};

static const char *do_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	struct apply *a = arg;
	struct txn_result *r = a->result;
	int error = ipvs_item_write(a->policy, op, i);
	char what[AUDIT_TEXT_MAX];

	if (error == 0) {
		a->done++;
		return NULL;
	}
	ipvs_item_text(what, sizeof(what), i);
	audit_write(a->policy, "refused: %s: %s", strerror(error), what);
	if (a->failed++ == 0) {
		/* Somebody else has put or deleted something, or the kernel does not want it. */
		r->code =
		    error == EEXIST || error == ENOENT || error == ESRCH ? TXN_STALE : TXN_KERNEL;
		r->error = error;
		strlcpy(r->detail, what, sizeof(r->detail));
	}
	return NULL;
}

static const char *decode(struct cursor *c, void *arg)
{
	static const struct txn_visitor visitor = {.item = do_item};

	return txn_decode_ops(c, &visitor, arg);
}

void ipvs_apply(const struct policy *p, const struct transaction *txn,
    struct ipt_known known[IPT_TABLES], struct txn_result *r, char summary[AUDIT_TEXT_MAX])
{
	struct apply a = {.policy = p, .result = r};
	const bool chains = txn->touched != 0;
	size_t len;

	r->generation = txn->generation;
	summary[0] = '\0';
	if (chains)
		ipt_apply(p, txn, known, r, summary);
	if (r->code != TXN_OK && r->code != TXN_UNCHANGED)
		return;
	if (!chains)
		r->code = TXN_UNCHANGED;
	if (transaction_read(txn, decode, &a) != 0) {
		r->code = TXN_KERNEL;
		r->error = ENOMEM;
	}
	if (a.done > 0 && r->code == TXN_UNCHANGED)
		r->code = TXN_OK;
	r->writes += a.done > 0;
	len = strlen(summary);
	snprintf(
	    summary + len, AUDIT_TEXT_MAX - len, "; items %u done, %u refused", a.done, a.failed);
}

/* --- showing --- */

struct reading {
	const struct policy *policy;
	struct frame *frame;
	const char *(*send)(void *arg);
	void *arg;
	const char *why;
	struct ipvs_snapshot part;
};

static void send_part(struct reading *r)
{
	ipvs_encode_snapshot(r->frame, &r->part);
	if (r->why == NULL)
		r->why = r->send(r->arg);
	r->part.count = 0;
}

static void read_kind(struct reading *r, struct ipvs_item *of);

static void add_item(void *arg, const struct ipvs_item *i)
{
	struct reading *r = arg;
	struct ipvs_item plain = *i;

	plain.value = 0;
	if (r->why != NULL || check(r->policy, OP_ITEM_PUT, &plain) != NULL)
		return;
	r->part.items[r->part.count++] = *i;
	if (r->part.count == IPVS_SNAPSHOT_PART_MAX)
		send_part(r);
	plain.kind = IPVS_REAL;
	if (i->kind == IPVS_SERVER)
		read_kind(r, &plain);
}

/* Of OF's kind and family, or of the virtual server that it is. */
static void read_kind(struct reading *r, struct ipvs_item *of)
{
	int error = ipvs_item_dump(r->policy, of, add_item, r);

	if (r->why == NULL && error != 0 && error != ENOENT) /* a clean-up may find less */
		r->why = strerror(error);
}

const char *ipvs_snapshot_read(
    const struct policy *p, struct frame *frame, const char *(*send)(void *arg), void *arg)
{
	static struct reading r; /* too large for a stack */

	r = (struct reading){.policy = p, .frame = frame, .send = send, .arg = arg};
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t k = 0; p->families[f] && k < (uint8_t)IPVS_KIND_COUNT; k++) {
			struct ipvs_item of = {.kind = k, .family = (uint8_t)f};

			/* servers of both families come at once, and with them their real ones */
			if (k != IPVS_REAL && (k != IPVS_SERVER || f == 0 || !p->families[0]))
				read_kind(&r, &of);
		}
	send_part(&r);
	return r.why;
}
