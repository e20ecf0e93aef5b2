#include "listener/http_parse.h"

#include <string.h>
#include <strings.h>

/* A piece of the request. */
struct span {
	const char *p;
	size_t len;
};

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.p, text, s.len) == 0;
}

static struct span span_trim(struct span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Cuts off what stands before SEPARATOR, or all. False if nothing is left. */
static bool span_next(struct span *rest, char separator, struct span *piece)
{
	const char *end;

	if (rest->p == NULL)
		return false;
	piece->p = rest->p;
	end = memchr(rest->p, separator, rest->len);
	if (end == NULL) {
		piece->len = rest->len;
		rest->p = NULL;
		return true;
	}
	piece->len = (size_t)(end - rest->p);
	rest->len -= piece->len + 1;
	rest->p = end + 1;
	return true;
}

/* --- the request line --- */

/* A method is a token in capitals (every one there is); what is none is no HTTP at all. */
static bool is_method(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 'A' || s.p[i] > 'Z')
			return false;
	return s.len > 0 && s.len < 32;
}

/* "http://host/path", as clients of proxies ask: what counts is the path. */
static struct span without_authority(struct span s)
{
	const char *slash;

	if (s.len < 7 || strncasecmp(s.p, "http://", 7) != 0)
		return s;
	slash = memchr(s.p + 7, '/', s.len - 7);
	if (slash == NULL)
		return (struct span){"/", 1};
	return (struct span){slash, s.len - (size_t)(slash - s.p)};
}

/* 200, 400 or 414. */
static int parse_target(struct span target, struct http_request *r)
{
	struct span rest, path, query = {NULL, 0};

	for (size_t i = 0; i < target.len; i++)
		if (target.p[i] <= ' ' || target.p[i] > '~')
			return 400;
	rest = without_authority(target);
	if (rest.len == 0 || rest.p[0] != '/')
		return 400;
	span_next(&rest, '?', &path);
	if (rest.p != NULL)
		query = rest;
	if (path.len >= sizeof(r->path) || query.len >= sizeof(r->query))
		return 414;
	memcpy(r->path, path.p, path.len);
	if (query.len > 0)
		memcpy(r->query, query.p, query.len);
	return 200;
}

static int parse_line(struct span line, struct http_request *r)
{
	struct span method, target, version;

	if (!span_next(&line, ' ', &method) || !span_next(&line, ' ', &target) || line.p == NULL)
		return 400;
	version = line;
	if (!is_method(method) || version.len < 5 || memcmp(version.p, "HTTP/", 5) != 0)
		return 400;
	if (version.len != 8 || memcmp(version.p, "HTTP/1.", 7) != 0)
		return 505;
	r->old = version.p[7] == '0';
	r->keep_alive = !r->old;
	r->head = method.len == 4 && memcmp(method.p, "HEAD", 4) == 0;
	if (!r->head && !(method.len == 3 && memcmp(method.p, "GET", 3) == 0))
		return 405;
	return parse_target(target, r);
}

/* --- the headers that matter --- */

static void take_connection(struct span value, struct http_request *r)
{
	struct span option;

	while (span_next(&value, ',', &option)) {
		option = span_trim(option);
		if (span_is(option, "close"))
			r->keep_alive = false;
		else if (span_is(option, "keep-alive") && r->old)
			r->keep_alive = true;
	}
}

/* What a client accepts beyond the bound is not looked at. */
static void take_accept(struct span value, struct http_request *r)
{
	size_t have = strlen(r->accept), comma = have > 0;

	if (have + comma + value.len >= sizeof(r->accept))
		return;
	if (comma)
		r->accept[have] = ',';
	memcpy(r->accept + have + comma, value.p, value.len);
}

static int parse_header(struct span line, struct http_request *r, bool *has_body)
{
	struct span name;

	if (!span_next(&line, ':', &name) || line.p == NULL || name.len == 0)
		return 400;
	/* Among others a line that goes on with the one before, and a blank before the colon. */
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return 400;
	line = span_trim(line);
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '\0' || line.p[i] == '\r' || line.p[i] == '\n')
			return 400;
	if (span_is(name, "Connection"))
		take_connection(line, r);
	else if (span_is(name, "Accept"))
		take_accept(line, r);
	else if (span_is(name, "Transfer-Encoding") ||
		 (span_is(name, "Content-Length") && !span_is(line, "0")))
		*has_body = true;
	return 200;
}

