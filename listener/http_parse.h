/* Requests of HTTP/1.0 and 1.1 (RFC 9112) as strangers send them. Pure. */
#ifndef LISTENER_HTTP_PARSE_H
#define LISTENER_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ip.h"

#define HTTP_HEADER_MAX 8192 /* bytes of request line and headers */
#define HTTP_PATH_MAX	256  /* with its NUL; no path we serve is longer */
#define HTTP_QUERY_MAX	1024
#define HTTP_ACCEPT_MAX 1024

struct http_request {
	bool head;		      /* HEAD: the answer's headers only */
	bool old;		      /* HTTP/1.0 */
	bool keep_alive;	      /* another request may follow on the connection */
	size_t len;		      /* bytes of the request in what was parsed */
	char path[HTTP_PATH_MAX];     /* as it came, without the query */
	char query[HTTP_QUERY_MAX];   /* what stands behind '?', as it came; or "" */
	char accept[HTTP_ACCEPT_MAX]; /* the Accept header, or "" */
	struct ip_addr peer;	      /* who asks; filled in by the server */
};

enum { HTTP_INCOMPLETE = 0 };

/*
 * Parses the LEN bytes that a client has sent so far. HTTP_INCOMPLETE if more are needed; 200 and
 * *R filled if it is a request to answer; else the status to refuse it with (400, 405, 414, 431,
 * 505). A request that was refused, or has a body, is the last of its connection: keep_alive is
 * false.
 */
int http_parse(const char *data, size_t len, struct http_request *r);

/*
 * The value of the query's first parameter NAME, percent-decoded, as a string. 1; 0 if there is
 * none (BUF is ""), -1 if it does not fit SIZE, is badly encoded or has a NUL.
 */
int http_query(const struct http_request *r, const char *name, char *buf, size_t size);

/*
 * How much the client wants a content type ("text/plain", parameters not looked at), in
 * thousandths, by the most specific entry of its Accept header that fits; 0: not at all. 1000 for
 * everything if there is no such header.
 */
unsigned http_accepts(const struct http_request *r, const char *type);

#endif
