/*
 * kube-proxy-planner: no capability, no network, no file system. Learns objects from the watcher,
 * decides what iptables should hold, asks the applier for the difference, and tells the listener
 * how far it is. With --dry-run prints what it would ask for and ends.
 */
#include <errno.h>
#include <event2/event.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/health.h"
#include "ipc/profile.h"
#include "ipc/relay.h"
#include "planner/alive.h"
#include "planner/dry_run.h"
#include "planner/metrics.h"
#include "planner/profiling.h"
#include "planner/sync.h"

static const struct sandbox_rule system_calls[] = {
    ALLOW(read), ALLOW(write), ALLOW(epoll_wait), ALLOW(epoll_pwait), ALLOW(epoll_ctl),
    ALLOW(poll),						/* channel_send_wait */
    ALLOW(pread64),						/* what we use, and the parent */
    ALLOW_IF(ioctl, 1, FIONREAD),				/* what waits in the channels */
    ALLOW_IF(ioctl, 1, TIOCOUTQ), ALLOW(ppoll), ALLOW(sysinfo), /* qsort(3) asks how much memory
								   there is before it takes some */
};

static const char *on_watcher(void *arg, unsigned type, struct cursor *c)
{
	if (type == HEALTH_ALIVE)
		return alive_watcher(arg, c);
	return type == PROFILE_PART ? profiling_part(arg, c) : sync_on_watcher(arg, type, c);
}

/* What the listener says, by who hears it. */
static const char *on_listener(void *arg, unsigned type, struct cursor *c)
{
	if (type == METRICS_REQUEST)
		return metrics_answer(arg, c);
	if (type == PROFILE_ASK)
		return profiling_ask(arg, c);
	if (type == HEALTH_ALIVE)
		return alive_listener(arg, c);
	return queries_message(arg, type, c);
}

static const char *on_relay(void *arg, unsigned type, struct cursor *c)
{
	if (type == METRICS_USE)
		return metrics_relay_use(arg, c);
	if (type == PROFILE_PART)
		return profiling_part(arg, c);
	if (type == HEALTH_ALIVE)
		return alive_relay(arg, c);
	return sync_on_relay(arg, type, c);
}

/* --- --dry-run --- */

static struct event *patience; /* pending: ServiceCIDRs may still come */

/* Not every apiserver has ServiceCIDRs, and they come when they come. */
static void on_patience(evutil_socket_t fd, short what, void *arg)
{
	struct planner *p = arg;

	(void)fd;
	(void)what;
	if (!plan_ready(p->plan))
		return; /* it is printed as soon as it is */
	log_warn(
	    "the apiserver does not list ServiceCIDRs: --policy-frontends has single ClusterIPs; "
	    "replace them by the cluster's service CIDR");
	dry_run_print(p->plan, &p->cfg);
}

static void be_patient(struct planner *p, struct event_base *base)
{
	const struct timeval limit = {5, 0};

	if (!p->cfg.suggest_policy || p->cfg.manifest_path[0] != '\0')
		return;
	patience = evtimer_new(base, on_patience, p);
	if (patience == NULL || event_add(patience, &limit) != 0)
		fatal(EXIT_FAILED, "out of memory for timers");
}

static bool is_patient(struct planner *p)
{
	return patience != NULL && event_pending(patience, EV_TIMEOUT, NULL) &&
	       plan_store(p->plan)->service_cidrs == NULL;
}

static const char *on_watcher_dry(void *arg, unsigned type, struct cursor *c)
{
	struct planner *p = arg;
	const char *why = feed_message(&p->feed, type, c);

	if (why != NULL)
		return why;
	if (plan_ready(p->plan) && !is_patient(p))
		dry_run_print(p->plan, &p->cfg);
	if (p->feed.node_told && plan_missing(p->plan) != NULL)
		fatal(EXIT_CONFIG, "no rules can be printed: node %s does not have %s",
		    p->cfg.node_name, plan_missing(p->plan));
	return NULL;
}

/* --- set-up --- */

static void lock_down(void)
{
	static const char *const nothing[] = {NULL};

	sandbox_no_new_privs();
	sandbox_landlock(nothing, 0);
	sandbox_seccomp(system_calls, sizeof(system_calls) / sizeof(system_calls[0]));
}

static void connect_peers(struct planner *p, struct event_base *base)
{
	if (p->cfg.dry_run) {
		channel_new(base, PLANNER_FD_WATCHER, "the watcher", on_watcher_dry, p);
		be_patient(p, base);
		dry_run_assume_nothing(p->plan, &p->cfg);
		return;
	}
	p->watcher = channel_new(base, PLANNER_FD_WATCHER, "the watcher", on_watcher, p);
	p->applier = channel_new(base, PLANNER_FD_APPLIER, "the applier", sync_on_applier, p);
	p->listener = channel_new(base, PLANNER_FD_LISTENER, "the listener", on_listener, p);
	if (relays_wanted(&p->cfg))
		p->relay = channel_new(base, PLANNER_FD_RELAY, "the broker", on_relay, p);
	leftovers_start(&p->leftovers, base, PLANNER_FD_CLEANER);
	profiling_start(p, base);
	process_open(&p->self);
	process_adopt(&p->parent, PLANNER_FD_PARENT_STAT);
}

int main(void)
{
	static char policy[NODE_POLICY_TEXT_MAX];
	static struct planner p;
	struct event_base *base;

	log_init("planner");
	signal(SIGPIPE, SIG_IGN); /* write() tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&p.cfg, FD_CONFIG);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "no event base: %s", strerror(errno));
	log_info("policy: %s", node_policy_text(&p.cfg.policy, policy));
	p.plan = plan_new(&p.cfg);
	feed_init(&p.feed, p.plan, &p.stats);
	connect_peers(&p, base);
	lock_down();
	if (!p.cfg.dry_run)
		sync_start(&p, base);
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}
