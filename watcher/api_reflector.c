#include "watcher/api_reflector.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/api_reflect.h"
#include "watcher/api_version.h"

/* From here on a list has left enough free memory behind to give it back. */
#define BIG_LIST 1000

/* When to ask again for what is optional and forbidden. */
#define FORBIDDEN_SECONDS 600

#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

const char api_list_verb[] = "list", api_watch_verb[] = "watch";
const char api_reflect_too_many[] = "more than 500000 objects; no genuine apiserver has that many";

void api_reflect_on(struct api_reflector *r)
{
	r->query.path = r->resource->path;
	if (r->version[0] != '\0' || (!r->server->no_watchlist && !r->plain))
		api_reflect_watch(r);
	else
		api_reflect_list(r);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	api_reflect_on(arg);
}

void api_reflect_later(struct api_reflector *r, unsigned at_least)
{
	uint64_t ms = backoff_next(&r->backoff, arc4random());
	struct timeval tv;

	if (ms < (uint64_t)at_least * 1000)
		ms = (uint64_t)at_least * 1000;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	log_debug(2, "%s: next try in %llu ms", r->resource->name, (unsigned long long)ms);
	event_add(r->retry, &tv);
}

/* Asks for RESOURCE from now on; what was seen of another one says nothing of it. */
static void turn_to(struct api_reflector *r, const struct api_resource *resource)
{
	r->resource = resource;
	r->served = false;
	r->version[0] = '\0';
	r->newest_version[0] = '\0';
}

/* A role may be given later, and an apiserver that has just begun may not know it yet. */
static void go_without(struct api_reflector *r, long status)
{
	if (!r->without)
		log_info("%s: not to be had of this server (HTTP %ld); going without",
		    r->resource->name, status);
	r->without = true;
	turn_to(r, r->newest);
	if (status == HTTP_FORBIDDEN)
		api_reflect_later(r, FORBIDDEN_SECONDS);
}

bool api_reflect_unserved(struct api_reflector *r, long status)
{
	const struct api_resource *was = r->resource;

	if (status != HTTP_NOT_FOUND && !(was->optional && status == HTTP_FORBIDDEN))
		return false;
	/* Of what is known to be there, a mishap: an older API would be read for ever. */
	if (r->served && was == r->newest && !was->optional)
		return false;
	if (r->served && was != r->newest) {
		/* The server is a later one by now. */
		turn_to(r, r->newest);
		api_reflect_later(r, 0);
		return true;
	}
	if (was->older != NULL) {
		if (!r->without)
			log_info("%s: the server does not serve %s; asking for %s", was->name,
			    was->path, was->older->path);
		turn_to(r, was->older);
		api_reflect_on(r);
		return true;
	}
	if (was->optional) {
		go_without(r, status);
		return true;
	}
	if (was != r->newest)
		turn_to(r, r->newest);
	return false;
}

/*
 * An apiserver restored from a backup goes back; it is believed. Only not one that tells old news
 * from its cache: the answer to that is a list past the cache.
 */
static bool goes_back(struct api_reflector *r, const char *version)
{
	if (!api_version_older(version, r->newest_version))
		return false;
	log_warn("%s: the apiserver's resourceVersion goes back from %s to %s%s", r->resource->name,
	    r->newest_version, version,
	    r->consistent ? ": it was restored from a backup, and counts" : "; listing anew");
	return !r->consistent;
}

bool api_reflect_synced(struct api_reflector *r, const char *version, const char *how)
{
	if (goes_back(r, version)) {
		r->consistent = true;
		r->plain = true;
		return false;
	}
	r->consistent = r->plain = r->whole = false;
	r->served = true;
	r->without = false;
	stats_listed(r->counts);
	snprintf(r->version, sizeof(r->version), "%s", version);
	snprintf(r->newest_version, sizeof(r->newest_version), "%s", version);
	if (r->resource->end != NULL)
		r->resource->end(r->feed, r->listed);
	api_problem_over(&r->problem, api_list_verb, r->resource->name);
	log_info("%s: %zu %s in %llu ms, watching from %s", r->resource->name, r->listed, how,
	    (unsigned long long)(api_now_ms() - r->started_ms), version);
	if (r->listed >= BIG_LIST)
		malloc_trim(0);
	return true;
}

int api_reflector_start(struct api_reflector *r, struct event_base *base)
{
	r->retry = evtimer_new(base, on_retry, r);
	if (r->retry == NULL)
		return -1;
	api_reflect_on(r);
	return 0;
}

void api_reflector_renewed(struct api_reflector *r)
{
	static const struct timeval now = {0, 0};

	if (r->retry == NULL || !event_pending(r->retry, EV_TIMEOUT, NULL) ||
	    !api_problem_refused(&r->problem, r->server))
		return;
	backoff_reset(&r->backoff);
	event_add(r->retry, &now);
}
