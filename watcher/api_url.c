#include "watcher/api_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unreserved characters of RFC 3986 section 2.3; the rest is percent-encoded. */
static const char unreserved[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

static void put_param(FILE *f, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	fprintf(f, "&%s=", name);
	for (; *value != '\0'; value++) {
		if (strchr(unreserved, *value) != NULL)
			fputc(*value, f);
		else
			fprintf(f, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

/* Closes F and returns TEXT, or NULL if something did not fit into memory. */
static char *finish(FILE *f, char **text)
{
	int bad = ferror(f);

	bad |= fclose(f) != 0;
	if (bad) {
		free(*text);
		return NULL;
	}
	return *text;
}

static void put_selectors(FILE *f, const struct api_query *q)
{
	put_param(f, "labelSelector", q->label_selector);
	put_param(f, "fieldSelector", q->field_selector);
}

char *api_url_list(const struct api_query *q, unsigned limit, const char *resource_version,
    const char *continue_token)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	/* A token has its version within, and 0 is no limit. */
	fprintf(f, "%s?limit=%u", q->path, limit);
	put_selectors(f, q);
	put_param(f, "continue", continue_token);
	if (continue_token == NULL)
		put_param(f, "resourceVersion", resource_version);
	return finish(f, &text);
}

char *api_url_watch(const struct api_query *q, const char *resource_version, unsigned timeout)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u", q->path, timeout);
	if (resource_version[0] == '\0')
		fputs("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", f);
	put_param(f, "resourceVersion", resource_version);
	put_selectors(f, q);
	return finish(f, &text);
}
