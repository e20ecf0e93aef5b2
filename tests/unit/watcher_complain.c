/* How many lines about bad objects there may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watcher/complain.h"

static void limit_of_a_minute(void **state)
{
	struct complain_limit l = {0};
	uint32_t unsaid;

	(void)state;
	for (unsigned i = 1; i < COMPLAIN_MAX; i++) {
		assert_int_equal(complain_ask(&l, 5000 + i, &unsaid), COMPLAIN_SAY);
		assert_int_equal(unsaid, 0);
	}
	assert_int_equal(complain_ask(&l, 6000, &unsaid), COMPLAIN_LAST);
	for (int i = 0; i < 7; i++)
		assert_int_equal(
		    complain_ask(&l, 5000 + COMPLAIN_WINDOW_MS, &unsaid), COMPLAIN_SILENT);
	assert_int_equal(complain_ask(&l, 5001 + COMPLAIN_WINDOW_MS, &unsaid), COMPLAIN_SAY);
	assert_int_equal(unsaid, 7);
	assert_int_equal(complain_ask(&l, 5002 + COMPLAIN_WINDOW_MS, &unsaid), COMPLAIN_SAY);
	assert_int_equal(unsaid, 0);
}

static void a_line_a_minute_is_never_silent(void **state)
{
	struct complain_limit l = {0};
	uint32_t unsaid;

	(void)state;
	for (uint64_t i = 0; i < 3 * COMPLAIN_MAX; i++) {
		assert_int_equal(complain_ask(&l, i * COMPLAIN_WINDOW_MS, &unsaid), COMPLAIN_SAY);
		assert_int_equal(unsaid, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(limit_of_a_minute),
	    cmocka_unit_test(a_line_a_minute_is_never_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
