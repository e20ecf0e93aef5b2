/* The part of HTTP/1.1 (RFC 9112) that a probe needs: the request line; the headers say nothing. */
#include <string.h>

#include "listener/http.h"

static bool has_prefix(const char *s, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(s, prefix, strlen(prefix)) == 0;
}

/* A method is a token in capitals (every one there is); what is none is no HTTP at all. */
static bool is_method(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < 'A' || s[i] > 'Z')
			return false;
	return len > 0 && len < 32;
}

/* Copies the path of TARGET, up to its query. 200, 400 or 414. */
static int parse_target(const char *target, size_t len, struct http_request *r)
{
	size_t n = 0;

	if (len == 0 || target[0] != '/')
		return 400;
	while (n < len && target[n] != '?') {
		if (target[n] <= ' ' || target[n] > '~')
			return 400;
		n++;
	}
	if (n >= sizeof(r->path))
		return 414;
	memcpy(r->path, target, n);
	r->path[n] = '\0';
	return 200;
}

static int parse_line(const char *line, size_t len, struct http_request *r)
{
	const char *target, *version, *end = line + len;
	const char *space = memchr(line, ' ', len);
	size_t method_len;

	if (space == NULL)
		return 400;
	method_len = (size_t)(space - line);
	target = space + 1;
	version = memchr(target, ' ', (size_t)(end - target));
	if (!is_method(line, method_len) || version == NULL)
		return 400;
	version++;
	if (!has_prefix(version, (size_t)(end - version), "HTTP/"))
		return 400;
	if (!has_prefix(version, (size_t)(end - version), "HTTP/1.") || end - version != 8)
		return 505;
	r->head = method_len == 4 && memcmp(line, "HEAD", 4) == 0;
	if (!r->head && !(method_len == 3 && memcmp(line, "GET", 3) == 0))
		return 405;
	return parse_target(target, (size_t)(version - 1 - target), r);
}

int http_parse(const char *data, size_t len, struct http_request *r)
{
	size_t searched = len < HTTP_HEADER_MAX ? len : HTTP_HEADER_MAX;
	const char *end = memmem(data, searched, "\r\n\r\n", 4);
	const char *line_end;

	memset(r, 0, sizeof(*r));
	if (end == NULL)
		return len >= HTTP_HEADER_MAX ? 431 : HTTP_INCOMPLETE;
	line_end = memmem(data, searched, "\r\n", 2);
	return parse_line(data, (size_t)(line_end - data), r);
}
