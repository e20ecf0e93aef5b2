/* The watch, and all there is as the first part of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/api_event.h"
#include "watcher/api_reflect.h"
#include "watcher/api_version.h"

/* A watch that ends sooner did not work, whatever its status was. */
#define WATCH_WORKED_MS 1000
/* The server ends a watch after a time drawn from this range, as client-go does with 5 to 10 min.
 */
#define WATCH_SECONDS_MIN 300
#define WATCH_SECONDS_MAX 600
/* How much later than the server we end it: it is dead then. */
#define WATCH_GRACE_SECONDS 30

#define HTTP_BAD_REQUEST   400
#define HTTP_UNPROCESSABLE 422

static const char *on_start(void *arg, const char *content_type)
{
	struct api_reflector *r = arg;

	api_server_answers(r->server);
	if (r->problem.status != HTTP_OK)
		api_problem_over(&r->problem, api_watch_verb, r->resource->name);
	if (r->syncing && r->resource->begin != NULL)
		r->resource->begin(r->feed);
	return api_format_of(&r->format, content_type);
}

/* --- events --- */

/* What the server says is not understood: step over it with a list. */
static const char *must_list(struct api_reflector *r, const char *why)
{
	r->version[0] = '\0';
	r->plain = true;
	snprintf(r->why, sizeof(r->why), "%s", why);
	return r->why;
}

/* As client-go: whatever the error is, one that stands at our version would come for ever. */
static const char *on_error_event(struct api_reflector *r, const struct api_event *e)
{
	r->expired = e->code == HTTP_GONE;
	r->version[0] = '\0';
	snprintf(r->why, sizeof(r->why), "the watch reports error %ld: %s", e->code, e->message);
	return r->why;
}

static const char *on_bookmark(struct api_reflector *r, const struct api_event *e)
{
	if (!r->syncing)
		return NULL;
	if (!e->initial_end) {
		r->server->no_watchlist = true;
		return must_list(r, "the server does not know sendInitialEvents; listing instead");
	}
	if (!api_reflect_synced(r, e->resource_version, "received"))
		return must_list(r, "a state older than what was seen before; listing anew");
	r->syncing = false;
	return NULL;
}

static const char *take(struct api_reflector *r, const struct api_event *e)
{
	/* What there is comes in any order; what happens, in its own. */
	if (!r->syncing && e->type != EVENT_ERROR &&
	    api_version_older(e->resource_version, r->version)) {
		r->consistent = true;
		return must_list(r, "an event is older than the one before; listing anew");
	}
	switch (e->type) {
	case EVENT_PUT:
		r->listed += r->syncing ? 1 : 0;
		if (r->listed > API_OBJECTS_MAX)
			return must_list(r, api_reflect_too_many);
		stats_event(r->counts);
		r->resource->put(r->feed, e->object);
		return NULL;
	case EVENT_DELETED:
		stats_event(r->counts);
		r->resource->deleted(r->feed, e->object);
		return NULL;
	case EVENT_BOOKMARK:
		return on_bookmark(r, e);
	case EVENT_UNKNOWN:
		if (!r->unknown)
			log_warn("%s: events of unknown type; ignored", r->resource->name);
		r->unknown = true;
		return NULL;
	case EVENT_ERROR:
		return on_error_event(r, e);
	}
	return NULL;
}

static const char *on_event(void *arg, const char *bytes, size_t len)
{
	struct api_reflector *r = arg;
	struct api_event e;
	const char *why = api_event_parse(&e, r->format, r->resource->type, bytes, len);

	if (why != NULL)
		return must_list(r, why);
	why = take(r, &e);
	if (why == NULL && !r->syncing) {
		memcpy(r->version, e.resource_version, sizeof(r->version));
		memcpy(r->newest_version, e.resource_version, sizeof(r->newest_version));
	}
	if (why == NULL)
		api_problem_over(&r->problem, api_watch_verb, r->resource->name);
	json_decref(e.root);
	return why;
}

