/* /metrics: asks the planner for what all processes count, and answers those who wait for it. */
#ifndef LISTENER_SCRAPE_H
#define LISTENER_SCRAPE_H

#include <sys/queue.h>

#include "common/process.h"
#include "ipc/channel.h"
#include "listener/http.h"
#include "listener/metric_rows.h"

struct scrape {
	uint8_t mode; /* enum proxy_mode */
	struct channel *planner;
	struct process_stat self;
	struct metrics_told told; /* its listener's part is counted there by whoever answers */
	LIST_HEAD(, scrape_waiter) waiters;
	bool asked; /* ... and not answered yet: one question at a time, however many ask us */
	struct frame frame;
};

/* S is zeroed but for its mode; before the walls go up. */
void scrape_init(struct scrape *s);
/* An http_handler with a struct scrape as its argument. */
void scrape_answer(void *arg, const struct http_request *r, struct http_reply *reply);
/* METRICS_ALL came. NULL, or how it breaks the protocol. */
const char *scrape_told(struct scrape *s, struct cursor *c);

#endif
