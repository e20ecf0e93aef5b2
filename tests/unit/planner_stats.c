/* What the planner counts: times of syncs, failures, how long changes of endpoints took. */
#include "planner_world.h"

#include "planner/stats.h"

/* Large for a stack. */
static struct stats s;

static void at(uint64_t ms, struct stats_time *t)
{
	*t = (struct stats_time){.mono_us = ms * 1000, .wall_ms = 1000000 + ms};
}

static void begin(uint64_t ms)
{
	struct stats_time t;

	at(ms, &t);
	stats_begin(&s, &t);
}

static void done(uint64_t ms)
{
	struct stats_time t;

	at(ms, &t);
	stats_done(&s, &t);
}

static int setup(void **state)
{
	struct stats_time t;

	(void)state;
	at(0, &t);
	stats_init(&s, &t);
	return 0;
}

static void slice_at(uint8_t family, uint64_t wall_ms)
{
	struct slice in = {.family = family, .caused_ms = wall_ms};

	stats_slice(&s, &in);
}

static const struct plan_counts full = {.full = true, .families = {true, true}},
				partial = {.families = {true, true}},
				only_v4 = {.families = {true, false}};

/* How many observations a histogram of syncs has. */
static uint64_t count(const uint64_t *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= METRICS_SYNC_BOUNDS; i++)
		n += h[i];
	return n;
}

static void test_syncs(void **state)
{
	const struct apply_counts nothing = {0}, v6 = {.puts = 3,
						     .deletes = 1,
						     .families = 2,
						     .rules = {[FAMILY_6] = {[IPT_NAT] = 9}}};
	struct metrics_planner *m = &s.m.planner;
	struct stats_time t;

	(void)state;
	/* One that finds everything as it should be counts for every family. */
	at(5, &t);
	stats_queued(&s, &t);
	begin(10);
	stats_planned(&s, &full, &nothing, false);
	done(13);
	assert_int_equal(count(m->sync[FAMILY_4]), 1);
	assert_int_equal(count(m->sync[FAMILY_6]), 1);
	assert_int_equal(m->sync_full[FAMILY_4][2], 1); /* 3 ms: up to 4 */
	assert_int_equal(m->sync_full[FAMILY_4][METRICS_SYNC_BOUNDS + 1], 3000);
	assert_int_equal(count(m->sync_partial[FAMILY_4]), 0);
	assert_int_equal(m->queued_ms[FAMILY_4], 1000005);
	assert_int_equal(m->synced_ms[FAMILY_6], 1000013);
	/* One that writes, for those that it writes. */
	begin(20);
	stats_planned(&s, &partial, &v6, true);
	done(120);
	assert_int_equal(count(m->sync[FAMILY_4]), 1);
	assert_int_equal(count(m->sync[FAMILY_6]), 2);
	assert_int_equal(count(m->sync_partial[FAMILY_6]), 1);
	assert_int_equal(m->synced_ms[FAMILY_4], 1000120);
	assert_int_equal(m->rules_last[FAMILY_6][IPT_NAT], 9);
	assert_int_equal(m->operations[METRICS_PUT], 3);
	assert_int_equal(m->operations[METRICS_DELETE], 1);
	assert_int_equal(m->drift_repairs, 1);
	/* A family that is not programmed has no times that would look as if it hung. */
	begin(200);
	stats_planned(&s, &only_v4, &nothing, false);
	done(201);
	at(300, &t);
	stats_queued(&s, &t);
	assert_int_equal(count(m->sync[FAMILY_6]), 2);
	assert_int_equal(m->synced_ms[FAMILY_6], 0);
	assert_int_equal(m->queued_ms[FAMILY_6], 0);
	assert_int_equal(m->queued_ms[FAMILY_4], 1000300);
	assert_int_equal(m->rules_last[FAMILY_6][IPT_NAT], 0);
}

static void test_results(void **state)
{
	const struct apply_counts v4 = {.puts = 1, .families = 1};
	struct txn_result r = {.code = TXN_KERNEL, .writes = 7, .lock_wait_ms = 20};
	struct metrics_planner *m = &s.m.planner;

	(void)state;
	slice_at(FAMILY_4, 1000001);
	begin(10);
	stats_planned(&s, &full, &v4, false);
	stats_result(&s, &r);
	assert_int_equal(m->failures[FAMILY_4], 1);
	assert_int_equal(m->failures[FAMILY_6], 0);
	assert_int_equal(m->partial_failures[FAMILY_4], 0);
	begin(20);
	stats_planned(&s, &partial, &v4, false);
	r.code = TXN_BUSY;
	stats_result(&s, &r);
	assert_int_equal(m->failures[FAMILY_4], 2);
	assert_int_equal(m->partial_failures[FAMILY_4], 1);
	assert_int_equal(m->network[FAMILY_4][3], 0);
	assert_int_equal(m->synced_ms[FAMILY_4], 0);
	/* What waited through the failures is counted by the success, from its cause on. */
	begin(800);
	stats_planned(&s, &full, &v4, false);
	r.code = TXN_OK;
	stats_result(&s, &r);
	done(900);
	assert_int_equal(m->network[FAMILY_4][3], 1); /* 899 ms: up to a second */
	assert_int_equal(m->transactions[TXN_KERNEL], 1);
	assert_int_equal(m->transactions[TXN_BUSY], 1);
	assert_int_equal(m->transactions[TXN_OK], 1);
	assert_int_equal(m->writes, 7);
	assert_int_equal(m->lock_wait_us, 60000);
}

