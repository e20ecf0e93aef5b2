#include "planner/alive.h"

#include "ipc/health.h"

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

	if (why == NULL && !p->alive_asked)
		why = "ALIVE, and nobody asked";
	if (why != NULL)
		return why;
	p->alive_asked = false;
	txn_encode_alive(&p->frame);
	channel_send_wait(p->applier, &p->frame);
	return NULL;
}
