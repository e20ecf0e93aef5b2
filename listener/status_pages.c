#include "listener/status_pages.h"

#include <string.h>
#include <time.h>

#include "ipc/status.h"

static void time_now(struct health_time *t)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &t->wall);
	t->mono_ms = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000;
}

void status_pages_init(
    struct status_pages *p, const struct config *cfg, struct metrics_listener *counts)
{
	p->counts = counts;
	health_init(&p->health, cfg->sync_period_ms);
}

bool status_pages_live(const struct status_pages *p)
{
	struct health_time now;

	time_now(&now);
	return health_is_live(&p->health, &now);
}

const char *status_pages_message(void *arg, unsigned type, struct cursor *c)
{
	struct status_pages *p = arg;
	struct health_time now;
	struct status s;
	const char *why = status_decode(type, c, &s);

	if (why != NULL)
		return why;
	time_now(&now);
	switch ((enum status_message)type) {
	case STATUS_PENDING:
		health_pending(&p->health, &now);
		break;
	case STATUS_APPLIED:
		health_applied(&p->health, &now);
		break;
	case STATUS_NODE:
		health_node(&p->health, s.eligible);
		break;
	}
	return NULL;
}

static void answer(const struct status_pages *p, bool with_node, struct http_reply *reply)
{
	struct health_time now;
	char body[HEALTH_BODY_MAX];
	bool good;

	time_now(&now);
	good = with_node ? health_is_ready(&p->health, &now) : health_is_live(&p->health, &now);
	reply->status = good ? 200 : 503;
	(with_node ? p->counts->healthz : p->counts->livez)[good ? PROBE_200 : PROBE_503]++;
	reply->content_type = "application/json";
	health_body(&p->health, &now, with_node, body, sizeof(body));
	evbuffer_add(reply->body, body, strlen(body));
}

static void answer_healthz(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)r;
	answer(arg, true, reply);
}

static void answer_livez(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)r;
	answer(arg, false, reply);
}

const struct http_route status_routes[] = {
    {"/healthz", answer_healthz, 0},
    {"/livez", answer_livez, 0},
};
const size_t status_route_count = sizeof(status_routes) / sizeof(status_routes[0]);
