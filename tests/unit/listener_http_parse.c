/* Requests as strangers send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listener/http_parse.h"

static const struct {
	const char *text;
	int status;
	const char *path;
	bool head;
} requests[] = {
    {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/healthz", false},
    {"GET /healthz HTTP/1.0\r\n\r\n", 200, "/healthz", false},
    {"HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/livez", true},
    {"GET /healthz?timeout=5s HTTP/1.1\r\n\r\n", 200, "/healthz", false},
    {"GET / HTTP/1.1\r\n\r\nand a body", 200, "/", false},
    {"GET /healthz HTTP/1.1\r\nHost: a\r\n", HTTP_INCOMPLETE, "", false},
    {"GE", HTTP_INCOMPLETE, "", false},
    {"", HTTP_INCOMPLETE, "", false},
    {"POST /healthz HTTP/1.1\r\n\r\n", 405, "", false},
    {"DELETE /nothing HTTP/1.1\r\n\r\n", 405, "", false},
    {"GETS /healthz HTTP/1.1\r\n\r\n", 405, "", false},
    {"get /healthz HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET healthz HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET  /healthz HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET /a b HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET /\x01 HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400, "", false},
    {"GET /healthz\r\n\r\n", 400, "", false},
    {"\r\n\r\n", 400, "", false},
    {" \r\n\r\n", 400, "", false},
    {"GET \r\n\r\n", 400, "", false},
    {"GET /healthz FTP/1.1\r\n\r\n", 400, "", false},
    {"GET /healthz HTTP/2.0\r\n\r\n", 505, "", false},
    {"GET /healthz HTTP/1.10\r\n\r\n", 505, "", false},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "", false},
    {"\x16\x03\x01\x02 a TLS hello\r\n\r\n", 400, "", false},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		size_t len = strlen(requests[i].text);
		char *exact = malloc(len + 1); /* of exactly LEN bytes for the address sanitizer */
		struct http_request r;
		int status;

		assert_non_null(exact);
		exact = realloc(exact, len > 0 ? len : 1);
		memcpy(exact, requests[i].text, len);
		status = http_parse(exact, len, &r);
		free(exact);
		if (status != requests[i].status)
			fail_msg("\"%s\": status %d", requests[i].text, status);
		if (status == 200) {
			assert_string_equal(r.path, requests[i].path);
			assert_int_equal(r.head, requests[i].head);
		}
	}
}

static void test_parse_bounds(void **state)
{
	static char text[HTTP_HEADER_MAX + 100];
	struct http_request r;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(http_parse(text, HTTP_HEADER_MAX - 1, &r), HTTP_INCOMPLETE);
	assert_int_equal(http_parse(text, HTTP_HEADER_MAX, &r), 431);
	/* An end behind the bound is no end. */
	memcpy(text + HTTP_HEADER_MAX - 2, "\r\n\r\n", 4);
	assert_int_equal(http_parse(text, sizeof(text), &r), 431);
	/* The longest path, and one more. */
	memcpy(text + 4 + HTTP_PATH_MAX - 1, " HTTP/1.1\r\n\r\n", 13);
	assert_int_equal(http_parse(text, 1000, &r), 200);
	assert_int_equal(strlen(r.path), HTTP_PATH_MAX - 1);
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	memcpy(text + 4 + HTTP_PATH_MAX, " HTTP/1.1\r\n\r\n", 13);
	assert_int_equal(http_parse(text, 1000, &r), 414);
}

static const struct {
	const char *header;
	bool keep_alive;
	int status;
	const char *accept;
} headers[] = {
    {"Host: a", true, 200, ""},
    {"Connection: close", false, 200, ""},
    {"connection:  te , CLOSE ", false, 200, ""},
    {"Connection: keep-alive", true, 200, ""},
    {"Connection: closed", true, 200, ""},
    {"Content-Length: 0", true, 200, ""},
    {"Content-Length: 5", false, 200, ""},
    {"Content-Length: 0, 5", false, 200, ""},
    {"Transfer-Encoding: chunked", false, 200, ""},
    {"Accept: text/plain", true, 200, "text/plain"},
    {"Accept: a/b\r\nX: y\r\naccept:\tc/d;q=0.1", true, 200, "a/b,c/d;q=0.1"},
    {"X", false, 400, ""},
    {": x", false, 400, ""},
    {"X : x", false, 400, ""},
    {"X: a\r\n b", false, 400, ""},
    {"X: a\nContent-Length: 5", false, 400, ""},
    {"X: a\rb", false, 400, ""},
};

