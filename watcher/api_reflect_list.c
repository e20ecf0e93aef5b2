/* All there is, as a list in pages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/api_reflect.h"

#define HTTP_GATEWAY_TIMEOUT 504

static const bool owing = true; /* a list's server may not be silent before its end */

static void on_item(void *arg, const json_t *item)
{
	struct api_reflector *r = arg;

	stats_event(r->counts);
	r->resource->put(r->feed, item);
}

static const char *on_start(void *arg, const char *content_type)
{
	struct api_reflector *r = arg;

	api_server_answers(r->server);
	if (r->continue_token == NULL && r->resource->begin != NULL)
		r->resource->begin(r->feed);
	return api_format_of(&r->page.format, content_type);
}

static const char *on_data(void *arg, const char *bytes, size_t len)
{
	struct api_reflector *r = arg;
	const char *why = api_list_feed(&r->page, bytes, len);

	if (why == NULL && r->listed + r->page.items > API_OBJECTS_MAX)
		why = api_reflect_too_many;
	return why;
}

static void forget_page(struct api_reflector *r)
{
	free(r->continue_token);
	r->continue_token = NULL;
}

/*
 * Has the server's cache forgotten the state we asked for, or not come there yet? Then the store is
 * asked; for nothing else, as the nodes of a whole cluster would do so at once.
 */
static bool not_in_cache(const struct api_result *res)
{
	return res->status == HTTP_GONE ||
	       (res->status == HTTP_GATEWAY_TIMEOUT &&
		   strstr(res->error, "Too large resource version") != NULL);
}

/* A list never goes on after a failure: it begins anew, so that what it tells is one state. */
static void failed(struct api_reflector *r, const struct api_result *res)
{
	bool had_token = r->continue_token != NULL;

	forget_page(r);
	if (res->status == HTTP_GONE && had_token) {
		log_info("%s: the list took longer than the apiserver remembers; beginning anew, "
			 "in one piece",
		    r->resource->name);
		r->whole = true;
	} else if (api_reflect_unserved(r, res->status)) {
		return;
	} else {
		stats_failure(r->counts);
		api_problem_report(&r->problem, r->server, api_list_verb, r->resource->name, res);
	}
	if (not_in_cache(res))
		r->consistent = true;
	api_reflect_later(r, res->retry_after);
}

/* What is wrong with the whole page, or NULL. */
static const char *check_page(struct api_reflector *r)
{
	const char *why = api_list_end(&r->page);

	if (why == NULL && r->continue_token != NULL && r->page.continue_token != NULL &&
	    strcmp(r->continue_token, r->page.continue_token) == 0)
		why = "a page names itself as the next one; such a list never ends";
	return why;
}

static void on_done(void *arg, const struct api_result *res)
{
	struct api_reflector *r = arg;
	struct api_result broken = {.status = res->status};
	const char *why;

	if (!res->complete) {
		failed(r, res);
		return;
	}
	why = check_page(r);
	if (why != NULL) {
		snprintf(broken.error, sizeof(broken.error), "%s (GET %s%s)", why, r->server->url,
		    r->query.path);
		failed(r, &broken);
		return;
	}
	r->listed += r->page.items;
	forget_page(r);
	r->continue_token = r->page.continue_token;
	r->page.continue_token = NULL;
	if (r->continue_token != NULL) {
		api_reflect_list(r);
		return;
	}
	if (api_reflect_synced(r, r->page.resource_version, "listed"))
		api_reflect_watch(r);
	else
		api_reflect_later(r, 0);
}

static const struct api_handler handler = {on_start, on_data, on_done};

/*
 * From which state: the first list takes what the server has in its cache, later ones what is not
 * older than what we have seen, and where that fails, what the store has. As client-go's reflector.
 */
static const char *from_version(const struct api_reflector *r)
{
	if (r->consistent)
		return "";
	return r->newest_version[0] != '\0' ? r->newest_version : "0";
}

void api_reflect_list(struct api_reflector *r)
{
	const char *version = from_version(r);
	/* With a limit, a cache that has what is wanted would not be used. */
	unsigned limit = r->whole || (version[0] != '\0' && version[0] != '0') ? 0 : API_PAGE_LIMIT;
	char *path = api_url_list(&r->query, limit, version, r->continue_token);
	struct api_ask ask = {
	    .path = path, .owing = &owing, .more = r->continue_token != NULL || r->instead};
	int rc;

	if (r->continue_token == NULL) {
		r->started_ms = api_now_ms();
		r->listed = 0;
		if (r->server->down_since == 0 && r->problem.text[0] == '\0')
			log_info("listing %s", r->resource->name);
	}
	r->instead = false;
	api_list_clear(&r->page);
	r->page.type = r->resource->type;
	r->page.fn = on_item;
	r->page.arg = r;
	rc = path != NULL ? api_get(r->client, &ask, &handler, r) : -1;
	free(path);
	if (rc != 0) {
		log_error("%s: no memory for a request; trying again", r->resource->name);
		forget_page(r);
		api_reflect_later(r, 0);
	}
}
