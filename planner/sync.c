#include "planner/sync.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "ipc/relay.h"
#include "ipc/status.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000

/*
 * No period is shorter, whatever the flag says: the applier takes a planner that asks a thousand
 * times a second for a broken one, and a burst of changes is one transaction the sooner.
 */
#define SYNC_PERIOD_MIN_MS 10
#define NFT_PERIOD_MIN_MS  2 /* a transaction takes less than one */

/*
 * In ipvs mode the end of a connection is seen only by looking, at everything: soon, then less and
 * less often, but not less than upstream does.
 */
#define DRAIN_MIN_MS 1000
#define DRAIN_MAX_MS 60000
/*
 * Up to so many items all are read each sync period, beyond as DEEP_CHECK_EVERY has it, and for
 * connections' ends as seldom as upstream does: meanwhile changes wait.
 */
#define IPVS_ITEMS_FEW 10000

/* Each so many sync periods the content of the tables is compared, which costs by their size. */
#define DEEP_CHECK_EVERY 20

static uint64_t now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct stats_time sync_now(void)
{
	return (struct stats_time){now_us(CLOCK_MONOTONIC), now_us(CLOCK_REALTIME) / 1000};
}

static void start_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	if (event_add(timer, &tv) != 0)
		fatal(EXIT_FAILED, "out of memory for a timer");
}

/* --- telling the listener --- */

static void tell_node(struct planner *p)
{
	if (p->feed.node == p->told_node)
		return;
	p->told_node = p->feed.node;
	status_encode_node(&p->frame, p->feed.node == NODE_ELIGIBLE);
	channel_send(p->listener, &p->frame);
}

static void tell_pending(struct planner *p)
{
	if (p->told_pending)
		return;
	p->told_pending = true;
	status_encode_pending(&p->frame);
	channel_send(p->listener, &p->frame);
}

static void tell_applied(struct planner *p)
{
	p->told_pending = false;
	status_encode_applied(&p->frame, p->apply.generation);
	channel_send(p->listener, &p->frame);
}

static void send_to_listener(void *arg, const struct frame *f)
{
	struct planner *p = arg;

	channel_send(p->listener, f);
}

/* Without what the Node has to tell there are no rules: those of before stay. */
static void tell_missing(struct planner *p)
{
	const char *what = plan_missing(p->plan);

	if (what == NULL || p->told_missing || !p->feed.node_told)
		return;
	p->told_missing = true;
	log_warn("waiting for node %s to have %s before programming rules", p->cfg.node_name, what);
}

/* --- when to write --- */

static bool can_sync(const struct planner *p)
{
	return !p->apply.in_flight && !p->queries.looking && plan_ready(p->plan) &&
	       plan_waiting(p->plan);
}

/* Something came in. */
void sync_schedule(struct planner *p)
{
	const struct stats_time t = sync_now();

	tell_node(p);
	tell_missing(p);
	status_changed(p);
	if (plan_waiting(p->plan)) {
		stats_queued(&p->stats, &t);
		tell_pending(p);
	}
	if (can_sync(p) && !event_pending(p->sync_timer, EV_TIMEOUT, NULL))
		start_timer(p->sync_timer, pace_wait(&p->pace, t.mono_us / 1000));
}

/* UDP flows of FAMILIES, a bit each, may be stale. */
static void want_flows(struct planner *p, unsigned families)
{
	const struct stats_time t = sync_now();
	bool was = p->conntrack.running;

	conntrack_want(&p->conntrack, families);
	if (!was && p->conntrack.running)
		stats_flows_begin(&p->stats, &t);
}

static void watch_draining(struct planner *p)
{
	const bool few = plan_items(p->plan) <= IPVS_ITEMS_FEW;

	if (plan_draining(p->plan) == 0) {
		p->drain_ms = 0;
	} else if (!event_pending(p->drain_timer, EV_TIMEOUT, NULL)) {
		p->drain_ms = p->drain_ms == 0 ? DRAIN_MIN_MS : p->drain_ms * 2;
		if (p->drain_ms > DRAIN_MAX_MS || !few)
			p->drain_ms = DRAIN_MAX_MS;
		start_timer(p->drain_timer, p->drain_ms);
	}
}