static const char *on_data(void *arg, const char *bytes, size_t len)
{
	struct api_reflector *r = arg;
	const char *why = r->format == FORMAT_PROTO
			      ? api_frames_feed(&r->frames, bytes, len, on_event, r)
			      : api_lines_feed(&r->lines, bytes, len, on_event, r);

	if (why != NULL && r->why[0] == '\0')
		return must_list(r, why); /* a line beyond the bound */
	return why;
}

/* --- its end --- */

/* Does the server refuse what it does not know? Remembered: lists it has anyway. */
static bool refuses_watchlist(struct api_reflector *r, const struct api_result *res)
{
	if (!r->syncing || (res->status != HTTP_BAD_REQUEST && res->status != HTTP_UNPROCESSABLE))
		return false;
	if (!r->server->no_watchlist)
		log_info(
		    "the apiserver does not stream lists (%s); they come in pages", res->error);
	r->server->no_watchlist = true;
	return true;
}

static void say_end(struct api_reflector *r, const struct api_result *res, bool expired)
{
	if (expired) {
		log_info("%s: the apiserver no longer remembers our version; listing anew",
		    r->resource->name);
		r->version[0] = '\0';
	} else if (res->status != HTTP_OK || r->why[0] != '\0' || r->syncing) {
		stats_failure(r->counts);
		api_problem_report(&r->problem, r->server, api_watch_verb, r->resource->name, res);
	} else {
		/* Its time was up, or the connection broke: the next try tells if that matters. */
		log_debug(2, "%s: the watch ended: %s", r->resource->name,
		    res->complete ? "its time was up" : res->error);
	}
}

static void on_done(void *arg, const struct api_result *res)
{
	struct api_reflector *r = arg;
	bool worked = res->status == HTTP_OK && api_now_ms() - r->started_ms >= WATCH_WORKED_MS &&
		      !r->syncing;
	bool expired = r->expired || res->status == HTTP_GONE;

	api_buffer_clear(&r->lines.part);
	api_buffer_clear(&r->frames.part);
	if (refuses_watchlist(r, res)) {
		r->instead = true;
		api_reflect_on(r);
		return;
	}
	if (api_reflect_unserved(r, res->status))
		return;
	/* A server that says nothing more before all has come may have no end to tell of. */
	if (r->syncing && res->status == HTTP_OK)
		r->plain = true;
	say_end(r, res, expired);
	if (worked) {
		backoff_reset(&r->backoff);
		if (r->why[0] == '\0')
			api_problem_over(&r->problem, api_watch_verb, r->resource->name);
	}
	if (worked && (expired || res->complete))
		api_reflect_on(r);
	else
		api_reflect_later(r, res->retry_after);
}

static const struct api_handler handler = {on_start, on_data, on_done};

void api_reflect_watch(struct api_reflector *r)
{
	unsigned seconds =
	    WATCH_SECONDS_MIN + arc4random_uniform(WATCH_SECONDS_MAX - WATCH_SECONDS_MIN + 1);
	char *path = api_url_watch(&r->query, r->version, seconds);
	struct api_ask ask = {
	    .path = path, .deadline = seconds + WATCH_GRACE_SECONDS, .owing = &r->syncing};
	int rc = -1;

	stats_watch(r->counts);
	r->started_ms = api_now_ms();
	r->why[0] = '\0';
	r->expired = r->unknown = false;
	r->syncing = r->version[0] == '\0';
	r->lines = (struct api_lines){0};
	r->frames = (struct api_frames){0};
	if (r->syncing) {
		r->listed = 0;
		if (r->server->down_since == 0 && r->problem.text[0] == '\0')
			log_info("listing %s", r->resource->name);
	}
	if (path != NULL)
		rc = api_get(r->client, &ask, &handler, r);
	free(path);
	if (rc != 0) {
		log_error("%s: no memory for a request; trying again", r->resource->name);
		api_reflect_later(r, 0);
	}
}
