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

/* Connections, the descriptors of ipc/fds.h, libevent's own, and some air. */
#define FDS_MAX (HTTP_CONNECTIONS_MAX + 64)

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

static void on_request(void *arg, const char *path, struct http_reply *reply)
{
	struct listener *l = arg;
	bool healthz = strcmp(path, "/healthz") == 0;
	struct health_time now;
	bool good;

	if (!healthz && strcmp(path, "/livez") != 0) {
		reply->status = 404;
		return;
	}
	time_now(&now);
	good = healthz ? health_is_ready(&l->health, &now) : health_is_live(&l->health, &now);
	reply->status = good ? 200 : 503;
	reply->content_type = "application/json";
	health_body(&l->health, &now, healthz, reply->body, sizeof(reply->body));
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
	if (cfg.healthz_port != 0 && http_server_new(base, &cfg.healthz_addr, cfg.healthz_port,
					 cfg.bind_address_hard_fail, on_request, &l) == NULL)
		fatal(EXIT_FAILED, "health server: out of memory");
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
