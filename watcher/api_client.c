/* libcurl's sockets and timer on libevent, and the life of a request. */
#include "watcher/api_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "watcher/api_format.h"
#include "watcher/api_request.h"
#include "watcher/stats.h"

#define HTTP_UNAUTHORIZED 401

uint64_t api_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void request_free(struct api_request *r)
{
	LIST_REMOVE(r, others);
	if (r->turn != NULL)
		event_free(r->turn);
	if (r->stall != NULL)
		event_free(r->stall);
	if (r->easy != NULL)
		curl_easy_cleanup(r->easy);
	free(r->url);
	free(r);
}

/* --- a request's end --- */

/* Ends R, which libcurl is done with or is made to be, and tells its owner. */
static void finish(struct api_request *r, CURLcode code)
{
	struct api_client *c = r->client;
	struct api_result res;

	api_response_result(r, code, &res);
	if (r->easy != NULL)
		curl_multi_remove_handle(c->multi, r->easy);
	c->suspect = code != CURLE_OK && r->why[0] == '\0';
	if (res.status == 0 && r->begun_ms != 0)
		stats_response(0, api_now_ms() - r->begun_ms);
	if (res.status == 0 || res.status == HTTP_UNAUTHORIZED)
		credentials_doubt(c->credentials); /* for the next try */
	r->handler->done(r->arg, &res);
	request_free(r);
}

static void finish_all_done(struct api_client *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct api_request *r = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		finish(r, code);
	}
}

static void on_stall(evutil_socket_t fd, short what, void *arg)
{
	struct api_request *r = arg;

	(void)fd;
	(void)what;
	snprintf(r->curl_error, sizeof(r->curl_error), "the server said nothing for %d s",
	    API_STALL_SECONDS);
	finish(r, CURLE_OPERATION_TIMEDOUT);
}

/* From now on the server has API_STALL_SECONDS to say something. */
static void stall_restart(struct api_request *r)
{
	event_add(r->stall, &(struct timeval){.tv_sec = API_STALL_SECONDS});
}

void api_request_heard(struct api_request *r)
{
	if (*r->owing || r->status != OK_STATUS)
		stall_restart(r);
	else
		event_del(r->stall);
	r->client->suspect = false;
}

/* --- a request's beginning --- */

/* 0, or -1 without memory. */
static int request_start(struct api_request *r)
{
	struct api_client *c = r->client;

	r->easy = curl_easy_init();
	if (r->easy == NULL)
		return -1;
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
	api_response_options(r);
	if (api_request_options(c, r->easy, r->url, r->deadline) != 0 ||
	    curl_multi_add_handle(c->multi, r->easy) != CURLM_OK)
		return -1;
	r->begun_ms = api_now_ms();
	stall_restart(r);
	return 0;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct api_request *r = arg;
	const char *missing = credentials_missing(r->client->credentials);

	(void)fd;
	(void)what;
	if (missing != NULL)
		snprintf(r->why, sizeof(r->why), "%s, as said above", missing);
	else if (request_start(r) != 0)
		snprintf(r->why, sizeof(r->why), "out of memory");
	if (r->why[0] != '\0')
		finish(r, CURLE_FAILED_INIT);
}

int api_get(
    struct api_client *c, const struct api_ask *ask, const struct api_handler *handler, void *arg)
{
	struct api_request *r = calloc(1, sizeof(*r));
	uint64_t wait;

	if (r == NULL)
		return -1;
	LIST_INSERT_HEAD(&c->requests, r, others);
	r->client = c;
	r->handler = handler;
	r->arg = arg;
	r->deadline = ask->deadline;
	r->owing = ask->owing;
	r->turn = evtimer_new(c->base, on_turn, r);
	r->stall = evtimer_new(c->base, on_stall, r);
	if (r->turn == NULL || r->stall == NULL ||
	    asprintf(&r->url, "%s%s", c->url, ask->path) < 0) {
		request_free(r);
		return -1;
	}
	wait = ask->more ? 0 : api_bucket_take(&c->bucket, api_now_ms());
	event_add(r->turn, &(struct timeval){.tv_sec = (time_t)(wait / 1000),
			       .tv_usec = (suseconds_t)(wait % 1000 * 1000)});
	return 0;
}

/* --- libcurl on libevent --- */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct api_client *c = arg;
	int running;
	int flags =
	    ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(c->multi, fd, flags, &running);
	finish_all_done(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct api_client *c = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_all_done(c);
}

/*
 * When one of several addresses refuses or swallows a connection, libcurl 7.88 closes its socket
 * and sleeps until the whole connection's time is up, instead of taking the next address. Pausing
 * and going on is how to make it look at a transfer now.
 */
static void on_nudge(evutil_socket_t fd, short what, void *arg)
{
	struct api_client *c = arg;
	struct api_request *r;

	(void)fd;
	(void)what;
	LIST_FOREACH (r, &c->requests, others) {
		if (r->easy == NULL || r->head_len != 0)
			continue;
		curl_easy_pause(r->easy, CURLPAUSE_SEND);
		curl_easy_pause(r->easy, CURLPAUSE_CONT);
	}
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct api_client *c = arg;
	struct event *ev = assigned;
	int events = EV_PERSIST | ((what & CURL_POLL_IN) ? EV_READ : 0) |
		     ((what & CURL_POLL_OUT) ? EV_WRITE : 0);

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(c->base, fd, (short)events, on_socket, c);
		if (ev == NULL || event_add(ev, NULL) != 0)
			log_error("the event loop refuses the apiserver's socket: out of memory");
	}
	curl_multi_assign(c->multi, fd, ev);
	if (what == CURL_POLL_REMOVE)
		event_add(c->nudge, &(struct timeval){0}); /* not within libcurl's call */
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct api_client *c = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		event_del(c->timer);
	else
		event_add(c->timer, &tv);
	return 0;
}

/* Of a client that has made no request; one that has lives as long as the process. */
static void client_free(struct api_client *c)
{
	if (c->multi != NULL)
		curl_multi_cleanup(c->multi);
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->nudge != NULL)
		event_free(c->nudge);
	credentials_free(c->credentials);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	free(c->url);
	free(c);
	curl_global_cleanup();
}

void api_client_on_renewal(struct api_client *c, void (*renewed)(void *arg), void *arg)
{
	c->renewed = renewed;
	c->renewed_arg = arg;
}

static void on_credentials(void *arg)
{
	struct api_client *c = arg;

	if (c->renewed != NULL)
		c->renewed(c->renewed_arg);
}

struct api_client *api_client_new(
    struct event_base *base, const struct config *cfg, const struct api_access *access)
{
	struct api_client *c = calloc(1, sizeof(*c));

	if (c == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		log_error("libcurl does not start: out of memory");
		free(c);
		return NULL;
	}
	c->base = base;
	c->access = access;
	c->timer = evtimer_new(base, on_timer, c);
	c->nudge = evtimer_new(base, on_nudge, c);
	c->multi = curl_multi_init();
	c->credentials = credentials_new(base, access, on_credentials, c);
	c->bucket = (struct api_bucket){.qps_milli = cfg->api_qps_milli, .burst = cfg->api_burst};
	if (c->timer == NULL || c->nudge == NULL || c->multi == NULL || c->credentials == NULL ||
	    api_request_prepare(c, api_format_accept(cfg->api_content_type)) != 0) {
		client_free(c);
		return NULL;
	}
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}
