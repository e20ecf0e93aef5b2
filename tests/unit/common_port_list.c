/* Lists of ports as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/port_list.h"

static void test_valid(void **state)
{
	static const char *const good[] = {"", "1", "65535", "22,2379-2380,6443", "5-5", "1-65535"};
	static const char *const bad[] = {"0", "65536", "1-65536", "2-1", ",", "1,", ",1", "1,,2",
	    "1-", "-1", "a", "1 ", " 1", "1-2-3", "01", "0-5", "99999999999999999999", "1,x",
	    "1.2"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(port_list_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(port_list_valid(bad[i]));
}

static void test_has(void **state)
{
	static const char list[] = "22,2379-2380,10248-10259,65535";

	(void)state;
	for (unsigned port = 0; port <= UINT16_MAX; port++)
		assert_int_equal(port_list_has(list, (uint16_t)port),
		    port == 22 || port == 2379 || port == 2380 ||
			(port >= 10248 && port <= 10259) || port == 65535);
	assert_false(port_list_has("", 22));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid),
	    cmocka_unit_test(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
