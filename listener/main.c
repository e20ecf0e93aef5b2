/*
 * kube-proxy-listener: every socket that strangers can reach, and nothing else. It holds no
 * credential and no capability, reads no file, and connects to nobody. From the planner it learns
 * how the proxy is, and where and what load balancers may ask. What is relayed does not come here:
 * kube-proxy-relay has a process of its own.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/profile.h"
#include "listener/http.h"
#include "listener/inspect.h"
#include "listener/lockdown.h"
#include "listener/pages.h"
#include "listener/profiling.h"
#include "listener/scrape.h"
#include "listener/service_health.h"
#include "listener/status_pages.h"

/* Connections at a time, of each server its own: a flood on one leaves the others alone. */
#define HEALTH_CONNECTIONS_MAX	128
#define METRICS_CONNECTIONS_MAX 128
#define SERVICE_CONNECTIONS_MAX 256

/* Connections, the descriptors of ipc/fds.h, libevent's own, and some air. */
#define FDS_OTHERS (HEALTH_CONNECTIONS_MAX + METRICS_CONNECTIONS_MAX + SERVICE_CONNECTIONS_MAX + 64)
/* ... and sockets of health check node ports, one for each of their addresses. */
#define FDS_MAX (FDS_OTHERS + 4096)

struct listener {
	struct channel *planner;
	struct frame frame;
	struct status_pages status;
	struct service_health *services;
	struct inspect *inspect;
	struct scrape scrape;
	struct pages pages;
	struct profiling profiling; /* zeroed without --profiling */
};

/* What the planner says, by who listens to it. */
static const char *on_message(void *arg, unsigned type, struct cursor *c)
{
	struct listener *l = arg;

	if (type == METRICS_ALL)
		return scrape_told(&l->scrape, c);
	if (type == PROFILE_PART && l->profiling.planner != NULL)
		return profiling_told(&l->profiling, c);
	if (type < HEALTH_PUT)
		return status_pages_message(&l->status, type, c);
	if (type == QUERY_ANSWER)
		return inspect_answer(l->inspect, c);
	return service_health_message(l->services, type, c);
}

/* As upstream's metrics server has it: it says that it is there. */
static void answer_ok(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	(void)r;
	evbuffer_add(reply->body, "ok", 2);
}

static const struct http_route metrics_routes[] = {
    {"/healthz", answer_ok, 0},
};

static const struct http_route scrape_routes[] = {
    {"/metrics", scrape_answer, 0},
};

enum { HAS_PROFILING = 1 };

static const struct http_route profiling_routes[] = {
    {"/debug/pprof/profile", profiling_answer, HAS_PROFILING},
    {"/debug/pprof/heap", profiling_answer_heap, HAS_PROFILING},
};

static struct http_pool *new_pool(struct event_base *base, unsigned connections)
{
	struct http_pool *pool = http_pool_new(base, connections);

	if (pool == NULL)
		fatal(EXIT_FAILED, "out of memory for connections");
	return pool;
}

static void add_routes(
    struct http_server *s, const struct http_route *routes, size_t count, void *arg)
{
	if (http_server_add(s, routes, count, arg) != 0)
		fatal(EXIT_FAILED, "more tables of routes than HTTP_TABLES_MAX");
}

static struct http_server *serve(
    struct event_base *base, unsigned connections, const struct http_server_options *options)
{
	struct http_server *s = http_server_new(new_pool(base, connections), options);

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
		add_routes(serve(base, HEALTH_CONNECTIONS_MAX, &options), status_routes,
		    status_route_count, &l->status);
}

static bool is_live(const void *arg)
{
	return status_pages_live(arg);
}

static void serve_services(struct listener *l, struct event_base *base, unsigned sockets)
{
	l->services = service_health_new(
	    new_pool(base, SERVICE_CONNECTIONS_MAX), sockets, is_live, &l->status);
	if (l->services == NULL)
		fatal(EXIT_FAILED, "out of memory for health check node ports");
}

