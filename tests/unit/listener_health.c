/* The health decision over time, and the body's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "listener/health.h"

#define SYNC_MS UINT64_C(30000)

static struct health_time at(uint64_t ms)
{
	/* 2026-11-22 08:11:58 UTC at millisecond 0. */
	return (struct health_time){.mono_ms = 1000000 + ms,
	    .wall = {.tv_sec = (time_t)(1795335118 + ms / 1000), .tv_nsec = 123456789}};
}

enum step { NOTHING, PENDING, APPLIED, NODE_BAD, NODE_GOOD };

static const struct {
	const char *what;
	struct {
		enum step step;
		uint64_t ms;
	} steps[5];
	uint64_t ask_ms;
	bool ready, live;
} cases[] = {
    {"nothing was ever programmed", {{NOTHING, 0}}, 0, false, true},
    {"the first change waits for ever: start-up", {{PENDING, 0}}, 10 * SYNC_MS, false, true},
    {"programmed once", {{PENDING, 0}, {APPLIED, 10}}, 20, true, true},
    {"nothing has changed for a year", {{APPLIED, 0}}, 31536000000, true, true},
    {"a change waits, in time", {{APPLIED, 0}, {PENDING, 5}}, 5 + 2 * SYNC_MS - 1, true, true},
    {"a change waits, late", {{APPLIED, 0}, {PENDING, 5}}, 5 + 2 * SYNC_MS, false, false},
    {"the oldest change counts", {{APPLIED, 0}, {PENDING, 5}, {PENDING, 50000}}, 5 + 2 * SYNC_MS,
	false, false},
    {"late, then programmed", {{APPLIED, 0}, {PENDING, 5}, {APPLIED, 90000}}, 90001, true, true},
    {"the next one counts from its own time",
	{{APPLIED, 0}, {PENDING, 5}, {APPLIED, 6}, {PENDING, 70000}}, 70000 + 2 * SYNC_MS - 1, true,
	true},
    {"the node is going", {{APPLIED, 0}, {NODE_BAD, 1}}, 2, false, true},
    {"the node stays after all", {{APPLIED, 0}, {NODE_BAD, 1}, {NODE_GOOD, 2}}, 3, true, true},
    {"a good node does not stand in for rules", {{NODE_GOOD, 1}}, 3, false, true},
};

static void test_decision(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct health h;
		struct health_time now = at(cases[i].ask_ms);

		health_init(&h, SYNC_MS);
		for (size_t k = 0; k < 5; k++) {
			struct health_time t = at(cases[i].steps[k].ms);

			switch (cases[i].steps[k].step) {
			case NOTHING:
				break;
			case PENDING:
				health_pending(&h, &t);
				break;
			case APPLIED:
				health_applied(&h, &t);
				break;
			case NODE_BAD:
			case NODE_GOOD:
				health_node(&h, cases[i].steps[k].step == NODE_GOOD);
				break;
			}
		}
		if (health_is_ready(&h, &now) != cases[i].ready ||
		    health_is_live(&h, &now) != cases[i].live)
			fail_msg("%s: ready %d live %d", cases[i].what, health_is_ready(&h, &now),
			    health_is_live(&h, &now));
	}
}

static void expect_body(const struct health *h, uint64_t ms, bool with_node, const char *want)
{
	char body[HEALTH_BODY_MAX];
	struct health_time now = at(ms);

	health_body(h, &now, with_node, body, sizeof(body));
	assert_string_equal(body, want);
}

static void test_body(void **state)
{
	struct health_time start = at(0), change = at(1000);
	struct health h;

	(void)state;
	health_init(&h, SYNC_MS);
	expect_body(&h, 0, true,
	    "{\"lastUpdated\": \"0001-01-01 00:00:00 +0000 UTC\","
	    "\"currentTime\": \"2026-11-22 08:11:58.123456789 +0000 UTC\", "
	    "\"nodeEligible\": true}");
	health_applied(&h, &start);
	health_node(&h, false);
	/* Nothing is late: "recent", as upstream keeps it for old readers. */
	expect_body(&h, 2000, true,
	    "{\"lastUpdated\": \"2026-11-22 08:12:00.123456789 +0000 UTC\","
	    "\"currentTime\": \"2026-11-22 08:12:00.123456789 +0000 UTC\", "
	    "\"nodeEligible\": false}");
	health_pending(&h, &change);
	expect_body(&h, 62000, false,
	    "{\"lastUpdated\": \"2026-11-22 08:11:58.123456789 +0000 UTC\","
	    "\"currentTime\": \"2026-11-22 08:13:00.123456789 +0000 UTC\"}");
}

static void test_longest_body_fits(void **state)
{
	struct health_time now = {.wall = {.tv_sec = INT64_MAX / 1000000000, .tv_nsec = 999999999}};
	struct health h;
	char body[HEALTH_BODY_MAX];

	(void)state;
	health_init(&h, UINT64_MAX); /* and no overflow of the doubled period */
	health_applied(&h, &now);
	health_pending(&h, &now);
	now.mono_ms = UINT64_MAX - 1;
	assert_true(health_is_live(&h, &now));
	health_body(&h, &now, true, body, sizeof(body));
	assert_int_equal(body[strlen(body) - 1], '}');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decision),
	    cmocka_unit_test(test_body),
	    cmocka_unit_test(test_longest_body_fits),
	};

	return cmocka_run_group_tests_name("listener_health", tests, NULL, NULL);
}