/* What was planned is in the kernel. */
void sync_finished(struct planner *p)
{
	const struct stats_time t = sync_now();

	if (plan_half_done(p->plan)) {
		sync_schedule(p);
		return;
	}
	stats_done(&p->stats, &t);
	if (!p->synced)
		log_info("%llu services, %llu endpoints programmed%s",
		    (unsigned long long)p->counts.services, (unsigned long long)p->counts.endpoints,
		    p->apply.generation == 0 ? "; the kernel had everything already" : "");
	if (!p->synced)
		leftovers_programmed(&p->leftovers, p->counts.families);
	p->synced = true;
	p->backoff_ms = BACKOFF_MIN_MS;
	/* Told even if more waits by now: under a steady stream of changes something always does.
	 */
	tell_applied(p);
	plan_tell_health(p->plan, &p->frame, send_to_listener, p);
	watch_draining(p);
	plan_close_relays(p->plan);
	want_flows(p, udp_take_stale(plan_udp(p->plan)));
	sync_schedule(p);
}

/* What a mode's kernel state consists of. */
const char *sync_things(const struct planner *p)
{
	return p->cfg.mode == MODE_NFTABLES ? "elements"
	       : p->cfg.mode == MODE_IPVS   ? "items and chains"
					    : "chains";
}

static void on_sync(evutil_socket_t fd, short what, void *arg)
{
	struct planner *p = arg;
	const struct stats_time t = sync_now();
	bool repairs;

	(void)fd;
	(void)what;
	if (!can_sync(p) || !plan_prepare(p->plan))
		return;
	p->apply.counts = (struct apply_counts){0};
	stats_begin(&p->stats, &t);
	if (p->cfg.mode == MODE_NFTABLES)
		plan_nft_sync(p->plan, &apply_elements, &p->apply, &p->counts);
	else
		plan_sync(p->plan, &apply_operations, &p->apply, &p->counts);
	repairs = p->checking && p->counts.puts + p->counts.deletes + p->counts.hooks > 0;
	stats_planned(&p->stats, &p->counts, &p->apply.counts, repairs);
	if (repairs)
		log_warn("another program changed what was programmed: %llu %s and %llu hooks are "
			 "put back, %llu deleted",
		    (unsigned long long)p->counts.puts, sync_things(p),
		    (unsigned long long)p->counts.hooks, (unsigned long long)p->counts.deletes);
	p->checking = false;
	if (apply_commit(&p->apply)) {
		pace_spend(&p->pace, t.mono_us / 1000);
	} else {
		log_debug(2, "synced: nothing to write");
		sync_finished(p);
	}
	queries_go_on(p);
}

/* --- the applier --- */

static void ask_snapshot(struct planner *p)
{
	p->snapshot_asked = true;
	p->stats.m.planner.snapshots++;
	txn_encode_snapshot_request(&p->frame);
	channel_send_wait(p->applier, &p->frame);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask_snapshot(arg);
}

/* Has something failed, which will be tried again in a while? */
bool sync_retrying(const struct planner *p)
{
	return event_pending(p->retry_timer, EV_TIMEOUT, NULL);
}

bool sync_quiet(const struct planner *p)
{
	return p->synced && !p->apply.in_flight && !p->snapshot_asked && !p->check_asked &&
	       !plan_waiting(p->plan) && !sync_retrying(p);
}

const char *sync_failing(const struct planner *p)
{
	if (sync_retrying(p))
		return "the rules are not programmed: the kernel refused, or others were faster";
	return p->synced ? NULL : "nothing is programmed yet";
}

void sync_look(struct planner *p)
{
	p->queries.looking = true;
	ask_snapshot(p);
}

void sync_go_on(struct planner *p)
{
	if (p->drifted)
		sync_repair(p);
	p->drifted = false;
	sync_schedule(p);
}

/* Removed real servers may have no connection left. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct planner *p = arg;

	(void)fd;
	(void)what;
	if (!sync_quiet(p)) {
		start_timer(p->drain_timer, DRAIN_MIN_MS);
		return;
	}
	plan_forget(p->plan);
	ask_snapshot(p);
}

/* x_tables tells nobody of a change: what others did to our chains is seen only by looking. */
static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct planner *p = arg;

	(void)fd;
	(void)what;
	start_timer(p->check_timer, p->cfg.sync_period_ms);
	if (sync_quiet(p) && p->cfg.mode == MODE_IPVS &&
	    (plan_items(p->plan) <= IPVS_ITEMS_FEW || ++p->checks % DEEP_CHECK_EVERY == 0)) {
		sync_repair(
		    p); /* IPVS and its ipsets tell nobody of a change, and have no digest */
	} else if (sync_quiet(p)) {
		p->check_asked = true;
		txn_encode_check(&p->frame, ++p->checks % DEEP_CHECK_EVERY == 0);
		channel_send_wait(p->applier, &p->frame);
	}
}

