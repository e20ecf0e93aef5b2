/*
 * kube-proxy-broker: connects for the relay, which may not. The planner's messages for the relay
 * come through here, so that it knows each relay's endpoints before the relay does; to these it
 * connects, and hands the socket on. It reads nothing that a client or an endpoint sends.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "broker/connect.h"
#include "broker/endpoints.h"
#include "broker/lockdown.h"
#include "common/log.h"
#include "common/process.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/health.h"
#include "ipc/metrics.h"
#include "ipc/profile.h"

struct broker {
	struct channel *planner, *relay;
	struct endpoints endpoints;
	struct connects connects;
	struct process_stat self;
	struct frame frame;
};

static const char *look_at(struct broker *b, unsigned type, struct cursor *c)
{
	switch (type) {
	case RELAY_PROXY_PORT_OPEN:
		return endpoints_open(&b->endpoints, c);
	case RELAY_BACKENDS:
		return endpoints_set(&b->endpoints, c);
	case RELAY_PROXY_PORT_CLOSE:
		return endpoints_close(&b->endpoints, c);
	case METRICS_REQUEST:
	case HEALTH_ALIVE:
	case PROFILE_ASK:
		return NULL; /* the relay's to judge */
	default:
		return "an unknown message type";
	}
}

/* The relay never waits for us, so that the planner may be made to. */
static const char *on_planner(void *arg, unsigned type, struct cursor *c)
{
	struct broker *b = arg;
	const char *why = look_at(b, type, c);

	if (why == NULL)
		channel_pass_wait(b->relay, b->planner);
	return why;
}

/* What the relay uses, and what we do. */
static const char *add_use(struct broker *b, struct cursor *c)
{
	struct metrics_relay use;
	const char *why = metrics_decode_use(c, &use);

	if (why != NULL)
		return why;
	process_read(&b->self, &use.broker);
	metrics_encode_use(&b->frame, &use);
	channel_send(b->planner, &b->frame);
	return NULL;
}

static const char *on_relay(void *arg, unsigned type, struct cursor *c)
{
	struct broker *b = arg;

	if (type == METRICS_USE)
		return add_use(b, c);
	if (type != RELAY_PROXY_PORT && type != HEALTH_ALIVE && type != PROFILE_PART)
		return "an unknown message type";
	channel_pass(b->planner, b->relay);
	return NULL;
}

int main(void)
{
	static struct config cfg;
	static struct broker b;
	struct event_base *base;

	log_init("broker");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "libevent has no event base");
	process_open(&b.self);
	b.planner = channel_new(base, BROKER_FD_PLANNER, "the planner", on_planner, &b);
	b.relay = channel_new(base, BROKER_FD_RELAY, "the relay", on_relay, &b);
	b.connects.fd = BROKER_FD_DIAL;
	b.endpoints.policy = &cfg.policy;
	b.connects.endpoints = &b.endpoints;
	channel_new(base, BROKER_FD_DIAL, "the relay", connect_request, &b.connects);
	broker_lock_down();
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
