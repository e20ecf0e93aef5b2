/* The distance of words, against the textbook's table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/distance.h"

static size_t by_the_book(const char *a, const char *b)
{
	static size_t t[DISTANCE_WORD_MAX][DISTANCE_WORD_MAX];
	const size_t n = strlen(a), m = strlen(b);

	for (size_t i = 0; i <= n; i++)
		for (size_t j = 0; j <= m; j++) {
			size_t least = i + j;

			if (i > 0 && j > 0) {
				least = t[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
				if (t[i - 1][j] + 1 < least)
					least = t[i - 1][j] + 1;
				if (t[i][j - 1] + 1 < least)
					least = t[i][j - 1] + 1;
			}
			t[i][j] = least;
		}
	return t[n][m];
}

static void word(char *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)('a' + rand() % 3);
	to[len] = '\0';
}

static void random_words(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char a[16], b[16];
		size_t want, max;

		word(a, (size_t)rand() % 12);
		word(b, (size_t)rand() % 12);
		want = by_the_book(a, b);
		max = (size_t)rand() % 14;
		if (want > max)
			want = max + 1;
		if (distance(a, b, strlen(b), max) != want)
			fail_msg("%s %s at most %zu: %zu, expected %zu", a, b, max,
			    distance(a, b, strlen(b), max), want);
	}
}

static void bounds(void **state)
{
	char longest[DISTANCE_WORD_MAX], too_long[DISTANCE_WORD_MAX + 1];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[DISTANCE_WORD_MAX - 1] = '\0';
	memset(too_long, 'x', sizeof(too_long));
	too_long[DISTANCE_WORD_MAX] = '\0';
	assert_int_equal(distance(longest, longest, strlen(longest), 0), 0);
	assert_int_equal(distance(longest, longest, strlen(longest), DISTANCE_WORD_MAX), 0);
	assert_int_equal(distance(too_long, longest, strlen(longest), 3), 4);
	assert_int_equal(distance(longest, too_long, strlen(too_long), 3), 4);
	assert_int_equal(distance("", "", 0, 0), 0);
	assert_int_equal(distance("kube-Proxy", "KUBE-proxies", 10, 3), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_words),
	    cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