void sync_repair(struct planner *p)
{
	/* at a second time what waits is what the first left undone */
	p->checking |= !plan_waiting(p->plan);
	p->stats.m.planner.drift_found++;
	plan_forget(p->plan);
	ask_snapshot(p);
}

void sync_failed(struct planner *p, const struct txn_result *r)
{
	static const char *const codes[] = {[TXN_STALE] = "the kernel is not as expected",
	    [TXN_BUSY] = "other writers were faster",
	    [TXN_KERNEL] = "the kernel refused"};

	log_error("generation %llu is not programmed: %s%s%s%s%s; trying again in %llu ms",
	    (unsigned long long)r->generation, codes[r->code], r->detail[0] != '\0' ? ": " : "",
	    r->detail, r->error != 0 ? ": " : "", r->error != 0 ? strerror(r->error) : "",
	    (unsigned long long)p->backoff_ms);
	plan_forget(p->plan);
	if (r->code == TXN_KERNEL && r->error == ENOENT && plan_refuse_compact(p->plan))
		log_warn("the kernel lacks the bpf match (xt_bpf) that the layout for large "
			 "clusters takes, or another extension: using a chain per endpoint");
	if (r->code == TXN_KERNEL && r->error == ENFILE && p->cfg.mode == MODE_NFTABLES)
		plan_nft_reinstall(p->plan);
	start_timer(p->retry_timer, p->backoff_ms);
	status_changed(p);
	p->backoff_ms = p->backoff_ms < BACKOFF_MAX_MS / 2 ? p->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* --- the watcher --- */

const char *sync_on_watcher(void *arg, unsigned type, struct cursor *c)
{
	struct planner *p = arg;
	const char *why = feed_message(&p->feed, type, c);

	if (plan_waiting(p->plan))
		p->checking = false; /* what is written may be this */
	if (why == NULL)
		sync_schedule(p);
	/* An address of the node's own is no change of the rules. */
	if (p->synced && !plan_waiting(p->plan) && !p->apply.in_flight) {
		want_flows(p, udp_take_stale(plan_udp(p->plan)));
		plan_tell_health(p->plan, &p->frame, send_to_listener, p);
	}
	return why;
}

/* --- the relay --- */

static const char *on_proxy_port(struct planner *p, struct cursor *c)
{
	const char *why = plan_proxy_port(p->plan, c);

	if (why == NULL)
		sync_schedule(p);
	return why;
}

const char *sync_on_relay(void *arg, unsigned type, struct cursor *c)
{
	if (type == RELAY_PROXY_PORT)
		return on_proxy_port(arg, c);
	return "an unknown message type";
}

/* --- set-up --- */

/* The relay never waits for us, so that what it is told can wait for it. */
static void send_of_relays(void *arg, const struct frame *f)
{
	struct planner *p = arg;

	channel_send_wait(p->relay, f);
}

static void send_to_applier(void *arg, const struct frame *f)
{
	struct planner *p = arg;

	channel_send_wait(p->applier, f);
}

void sync_start(struct planner *p, struct event_base *base)
{
	const struct stats_time t = sync_now();
	const uint64_t shortest =
	    p->cfg.mode == MODE_NFTABLES ? NFT_PERIOD_MIN_MS : SYNC_PERIOD_MIN_MS;

	p->backoff_ms = BACKOFF_MIN_MS;
	stats_init(&p->stats, &t);
	apply_init(&p->apply, send_to_applier, p);
	plan_relays_to(p->plan, send_of_relays, p);
	conntrack_init(&p->conntrack, plan_udp(p->plan), send_to_applier, p);
	pace_init(&p->pace,
	    p->cfg.min_sync_period_ms > shortest ? p->cfg.min_sync_period_ms : shortest,
	    t.mono_us / 1000);
	queries_start(p, base);
	p->sync_timer = evtimer_new(base, on_sync, p);
	p->retry_timer = evtimer_new(base, on_retry, p);
	p->check_timer = evtimer_new(base, on_check, p);
	p->drain_timer = evtimer_new(base, on_drain, p);
	if (p->sync_timer == NULL || p->retry_timer == NULL || p->check_timer == NULL ||
	    p->drain_timer == NULL)
		fatal(EXIT_FAILED, "out of memory for timers");
	if (p->cfg.mode != MODE_NFTABLES)
		start_timer(p->check_timer, p->cfg.sync_period_ms);
	status_start(p, base);
	ask_snapshot(p);
}
