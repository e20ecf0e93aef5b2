#include "watcher/api_reflector.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "watcher/api_event.h"

/* A watch that ends sooner did not work, whatever its status was. */
#define WATCH_WORKED_MS 1000
/* The server ends a watch after a time drawn from this range, as client-go does with 5 to 10 min.
 */
#define WATCH_SECONDS_MIN 300
#define WATCH_SECONDS_MAX 600
/* How much later than the server we end it: it is dead then. */
#define WATCH_GRACE_SECONDS 30
/* From here on a list has left enough free memory behind to give it back. */
#define BIG_LIST 1000

#define OK_STATUS 200
#define HTTP_GONE 410

/* The verbs, as RBAC names them too. */
static const char LIST[] = "list", WATCH[] = "watch";

static void list_page(struct api_reflector *r);
static void watch(struct api_reflector *r);

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- what the log says: each change once --- */

static const struct {
	long status;
	const char *hint;
} hints[] = {
    {401, "the apiserver does not accept the token or client certificate: renew it in the "
	  "kubeconfig"},
    {403, "bind the user to the ClusterRole system:node-proxier, or one that may do this"},
    {404, "the server does not serve it: Kubernetes 1.21 or later is needed, and the right path "
	  "in the server's URL"},
};

static void report_problem(struct api_reflector *r, const char *verb, const struct api_result *res)
{
	const char *hint = NULL;
	struct api_server *s = r->server;

	if (res->status == 0) {
		if (s->down_since == 0)
			log_warn("apiserver %s does not answer: %s; what is programmed stays, "
				 "trying again",
			    s->url, res->error);
		else
			log_debug(2, "%s: apiserver still down: %s", r->resource->name, res->error);
		if (s->down_since == 0)
			s->down_since = now_ms();
		return;
	}
	if (r->problem[0] != '\0' && r->problem_verb == verb && r->problem_status == res->status &&
	    (res->status != OK_STATUS || strcmp(r->problem, res->error) == 0))
		return;
	snprintf(r->problem, sizeof(r->problem), "%s", res->error);
	r->problem_verb = verb;
	r->problem_status = res->status;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].status == res->status)
			hint = hints[i].hint;
	log_error("cannot %s %s: %s%s%s; trying again", verb, r->resource->name, res->error,
	    hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static void server_answers(struct api_server *s)
{
	if (s->down_since == 0)
		return;
	log_info("apiserver %s answers again after %.1f s", s->url,
	    (double)(now_ms() - s->down_since) / 1000);
	s->down_since = 0;
}

/* VERB works; that says nothing of a problem with the other one. */
static void problem_over(struct api_reflector *r, const char *verb)
{
	if (r->problem[0] == '\0' || r->problem_verb != verb)
		return;
	log_info("%s: %s works again", r->resource->name, verb);
	r->problem[0] = '\0';
}

/* --- going on --- */

static void go_on(struct api_reflector *r)
{
	if (r->version[0] == '\0')
		list_page(r);
	else
		watch(r);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	go_on(arg);
}

/* Goes on after the back-off, and not before the server's own wish of AT_LEAST seconds. */
static void go_on_later(struct api_reflector *r, unsigned at_least)
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

/* --- list --- */

static void on_item(void *arg, const json_t *item)
{
	struct api_reflector *r = arg;

	r->resource->put(r->feed, item);
}

static void on_list_start(void *arg)
{
	struct api_reflector *r = arg;

	server_answers(r->server);
	if (r->continue_token == NULL && r->resource->kind != 0)
		feed_list_begin(r->feed, r->resource->kind);
}

static const char *on_list_data(void *arg, const char *bytes, size_t len)
{
	struct api_reflector *r = arg;

	return api_list_feed(&r->page, bytes, len);
}

static void list_forget(struct api_reflector *r)
{
	free(r->continue_token);
	r->continue_token = NULL;
	r->listed = 0;
}

static void node_missing(struct api_reflector *r)
{
	log_warn("the apiserver has no Node \"%s\": services are proxied all the same, without "
		 "topology hints; if this machine's Node has another name, give it with "
		 "--hostname-override",
	    r->feed->node_name);
	feed_node_deleted(r->feed);
}

static void list_complete(struct api_reflector *r)
{
	if (r->resource->kind != 0)
		feed_list_end(r->feed, r->resource->kind);
	else if (r->listed == 0)
		node_missing(r);
	problem_over(r, LIST);
	log_info("%s: %zu listed in %llu ms, watching from %s", r->resource->name, r->listed,
	    (unsigned long long)(now_ms() - r->started_ms), r->version);
	if (r->listed >= BIG_LIST)
		malloc_trim(0);
	list_forget(r);
	watch(r);
}

/* A list never goes on after a failure: it begins anew, so that what it tells is one state. */
static void list_failed(struct api_reflector *r, const struct api_result *res)
{
	if (res->status == HTTP_GONE && r->continue_token != NULL)
		log_info("%s: the list took longer than the apiserver remembers; beginning anew",
		    r->resource->name);
	else
		report_problem(r, LIST, res);
	list_forget(r);
	go_on_later(r, res->retry_after);
}

static void on_list_done(void *arg, const struct api_result *res)
{
	struct api_reflector *r = arg;
	struct api_result broken = {.status = res->status};
	const char *why;

	if (!res->complete) {
		list_failed(r, res);
		return;
	}
	why = api_list_end(&r->page);
	if (why != NULL) {
		snprintf(broken.error, sizeof(broken.error), "%s", why);
		list_failed(r, &broken);
		return;
	}
	r->listed += r->page.items;
	free(r->continue_token);
	r->continue_token = r->page.continue_token;
	r->page.continue_token = NULL;
	if (r->continue_token != NULL) {
		list_page(r);
		return;
	}
	snprintf(r->version, sizeof(r->version), "%s", r->page.resource_version);
	list_complete(r);
}

static const struct api_handler list_handler = {on_list_start, on_list_data, on_list_done};

/* Asks for the page that r->continue_token names. */
static void list_page(struct api_reflector *r)
{
	char *path = api_url_list(&r->query, API_PAGE_LIMIT, r->continue_token);
	int rc;

	if (r->continue_token == NULL) {
		r->started_ms = now_ms();
		if (r->server->down_since == 0 && r->problem[0] == '\0')
			log_info("listing %s", r->resource->name);
	}
	api_list_clear(&r->page);
	r->page.fn = on_item;
	r->page.arg = r;
	rc = path != NULL ? api_get(r->client, path, 0, r->continue_token != NULL, &list_handler, r)
			  : -1;
	free(path);
	if (rc != 0) {
		log_error("%s: no memory for a request; trying again", r->resource->name);
		list_forget(r);
		go_on_later(r, 0);
	}
}

/* --- watch --- */

static void on_watch_start(void *arg)
{
	struct api_reflector *r = arg;

	server_answers(r->server);
	if (r->problem_status != OK_STATUS)
		problem_over(r, WATCH);
}

/* What the server says is not understood: step over it with a list. */
static const char *must_list(struct api_reflector *r, const char *why)
{
	r->version[0] = '\0';
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

static const char *on_event(void *arg, const char *line, size_t len)
{
	struct api_reflector *r = arg;
	struct api_event e;
	const char *why = api_event_parse(&e, line, len);

	if (why != NULL)
		return must_list(r, why);
	switch (e.type) {
	case EVENT_PUT:
		r->resource->put(r->feed, e.object);
		break;
	case EVENT_DELETED:
		r->resource->deleted(r->feed, e.object);
		break;
	case EVENT_BOOKMARK:
		break;
	case EVENT_UNKNOWN:
		log_warn("%s: an event of unknown type; ignored", r->resource->name);
		break;
	case EVENT_ERROR:
		why = on_error_event(r, &e);
		break;
	}
	if (why == NULL) {
		memcpy(r->version, e.resource_version, sizeof(r->version));
		problem_over(r, WATCH);
	}
	json_decref(e.root);
	return why;
}

static const char *on_watch_data(void *arg, const char *bytes, size_t len)
{
	struct api_reflector *r = arg;
	const char *why = api_lines_feed(&r->lines, bytes, len, on_event, r);

	if (why != NULL && r->why[0] == '\0')
		return must_list(r, why); /* a line beyond the bound */
	return why;
}

static void on_watch_done(void *arg, const struct api_result *res)
{
	struct api_reflector *r = arg;
	bool worked = res->status == OK_STATUS && now_ms() - r->started_ms >= WATCH_WORKED_MS;
	bool expired = r->expired || res->status == HTTP_GONE;

	api_buffer_clear(&r->lines.part);
	if (expired) {
		log_info("%s: the apiserver no longer remembers our version; listing anew",
		    r->resource->name);
		r->version[0] = '\0';
	} else if (res->status != OK_STATUS || r->why[0] != '\0') {
		report_problem(r, WATCH, res);
	} else {
		/* Its time was up, or the connection broke: the next try tells if that matters. */
		log_debug(2, "%s: the watch ended: %s", r->resource->name,
		    res->complete ? "its time was up" : res->error);
	}
	if (worked) {
		backoff_reset(&r->backoff);
		if (r->why[0] == '\0')
			problem_over(r, WATCH);
	}
	if (worked && (expired || res->complete))
		go_on(r);
	else
		go_on_later(r, res->retry_after);
}

static const struct api_handler watch_handler = {on_watch_start, on_watch_data, on_watch_done};

/* Watches from r->version on. */
static void watch(struct api_reflector *r)
{
	unsigned seconds =
	    WATCH_SECONDS_MIN + arc4random_uniform(WATCH_SECONDS_MAX - WATCH_SECONDS_MIN + 1);
	char *path = api_url_watch(&r->query, r->version, seconds);
	int rc = -1;

	r->started_ms = now_ms();
	r->why[0] = '\0';
	r->expired = false;
	if (path != NULL)
		rc = api_get(
		    r->client, path, seconds + WATCH_GRACE_SECONDS, false, &watch_handler, r);
	free(path);
	if (rc != 0) {
		log_error("%s: no memory for a request; trying again", r->resource->name);
		go_on_later(r, 0);
	}
}

int api_reflector_start(struct api_reflector *r, struct event_base *base)
{
	r->retry = evtimer_new(base, on_retry, r);
	if (r->retry == NULL)
		return -1;
	go_on(r);
	return 0;
}
