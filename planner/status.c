#include "planner/status.h"

#include <event2/event.h>
#include <string.h>

#include "common/log.h"
#include "planner/sync.h"

#define PAUSE_SECONDS 1

static uint8_t phase(const struct planner *p, const struct store *s)
{
	if (sync_retrying(p))
		return PHASE_RETRYING;
	if (!s->listed[KIND_SERVICE] || !s->listed[KIND_SLICE])
		return PHASE_LISTS;
	if (plan_missing(p->plan) != NULL)
		return PHASE_NODE;
	return p->synced ? PHASE_PROGRAMMED : PHASE_PROGRAMMING;
}

static uint8_t source(const struct planner *p)
{
	if (p->cfg.manifest_path[0] != '\0')
		return SOURCE_MANIFESTS;
	if (p->stats.m.watcher.source == METRICS_SOURCE_DOWN)
		return SOURCE_APISERVER_DOWN;
	return p->stats.m.watcher.source == METRICS_SOURCE_ANSWERS ? SOURCE_APISERVER
								   : SOURCE_APISERVER_NEW;
}

void status_changed(struct planner *p)
{
	static const struct timeval pause = {PAUSE_SECONDS, 0};
	const struct store *s = plan_store(p->plan);
	const struct txn_status now = {.phase = phase(p, s),
	    .source = source(p),
	    .services = (uint32_t)s->specs,
	    .endpoints = (uint32_t)s->endpoints};
	struct status_line *l = &p->status;

	if (event_pending(l->timer, EV_TIMEOUT, NULL) ||
	    (l->told && now.phase == l->last.phase && now.source == l->last.source &&
		now.services == l->last.services && now.endpoints == l->last.endpoints))
		return;
	l->told = true;
	l->last = now;
	txn_encode_status(&p->frame, &now);
	channel_send_wait(p->applier, &p->frame);
	if (event_add(l->timer, &pause) != 0)
		fatal(EXIT_FAILED, "out of memory for a timer");
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	status_changed(arg);
}

void status_start(struct planner *p, struct event_base *base)
{
	p->status.timer = evtimer_new(base, on_pause_over, p);
	if (p->status.timer == NULL)
		fatal(EXIT_FAILED, "out of memory for a timer");
	status_changed(p);
}
