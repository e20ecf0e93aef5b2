/* Who is next: turns, clients that are remembered, and forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/balance.h"

static struct balance_table table;
static struct balance relay, other;

static int start(void **state)
{
	static const struct siphash_key key = {1, 2};

	(void)state;
	balance_table_init(&table, &key);
	balance_init(&relay, &table, 0);
	balance_init(&other, &table, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	balance_clear(&relay);
	balance_clear(&other);
	assert_int_equal(table.count, 0);
	balance_table_clear(&table);
	return 0;
}

static struct ip_addr client(uint32_t n)
{
	struct ip_addr a = {FAMILY_4, {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};

	return a;
}

/* Endpoints 10.1.0.FIRST to 10.1.0.LAST. */
static void set(struct balance *b, uint8_t first, uint8_t last, uint32_t seconds)
{
	uint32_t count = last >= first ? last - first + 1u : 0;
	struct relay_endpoint *e = calloc(count + 1, sizeof(*e));

	assert_non_null(e);
	for (uint32_t i = 0; i < count; i++)
		e[i] = (struct relay_endpoint){{FAMILY_4, {10, 1, 0, (uint8_t)(first + i)}}, 8080};
	balance_set(b, e, count, seconds);
}

/* The last byte of whom client N gets at MS; 0: nobody. */
static unsigned chosen(struct balance *b, uint32_t n, bool anew, uint64_t ms)
{
	struct relay_endpoint e;
	struct ip_addr a = client(n);

	return balance_choose(b, &a, anew, ms, &e) ? e.addr.b[3] : 0;
}

static void turns(void **state)
{
	(void)state;
	assert_int_equal(chosen(&relay, 1, false, 0), 0);
	set(&relay, 1, 3, 0);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(chosen(&relay, 1, false, 0), 1 + i % 3);
	set(&relay, 2, 3, 0); /* the turn goes on, whoever is there */
	assert_int_equal(chosen(&relay, 1, false, 0) + chosen(&relay, 1, false, 0), 5);
	set(&relay, 1, 0, 0);
	assert_int_equal(chosen(&relay, 1, false, 0), 0);
}

static void clients_stick(void **state)
{
	unsigned first[12];

	(void)state;
	set(&relay, 1, 3, 100);
	set(&other, 1, 3, 0);
	for (uint32_t i = 0; i < 12; i++)
		first[i] = chosen(&relay, i, false, 0);
	for (uint32_t i = 0; i < 12; i++) {
		assert_int_equal(chosen(&relay, i, false, 99999), first[i]);
		chosen(&other, i, false, 0); /* another relay's affair */
	}
	assert_int_equal(table.count, 12);
	/* used at 99,999 ms, they last till 199,999 */
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(chosen(&relay, i, false, 199998), first[i]);
	chosen(&relay, 99, false, 199998); /* one more turn: who is forgotten gets another */
	for (uint32_t i = 0; i < 12; i++)
		assert_int_not_equal(chosen(&relay, i, false, 299998), first[i]);
}

/* Who did not answer is not asked again, by this client. */
static void anew(void **state)
{
	unsigned was, is;

	(void)state;
	set(&relay, 1, 2, 100);
	was = chosen(&relay, 1, false, 0);
	is = chosen(&relay, 1, true, 0);
	assert_int_not_equal(was, is);
	assert_int_equal(chosen(&relay, 1, false, 0), is);
	assert_int_equal(table.count, 1);
}

static void an_endpoint_leaves(void **state)
{
	unsigned first[6];

	(void)state;
	set(&relay, 1, 3, 100);
	for (uint32_t i = 0; i < 6; i++)
		first[i] = chosen(&relay, i, false, 0);
	set(&relay, 2, 3, 100);
	assert_int_equal(table.count, 4);
	for (uint32_t i = 0; i < 6; i++) {
		unsigned now = chosen(&relay, i, false, 1);

		assert_int_not_equal(now, 1);
		if (first[i] != 1)
			assert_int_equal(now, first[i]);
	}
	set(&relay, 2, 3, 0); /* no affinity any more */
	assert_int_equal(table.count, 0);
}

static void the_longest_unused_makes_room(void **state)
{
	unsigned first, second;

	(void)state;
	set(&relay, 1, 200, 86400);
	first = chosen(&relay, 0, false, 0);
	second = chosen(&relay, 1, false, 0);
	for (uint32_t i = 2; i < BALANCE_CLIENTS_MAX; i++)
		chosen(&relay, i, false, i);
	assert_int_equal(table.count, BALANCE_CLIENTS_MAX);
	assert_int_equal(chosen(&relay, 0, false, 100000), first);
	chosen(&other, 7, false, 100000);
	set(&other, 1, 200, 86400);
	chosen(&other, 7, false, 100000); /* one more than fit: of all relays together */
	assert_int_equal(table.count, BALANCE_CLIENTS_MAX);
	assert_int_equal(chosen(&relay, 0, false, 100000), first);
	/* the next turn is not the one it had by chance: 65,537 choices of 200 */
	assert_int_not_equal(chosen(&relay, 1, false, 100000), second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(turns, start, end),
	    cmocka_unit_test_setup_teardown(clients_stick, start, end),
	    cmocka_unit_test_setup_teardown(anew, start, end),
	    cmocka_unit_test_setup_teardown(an_endpoint_leaves, start, end),
	    cmocka_unit_test_setup_teardown(the_longest_unused_makes_room, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
