#include "watcher/api_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *api_list_wrong(struct api_list *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->why, sizeof(l->why), format, ap);
	va_end(ap);
	return l->why;
}

const char *api_list_metadata(struct api_list *l, const char *version, const char *token)
{
	if (version != NULL && strlen(version) >= sizeof(l->resource_version))
		return "the list's resourceVersion is too long";
	if (version != NULL)
		memcpy(l->resource_version, version, strlen(version) + 1);
	free(l->continue_token);
	l->continue_token = NULL;
	if (token != NULL && token[0] != '\0') {
		l->continue_token = strdup(token);
		if (l->continue_token == NULL)
			return "out of memory";
	}
	return NULL;
}

const char *api_list_feed(struct api_list *l, const char *bytes, size_t len)
{
	return l->format == FORMAT_PROTO ? api_list_proto_feed(l, bytes, len)
					 : api_list_json_feed(l, bytes, len);
}

const char *api_list_end(struct api_list *l)
{
	bool whole = l->format == FORMAT_PROTO ? api_list_proto_whole(l) : api_list_json_whole(l);

	if (!whole)
		return api_list_wrong(l, "the list ends in the middle, after %zu bytes", l->offset);
	if (l->resource_version[0] == '\0')
		return "the list has no metadata.resourceVersion: the server is no apiserver";
	return NULL;
}

void api_list_clear(struct api_list *l)
{
	free(l->continue_token);
	api_buffer_clear(&l->value);
	*l = (struct api_list){0};
}
