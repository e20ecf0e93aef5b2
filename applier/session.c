#include "applier/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "applier/audit.h"
#include "applier/conntrack.h"
#include "applier/ipt_apply.h"
#include "applier/ipt_backend.h"
#include "applier/ipt_handle.h"
#include "applier/transaction.h"
#include "common/log.h"
#include "ipc/txn.h"

#define ANSWER_TIMEOUT_MS 10000

enum state { IDLE = 1, IN_TRANSACTION = 2 };

struct session {
	const struct policy *policy;
	int fd;
	unsigned state;
	uint64_t generation; /* of the last transaction begun */
	uint64_t base;	     /* what the next one must name as its base */
	uint64_t writes;     /* commits to the kernel */
	time_t second;	     /* requests are counted per second */
	uint32_t requests;

	struct transaction txn;

	/* A frame being handled. */
	const uint8_t *data;
	size_t len;

	struct conntrack conntrack;
	struct frame answer;
	struct txn_snapshot snapshot;
	const char *snapshot_why; /* a part of it could not be sent */
	struct ipt_known known[IPT_TABLES];
};

struct session *session_new(const struct policy *p, int fd)
{
	static struct session s; /* too large for a stack, and there is one */

	s = (struct session){.policy = p, .fd = fd, .state = IDLE};
	transaction_init(&s.txn, p);
	return &s;
}

/* NULL, or why the answer could not be sent. */
static const char *send_answer(struct session *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	if (s->answer.overflow)
		return "an answer longer than a frame";
	if (poll(&p, 1, ANSWER_TIMEOUT_MS) != 1)
		return "the planner takes no answers";
	if (write(s->fd, s->answer.buf, s->answer.len) != (ssize_t)s->answer.len)
		return "the planner's channel is broken";
	return NULL;
}

/* Counts a request against the quota of a second. */
static const char *count_request(struct session *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != s->second) {
		s->second = now.tv_sec;
		s->requests = 0;
	}
	return s->requests++ < s->policy->max_requests ? NULL : "too many requests in a second";
}

/* --- SNAPSHOT_REQUEST --- */

static const char *send_part(struct session *s, bool last)
{
	s->snapshot.last = last;
	txn_encode_snapshot(&s->answer, &s->snapshot);
	s->snapshot.count = 0;
	return send_answer(s);
}

static void add_chain(void *arg, const struct ipt_chain *c, uint64_t digest)
{
	struct session *s = arg;

	s->snapshot.chains[s->snapshot.count++] = (struct txn_chain_digest){*c, digest};
	if (s->snapshot.count < SNAPSHOT_PART_MAX)
		return;
	if (s->snapshot_why == NULL)
		s->snapshot_why = send_part(s, false);
	s->snapshot.count = 0;
}

/* Table I of a handle just read has this DIGEST. */
static void know(struct session *s, size_t i, const struct ipt_handle *t, uint64_t digest)
{
	s->known[i] = (struct ipt_known){true, {t->info[0], t->info[1]}, digest};
}

/* Sends what was read, in parts, each with all of the hooks. */
static const char *send_snapshot(struct session *s, struct ipt_handle tables[IPT_TABLES])
{
	s->snapshot = (struct txn_snapshot){0};
	s->snapshot_why = NULL;
	memcpy(s->snapshot.families, s->policy->families, sizeof(s->snapshot.families));
	for (size_t i = 0; i < IPT_TABLES; i++)
		s->snapshot.hooks[tables[i].family] |= tables[i].hooks;
	for (size_t i = 0; i < IPT_TABLES; i++)
		if (tables[i].h != NULL)
			know(s, i, &tables[i], ipt_handle_digest(&tables[i], add_chain, s));
	return s->snapshot_why != NULL ? s->snapshot_why : send_part(s, true);
}

static const char *answer_snapshot_request(struct session *s, struct cursor *c)
{
	struct ipt_handle tables[IPT_TABLES] = {0};
	const char *why = cursor_end(c);
	unsigned wanted = 0;
	uint32_t waited_ms;
	bool locked;

	if (why == NULL)
		why = count_request(s);
	if (why != NULL)
		return why;
	for (size_t i = 0; i < IPT_TABLES; i++)
		wanted |= s->policy->families[i / IPT_TABLE_COUNT] ? 1u << i : 0;
	locked = ipt_lock(s->policy, &waited_ms) ==
		 0; /* if not: each table is read at one moment anyway */
	if (ipt_tables_read(tables, s->policy, wanted, s->txn.refused, sizeof(s->txn.refused)) != 0)
		why = "a table cannot be read";
	if (locked)
		ipt_unlock(s->policy);
	if (why == NULL)
		why = send_snapshot(s, tables);
	ipt_tables_close(tables);
	return why;
}

/* --- CHECK --- */

/* Is table I other than it was? Its numbers of entries and bytes tell, or if DEEP its content. */
static bool differs(struct session *s, size_t i, bool deep)
{
	const uint8_t family = (uint8_t)(i / IPT_TABLE_COUNT);
	const uint8_t table = (uint8_t)(IPT_TABLE_COUNT - 1 - i % IPT_TABLE_COUNT);
	const struct ipt_known *k = &s->known[i];
	struct ipt_handle t = {0};
	uint64_t digest;
	uint32_t now[2];

	if (!deep && k->valid && ipt_get_info(family, table, now) == 0 &&
	    memcmp(now, k->info, sizeof(now)) == 0)
		return false;
	if (!k->valid || ipt_handle_read(&t, s->policy, family, table) != 0)
		return true;
	digest = ipt_handle_digest(&t, NULL, NULL);
	if (digest == k->digest)
		know(s, i, &t, digest); /* others' rules changed, not ours */
	ipt_handle_close(&t);
	return digest != k->digest;
}