static void test_headers(void **state)
{
	struct http_request r;
	char text[512];
	int len;

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		int status;

		len = snprintf(
		    text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n\r\nGET ", headers[i].header);
		status = http_parse(text, (size_t)len, &r);
		if (status != headers[i].status || r.keep_alive != headers[i].keep_alive ||
		    (status == 200 && strcmp(r.accept, headers[i].accept) != 0))
			fail_msg("\"%s\": status %d, keep_alive %d, accept \"%s\"",
			    headers[i].header, status, r.keep_alive, r.accept);
		assert_int_equal(r.len, len - 4);
	}
	/* HTTP/1.0 keeps alive only if asked to. */
	assert_int_equal(http_parse("GET / HTTP/1.0\r\n\r\n", 18, &r), 200);
	assert_true(r.old);
	assert_false(r.keep_alive);
	len = snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
	assert_int_equal(http_parse(text, (size_t)len, &r), 200);
	assert_true(r.keep_alive);
	/* The empty line that old clients send behind a body; one, not more. */
	assert_int_equal(http_parse("\r\nGET /x HTTP/1.1\r\n\r\n", 21, &r), 200);
	assert_string_equal(r.path, "/x");
	assert_int_equal(r.len, 21);
	assert_int_equal(http_parse("\r\n\r\nGET /x HTTP/1.1\r\n\r\n", 23, &r), 400);
	/* As clients of proxies ask. */
	len = snprintf(text, sizeof(text), "GET http://a:1/x?y HTTP/1.1\r\n\r\n");
	assert_int_equal(http_parse(text, (size_t)len, &r), 200);
	assert_string_equal(r.path, "/x");
	assert_string_equal(r.query, "y");
	len = snprintf(text, sizeof(text), "GET http://a HTTP/1.1\r\n\r\n");
	assert_int_equal(http_parse(text, (size_t)len, &r), 200);
	assert_string_equal(r.path, "/");
}

static void test_query(void **state)
{
	static const char text[] =
	    "GET /x?a=1&b=%2fc+%4A&a=2&c&d=&e=%0&f=%00&g=%zz&h=1=2&? HTTP/1.1"
	    "\r\n\r\n";
	struct http_request r;
	char buf[8];

	(void)state;
	assert_int_equal(http_parse(text, strlen(text), &r), 200);
	assert_int_equal(http_query(&r, "a", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "1");
	assert_int_equal(http_query(&r, "b", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "/c J");
	assert_int_equal(http_query(&r, "b", buf, 5), 1);
	assert_int_equal(http_query(&r, "b", buf, 4), -1);
	assert_string_equal(buf, "");
	assert_int_equal(http_query(&r, "c", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "");
	assert_int_equal(http_query(&r, "d", buf, sizeof(buf)), 1);
	assert_int_equal(http_query(&r, "e", buf, sizeof(buf)), -1);
	assert_int_equal(http_query(&r, "f", buf, sizeof(buf)), -1);
	assert_int_equal(http_query(&r, "g", buf, sizeof(buf)), -1);
	assert_int_equal(http_query(&r, "h", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "1=2");
	assert_int_equal(http_query(&r, "i", buf, sizeof(buf)), 0);
	assert_int_equal(http_query(&r, "", buf, sizeof(buf)), 0);
	r.query[0] = '\0';
	assert_int_equal(http_query(&r, "a", buf, sizeof(buf)), 0);
}

static void test_accept(void **state)
{
	static const struct {
		const char *accept;
		unsigned plain, metrics;
	} cases[] = {
	    {"", 1000, 1000},
	    {"*/*", 1000, 1000},
	    {"text/plain", 1000, 0},
	    {"text/*;q=0.5, application/openmetrics-text; version=1.0.0;q=0.75", 500, 750},
	    {"*/*;q=0.1,text/*;q=0.2,TEXT/PLAIN;q=0.3", 300, 100},
	    {"text/plain;q=0,*/*", 0, 1000},
	    {"text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3", 400, 0},
	    {"text/plain;q=0.1234", 123, 0},
	    {"text/plain;q=0.", 0, 0},
	    {"text/plainer, text, */plain, ;q=1,,", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request r = {0};

		strlcpy(r.accept, cases[i].accept, sizeof(r.accept));
		assert_int_equal(http_accepts(&r, "text/plain"), cases[i].plain);
		assert_int_equal(
		    http_accepts(&r, "application/openmetrics-text"), cases[i].metrics);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_bounds),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_accept),
	};

	return cmocka_run_group_tests_name("listener_http_parse", tests, NULL, NULL);
}
