/* What the applier says, and what follows from it. */
#include <string.h>

#include "common/log.h"
#include "planner/sync.h"

#define LOCK_WAIT_LONG_MS 1000 /* worth a line in the log */

static const char *on_checked(struct planner *p, struct cursor *c)
{
	bool drift;
	const char *why = txn_decode_checked(c, &drift);

	if (why == NULL && !p->check_asked)
		why = "the answer to a check nobody asked for";
	if (why != NULL)
		return why;
	p->check_asked = false;
	if (drift && sync_quiet(p))
		sync_repair(p);
	return NULL;
}

static const char *on_result(struct planner *p, struct cursor *c)
{
	struct txn_result r;
	bool applied = false;
	const char *why = txn_decode_result(c, &r);

	if (why == NULL)
		why = apply_result(&p->apply, &r, &applied);
	if (why != NULL)
		return why;
	stats_result(&p->stats, &r);
	if (!applied) {
		sync_failed(p, &r);
		return NULL;
	}
	if (r.lock_wait_ms >= LOCK_WAIT_LONG_MS)
		log_warn("generation %llu waited %u ms for /run/xtables.lock, which another "
			 "program held",
		    (unsigned long long)r.generation, r.lock_wait_ms);
	log_debug(2, "synced: generation %llu, +%llu %s put, -%llu deleted, %llu ms",
	    (unsigned long long)r.generation, (unsigned long long)p->counts.puts, sync_things(p),
	    (unsigned long long)p->counts.deletes,
	    (unsigned long long)((sync_now().mono_us - p->stats.began_us) / 1000));
	sync_finished(p);
	if (r.drift || p->drifted)
		sync_repair(p);
	p->drifted = false;
	return NULL;
}

static const char *on_snapshot(struct planner *p, struct cursor *c)
{
	const char *why = txn_decode_snapshot(c, &p->snapshot.ipt);

	if (why == NULL && !p->snapshot_asked)
		why = "a snapshot nobody asked for";
	if (why != NULL)
		return why;
	p->snapshot_asked = !p->snapshot.ipt.last;
	if (p->queries.looking)
		return queries_snapshot(p, &p->snapshot.ipt);
	why = plan_snapshot(p->plan, &p->snapshot.ipt);
	if (why == NULL)
		sync_schedule(p);
	return why;
}

static const char *on_flows(struct planner *p, struct cursor *c)
{
	return conntrack_part(&p->conntrack, c);
}

static const char *on_flows_end(struct planner *p, struct cursor *c)
{
	const struct stats_time t = sync_now();
	const uint8_t family = p->conntrack.family;
	const char *why = conntrack_end(&p->conntrack, c);

	if (why != NULL)
		return why;
	stats_flows_end(&p->stats, family, p->conntrack.deleted, p->conntrack.failed, &t);
	if (p->conntrack.running)
		stats_flows_begin(&p->stats, &t);
	return NULL;
}

static const char *on_ipvs_snapshot(struct planner *p, struct cursor *c)
{
	const char *why = ipvs_decode_snapshot(c, &p->snapshot.ipvs);

	if (why == NULL && !p->snapshot_asked)
		why = "a snapshot nobody asked for";
	if (why != NULL)
		return why;
	if (p->queries.looking) {
		diff_add_ipvs(&p->queries.diff, &p->snapshot.ipvs);
		return NULL;
	}
	return plan_ipvs_snapshot(p->plan, &p->snapshot.ipvs);
}

static const char *on_nft_snapshot(struct planner *p, struct cursor *c)
{
	const char *why = nft_decode_snapshot(c, &p->snapshot.nft);

	if (why == NULL && !p->snapshot_asked)
		why = "a snapshot nobody asked for";
	if (why != NULL)
		return why;
	p->snapshot_asked = !p->snapshot.nft.last;
	if (p->queries.looking)
		return queries_nft_snapshot(p, &p->snapshot.nft);
	why = plan_nft_snapshot(p->plan, &p->snapshot.nft);
	if (why == NULL)
		sync_schedule(p);
	return why;
}

/*
 * nf_tables tells of changes at once. While a transaction is under way its result will tell, and a
 * retry asks for a snapshot anyway: one is enough.
 */
static const char *on_nft_drift(struct planner *p, struct cursor *c)
{
	const char *why = nft_decode_drift(c);

	if (why == NULL && (p->apply.in_flight || p->queries.looking))
		p->drifted = true;
	else if (why == NULL && !p->snapshot_asked && !sync_retrying(p))
		sync_repair(p);
	return why;
}

static const char *(*const answers[])(struct planner *, struct cursor *) = {
    [TXN_SNAPSHOT] = on_snapshot,
    [TXN_RESULT] = on_result,
    [TXN_CHECKED] = on_checked,
    [TXN_FLOWS] = on_flows,
    [TXN_FLOWS_END] = on_flows_end,
    [NFT_SNAPSHOT] = on_nft_snapshot,
    [NFT_DRIFT] = on_nft_drift,
    [IPVS_SNAPSHOT] = on_ipvs_snapshot,
};

const char *sync_on_applier(void *arg, unsigned type, struct cursor *c)
{
	struct planner *p = arg;
	const char *why;

	if (type >= sizeof(answers) / sizeof(answers[0]) || answers[type] == NULL)
		return "an unknown message type";
	why = answers[type](p, c);
	if (why == NULL)
		queries_go_on(p);
	return why;
}
