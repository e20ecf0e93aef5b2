#include "planner/cleanup.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "ipc/channel.h"
#include "ipc/fds.h"
#include "ipc/txn.h"
#include "planner/apply.h"
#include "planner/changes.h"
#include "planner/ipvs_plan.h"
#include "planner/plan.h"
#include "planner/snapshot.h"

/* Another program may hold the lock, or win the race for a table, this often. */
#define TRIES	10
#define PAUSE_S 1

struct cleanup {
	struct channel *applier;
	struct event *retry;
	struct apply apply;
	struct siphash_key key;
	struct snapshot snapshot;
	/* ipvs mode's: a plan without services, so that all that is ours goes */
	struct store nobody;
	struct udp_index none;
	struct ipvs_plan ipvs;
	struct plan_counts items;
	unsigned tries;
	bool written; /* what comes is a second look */
	unsigned long long chains, hooks;
	struct frame frame;
	struct txn_snapshot part; /* scratch */
	struct ipvs_snapshot ipvs_part;
};

static void ask_snapshot(struct cleanup *c)
{
	snapshot_clear(&c->snapshot);
	ipvs_plan_forget(&c->ipvs);
	txn_encode_snapshot_request(&c->frame);
	channel_send_wait(c->applier, &c->frame);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask_snapshot(arg);
}

/* Sends what takes all of the snapshot away. Returns false if nothing of ours is there. */
static bool take_away(struct cleanup *c)
{
	struct changes gone = {0};

	c->chains = c->snapshot.count;
	c->hooks = 0;
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++)
		for (unsigned h = 0; h < IPT_HOOK_COUNT; h++)
			if ((c->snapshot.hooks[f] & 1u << h) != 0) {
				apply_operations.hook(&c->apply, f, h, false);
				c->hooks++;
			}
	for (size_t i = 0; i < c->snapshot.count; i++)
		changes_add(&gone.deletes, &c->snapshot.chains[i].chain);
	changes_sort(&gone);
	for (size_t i = 0; i < gone.deletes.count; i++)
		apply_operations.chain_delete(&c->apply, &gone.deletes.c[i].chain);
	changes_clear(&gone);
	memset(&c->items, 0, sizeof(c->items));
	ipvs_plan_sync(&c->ipvs, true, &apply_operations, &c->apply, &c->items);
	return apply_commit(&c->apply);
}

/* After all was deleted: what is there is in use, or has come back. */
static _Noreturn void report_and_exit(const struct cleanup *c)
{
	struct siphash empty;
	uint64_t nothing;
	int code = EXIT_OK;

	static const char *const families[FAMILY_COUNT] = {"IPv4", "IPv6"};
	static const char *const tables[IPT_TABLE_COUNT] = {"nat", "filter"};
	char name[CHAIN_NAME_LEN];

	siphash_init(&empty, &c->key);
	nothing = siphash_final(&empty);
	for (size_t i = 0; i < c->snapshot.count; i++) {
		const struct ipt_chain *left = &c->snapshot.chains[i].chain;
		bool used = c->snapshot.chains[i].digest == nothing;

		(used ? log_warn : log_error)("%s of %s %s %s", ipt_chain_name(left, name),
		    families[left->family], tables[left->table],
		    used ? "stays, empty: a rule of another program jumps to it"
			 : "is there again: a kube-proxy runs; end it first");
		if (!used)
			code = EXIT_FAILED;
	}
	log_info("cleaned up: %llu chains deleted, %llu hooks removed",
	    c->chains - c->snapshot.count, c->hooks);
	if (c->items.deletes > 0)
		log_info("cleaned up: %llu virtual servers, addresses and entries of ipsets",
		    (unsigned long long)c->items.deletes);
	exit(code);
}

static const char *on_snapshot(struct cleanup *c, struct cursor *in)
{
	const char *why = txn_decode_snapshot(in, &c->part);

	if (why == NULL)
		why = snapshot_add(&c->snapshot, &c->part);
	if (why != NULL || !c->snapshot.complete)
		return why;
	ipvs_plan_known(&c->ipvs, c->snapshot.families);
	if (c->written)
		report_and_exit(c);
	if (!take_away(c)) {
		log_info("cleaned up: there was nothing");
		exit(EXIT_OK);
	}
	return NULL;
}

static const char *on_ipvs_snapshot(struct cleanup *c, struct cursor *in)
{
	const char *why = ipvs_decode_snapshot(in, &c->ipvs_part);

	if (why == NULL)
		ipvs_plan_snapshot(&c->ipvs, &c->ipvs_part);
	return why;
}

static const char *on_result(struct cleanup *c, struct cursor *in)
{
	const struct timeval pause = {.tv_sec = PAUSE_S};
	struct txn_result r;
	const char *why = txn_decode_result(in, &r);

	if (why == NULL)
		why = apply_result(&c->apply, &r, &c->written);
	if (why != NULL)
		return why;
	if (c->written) {
		ask_snapshot(c);
		return NULL;
	}
	if (r.code == TXN_KERNEL || ++c->tries == TRIES)
		fatal(EXIT_FAILED, "not all is cleaned up: %s%s%s", r.detail,
		    r.error != 0 ? ": " : "", r.error != 0 ? strerror(r.error) : "");
	log_warn("%s; trying again", r.detail);
	if (event_add(c->retry, &pause) != 0)
		fatal(EXIT_FAILED, "out of memory for a timer");
	return NULL;
}

static const char *on_applier(void *arg, unsigned type, struct cursor *in)
{
	if (type == TXN_SNAPSHOT)
		return on_snapshot(arg, in);
	if (type == IPVS_SNAPSHOT)
		return on_ipvs_snapshot(arg, in);
	if (type == TXN_RESULT)
		return on_result(arg, in);
	return "an unknown message type";
}

static void send_to_applier(void *arg, const struct frame *f)
{
	struct cleanup *c = arg;

	channel_send_wait(c->applier, f);
}

void cleanup_start(struct event_base *base, const struct config *cfg)
{
	static struct cleanup c; /* for the life of the process */

	c.key = cfg->key;
	store_init(&c.nobody, cfg->node_name);
	ipvs_plan_init(&c.ipvs, &c.nobody, NULL, "", &c.none);
	c.ipvs.ends = true;
	c.applier = channel_new(base, PLANNER_FD_APPLIER, "the applier", on_applier, &c);
	c.retry = evtimer_new(base, on_retry, &c);
	if (c.retry == NULL)
		fatal(EXIT_FAILED, "out of memory for a timer");
	apply_init(&c.apply, send_to_applier, &c);
	event_active(c.retry, EV_TIMEOUT, 1); /* the first try, once the loop runs */
}
