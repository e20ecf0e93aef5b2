/* What a process has used, as /proc/PID/stat says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/process.h"

#define REST " 0 -1 4194560 2000 0 0 0 150 50 0 0 20 0 1 0 12345 8192000 250 18446744073709551615"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	    {"77 (kube-proxy) S 1 77 77" REST " 1 1 0\n", true},
	    {"77 (a) b (c) 1 2) S 1 77 77" REST " 1 1 0\n", true},
	    {"77 (x) S 1 77 77" REST, true},
	    {"77 (x) S 1 77 77 0 -1 4194560", false},
	    {"77 kube-proxy S 1", false},
	    {")", false},
	    {"", false},
	};
	struct process_use use;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;

		memset(&use, 1, sizeof(use));
		assert_int_equal(process_parse(text, strlen(text), 1000000, &use), cases[i].good);
		assert_int_equal(use.cpu_us, cases[i].good ? 2000000 : 0);
		assert_int_equal(use.virtual_bytes, cases[i].good ? 8192000 : 0);
		assert_int_equal(
		    use.resident_bytes, cases[i].good ? 250 * sysconf(_SC_PAGESIZE) : 0);
		assert_int_equal(use.started_ms, cases[i].good ? 1000000 + 123450 : 0);
	}
}

static void test_ourselves(void **state)
{
	struct process_use before, use;
	struct process_stat p;
	struct timeval now;
	volatile char *memory;
	const size_t size = 32 * 1024 * 1024;

	(void)state;
	process_open(&p);
	assert_true(process_read(&p, &before));
	gettimeofday(&now, NULL);
	/* Begun in the last hour: what is not, is not this test. */
	assert_in_range(before.started_ms, (uint64_t)(now.tv_sec - 3600) * 1000,
	    (uint64_t)(now.tv_sec + 1) * 1000);
	memory = malloc(size);
	assert_non_null(memory);
	for (size_t i = 0; i < size; i += 512)
		memory[i] = 1;
	do
		assert_true(process_read(&p, &use));
	while (use.cpu_us == before.cpu_us); /* a tick goes by */
	assert_true(use.resident_bytes >= before.resident_bytes + size / 2);
	assert_true(use.virtual_bytes >= before.virtual_bytes + size / 2);
	assert_int_equal(use.started_ms, before.started_ms);
	free((void *)(uintptr_t)memory);
	close(p.fd);
	process_adopt(&p, -1);
	assert_false(process_read(&p, &use));
	assert_int_equal(use.resident_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_ourselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