static void test_causes(void **state)
{
	const struct apply_counts nothing = {0};
	const uint64_t *h = s.m.planner.network[FAMILY_4];

	(void)state;
	slice_at(FAMILY_4, 0);	    /* not known */
	slice_at(FAMILY_4, 999999); /* before our time */
	slice_at(FAMILY_4, 1000100);
	stats_slice(&s, NULL);
	slice_at(FAMILY_6, 1000200);
	begin(300);
	stats_planned(&s, &partial, &nothing, false);
	slice_at(FAMILY_4, 1000301); /* is of the next */
	done(400);
	assert_int_equal(h[2], 1); /* 300 ms */
	assert_int_equal(s.m.planner.network[FAMILY_6][1], 1);
	assert_int_equal(s.cause_count, 1);
	begin(500);
	stats_planned(&s, &partial, &nothing, false);
	done(501);
	assert_int_equal(h[1], 1);
	assert_int_equal(s.cause_count, 0);
	/* A clock that is behind the controllers' makes no negative time. */
	slice_at(FAMILY_4, 9000000);
	begin(600);
	stats_planned(&s, &partial, &nothing, false);
	done(601);
	assert_int_equal(h[0], 1);
	assert_int_equal(s.m.planner.changes[1], 7);
	stats_service(&s);
	assert_int_equal(s.m.planner.changes[0], 1);
}

/* However many wait, none is lost, and the memory is what it was. */
static void test_many_causes(void **state)
{
	const struct apply_counts nothing = {0};
	uint64_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * STATS_CAUSES_MAX; i++)
		slice_at(i % 2, 1000001 + i);
	assert_int_equal(s.cause_count, STATS_CAUSES_MAX);
	begin(20000);
	stats_planned(&s, &partial, &nothing, false);
	done(20001);
	for (unsigned i = 0; i <= METRICS_NETWORK_BOUNDS; i++)
		n += s.m.planner.network[FAMILY_4][i] + s.m.planner.network[FAMILY_6][i];
	assert_int_equal(n, 3 * STATS_CAUSES_MAX);
	assert_int_equal(s.cause_count, 0);
}

static void test_flows(void **state)
{
	struct metrics_planner *m = &s.m.planner;
	struct stats_time t;

	(void)state;
	at(10, &t);
	stats_flows_begin(&s, &t);
	at(15, &t);
	stats_flows_end(&s, FAMILY_6, 4, true, &t);
	assert_int_equal(m->flow_passes[FAMILY_6][3], 1);
	assert_int_equal(m->flows_deleted[FAMILY_6], 4);
	assert_int_equal(m->flow_failures[FAMILY_6], 1);
	assert_int_equal(m->flows_deleted[FAMILY_4], 0);
}

/* What is read off the plan: services, endpoints, changes that wait, policies that drop. */
static void test_describe(void **state)
{
	struct world *w = world_new();
	struct metrics_planner m;

	(void)state;
	world_listed(w);
	world_snapshot(w);
	put_words(w, &(struct words){.name = "shop/web",
			 .ips = "10.96.0.1 fd00::1",
			 .ports = "http:80/tcp",
			 .internal_local = true});
	put_slice(w, "shop/web-1", "web", "http:8080/tcp", "10.244.1.1=rs");
	plan_describe(w->plan, &m);
	assert_int_equal(m.services, 1);
	assert_int_equal(m.endpoints, 1);
	assert_int_equal(m.changes_pending[0], 1);
	assert_int_equal(m.changes_pending[1], 1);
	assert_true(world_sync(w));
	plan_describe(w->plan, &m);
	assert_int_equal(m.changes_pending[0], 0);
	assert_int_equal(m.changes_pending[1], 0);
	assert_int_equal(m.no_local[FAMILY_4][METRICS_INTERNAL], 1);
	assert_int_equal(m.no_local[FAMILY_4][METRICS_EXTERNAL], 0);
	assert_int_equal(m.no_local[FAMILY_6][METRICS_INTERNAL], 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_syncs, setup),
	    cmocka_unit_test_setup(test_results, setup),
	    cmocka_unit_test_setup(test_causes, setup),
	    cmocka_unit_test_setup(test_many_causes, setup),
	    cmocka_unit_test_setup(test_flows, setup),
	    cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
