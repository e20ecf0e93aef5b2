/*
 * kube-proxy-listener: every socket that strangers can reach, and nothing else. It holds no
 * credential and no capability, reads no file and connects to nobody; from the planner it only
 * learns how the proxy is.
 */
#include <errno.h>
#include <event2/event.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/status.h"
#include "listener/health.h"
#include "listener/http.h"

/* Connections at a time, of each server its own: a flood on one leaves the others alone. */
#define HEALTH_CONNECTIONS_MAX	128
#define METRICS_CONNECTIONS_MAX 128

/* Connections, the descriptors of ipc/fds.h, libevent's own, and some air. */
#define FDS_MAX (HEALTH_CONNECTIONS_MAX + METRICS_CONNECTIONS_MAX + 64)

#define TCP_SOCKET (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

/* No connect, no open, no exec, no other kind of socket. */
static const struct sandbox_rule rules[] = {
    ALLOW_IF2(socket, 0, AF_INET, 1, TCP_SOCKET), /* a bind that failed is tried again */
    ALLOW_IF2(socket, 0, AF_INET6, 1, TCP_SOCKET),
    ALLOW(bind),
    ALLOW(listen),
    ALLOW(accept4),
    ALLOW(setsockopt),
    ALLOW(getsockopt),
    ALLOW(shutdown),
    ALLOW(close),
    ALLOW(read),
    ALLOW(readv),
    ALLOW(write),
    ALLOW(writev),
    ALLOW_IF(ioctl, 1, FIONREAD), /* evbuffer_read() asks how much there is */
    ALLOW(poll),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
};

struct listener {
	struct health health;
};

static void time_now(struct health_time *t)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &t->wall);
	t->mono_ms = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000;
}

static const char *on_status(void *arg, unsigned type, struct cursor *c)
{
	struct listener *l = arg;
	struct health_time now;
	struct status s;
	const char *why = status_decode(type, c, &s);

	if (why != NULL)
		return why;
	time_now(&now);
	switch ((enum status_message)type) {
	case STATUS_PENDING:
		health_pending(&l->health, &now);
		break;
	case STATUS_APPLIED:
		health_applied(&l->health, &now);
		break;
	case STATUS_NODE:
		health_node(&l->health, s.eligible);
		break;
	}
	return NULL;
}

static void answer_health(struct listener *l, bool with_node, struct http_reply *reply)
{
	struct health_time now;
	char body[HEALTH_BODY_MAX];
	bool good;

	time_now(&now);
	good = with_node ? health_is_ready(&l->health, &now) : health_is_live(&l->health, &now);
	reply->status = good ? 200 : 503;
	reply->content_type = "application/json";
	health_body(&l->health, &now, with_node, body, sizeof(body));
	evbuffer_add(reply->body, body, strlen(body));
}

static void answer_healthz(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)r;
	answer_health(arg, true, reply);
}

static void answer_livez(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)r;
	answer_health(arg, false, reply);
}

/* As upstream's metrics server has it: it says that it is there. */
static void answer_ok(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	(void)r;
	evbuffer_add(reply->body, "ok", 2);
}

static const struct http_route health_routes[] = {
    {"/healthz", answer_healthz, 0},
    {"/livez", answer_livez, 0},
};

static const struct http_route metrics_routes[] = {
    {"/healthz", answer_ok, 0},
};

static struct http_server *serve(
    struct event_base *base, unsigned connections, const struct http_server_options *options)
{
	struct http_pool *pool = http_pool_new(base, connections);
	struct http_server *s = pool != NULL ? http_server_new(pool, options) : NULL;

	if (s == NULL)
		fatal(EXIT_FAILED, "%s: out of memory", options->name);
	return s;
}

static void serve_health(struct listener *l, struct event_base *base, const struct config *cfg)
{
	const struct http_server_options options = {
	    .name = "health server",
	    .hint = " (--healthz-bind-address, --healthz-port 0 for none)",
	    .addr = cfg->healthz_addr,
	    .port = cfg->healthz_port,
	    .must_bind = cfg->bind_address_hard_fail,
	};

	if (options.port != 0)
		http_server_add(serve(base, HEALTH_CONNECTIONS_MAX, &options), health_routes,
		    sizeof(health_routes) / sizeof(health_routes[0]), l);
}

static void serve_metrics(struct listener *l, struct event_base *base, const struct config *cfg)
{
	const struct http_server_options options = {
	    .name = "metrics server",
	    .hint = " (--metrics-bind-address, --metrics-port 0 for none)",
	    .addr = cfg->metrics_addr,
	    .port = cfg->metrics_port,
	    .must_bind = cfg->bind_address_hard_fail,
	};
	struct http_server *s;

	if (options.port == 0)
		return;
	s = serve(base, METRICS_CONNECTIONS_MAX, &options);
	http_server_add(s, metrics_routes, sizeof(metrics_routes) / sizeof(metrics_routes[0]), l);
}

static void lock_down(void)
{
	static const char *const nothing[] = {NULL};
	const struct rlimit fds = {FDS_MAX, FDS_MAX};

	if (setrlimit(RLIMIT_NOFILE, &fds) != 0)
		fatal(EXIT_FAILED, "setrlimit(RLIMIT_NOFILE, %d): %s", FDS_MAX, strerror(errno));
	sandbox_no_new_privs();
	sandbox_landlock(nothing, 1);
	sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]));
}

int main(void)
{
	static struct config cfg;
	struct listener l;
	struct event_base *base;

	log_init("listener");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	health_init(&l.health, cfg.sync_period_ms);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "libevent has no event base");
	channel_new(base, LISTENER_FD_PLANNER, "the planner", on_status, &l);
	lock_down();
	serve_health(&l, base, &cfg);
	serve_metrics(&l, base, &cfg);
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
