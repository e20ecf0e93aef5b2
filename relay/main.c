/*
 * kube-proxy-relay: in userspace mode, and for node ports on loopback addresses, what passes
 * Services' traffic on to endpoints. It holds no credential and no capability, reads no file, and
 * connects to nobody: kube-proxy-broker does, to the endpoints that the planner gives. Exists only
 * where something is relayed.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/process.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/health.h"
#include "ipc/metrics.h"
#include "ipc/profiled.h"
#include "relay/lockdown.h"
#include "relay/relays.h"

/* Sixty thousand connections, if the limit that was inherited allows it. */
#define FDS_MAX 131072
/* Those of ipc/fds.h, libevent's own, and some air. */
#define FDS_OTHERS 64

struct relay_process {
	struct channel *planner; /* by the broker, which passes all on */
	struct relays *relays;
	struct process_stat self;
	struct frame frame;
};

/* The planner may be waiting for us to read: answers wait in a queue. */
static const char *answer_use(struct relay_process *r, struct cursor *c)
{
	const char *why = cursor_end(c);
	struct metrics_relay use = {0};

	if (why != NULL)
		return why;
	process_read(&r->self, &use.process);
	metrics_encode_use(&r->frame, &use);
	channel_send(r->planner, &r->frame);
	return NULL;
}

static const char *answer_alive(struct relay_process *r, struct cursor *c)
{
	const char *why = cursor_end(c);

	if (why != NULL)
		return why;
	health_encode_alive(&r->frame);
	channel_send(r->planner, &r->frame);
	return NULL;
}

static const char *on_planner(void *arg, unsigned type, struct cursor *c)
{
	struct relay_process *r = arg;

	if (type == METRICS_REQUEST)
		return answer_use(r, c);
	if (type == HEALTH_ALIVE)
		return answer_alive(r, c);
	if (type >= RELAY_PROXY_PORT_OPEN && type <= RELAY_LAST)
		return relays_message(r->relays, type, c);
	return profiled_message(type, c);
}

/* Afterwards no more can be opened. Returns how many are for relays. */
static unsigned limit_fds(void)
{
	struct rlimit fds;

	if (getrlimit(RLIMIT_NOFILE, &fds) != 0)
		fatal(EXIT_FAILED, "getrlimit(RLIMIT_NOFILE): %s", strerror(errno));
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
	static struct relay_process r;
	struct event_base *base;

	log_init("relay");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "libevent has no event base");
	process_open(&r.self);
	r.planner = channel_new(base, RELAY_FD_BROKER, "the broker", on_planner, &r);
	if (cfg.profiling)
		profiled_start(base, r.planner, channel_send);
	r.relays = relays_new(base, &cfg, r.planner, RELAY_FD_DIAL, limit_fds());
	relay_lock_down();
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
