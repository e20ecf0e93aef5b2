#include "planner/metrics.h"

#include <string.h>

#include "ipc/metrics.h"

static void describe_channels(const struct planner *p, uint64_t bytes[METRICS_CHANNELS])
{
	bytes[METRICS_FROM_WATCHER] = channel_unread(p->watcher);
	bytes[METRICS_TO_APPLIER] = channel_unsent(p->applier);
	bytes[METRICS_FROM_APPLIER] = channel_unread(p->applier);
	bytes[METRICS_TO_LISTENER] = channel_unsent(p->listener);
	bytes[METRICS_TO_RELAY] = p->relay != NULL ? channel_unsent(p->relay) : 0;
}

static void tell_all(struct planner *p)
{
	struct metrics_planner *m = &p->stats.m.planner;

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
}

const char *metrics_answer(struct planner *p, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why == NULL && p->use_asked)
		why = "metrics asked for again before the answer";
	if (why != NULL)
		return why;
	if (p->relay == NULL) {
		tell_all(p);
		return NULL;
	}
	p->use_asked = true;
	metrics_encode_request(&p->frame);
	channel_send_wait(p->relay, &p->frame);
	return NULL;
}

const char *metrics_relay_use(struct planner *p, struct cursor *c)
{
	const char *why = metrics_decode_use(c, &p->stats.m.planner.relay);

	if (why == NULL && !p->use_asked)
		why = "what it uses, and nobody asked";
	if (why != NULL)
		return why;
	p->use_asked = false;
	tell_all(p);
	return NULL;
}
