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
#include "applier/ipt_snapshot.h"
#include "applier/ipvs_apply.h"
#include "applier/nft_backend.h"
#include "applier/nft_snapshot.h"
#include "applier/setup.h"
#include "applier/transaction.h"
#include "common/log.h"
#include "ipc/txn.h"

#define ANSWER_TIMEOUT_MS 10000

/* The last is no state: of a message that is no request of its own, but goes on with one. */
enum state { IDLE = 1, IN_TRANSACTION = 2, UNCOUNTED = 4 };

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
	struct ipt_known known[IPT_TABLES];
	nft_affinities affinities;
	bool drift_told; /* the planner has heard of it, and has not asked a snapshot since */
};

struct session *session_new(const struct policy *p, int fd)
{
	static struct session s; /* too large for a stack, and there is one */

	s = (struct session){.policy = p, .fd = fd, .state = IDLE};
	transaction_init(&s.txn, p);
	return &s;
}

/* NULL, or why the answer could not be sent. */
static const char *send_answer(void *arg)
{
	struct session *s = arg;
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	if (s->answer.overflow)
		return "an answer longer than a frame";
	if (poll(&p, 1, ANSWER_TIMEOUT_MS) != 1)
		return "the planner takes no answers";
	if (write(s->fd, s->answer.buf, s->answer.len) != (ssize_t)s->answer.len)
		return "the planner's channel is broken";
	return NULL;
}

/* Counts a request. Is it within the quota of a second? */
static bool count_request(struct session *s)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != s->second) {
		s->second = now.tv_sec;
		s->requests = 0;
	}
	return s->requests++ < s->policy->max_requests;
}

/* --- SNAPSHOT_REQUEST --- */

static const char *send_part(void *arg, const struct txn_snapshot *part)
{
	struct session *s = arg;

	txn_encode_snapshot(&s->answer, part);
	return send_answer(s);
}

static const char *answer_snapshot_request(struct session *s, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why == NULL && s->policy->mode == MODE_IPVS)
		why = ipvs_snapshot_read(s->policy, &s->answer, send_answer, s);
	return why != NULL ? why
			   : ipt_snapshot_read(s->policy, s->known, send_part, s, s->txn.refused,
				 sizeof(s->txn.refused));
}

static const char *send_nft_part(void *arg, const struct nft_snapshot *part)
{
	struct session *s = arg;

	nft_encode_snapshot(&s->answer, part);
	return send_answer(s);
}

static const char *answer_nft_snapshot_request(struct session *s, struct cursor *c)
{
	const char *why = cursor_end(c);

	s->drift_told = false;
	return why != NULL ? why : nft_snapshot_read(s->policy, s->affinities, send_nft_part, s);
}

/* --- CHECK --- */

static const char *answer_check(struct session *s, struct cursor *c)
{
	bool deep = cursor_bool(c);
	const char *why = cursor_end(c);

	if (why != NULL)
		return why;
	txn_encode_checked(&s->answer, ipt_drift(s->policy, s->known, deep));
	return send_answer(s);
}

/* --- BEGIN --- */

static const char *answer_begin(struct session *s, struct cursor *c)
{
	uint64_t generation, base;
	const char *why = txn_decode_begin(c, &generation, &base);

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
	return transaction_add(&s->txn, c, s->data, s->len, ipt_check_ops);
}

static const char *answer_nft_ops(struct session *s, struct cursor *c)
{
	return transaction_add(&s->txn, c, s->data, s->len, nft_check_ops);
}

static const char *const code_names[] = {"ok", "unchanged", "stale", "busy", "kernel"};

static void audit_result(const struct session *s, const struct txn_result *r, const char *summary)
{
	const struct transaction *t = &s->txn;

	char counts[96], unnamed[64] = "";

	if (s->policy->mode == MODE_NFTABLES)
		snprintf(counts, sizeof(counts), "put %u delete %u other %u", t->puts, t->deletes,
		    t->others);
	else
		snprintf(counts, sizeof(counts), "put %u delete %u hook %u rules %u", t->puts,
		    t->deletes, t->hooks, t->rules);
	if (audit_unnamed() > 0)
		snprintf(unnamed, sizeof(unnamed), "; changes without words %u", audit_unnamed());
	audit_write(s->policy, "generation %llu ops: %s%s%s; result %s%s%s",
	    (unsigned long long)r->generation, counts, unnamed, summary, code_names[r->code],
	    r->detail[0] == '\0' ? "" : ": ", r->detail);
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
	audit_begin(generation);
	transaction_start_clock(&s->txn);
	if (s->policy->mode == MODE_NFTABLES)
		nft_apply(s->policy, &s->txn, s->affinities, &r, summary);
	else if (s->policy->mode == MODE_IPVS)
		ipvs_apply(s->policy, &s->txn, s->known, &r, summary);
	else
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
	const char *why = conntrack_request(&s->conntrack, s->policy, c, &s->answer);

	return why != NULL ? why : send_answer(s);
}

static const char *answer_flows_delete(struct session *s, struct cursor *c)
{
	const char *why = conntrack_delete(&s->conntrack, s->policy, c, &s->answer);

	return why != NULL ? why : send_answer(s);
}

