/*
 * Keeps the planner's picture of one resource like the apiserver's: a list in pages, then a watch
 * from where the list stood, and again from where the watch ended; a new list only when the server
 * has forgotten that point. Nothing programmed is dropped meanwhile: what a list no longer has goes
 * away with feed_list_end(), and only a complete list gets there.
 */
#ifndef WATCHER_API_REFLECTOR_H
#define WATCHER_API_REFLECTOR_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "watcher/api_backoff.h"
#include "watcher/api_client.h"
#include "watcher/api_lines.h"
#include "watcher/api_list.h"
#include "watcher/api_url.h"
#include "watcher/feed.h"

#define API_PAGE_LIMIT 500 /* objects of one page, as client-go's pager asks */

/* The server as all reflectors see it, so that its going and coming is one line in the log each. */
struct api_server {
	const char *url;
	uint64_t down_since; /* in ms of the monotonic clock; 0: it answers */
};

/* What differs between resources. */
struct api_resource {
	const char *name;      /* in log lines: "services" */
	enum object_kind kind; /* 0: the own Node, which has no list messages */
	void (*put)(struct feed *f, const json_t *object);
	void (*deleted)(struct feed *f, const json_t *object);
};

struct api_reflector {
	const struct api_resource *resource;
	struct api_query query;
	struct api_client *client;
	struct api_server *server;
	struct feed *feed;

	struct event *retry;
	struct backoff backoff;
	uint64_t started_ms;	       /* the list's first page, or the watch */
	char version[API_VERSION_MAX]; /* "": a list is needed, else the watch goes on from here */
	char problem[384];	       /* logged already, so not again at each try; "": none */
	const char *problem_verb;      /* what did not work, and the response's status then */
	long problem_status;

	struct api_list page;
	char *continue_token; /* of the page asked for; NULL: the first */
	size_t listed;

	struct api_lines lines;
	bool expired;  /* the watch said that the server has forgotten our version */
	char why[384]; /* why we ended the watch; "": we did not */
};

/*
 * Begins, with resource, query and the pointers set and the rest zeroed; R lives as long as the
 * process. 0, or -1 without memory.
 */
int api_reflector_start(struct api_reflector *r, struct event_base *base);

#endif
