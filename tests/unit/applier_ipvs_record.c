/* Which virtual servers are ours, against a plain list. */
#include <stdlib.h>

#include "applier/ipvs_record.h"
#include "tests/unit/applier_fixture.h"

#define ITEMS 3000

static struct ipvs_item server(unsigned n)
{
	struct ipvs_item i = {.kind = IPVS_SERVER,
	    .family = (uint8_t)(n % 2),
	    .addr = {(uint8_t)(n % 2), {10, (uint8_t)(n >> 8), (uint8_t)n, 1}},
	    .proto = n % 3 == 0 ? IPPROTO_UDP : IPPROTO_TCP,
	    .port = (uint16_t)(n + 1)};

	return i;
}

static void it_has_what_was_put_and_not_dropped(void **state)
{
	struct ipvs_record t = {.key = {1, 2}};
	static bool has[ITEMS];
	size_t count = 0;

	(void)state;
	srandom(7);
	for (int step = 0; step < 60000; step++) {
		const unsigned n = (unsigned)random() % ITEMS;
		const struct ipvs_item i = server(n);

		/* grows, and gets empty again */
		if (random() % 100 < (step < 30000 ? 70 : 30)) {
			assert_true(ipvs_record_put(&t, IPVS_SERVER, &i));
			count += !has[n];
			has[n] = true;
		} else {
			ipvs_record_drop(&t, IPVS_SERVER, &i);
			count -= has[n];
			has[n] = false;
		}
		assert_int_equal(t.used, count);
		if (step % 1000 != 0)
			continue;
		for (unsigned k = 0; k < ITEMS; k++) {
			const struct ipvs_item of = server(k);

			assert_int_equal(ipvs_record_has(&t, IPVS_SERVER, &of), has[k]);
		}
	}
	assert_true(t.size >= 2 * t.used && t.size <= 8192);
	ipvs_record_clear(&t);
	assert_null(t.slots);
	assert_false(ipvs_record_has(&t, IPVS_SERVER, &(struct ipvs_item){.family = FAMILY_4}));
}

/* A real server names its virtual one; an address is one of every port. */
static void a_key_is_of_the_fields_of_its_kind(void **state)
{
	struct ipvs_record t = {0};
	struct ipvs_item i = server(2);

	(void)state;
	assert_true(ipvs_record_put(&t, IPVS_SERVER, &i));
	assert_true(ipvs_record_put(&t, IPVS_ADDRESS, &i));
	i.kind = IPVS_REAL;
	i.to = addr("10.1.0.1");
	i.to_port = 8080;
	i.value = 1;
	assert_true(ipvs_record_has(&t, IPVS_SERVER, &i));
	assert_false(ipvs_record_has(&t, IPVS_IPS, &i));
	i.port++;
	assert_false(ipvs_record_has(&t, IPVS_SERVER, &i));
	assert_true(ipvs_record_has(&t, IPVS_ADDRESS, &i));
	i.addr.b[0]++;
	assert_false(ipvs_record_has(&t, IPVS_ADDRESS, &i));
	ipvs_record_clear(&t);
}

static void it_is_bounded(void **state)
{
	struct ipvs_record t = {0};
	struct ipvs_item i = server(0);
	unsigned n = 0;

	(void)state;
	do {
		memcpy(i.addr.b, &n, sizeof(n));
		n++;
	} while (ipvs_record_put(&t, IPVS_SERVER, &i));
	assert_int_equal(n - 1, IPVS_RECORD_MAX / 2);
	assert_false(ipvs_record_has(&t, IPVS_SERVER, &i));
	ipvs_record_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_has_what_was_put_and_not_dropped),
	    cmocka_unit_test(a_key_is_of_the_fields_of_its_kind),
	    cmocka_unit_test(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
