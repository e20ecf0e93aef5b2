#include "watcher/api_format.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Is TYPE the media type MEDIA, whatever parameters (";stream=watch") it has? */
static bool is_media(const char *type, const char *media)
{
	size_t len = strlen(media);

	return strncasecmp(type, media, len) == 0 &&
	       (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

const char *api_format_of(enum api_format *format, const char *content_type)
{
	static char why[200];

	*format = FORMAT_JSON;
	if (content_type == NULL)
		return NULL; /* a server need not say */
	if (is_media(content_type, API_MEDIA_PROTO)) {
		*format = FORMAT_PROTO;
	} else if (!is_media(content_type, API_MEDIA_JSON)) {
		snprintf(why, sizeof(why),
		    "the answer is %.60s, no API object: is this an apiserver, or a login page or "
		    "proxy in its place?",
		    content_type);
		return why;
	}
	return NULL;
}

const char *api_format_accept(const char *wanted)
{
	return strcasecmp(wanted, API_MEDIA_JSON) == 0 ? "Accept: " API_MEDIA_JSON
						       : "Accept: " API_MEDIA_PROTO
							 "," API_MEDIA_JSON;
}
