#include "applier/ipvs_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "applier/ipt_apply.h"
#include "applier/ipvs_item.h"
#include "applier/ipvs_record.h"
#include "applier/setup.h"

static bool written; /* by the planner, anything */

/* The virtual servers that are ours. */
static struct ipvs_record *servers(const struct policy *p)
{
	static struct ipvs_record t;

	if (t.size == 0)
		t.key = p->secret;
	return &t;
}

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

	if (why == NULL && op != OP_ITEM_DELETE)
		why = ipvs_item_allowed(i, &t->policy->node);
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

/* Of another program's virtual server nothing is changed, nor has it our real servers. */
static int write_item(const struct policy *p, enum txn_op op, const struct ipvs_item *i)
{
	const bool put = i->kind == IPVS_SERVER && op == OP_ITEM_PUT;
	const bool had = i->kind < IPVS_SERVER || ipvs_record_has(servers(p), IPVS_SERVER, i);
	int error;

	if (!had && !put)
		return EPERM;
	if (!had && !ipvs_record_put(servers(p), IPVS_SERVER, i))
		return ENOMEM;
	error = ipvs_item_write(p, op, i);
	if (put ? error != 0 && !had : i->kind == IPVS_SERVER && op == OP_ITEM_DELETE && error == 0)
		ipvs_record_drop(servers(p), IPVS_SERVER, i);
	return error;
}

static const char *do_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	struct apply *a = arg;
	struct txn_result *r = a->result;
	static const char *const verbs[] = {
	    [OP_ITEM_PUT] = "adds", [OP_ITEM_CHANGE] = "changes", [OP_ITEM_DELETE] = "deletes"};
	char what[AUDIT_TEXT_MAX] = "";
	int error = EIO;

	if (audit_wants_words())
		ipvs_item_text(what, sizeof(what), i);
	audit_change(a->policy, verbs[op], what);
	if (audit_ready(a->policy))
		error = write_item(a->policy, op, i);

	/* Nobody else can say that we live: the kernel may take minutes for 50,000 addresses. */
	if ((a->done + a->failed) % 1024 == 1023)
		notify("WATCHDOG=1");
	if (error == 0) {
		a->done++;
		return NULL;
	}
	ipvs_item_text(what, sizeof(what), i);
	audit_write(a->policy, "refused: %s: %s",
	    error == EPERM ? "not of a virtual server of ours" : strerror(error), what);
	if (a->failed++ == 0) {
		/* Somebody else has put or deleted something, or the kernel does not want it. */
		r->code = error == EEXIST || error == ENOENT || error == ESRCH || error == EPERM
			      ? TXN_STALE
			      : TXN_KERNEL;
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
	size_t len;
	int error;

	written = true;
	r->generation = txn->generation;
	summary[0] = '\0';
	if (txn->touched == 0)
		r->code = TXN_UNCHANGED;
	else
		ipt_apply(p, txn, known, r, summary);
	if (r->code != TXN_OK && r->code != TXN_UNCHANGED)
		return;
	/* The kernel takes its time for addresses, a minute for 50,000: no limit, but for signals.
	 */
	error = -transaction_read(txn, false, decode, &a);
	if (error != 0) {
		r->code = TXN_KERNEL;
		r->error = error;
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
	struct ipvs_record found; /* what tells, at the start, which virtual servers are ours */
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
	struct ipvs_item plain = *i, *to = &r->part.items[r->part.count];

	plain.value = 0;
	if (r->why != NULL || check(r->policy, OP_ITEM_PUT, &plain) != NULL)
		return;
	if (!written) {
		ipvs_record_evidence(&r->found, i);
		if (ipvs_record_claims(&r->found, i))
			ipvs_record_put(servers(r->policy), IPVS_SERVER, i);
	}
	*to = *i;
	if (i->kind == IPVS_SERVER && !ipvs_record_has(servers(r->policy), IPVS_SERVER, i))
		to->value |= IPVS_FOREIGN;
	r->part.count++;
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

	if (r->why == NULL && error != 0 && error != ENOENT)
		r->why = strerror(error);
}

const char *ipvs_snapshot_read(
    const struct policy *p, struct frame *frame, const char *(*send)(void *arg), void *arg)
{
	static struct reading r; /* too large for a stack */

	r = (struct reading){
	    .policy = p, .frame = frame, .send = send, .arg = arg, .found.key = p->secret};
	for (uint8_t k = 0; k < (uint8_t)IPVS_SERVER; k++)
		for (unsigned f = 0; f < FAMILY_COUNT; f++)
			if (p->families[f])
				read_kind(&r, &(struct ipvs_item){.kind = k, .family = (uint8_t)f});
	/* those of both families, and with each its real ones */
	read_kind(&r, &(struct ipvs_item){.kind = IPVS_SERVER});
	send_part(&r);
	ipvs_record_clear(&r.found);
	return r.why;
}