static void serve_metrics(struct listener *l, struct event_base *base, const struct config *cfg)
{
	const struct http_server_options options = {
	    .name = "metrics server",
	    .hint = " (--metrics-bind-address, --metrics-port 0 for none)",
	    .addr = cfg->metrics_addr,
	    .port = cfg->metrics_port,
	    .must_bind = cfg->bind_address_hard_fail,
	    .has = cfg->profiling ? HAS_PROFILING : 0,
	};
	struct http_server *s;

	if (options.port == 0)
		return;
	s = serve(base, METRICS_CONNECTIONS_MAX, &options);
	add_routes(s, metrics_routes, sizeof(metrics_routes) / sizeof(metrics_routes[0]), NULL);
	add_routes(s, inspect_routes, INSPECT_ROUTES, l->inspect);
	add_routes(s, scrape_routes, 1, &l->scrape);
	add_routes(s, pages_routes, pages_route_count, &l->pages);
	add_routes(s, profiling_routes, sizeof(profiling_routes) / sizeof(profiling_routes[0]),
	    &l->profiling);
}

/* --- the service manager's watchdog --- */

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	if (!status_pages_live(&l->status))
		return;
	health_encode_alive(&l->frame);
	channel_send(l->planner, &l->frame);
}

/* Twice in the time in which it wants to hear of us (sd_watchdog_enabled(3)). */
static void feed_watchdog(struct listener *l, struct event_base *base, uint64_t within_ms)
{
	const uint64_t ms = within_ms / 2 > 0 ? within_ms / 2 : 1;
	const struct timeval every = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	struct event *timer = event_new(base, -1, EV_PERSIST, on_watchdog, l);

	if (timer == NULL || event_add(timer, &every) != 0)
		fatal(EXIT_FAILED, "out of memory for the watchdog");
}

/* --- set-up --- */

/* Afterwards no more can be opened. Returns how many sockets of health check node ports may be. */
static unsigned limit_fds(void)
{
	struct rlimit fds;

	if (getrlimit(RLIMIT_NOFILE, &fds) != 0)
		fatal(EXIT_FAILED, "getrlimit(RLIMIT_NOFILE): %s", strerror(errno));
	if (fds.rlim_max < FDS_MAX)
		log_warn("no more than %llu descriptors, where %u may be needed: of very many "
			 "health check node ports not all will be served (LimitNOFILE=)",
		    (unsigned long long)fds.rlim_max, FDS_MAX);
	if (fds.rlim_max > FDS_MAX)
		fds.rlim_max = FDS_MAX;
	fds.rlim_cur = fds.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &fds) != 0)
		fatal(EXIT_FAILED, "setrlimit(RLIMIT_NOFILE, %llu): %s",
		    (unsigned long long)fds.rlim_max, strerror(errno));
	return fds.rlim_max > FDS_OTHERS ? (unsigned)fds.rlim_max - FDS_OTHERS : 0;
}

int main(void)
{
	static struct config cfg;
	static struct listener l;
	struct event_base *base;
	unsigned sockets;

	log_init("listener");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	status_pages_init(&l.status, &cfg, &l.scrape.told.listener);
	pages_init(&l.pages, &cfg);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "libevent has no event base");
	l.planner = channel_new(base, LISTENER_FD_PLANNER, "the planner", on_message, &l);
	l.inspect = inspect_new(base, l.planner);
	if (l.inspect == NULL)
		fatal(EXIT_FAILED, "out of memory");
	l.scrape.mode = cfg.mode;
	l.scrape.planner = l.planner;
	scrape_init(&l.scrape);
	if (cfg.profiling)
		profiling_init(&l.profiling, base, l.planner);
	sockets = limit_fds();
	listener_lock_down();
	serve_services(&l, base, sockets);
	serve_health(&l, base, &cfg);
	serve_metrics(&l, base, &cfg);
	if (cfg.watchdog_ms > 0)
		feed_watchdog(&l, base, cfg.watchdog_ms);
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
