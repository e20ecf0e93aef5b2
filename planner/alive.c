#include "planner/alive.h"

#include "ipc/health.h"

static void tell_applier(struct planner *p)
{
	p->alive_asked = p->alive_of_relay = false;
	txn_encode_alive(&p->frame);
	channel_send_wait(p->applier, &p->frame);
}

const char *alive_listener(struct planner *p, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why != NULL || p->alive_asked)
		return why;
	p->alive_asked = true;
	health_encode_alive(&p->frame);
	channel_send_wait(p->watcher, &p->frame);
	return NULL;
}

const char *alive_watcher(struct planner *p, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why == NULL && (!p->alive_asked || p->alive_of_relay))
		why = "ALIVE, and nobody asked";
	if (why != NULL)
		return why;
	if (p->relay == NULL) {
		tell_applier(p);
		return NULL;
	}
	p->alive_of_relay = true;
	health_encode_alive(&p->frame);
	channel_send_wait(p->relay, &p->frame);
	return NULL;
}

const char *alive_relay(struct planner *p, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why == NULL && !p->alive_of_relay)
		why = "ALIVE, and nobody asked";
	if (why == NULL)
		tell_applier(p);
	return why;
}
