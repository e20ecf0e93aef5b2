#include "planner/stats.h"

#include <string.h>

void stats_init(struct stats *s, const struct stats_time *now)
{
	memset(s, 0, sizeof(*s));
	s->start_ms = now->wall_ms;
	memset(s->families, true, sizeof(s->families)); /* until a plan says otherwise */
}

/* --- changes --- */

void stats_service(struct stats *s)
{
	if (s != NULL)
		s->m.planner.changes[0]++;
}

/* When there is no room the youngest cause stands for this one, which makes it look older. */
static void add_cause(struct stats *s, uint8_t family, uint64_t wall_ms)
{
	struct stats_cause *c = s->causes + s->cause_count;

	if (s->cause_count == STATS_CAUSES_MAX) {
		while (c > s->causes && (--c)->family != family)
			continue;
		if (c->family == family)
			c->count++;
		return;
	}
	*c = (struct stats_cause){wall_ms, 1, family};
	s->cause_count++;
}

void stats_slice(struct stats *s, const struct slice *in)
{
	if (s == NULL)
		return;
	s->m.planner.changes[1]++;
	/* As upstream: neither what is from before our time nor what went. */
	if (in != NULL && in->caused_ms > s->start_ms)
		add_cause(s, in->family, in->caused_ms);
}

const char *stats_watcher(struct stats *s, struct cursor *c)
{
	static struct metrics nobody;

	return metrics_decode_stats(c, s != NULL ? &s->m : &nobody);
}

void stats_queued(struct stats *s, const struct stats_time *now)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		s->m.planner.queued_ms[f] = s->families[f] ? now->wall_ms : 0;
}

/* --- a sync --- */

void stats_begin(struct stats *s, const struct stats_time *now)
{
	s->began_us = now->mono_us;
	s->causes_planned = s->cause_count;
}

void stats_planned(
    struct stats *s, const struct plan_counts *n, const struct apply_counts *sent, bool repair)
{
	struct metrics_planner *m = &s->m.planner;

	s->full = n->full;
	s->concerns = sent->families;
	/* One that finds nothing to write is one of all families. */
	for (unsigned f = 0; sent->families == 0 && f < FAMILY_COUNT; f++)
		s->concerns |= (unsigned)n->families[f] << f;
	m->operations[METRICS_PUT] += sent->puts;
	m->operations[METRICS_DELETE] += sent->deletes;
	m->operations[METRICS_OTHER] += sent->others;
	memcpy(m->rules_last, sent->rules, sizeof(m->rules_last));
	memcpy(s->families, n->families, sizeof(s->families));
	m->drift_repairs += repair && sent->families != 0;
}

/* Those that the sync under way has programmed; those that came since wait on. */
static void observe_causes(struct stats *s, uint64_t wall_ms)
{
	for (size_t i = 0; i < s->causes_planned; i++) {
		const struct stats_cause *c = &s->causes[i];

		for (uint32_t n = 0; n < c->count; n++)
			metrics_observe(s->m.planner.network[c->family], &metrics_network_bounds,
			    wall_ms > c->wall_ms ? (wall_ms - c->wall_ms) * 1000 : 0);
	}
	s->cause_count -= s->causes_planned;
	memmove(s->causes, s->causes + s->causes_planned, s->cause_count * sizeof(s->causes[0]));
	s->causes_planned = 0;
}

void stats_done(struct stats *s, const struct stats_time *now)
{
	struct metrics_planner *m = &s->m.planner;
	uint64_t us = now->mono_us - s->began_us;

	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		m->synced_ms[f] = s->families[f] ? now->wall_ms : 0;
		if (!(s->concerns & 1u << f))
			continue;
		metrics_observe(m->sync[f], &metrics_sync_bounds, us);
		metrics_observe(
		    s->full ? m->sync_full[f] : m->sync_partial[f], &metrics_sync_bounds, us);
	}
	observe_causes(s, now->wall_ms);
}

void stats_result(struct stats *s, const struct txn_result *r)
{
	struct metrics_planner *m = &s->m.planner;

	m->transactions[r->code]++;
	m->writes = r->writes;
	m->lock_wait_us += (uint64_t)r->lock_wait_ms * 1000;
	if (r->code == TXN_OK || r->code == TXN_UNCHANGED)
		return;
	s->causes_planned = 0; /* they wait for the next try */
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		m->failures[f] += s->concerns >> f & 1;
		m->partial_failures[f] += !s->full && (s->concerns >> f & 1);
	}
}

/* --- flows --- */

void stats_flows_begin(struct stats *s, const struct stats_time *now)
{
	s->flows_began_us = now->mono_us;
}

void stats_flows_end(
    struct stats *s, uint8_t family, uint64_t deleted, bool failed, const struct stats_time *now)
{
	struct metrics_planner *m = &s->m.planner;

	metrics_observe(
	    m->flow_passes[family], &metrics_sync_bounds, now->mono_us - s->flows_began_us);
	m->flows_deleted[family] += deleted;
	m->flow_failures[family] += failed;
}
