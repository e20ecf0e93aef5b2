/* The paths and queries of the requests the watcher makes. Pure. */
#ifndef WATCHER_API_URL_H
#define WATCHER_API_URL_H

/* What is asked of one resource; an empty or NULL selector selects everything. */
struct api_query {
	const char *path; /* "/api/v1/services" */
	const char *label_selector;
	const char *field_selector;
};

/*
 * Path and query of one page of a list: at most LIMIT objects (0: all), from where CONTINUE_TOKEN
 * says, or (NULL) from the beginning; then as of RESOURCE_VERSION or later, "" being the newest
 * state and "0" any. Allocated; NULL without memory.
 */
char *api_url_list(const struct api_query *q, unsigned limit, const char *resource_version,
    const char *continue_token);
/*
 * The same of a watch from RESOURCE_VERSION that the server ends after TIMEOUT seconds. "": it
 * begins with all there is, up to a bookmark that says so.
 */
char *api_url_watch(const struct api_query *q, const char *resource_version, unsigned timeout);

#endif