static int parse_lines(struct span head, struct http_request *r)
{
	bool has_body = false;
	int status = 200;

	for (bool first = true; head.len > 0 && status == 200; first = false) {
		const char *end = memmem(head.p, head.len, "\r\n", 2);
		struct span line = {head.p, (size_t)(end - head.p)};

		status = first ? parse_line(line, r) : parse_header(line, r, &has_body);
		head.p += line.len + 2;
		head.len -= line.len + 2;
	}
	/* Where a body ends is nothing to be wrong about: nobody we serve has reason to send one.
	 */
	if (has_body || status != 200)
		r->keep_alive = false;
	return status;
}

int http_parse(const char *data, size_t len, struct http_request *r)
{
	struct span all = {data, len < HTTP_HEADER_MAX ? len : HTTP_HEADER_MAX};
	size_t blank = 0;
	const char *end;

	memset(r, 0, sizeof(*r));
	/* Old clients send an empty line behind a body; RFC 9112 2.2 lets it pass. */
	if (all.len >= 2 && memcmp(data, "\r\n", 2) == 0)
		blank = 2;
	all.p += blank;
	all.len -= blank;
	if (all.len >= 2 && memcmp(all.p, "\r\n", 2) == 0)
		return 400;
	end = memmem(all.p, all.len, "\r\n\r\n", 4);
	if (end == NULL)
		return len >= HTTP_HEADER_MAX ? 431 : HTTP_INCOMPLETE;
	all.len = (size_t)(end - all.p) + 2;
	r->len = blank + all.len + 2;
	return parse_lines(all, r);
}

/* --- the query --- */

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at =
	    c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static int percent_decode(struct span s, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if (c == '+')
			c = ' ';
		if (c == '%') {
			int high = i + 1 < s.len ? hex_digit(s.p[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_digit(s.p[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n + 1 >= size)
			return -1;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return 1;
}

int http_query(const struct http_request *r, const char *name, char *buf, size_t size)
{
	struct span rest = {r->query, strlen(r->query)}, pair, key;

	buf[0] = '\0';
	while (span_next(&rest, '&', &pair)) {
		span_next(&pair, '=', &key);
		if (key.len != strlen(name) || memcmp(key.p, name, key.len) != 0)
			continue;
		if (pair.p == NULL)
			return 1;
		if (percent_decode(pair, buf, size) == 1)
			return 1;
		buf[0] = '\0';
		return -1;
	}
	return 0;
}

/* --- what the client accepts --- */

/* "0.5" and its like, in thousandths; what is no such number counts as 1. */
static unsigned parse_quality(struct span s)
{
	unsigned q = 0, scale = 100;

	if (s.len == 0 || s.p[0] != '0')
		return 1000;
	for (size_t i = 2; i < s.len && s.p[i] >= '0' && s.p[i] <= '9' && scale > 0; i++) {
		q += (unsigned)(s.p[i] - '0') * scale;
		scale /= 10;
	}
	return q;
}

/* How closely a media range fits TYPE: 3 it is named, 2 "text/ *", 1 anything, 0 not at all. */
static unsigned range_fits(struct span range, const char *type)
{
	const char *slash = strchr(type, '/');
	size_t major = slash != NULL ? (size_t)(slash - type) + 1 : 0;

	if (span_is(range, type))
		return 3;
	if (span_is(range, "*/*"))
		return 1;
	return range.len == major + 1 && range.p[major] == '*' &&
		       strncasecmp(range.p, type, major) == 0
		   ? 2
		   : 0;
}

unsigned http_accepts(const struct http_request *r, const char *type)
{
	struct span rest = {r->accept, strlen(r->accept)}, entry, part;
	unsigned best = 0, wanted = 0;

	if (rest.len == 0)
		return 1000;
	while (span_next(&rest, ',', &entry)) {
		unsigned fits, quality = 1000;

		span_next(&entry, ';', &part);
		fits = range_fits(span_trim(part), type);
		while (span_next(&entry, ';', &part)) {
			part = span_trim(part);
			if (part.len >= 2 && (part.p[0] == 'q' || part.p[0] == 'Q') &&
			    part.p[1] == '=')
				quality = parse_quality((struct span){part.p + 2, part.len - 2});
		}
		if (fits > best || (fits == best && fits > 0 && quality > wanted)) {
			best = fits;
			wanted = quality;
		}
	}
	return wanted;
}
