#include "planner/metrics.h"

#include <string.h>

#include "ipc/metrics.h"

static void describe_channels(const struct planner *p, uint64_t bytes[METRICS_CHANNELS])
{
	bytes[METRICS_FROM_WATCHER] = channel_unread(p->watcher);
	bytes[METRICS_TO_APPLIER] = channel_unsent(p->applier);
	bytes[METRICS_FROM_APPLIER] = channel_unread(p->applier);
	bytes[METRICS_TO_LISTENER] = channel_unsent(p->listener);
}

const char *metrics_answer(struct planner *p, struct cursor *c)
{
	struct metrics_planner *m = &p->stats.m.planner;
	const char *why = cursor_end(c);

	if (why != NULL)
		return why;
	plan_describe(p->plan, m);
	m->checks = p->checks;
	for (unsigned w = 0; w < LEFTOVERS_WHERES; w++)
		m->leftovers[w] = leftovers_rules(&p->leftovers, w);
	m->cleaner_failures = p->leftovers.failures;
	describe_channels(p, m->channels);
	process_read(&p->self, &m->process);
	process_read(&p->parent, &m->applier);
	metrics_encode_all(&p->frame, &p->stats.m);
	channel_send(p->listener, &p->frame);
	return NULL;
}
