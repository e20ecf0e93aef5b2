/*
 * Keeps the planner's picture of one resource like the apiserver's: all there is, then a watch from
 * there on, and again from where the watch ended; all anew only when the server has forgotten that
 * point. Nothing programmed is dropped meanwhile: what is no longer there goes away with the end of
 * the list, and only a complete one gets there.
 *
 * All there is comes as the first part of a watch where the server does that (KEP-3157), which
 * costs it least, and as a list in pages elsewhere.
 */
#ifndef WATCHER_API_REFLECTOR_H
#define WATCHER_API_REFLECTOR_H

#include <event2/event.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "watcher/api_backoff.h"
#include "watcher/api_client.h"
#include "watcher/api_frames.h"
#include "watcher/api_list.h"
#include "watcher/api_problem.h"
#include "watcher/api_url.h"
#include "watcher/feed.h"
#include "watcher/stats.h"

#define API_PAGE_LIMIT 500 /* objects of one page, as client-go's pager asks */
/* Of one resource; ten times what a cluster has at most. A server that tells more never ends. */
#define API_OBJECTS_MAX 500000

/* What differs between resources. */
struct api_resource {
	const char *name; /* in log lines: "services" */
	const char *path;
	const ProtobufCMessageDescriptor *type;
	bool optional;			  /* no cause for complaint if it is not there */
	const struct api_resource *older; /* to be asked for where this is not served; or NULL */
	/* A complete list begins; may be NULL. It ends after LISTED put. */
	void (*begin)(struct feed *f);
	void (*end)(struct feed *f, size_t listed);
	void (*put)(struct feed *f, const json_t *object);
	void (*deleted)(struct feed *f, const json_t *object);
};

struct api_reflector {
	const struct api_resource *resource; /* of those from NEWEST on, the one served */
	const struct api_resource *newest;
	struct api_query query;
	enum stats_resource counts; /* as what */
	struct api_client *client;
	struct api_server *server;
	struct feed *feed;

	struct event *retry;
	struct backoff backoff;
	struct api_problem problem;
	bool served;	     /* this resource has been, or the server says that it is */
	bool without;	     /* it is optional and not to be had, which has been said */
	uint64_t started_ms; /* the list's first page, or the watch */

	char version[API_VERSION_MAX]; /* "": all is needed, else the watch goes on from here */
	char newest_version[API_VERSION_MAX]; /* the last there was */
	bool consistent; /* the next list must be the newest state, not the server's cache */
	bool plain;	 /* it must be a list, which can leave out what is broken */
	bool whole;	 /* it must be in one piece: continue tokens expire too fast */
	size_t listed;

	struct api_list page;
	char *continue_token; /* of the page asked for; NULL: the first */
	bool instead;	      /* the first page takes the place of a request that was refused */

	enum api_format format; /* of the watch */
	struct api_lines lines;
	struct api_frames frames;
	bool syncing;  /* the watch has not yet sent all there is */
	bool unknown;  /* an event of unknown type was said */
	bool expired;  /* the watch said that the server has forgotten our version */
	char why[384]; /* why we ended the watch; "": we did not */
};

/*
 * Begins, with resource, newest, served, the selectors and the pointers set and the rest zeroed; R
 * lives as long as the process. 0, or -1 without memory.
 */
int api_reflector_start(struct api_reflector *r, struct event_base *base);

/* There are new credentials: what waits because the old ones did not work waits no longer. */
void api_reflector_renewed(struct api_reflector *r);

#endif
