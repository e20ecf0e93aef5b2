/* The audit log's allowance: once it is used up, a transaction has one line before it is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "applier/audit.h"

static struct policy policy;

static size_t count(const char *words)
{
	off_t len = lseek(policy.audit_fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)len + 1);
	size_t n = 0;

	assert_int_equal(pread(policy.audit_fd, text, (size_t)len, 0), len);
	for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
		n++;
	free(text);
	return n;
}

static void one_line_without_words(void **state)
{
	uint64_t generation = 0;

	(void)state;
	do { /* a minute may end meanwhile */
		audit_begin(++generation);
		for (int i = 0; i < AUDIT_CHANGES_MAX; i++)
			audit_change(&policy, "adds", "something");
		assert_true(audit_ready(&policy));
		audit_begin(++generation);
	} while (audit_wants_words());
	for (int i = 0; i < 1000; i++) {
		audit_change(&policy, "adds", "");
		assert_true(audit_ready(&policy));
	}
	assert_int_equal(count("changes without words"), 1);
	assert_int_equal(audit_unnamed(), 1000);
}

static void nothing_is_ready_without_a_line(void **state)
{
	struct policy broken = {.audit_fd = -1};

	(void)state;
	audit_begin(1);
	audit_change(&broken, "adds", "something");
	assert_false(audit_ready(&broken));
	audit_begin(2);
	assert_false(audit_ready(&broken));
	assert_false(audit_ready(&broken)); /* and stays so */
	audit_begin(3);
	assert_true(audit_ready(&policy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_line_without_words),
	    cmocka_unit_test(nothing_is_ready_without_a_line),
	};

	policy.audit_fd = memfd_create("audit", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