/* --- ALIVE --- */

static const char *answer_alive(struct session *s, struct cursor *c)
{
	const char *why = cursor_end(c);

	(void)s;
	if (why == NULL)
		notify("WATCHDOG=1");
	return why;
}

/* --- STATUS --- */

static const char *answer_status(struct session *s, struct cursor *c)
{
	/* in the order of enum txn_phase and enum txn_source */
	static const char *const phases[PHASE_COUNT] = {"waiting for Services and EndpointSlices; ",
	    "waiting for the Node to have podCIDRs or an address; ", "programming; ", "",
	    "the last change is not programmed, retrying; "};
	static const char *const sources[SOURCE_COUNT] = {"waiting for the apiserver",
	    "apiserver ok", "apiserver does not answer", "from manifests"};
	struct txn_status status;
	const char *why = txn_decode_status(c, &status);
	char text[192];

	(void)s;
	if (why != NULL)
		return why;
	snprintf(text, sizeof(text), "STATUS=%s%u services, %u endpoints, %s", phases[status.phase],
	    status.services, status.endpoints, sources[status.source]);
	notify(text);
	return NULL;
}

/* --- the allow-list --- */

#define MESSAGES (NFT_OPS + 1)

struct message {
	const char *name;
	unsigned states; /* in which it may come */
	const char *(*answer)(struct session *s, struct cursor *c);
};

/* In iptables mode, and in nftables mode: what belongs to the other does not exist. */
static const struct message ipt_messages[MESSAGES] = {
    [TXN_SNAPSHOT_REQUEST] = {"SNAPSHOT_REQUEST", IDLE, answer_snapshot_request},
    [TXN_CHECK] = {"CHECK", IDLE, answer_check},
    [TXN_BEGIN] = {"BEGIN", IDLE, answer_begin},
    [TXN_OPS] = {"OPS", IN_TRANSACTION, answer_ops},
    [TXN_COMMIT] = {"COMMIT", IN_TRANSACTION, answer_commit},
    [TXN_FLOWS_REQUEST] = {"FLOWS_REQUEST", IDLE, answer_flows_request},
    [TXN_FLOWS_DELETE] = {"FLOWS_DELETE", IDLE | UNCOUNTED, answer_flows_delete},
    [TXN_ALIVE] = {"ALIVE", IDLE, answer_alive},
    [TXN_STATUS] = {"STATUS", IDLE, answer_status},
};
static const struct message nft_messages[MESSAGES] = {
    [TXN_SNAPSHOT_REQUEST] = {"SNAPSHOT_REQUEST", IDLE, answer_nft_snapshot_request},
    [TXN_BEGIN] = {"BEGIN", IDLE, answer_begin},
    [NFT_OPS] = {"NFT_OPS", IN_TRANSACTION, answer_nft_ops},
    [TXN_COMMIT] = {"COMMIT", IN_TRANSACTION, answer_commit},
    [TXN_FLOWS_REQUEST] = {"FLOWS_REQUEST", IDLE, answer_flows_request},
    [TXN_FLOWS_DELETE] = {"FLOWS_DELETE", IDLE | UNCOUNTED, answer_flows_delete},
    [TXN_ALIVE] = {"ALIVE", IDLE, answer_alive},
    [TXN_STATUS] = {"STATUS", IDLE, answer_status},
};

static const struct message *messages(const struct session *s)
{
	return s->policy->mode == MODE_NFTABLES ? nft_messages : ipt_messages;
}

static const char *dispatch(struct session *s, unsigned type, struct cursor *c)
{
	if (type >= MESSAGES || messages(s)[type].answer == NULL)
		return "an unknown message";
	if ((messages(s)[type].states & s->state) == 0)
		return s->state == IDLE ? "not without BEGIN" : "not within a transaction";
	if (s->state == IDLE && !(messages(s)[type].states & UNCOUNTED) && !count_request(s))
		return "too many requests in a second";
	return messages(s)[type].answer(s, c);
}

const char *session_frame(struct session *s, const uint8_t *data, size_t len)
{
	struct cursor c;
	unsigned type = 0;
	const char *why = frame_open(data, len, &type, &c);

	s->data = data;
	s->len = len;
	s->txn.refused[0] = '\0';
	if (why == NULL)
		why = dispatch(s, type, &c);
	if (why == NULL)
		return NULL;
	audit_write(s->policy, "refused: generation %llu, after %llu operations: %s: %s%s%s",
	    (unsigned long long)s->generation, (unsigned long long)transaction_ops(&s->txn),
	    type < MESSAGES && messages(s)[type].name != NULL ? messages(s)[type].name : "frame",
	    why, s->txn.refused[0] == '\0' ? "" : ": ", s->txn.refused);
	return why;
}

const char *session_kernel(struct session *s)
{
	if (!nft_drift() || s->drift_told)
		return NULL;
	s->drift_told = true;
	audit_write(s->policy, "drift: another program has changed a table of ours");
	nft_encode_drift(&s->answer);
	return send_answer(s);
}
