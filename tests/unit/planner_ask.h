/* Queries about a world. */
#ifndef TESTS_PLANNER_ASK_H
#define TESTS_PLANNER_ASK_H

#include "planner_world.h"

#include "planner/inspection.h"

/* The whole answer. It must be freed. */
static inline char *ask(struct world *w, const char *url)
{
	const struct plan_view view = plan_view(w->plan);
	struct inspection i = {0};
	char *text = NULL;
	size_t len = 0;
	struct query q;

	assert_null(query_parse_url(&q, url));
	inspection_begin(&i, &q);
	do {
		inspection_write(&i, &view);
		text = realloc(text, len + i.out.len + 1);
		assert_non_null(text);
		memcpy(text + len, i.out.text, i.out.len);
		len += i.out.len;
		report_take(&i.out, i.out.len);
	} while (!i.ended);
	text[len] = '\0';
	inspection_clear(&i);
	return text;
}

static inline void assert_says(struct world *w, const char *url, const char *want)
{
	char *text = ask(w, url);

	if (strstr(text, want) == NULL)
		fail_msg("%s: no \"%s\" in\n%s", url, want, text);
	free(text);
}

static inline void assert_says_not(struct world *w, const char *url, const char *unwanted)
{
	char *text = ask(w, url);

	if (strstr(text, unwanted) != NULL)
		fail_msg("%s: \"%s\" in\n%s", url, unwanted, text);
	free(text);
}

#endif
