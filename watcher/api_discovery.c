#include "watcher/api_discovery.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/api_envelope.h"
#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

#define BODY_MAX (64u * 1024) /* a group has some hundred bytes */

#define HTTP_OK	       200
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

static const char verb[] = "get";
static const char what[] = "the server's API versions";
static const bool owing = true;

/* --- what the answers mean --- */

static json_t *parse(enum api_format format, const char *body, size_t len)
{
	json_t *json = NULL;
	const void *raw;

	if (format == FORMAT_JSON)
		return json_loadb(body, len, JSON_ALLOW_NUL, NULL);
	raw = api_envelope_open(body, &len);
	if (raw != NULL)
		(void)proto_to_json(&json, &kube__apigroup__descriptor, raw, len);
	proto_release();
	return json;
}

int api_discovery_group(enum api_format format, const char *body, size_t len)
{
	json_t *group = parse(format, body, len), *one;
	const json_t *versions = json_object_get(group, "versions");
	int found = json_is_array(versions) ? ENDPOINTS_CORE : -1;
	size_t i;

	json_array_foreach (versions, i, one) {
		const char *name = json_string_value(json_object_get(one, "version"));

		if (name != NULL && strcmp(name, "v1") == 0)
			found = ENDPOINTS_SLICE_V1;
		else if (name != NULL && strcmp(name, "v1beta1") == 0 &&
			 found != ENDPOINTS_SLICE_V1)
			found = ENDPOINTS_SLICE_V1BETA1;
	}
	json_decref(group);
	return found;
}

enum api_endpoints api_discovery_version(const char *body, size_t len)
{
	json_t *version = json_loadb(body, len, JSON_ALLOW_NUL, NULL);
	const char *major = json_string_value(json_object_get(version, "major"));
	const char *minor = json_string_value(json_object_get(version, "minor")); /* "18+" */
	bool early = major != NULL && minor != NULL && strcmp(major, "1") == 0 &&
		     minor[0] != '\0' && strtoul(minor, NULL, 10) < 19;

	json_decref(version);
	return early ? ENDPOINTS_CORE : ENDPOINTS_SLICE_V1BETA1;
}

/* --- asking --- */

static void ask(struct api_discovery *d);

static void found(struct api_discovery *d, enum api_endpoints e, bool sure)
{
	static const char *const names[] = {
	    "discovery.k8s.io/v1 EndpointSlices",
	    "discovery.k8s.io/v1beta1 EndpointSlices",
	    "core v1 Endpoints",
	};

	api_problem_over(&d->problem, verb, what);
	log_info("endpoints come from %s%s", names[e],
	    sure ? "" : ", if the server has that: it may not be asked what it has");
	api_buffer_clear(&d->body);
	event_free(d->retry);
	d->retry = NULL;
	d->done(d->arg, e, sure);
}

static void on_retry(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	ask(arg);
}

static void later(struct api_discovery *d, const struct api_result *res)
{
	uint64_t ms = backoff_next(&d->backoff, arc4random());

	if (ms < (uint64_t)res->retry_after * 1000)
		ms = (uint64_t)res->retry_after * 1000;
	log_debug(2, "%s: next try in %llu ms", what, (unsigned long long)ms);
	api_problem_report(&d->problem, d->server, verb, what, res);
	event_add(d->retry, &(struct timeval){.tv_sec = (time_t)(ms / 1000),
				.tv_usec = (suseconds_t)(ms % 1000 * 1000)});
}

static const char *on_start(void *arg, const char *content_type)
{
	struct api_discovery *d = arg;

	api_server_answers(d->server);
	return api_format_of(&d->format, content_type);
}

static const char *on_data(void *arg, const char *bytes, size_t len)
{
	struct api_discovery *d = arg;

	if (len > BODY_MAX - d->body.len)
		return "the answer is longer than 64 KiB: no apiserver answers there";
	return api_buffer_add(&d->body, bytes, len);
}

static void on_group(struct api_discovery *d, const struct api_result *res)
{
	struct api_result broken = {.status = res->status};
	int e;

	if (res->status == HTTP_NOT_FOUND || res->status == HTTP_FORBIDDEN) {
		/* No such group; or no word on it, and then it is tried. */
		if (res->status == HTTP_NOT_FOUND)
			found(d, ENDPOINTS_CORE, true);
		else
			found(d, ENDPOINTS_SLICE_V1, false);
		return;
	}
	if (!res->complete) {
		later(d, res);
		return;
	}
	e = api_discovery_group(d->format, d->body.bytes, d->body.len);
	if (e == -1) {
		snprintf(broken.error, sizeof(broken.error),
		    "the answer is no APIGroup: no apiserver answers there");
		later(d, &broken);
	} else if (e == ENDPOINTS_SLICE_V1BETA1) {
		d->asking_version = true;
		ask(d);
	} else {
		found(d, (enum api_endpoints)e, true);
	}
}

static void on_done(void *arg, const struct api_result *res)
{
	struct api_discovery *d = arg;

	if (!d->asking_version)
		on_group(d, res);
	else if (res->complete)
		found(d, api_discovery_version(d->body.bytes, d->body.len), true);
	else if (res->status == HTTP_NOT_FOUND || res->status == HTTP_FORBIDDEN)
		found(d, ENDPOINTS_SLICE_V1BETA1, true);
	else
		later(d, res);
}

static const struct api_handler handler = {on_start, on_data, on_done};

static void ask(struct api_discovery *d)
{
	struct api_ask what_for = {
	    .path = d->asking_version ? "/version" : "/apis/discovery.k8s.io", .owing = &owing};
	struct api_result none = {.error = "no memory for a request"};

	api_buffer_reset(&d->body);
	if (api_get(d->client, &what_for, &handler, d) != 0)
		later(d, &none);
}

int api_discovery_start(struct api_discovery *d, struct event_base *base)
{
	d->retry = evtimer_new(base, on_retry, d);
	if (d->retry == NULL)
		return -1;
	ask(d);
	return 0;
}

void api_discovery_renewed(struct api_discovery *d)
{
	static const struct timeval now = {0, 0};

	if (d->retry == NULL || !event_pending(d->retry, EV_TIMEOUT, NULL) ||
	    !api_problem_refused(&d->problem, d->server))
		return;
	backoff_reset(&d->backoff);
	event_add(d->retry, &now);
}
