/*
 * Is this proxy healthy? Decided from what the planner told and the time, which the caller passes
 * in. The rules and the answers' form are those of kube-proxy's proxy health server
 * (pkg/proxy/healthcheck, 1.36), with one difference: /healthz is also 503 until the rules have
 * been programmed once, so that no load balancer sends traffic to a node that knows no service.
 * /livez does not wait for that: restarting the proxy would not make an apiserver answer.
 */
#ifndef LISTENER_HEALTH_H
#define LISTENER_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct health_time {
	uint64_t mono_ms;     /* CLOCK_MONOTONIC in milliseconds: ages */
	struct timespec wall; /* CLOCK_REALTIME: what people read */
};

struct health {
	uint64_t timeout_ms; /* a change that waits this long is late */
	bool applied;	     /* everything known was programmed at least once ... */
	struct timespec last_applied;
	bool pending; /* a change waits ... */
	uint64_t pending_since_ms;
	bool node_eligible;
};

/* A change is late after twice SYNC_PERIOD_MS, as upstream has it. */
void health_init(struct health *h, uint64_t sync_period_ms);
/* Changes wait to be programmed; the oldest one counts. */
void health_pending(struct health *h, const struct health_time *now);
/* Everything known so far is programmed. */
void health_applied(struct health *h, const struct health_time *now);
/* The own Node is there and not being deleted. True until told otherwise. */
void health_node(struct health *h, bool eligible);

/* What /healthz and /livez say. */
bool health_is_ready(const struct health *h, const struct health_time *now);
bool health_is_live(const struct health *h, const struct health_time *now);

/*
 * Writes the JSON body for /healthz (WITH_NODE) or /livez into BUF of SIZE bytes; HEALTH_BODY_MAX
 * is enough. "lastUpdated" is the current time while nothing is late, else when the last change was
 * programmed (Go's zero time if none was).
 */
#define HEALTH_BODY_MAX 256
void health_body(
    const struct health *h, const struct health_time *now, bool with_node, char *buf, size_t size);

#endif
