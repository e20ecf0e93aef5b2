#include "watcher/flag_suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/distance.h"
#include "watcher/setting.h"

#define NAMED_MAX 4 /* more are no help */

/* What was typed, as flags are written: lower case, "-" for "_". */
struct typed {
	char text[DISTANCE_WORD_MAX];
	size_t len;
};

static bool begins(const struct setting *row, const struct typed *t)
{
	return t->len >= 2 && strncmp(row->flag, t->text, t->len) == 0;
}

/* As whole words between dashes. */
static bool contains(const struct setting *row, const struct typed *t)
{
	const char *at = row->flag;

	if (t->len < 3)
		return false;
	while ((at = strstr(at, t->text)) != NULL) {
		if ((at == row->flag || at[-1] == '-') && (at[t->len] == '\0' || at[t->len] == '-'))
			return true;
		at++;
	}
	return false;
}

static const struct setting *nearest(const struct typed *t)
{
	const struct setting *row, *best = NULL;
	size_t least = t->len / 3 + 1;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		size_t d =
		    row->flag != NULL ? distance(row->flag, t->text, t->len, least - 1) : least;

		if (d < least) {
			least = d;
			best = row;
		}
		if (least == 0)
			break;
	}
	return best;
}

/*
 * The flags that FITS, of those with an effect or of the others: named if they are few, else how
 * many they are. False if there is none.
 */
static bool name_all(const struct typed *t,
    bool (*fits)(const struct setting *row, const struct typed *t), bool effect,
    char buf[FLAG_SUGGEST_MAX])
{
	const struct setting *row, *found[NAMED_MAX];
	size_t count = 0, n;

	for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
		if (row->flag == NULL || ((row->marks & NO_EFFECT) == 0) != effect || !fits(row, t))
			continue;
		if (count < NAMED_MAX)
			found[count] = row;
		count++;
	}
	if (count == 0)
		return false;
	if (count > NAMED_MAX) {
		snprintf(buf, FLAG_SUGGEST_MAX, "%zu flags have this in their names; ", count);
		return true;
	}
	n = (size_t)snprintf(buf, FLAG_SUGGEST_MAX, "did you mean ");
	for (size_t i = 0; i < count && n < FLAG_SUGGEST_MAX; i++) {
		const char *before = i == 0 ? "" : i + 1 == count ? " or " : ", ";

		n += (size_t)snprintf(
		    buf + n, FLAG_SUGGEST_MAX - n, "%s--%s", before, found[i]->flag);
	}
	if (n < FLAG_SUGGEST_MAX)
		snprintf(buf + n, FLAG_SUGGEST_MAX - n, "? ");
	return true;
}

const char *flag_suggest(const char *text, size_t len, char buf[FLAG_SUGGEST_MAX])
{
	const struct setting *row;
	struct typed t = {.len = len};

	buf[0] = '\0';
	if (len >= sizeof(t.text))
		return buf;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		t.text[i] = (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	if (name_all(&t, begins, true, buf) || name_all(&t, begins, false, buf))
		return buf;
	row = nearest(&t);
	if (row != NULL)
		snprintf(buf, FLAG_SUGGEST_MAX, "did you mean --%s? ", row->flag);
	else if (!name_all(&t, contains, true, buf))
		(void)name_all(&t, contains, false, buf);
	return buf;
}
