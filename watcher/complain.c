#include "watcher/complain.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "common/log.h"

enum complain_verdict complain_ask(struct complain_limit *l, uint64_t now_ms, uint32_t *unsaid)
{
	*unsaid = 0;
	if (l->said == 0 || now_ms - l->since_ms >= COMPLAIN_WINDOW_MS) {
		*unsaid = l->unsaid;
		*l = (struct complain_limit){.since_ms = now_ms};
	}
	if (l->said >= COMPLAIN_MAX) {
		if (l->unsaid < UINT32_MAX)
			l->unsaid++;
		return COMPLAIN_SILENT;
	}
	return ++l->said == COMPLAIN_MAX ? COMPLAIN_LAST : COMPLAIN_SAY;
}

__attribute__((format(printf, 2, 0))) static void say(bool error, const char *fmt, va_list ap)
{
	static struct complain_limit limit;
	enum complain_verdict verdict;
	char text[1200];
	struct timespec t;
	uint32_t unsaid;

	clock_gettime(CLOCK_MONOTONIC, &t);
	verdict = complain_ask(
	    &limit, (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000, &unsaid);
	if (unsaid > 0)
		log_warn("%u more lines about objects were not logged", unsaid);
	if (verdict == COMPLAIN_SILENT)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (error)
		log_error("%s", text);
	else
		log_warn("%s", text);
	if (verdict == COMPLAIN_LAST)
		log_warn("%u lines about objects within a minute: the others of this minute are "
			 "not logged",
		    COMPLAIN_MAX);
}

void complain_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(true, fmt, ap);
	va_end(ap);
}

void complain_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(false, fmt, ap);
	va_end(ap);
}
