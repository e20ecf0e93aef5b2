#include "listener/health.h"

#include <stdio.h>
#include <string.h>

#define GO_TIME_MAX 64

void health_init(struct health *h, uint64_t sync_period_ms)
{
	memset(h, 0, sizeof(*h));
	h->timeout_ms = sync_period_ms > UINT64_MAX / 2 ? UINT64_MAX : 2 * sync_period_ms;
	h->node_eligible = true;
}

void health_pending(struct health *h, const struct health_time *now)
{
	if (h->pending)
		return;
	h->pending = true;
	h->pending_since_ms = now->mono_ms;
}

void health_applied(struct health *h, const struct health_time *now)
{
	h->pending = false;
	h->applied = true;
	h->last_applied = now->wall;
}

void health_node(struct health *h, bool eligible)
{
	h->node_eligible = eligible;
}

bool health_is_live(const struct health *h, const struct health_time *now)
{
	/* A start-up that waits for the apiserver is not late: upstream counts from the first sync.
	 */
	return !h->applied || !h->pending || now->mono_ms - h->pending_since_ms < h->timeout_ms;
}

bool health_is_ready(const struct health *h, const struct health_time *now)
{
	return h->applied && h->node_eligible && health_is_live(h, now);
}

/* A time as Go prints it, which is what parsers of kube-proxy's answer expect. */
static const char *go_time(const struct timespec *t, char buf[GO_TIME_MAX])
{
	struct tm tm;
	size_t n;

	if (gmtime_r(&t->tv_sec, &tm) == NULL)
		return "0001-01-01 00:00:00 +0000 UTC";
	n = strftime(buf, GO_TIME_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(buf + n, GO_TIME_MAX - n, ".%09ld +0000 UTC", t->tv_nsec);
	return buf;
}

void health_body(
    const struct health *h, const struct health_time *now, bool with_node, char *buf, size_t size)
{
	char current[GO_TIME_MAX], last[GO_TIME_MAX];
	const char *current_text = go_time(&now->wall, current);
	const char *last_text = current_text;
	const char *node = "";

	if (!h->applied)
		last_text = "0001-01-01 00:00:00 +0000 UTC";
	else if (!health_is_live(h, now))
		last_text = go_time(&h->last_applied, last);
	if (with_node)
		node = h->node_eligible ? ", \"nodeEligible\": true" : ", \"nodeEligible\": false";
	snprintf(buf, size, "{\"lastUpdated\": \"%s\",\"currentTime\": \"%s\"%s}", last_text,
	    current_text, node);
}
