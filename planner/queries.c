#include "planner/queries.h"

#include <string.h>

#include "common/log.h"
#include "planner/sync.h"

/* Strangers may ask for differences; the applier reads all its tables for it. */
#define LOOK_PERIOD_S 1

static void on_look_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	queries_go_on(arg);
}

void queries_start(struct planner *p, struct event_base *base)
{
	p->queries.look_again = evtimer_new(base, on_look_again, p);
	if (p->queries.look_again == NULL)
		fatal(EXIT_FAILED, "out of memory for timers");
}

static struct plan_view view_of(struct planner *p)
{
	struct plan_view view = plan_view(p->plan);

	view.leftovers = &p->leftovers;
	return view;
}

/* --- parts --- */

static void end(struct queries *q)
{
	q->open = false;
	inspection_clear(&q->now);
}

static void send_part(struct planner *p)
{
	struct queries *q = &p->queries;
	struct inspection *i = &q->now;
	const size_t len = i->out.len < QUERY_PART_MAX ? i->out.len : QUERY_PART_MAX;
	const bool last = i->ended && len == i->out.len;

	query_encode_answer(&p->frame, i->status, last, i->out.text, len);
	channel_send(p->listener, &p->frame);
	report_take(&i->out, len);
	q->owed = false;
	q->sent = true;
	if (last)
		end(q);
}

/* Differences are told once a snapshot has come, and no more often than strangers may ask. */
static void look(struct planner *p)
{
	const struct timeval period = {LOOK_PERIOD_S, 0};
	const struct plan_view view = view_of(p);

	if (p->queries.looking || event_pending(p->queries.look_again, EV_TIMEOUT, NULL) ||
	    !sync_quiet(p))
		return;
	diff_begin(&p->queries.diff, &view);
	event_add(p->queries.look_again, &period);
	sync_look(p);
}

void queries_go_on(struct planner *p)
{
	struct queries *q = &p->queries;
	const char *failing = sync_failing(p);
	struct plan_view view;

	if (!q->open || !q->owed)
		return;
	if (!q->now.ended && failing != NULL) {
		inspection_refuse(&q->now, 503, failing);
	} else if (!q->now.ended) {
		if (q->now.query.kind == QUERY_DIFF) {
			look(p);
			return;
		}
		if (!plan_ready(p->plan) || plan_waiting(p->plan))
			return; /* until it is planned */
		if (!q->sent)
			q->generation = p->apply.generation;
		q->now.changed |= q->generation != p->apply.generation;
		view = view_of(p);
		inspection_write(&q->now, &view);
	}
	send_part(p);
}

/* --- the snapshot for differences --- */

/* Its last part came. */
static void looked(struct planner *p)
{
	struct queries *q = &p->queries;
	const struct plan_view view = view_of(p);
	struct inspection unheard = {0}; /* nobody waits for it: the drift counts all the same */
	struct inspection *i =
	    q->open && q->now.query.kind == QUERY_DIFF && !q->now.ended ? &q->now : &unheard;

	q->looking = false;
	if (inspection_differences(i, &view, &q->diff) > 0)
		p->drifted = true; /* the applier takes what it read for what was written */
	diff_clear(&q->diff);
	inspection_clear(&unheard);
	sync_go_on(p);
}

const char *queries_snapshot(struct planner *p, const struct txn_snapshot *part)
{
	const char *why = diff_add(&p->queries.diff, part);

	if (why == NULL && part->last)
		looked(p);
	return why;
}

const char *queries_nft_snapshot(struct planner *p, const struct nft_snapshot *part)
{
	diff_add_nft(&p->queries.diff, &p->cfg, part);
	if (part->last)
		looked(p);
	return NULL;
}

/* --- messages --- */

static const char *on_ask(struct planner *p, struct cursor *c)
{
	struct queries *q = &p->queries;
	struct query asked;
	const char *why = query_decode_ask(c, &asked);

	if (why == NULL && q->open)
		why = "a query while another one is being answered";
	if (why != NULL)
		return why;
	inspection_begin(&q->now, &asked);
	q->open = q->owed = true;
	q->sent = false;
	queries_go_on(p);
	return NULL;
}

static const char *go_on(struct queries *q, const struct cursor *c)
{
	const char *why = cursor_end(c);

	return why == NULL && (!q->open || q->owed) ? "there is nothing to go on with" : why;
}

const char *queries_message(void *arg, unsigned type, struct cursor *c)
{
	struct planner *p = arg;
	const char *why;

	switch (type) {
	case QUERY_ASK:
		return on_ask(p, c);
	case QUERY_MORE:
		why = go_on(&p->queries, c);
		if (why == NULL) {
			p->queries.owed = true;
			queries_go_on(p);
		}
		return why;
	case QUERY_STOP:
		why = go_on(&p->queries, c);
		if (why == NULL)
			end(&p->queries);
		return why;
	default:
		return "an unknown message type";
	}
}