static const char *answer_check(struct session *s, struct cursor *c)
{
	bool deep = cursor_bool(c), drift = false;
	const char *why = cursor_end(c);

	if (why == NULL)
		why = count_request(s);
	if (why != NULL)
		return why;
	for (size_t i = 0; i < IPT_TABLES; i++)
		if (s->policy->families[i / IPT_TABLE_COUNT])
			drift |= differs(s, i, deep);
	txn_encode_checked(&s->answer, drift);
	return send_answer(s);
}

/* --- BEGIN --- */

static const char *answer_begin(struct session *s, struct cursor *c)
{
	uint64_t generation, base;
	const char *why = txn_decode_begin(c, &generation, &base);

	if (why == NULL)
		why = count_request(s);
	if (why != NULL)
		return why;
	if (generation != s->generation + 1)
		return "a generation out of order";
	if (base != s->base)
		return "a base that is not the last generation done";
	s->generation = generation;
	transaction_begin(&s->txn, generation);
	s->state = IN_TRANSACTION;
	return NULL;
}

/* --- OPS, COMMIT --- */

static const char *answer_ops(struct session *s, struct cursor *c)
{
	return transaction_add(&s->txn, c, s->data, s->len);
}

static const char *const code_names[] = {"ok", "unchanged", "stale", "busy", "kernel"};

static void audit_result(const struct session *s, const struct txn_result *r, const char *summary)
{
	const struct transaction *t = &s->txn;

	audit_write(s->policy,
	    "generation %llu ops: put %u delete %u hook %u rules %u%s; result %s%s%s",
	    (unsigned long long)r->generation, t->puts, t->deletes, t->hooks, t->rules, summary,
	    code_names[r->code], r->detail[0] == '\0' ? "" : ": ", r->detail);
}

static const char *answer_commit(struct session *s, struct cursor *c)
{
	struct txn_result r = {.writes = s->writes};
	char summary[AUDIT_TEXT_MAX];
	uint64_t generation, ops;
	const char *why = txn_decode_commit(c, &generation, &ops);

	if (why != NULL)
		return why;
	if (generation != s->generation)
		return "a commit of another generation";
	if (ops != transaction_ops(&s->txn))
		return "a commit with another number of operations than came";
	ipt_apply(s->policy, &s->txn, s->known, &r, summary);
	s->writes = r.writes;
	if (r.code == TXN_OK || r.code == TXN_UNCHANGED)
		s->base = generation;
	audit_result(s, &r, summary);
	transaction_clear(&s->txn);
	s->state = IDLE;
	txn_encode_result(&s->answer, &r);
	return send_answer(s);
}

/* --- FLOWS_REQUEST, FLOWS_DELETE --- */

static const char *answer_flows_request(struct session *s, struct cursor *c)
{
	const char *why = count_request(s);

	if (why == NULL)
		why = conntrack_request(&s->conntrack, s->policy, c, &s->answer);
	return why != NULL ? why : send_answer(s);
}

static const char *answer_flows_delete(struct session *s, struct cursor *c)
{
	const char *why = conntrack_delete(&s->conntrack, s->policy, c, &s->answer);

	return why != NULL ? why : send_answer(s);
}

/* --- the allow-list --- */

static const struct {
	const char *name;
	unsigned states; /* in which it may come */
	const char *(*answer)(struct session *s, struct cursor *c);
} messages[] = {
    [TXN_SNAPSHOT_REQUEST] = {"SNAPSHOT_REQUEST", IDLE, answer_snapshot_request},
    [TXN_CHECK] = {"CHECK", IDLE, answer_check},
    [TXN_BEGIN] = {"BEGIN", IDLE, answer_begin},
    [TXN_OPS] = {"OPS", IN_TRANSACTION, answer_ops},
    [TXN_COMMIT] = {"COMMIT", IN_TRANSACTION, answer_commit},
    [TXN_FLOWS_REQUEST] = {"FLOWS_REQUEST", IDLE, answer_flows_request},
    [TXN_FLOWS_DELETE] = {"FLOWS_DELETE", IDLE, answer_flows_delete},
};
#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static const char *dispatch(struct session *s, unsigned type, struct cursor *c)
{
	if (type >= MESSAGES || messages[type].answer == NULL)
		return "an unknown message";
	if ((messages[type].states & s->state) == 0)
		return s->state == IDLE ? "not without BEGIN" : "not within a transaction";
	return messages[type].answer(s, c);
}

const char *session_frame(struct session *s, const uint8_t *data, size_t len)
{
	struct frame_reader reader;
	struct cursor c;
	unsigned type = 0;
	const char *why = frame_open(&reader, data, len, &type, &c);

	s->data = data;
	s->len = len;
	s->txn.refused[0] = '\0';
	if (why == NULL) {
		why = dispatch(s, type, &c);
		frame_close(&reader);
	}
	if (why == NULL)
		return NULL;
	audit_write(s->policy, "refused: generation %llu, after %llu operations: %s: %s%s%s",
	    (unsigned long long)s->generation, (unsigned long long)transaction_ops(&s->txn),
	    type < MESSAGES && messages[type].name != NULL ? messages[type].name : "frame", why,
	    s->txn.refused[0] == '\0' ? "" : ": ", s->txn.refused);
	return why;
}
