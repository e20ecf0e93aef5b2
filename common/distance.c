#include "common/distance.h"

#include <ctype.h>
#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t distance(const char *name, const char *text, size_t len, size_t max)
{
	const size_t n = strnlen(name, DISTANCE_WORD_MAX), far = max + 1;
	size_t row[DISTANCE_WORD_MAX + 1];

	if (n >= DISTANCE_WORD_MAX || len >= DISTANCE_WORD_MAX || n > len + max || len > n + max)
		return far;
	for (size_t j = 0; j <= DISTANCE_WORD_MAX; j++)
		row[j] = j < far ? j : far;
	/* Only the cells within MAX of the diagonal can have a value of at most MAX. */
	for (size_t i = 1; i <= len; i++) {
		const size_t from = i > max + 1 ? i - max : 1, to = i + max < n ? i + max : n;
		size_t diagonal = row[from - 1];

		row[from - 1] = from == 1 && i < far ? i : far;
		for (size_t j = from; j <= to; j++) {
			const size_t above = j == i + max ? far : row[j];
			const int differ = tolower((unsigned char)text[i - 1]) !=
					   tolower((unsigned char)name[j - 1]);

			diagonal += (size_t)differ;
			diagonal = min3(above + 1, row[j - 1] + 1, diagonal);
			row[j] = diagonal < far ? diagonal : far;
			diagonal = above;
		}
	}
	return row[n];
}
