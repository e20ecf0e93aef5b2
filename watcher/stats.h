/*
 * What the watcher counts for /metrics, and tells the planner: not at every event, but a second
 * after the first that it has not told yet. Where nothing happens no timer runs.
 */
#ifndef WATCHER_STATS_H
#define WATCHER_STATS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"

/* As /metrics names them. */
enum stats_resource { STATS_SERVICES, STATS_ENDPOINTS, STATS_NODE, STATS_SERVICE_CIDRS };

/* Before the walls go up. Until then nothing is told; what is counted, is. */
void stats_start(struct event_base *base, struct channel *planner);
/* Where requests go: its URL. */
void stats_apiserver(const char *url);

/* Whether it answers. */
void stats_apiserver_answers(bool answers);

/* A response's head came after MS, or with status 0 none. */
void stats_response(long status, uint64_t ms);
void stats_listed(enum stats_resource r);
void stats_watch(enum stats_resource r);
/* A list or watch failed. */
void stats_failure(enum stats_resource r);
/* An object came. */
void stats_event(enum stats_resource r);
/* ... and was left out, as it is a bad one. */
void stats_bad_object(void);
void stats_manifests_read(void);

#endif
