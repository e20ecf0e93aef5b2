#include "watcher/stats.h"

#include <string.h>

#include "common/log.h"
#include "common/process.h"
#include "ipc/metrics.h"

#define TELL_AFTER_SECONDS 1

/* There is one watcher in a process. */
static struct {
	struct metrics_watcher w;
	char apiserver[METRICS_HOST_MAX];
	struct process_stat self;
	struct channel *planner;
	struct event *timer; /* NULL: not started */
	struct frame frame;
} stats;

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	process_read(&stats.self, &stats.w.process);
	metrics_encode_stats(&stats.frame, stats.apiserver, &stats.w);
	channel_send_wait(stats.planner, &stats.frame);
}

/* Something is to be told. */
static void schedule(void)
{
	static const struct timeval later = {TELL_AFTER_SECONDS, 0};

	if (stats.timer != NULL && !event_pending(stats.timer, EV_TIMEOUT, NULL))
		event_add(stats.timer, &later);
}

static void count(uint64_t *n)
{
	++*n;
	schedule();
}

void stats_start(struct event_base *base, struct channel *planner)
{
	stats.planner = planner;
	process_open(&stats.self);
	stats.timer = evtimer_new(base, on_timer, NULL);
	if (stats.timer == NULL)
		fatal(EXIT_FAILED, "out of memory for a timer");
}

void stats_apiserver(const char *url)
{
	const char *host = strstr(url, "://"), *at;
	size_t len;

	host = host != NULL ? host + 3 : url;
	len = strcspn(host, "/?");
	at = memrchr(host, '@', len); /* behind a user and a password */
	if (at != NULL) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	if (len >= sizeof(stats.apiserver))
		len = sizeof(stats.apiserver) - 1;
	memcpy(stats.apiserver, host, len);
	stats.apiserver[len] = '\0';
}

void stats_apiserver_answers(bool answers)
{
	uint64_t source = answers ? METRICS_SOURCE_ANSWERS : METRICS_SOURCE_DOWN;

	if (source == stats.w.source)
		return;
	stats.w.source = source;
	schedule();
}

void stats_response(long status, uint64_t ms)
{
	unsigned i = 0;

	while (i < METRICS_STATUS_CODES && metrics_status_codes[i] != status)
		i++;
	if (status == 0)
		i = METRICS_STATUS_CODES + 1;
	metrics_observe(stats.w.request_us, &metrics_request_bounds, ms * 1000);
	count(&stats.w.requests[i]);
}

void stats_listed(enum stats_resource r)
{
	count(&stats.w.lists[r]);
}

void stats_watch(enum stats_resource r)
{
	count(&stats.w.watches[r]);
}

void stats_failure(enum stats_resource r)
{
	count(&stats.w.failures[r]);
}

void stats_event(enum stats_resource r)
{
	count(&stats.w.events[r]);
}

void stats_bad_object(void)
{
	count(&stats.w.bad_objects);
}

void stats_manifests_read(void)
{
	count(&stats.w.manifest_reads);
}
