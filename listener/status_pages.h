/* What the planner tells of the proxy's state, and /healthz and /livez, which say it. */
#ifndef LISTENER_STATUS_PAGES_H
#define LISTENER_STATUS_PAGES_H

#include "ipc/config.h"
#include "ipc/frame.h"
#include "listener/health.h"
#include "listener/http.h"
#include "listener/metric_rows.h"

struct status_pages {
	struct health health;
	struct metrics_listener *counts; /* of the answers */
};

/* COUNTS must outlive P. */
void status_pages_init(
    struct status_pages *p, const struct config *cfg, struct metrics_listener *counts);

/* Is the proxy live now, which is what a service's load balancer and the service manager ask? */
bool status_pages_live(const struct status_pages *p);

/* The pages, with a struct status_pages as their argument. */
extern const struct http_route status_routes[];
extern const size_t status_route_count;

/* A channel_handler for the messages of ipc/status.h, with a struct status_pages. */
const char *status_pages_message(void *arg, unsigned type, struct cursor *c);

#endif
