/* Which proxy is taken: the expected answers are those of Go's golang.org/x/net/http/httpproxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/proxy.h"

static void check_url(const char *text, const char *want)
{
	const char *why = NULL;
	char *got = proxy_url(text, &why);

	if (want == NULL ? got != NULL : got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: %s (%s)", text, got != NULL ? got : "NULL", why);
	if (got == NULL)
		assert_non_null(why);
	free(got);
}

static void urls(void **state)
{
	(void)state;
	check_url("http://p:3128", "http://p:3128/");
	check_url("http://u:a%40b@p:3128", "http://u:a%40b@p:3128/");
	check_url("http://lo%ca28", NULL); /* libcurl would decode it */
	check_url("http:/ht%tp://u:p8", NULL);
	check_url("%318", NULL);
	check_url("/p", NULL);
	check_url("p:3128", "http://p:3128/");
	check_url("p", "http://p:80/");
	check_url("10.0.0.1:8080", "http://10.0.0.1:8080/");
	check_url("HTTP://P", "http://P:80/");
	check_url("https://p", "https://p:443/");
	check_url("socks5://p", "socks5h://p:1080/");
	check_url("socks5h://p:9", "socks5h://p:9/");
	check_url("http://u:secret@[fd00::1]:3128/path?q#f", "http://u:secret@[fd00::1]:3128/");
	check_url("", NULL);
	check_url("ftp://p", NULL);
	check_url("socks4://p", NULL);
	check_url("http://", NULL);
	check_url("http://p:99999", NULL);
	check_url("http://p\r\nX: y", NULL);
	check_url("http://a b", NULL);
}

static void public(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(
	    proxy_public("http://u:secret@p:3128/", buf, sizeof(buf)), "http://p:3128");
	assert_string_equal(
	    proxy_public("socks5h://u:s@cret@[::1]:1/", buf, sizeof(buf)), "socks5h://[::1]:1");
	assert_string_equal(proxy_public("https://p:443/", buf, sizeof(buf)), "https://p:443");
}

static void by_scheme(void **state)
{
	static const struct {
		const char *server;
		struct proxy_env env;
		const char *want;
	} cases[] = {
	    {"https://k:6443", {"http://s:1", "http://h:1", NULL}, "http://s:1/"},
	    {"http://k:8080", {"http://s:1", "http://h:1", NULL}, "http://h:1/"},
	    {"https://k:6443", {NULL, "http://h:1", NULL}, NULL},
	    {"https://k:6443", {"", "http://h:1", NULL}, NULL},
	    {"http://k", {"http://s:1", NULL, NULL}, NULL},
	    {"https://k", {"s:3128", NULL, "other"}, "http://s:3128/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *proxy;

		assert_null(proxy_choose(&proxy, cases[i].server, &cases[i].env));
		if (cases[i].want == NULL)
			assert_null(proxy);
		else
			assert_string_equal(proxy, cases[i].want);
		free(proxy);
	}
}

/* As Go's TestUseProxy and the package's comment on NO_PROXY. */
static void no_proxy(void **state)
{
	static const struct {
		const char *server, *no;
		int direct;
	} cases[] = {
	    {"https://localhost:6443", NULL, 1},
	    {"https://127.0.0.1", NULL, 1},
	    {"https://127.8.9.1:1", NULL, 1},
	    {"https://[::1]:6443", NULL, 1},
	    {"https://[::2]", NULL, 0},
	    {"https://10.0.0.1:6443", NULL, 0},
	    {"https://example.com", "example.com", 1},
	    {"https://a.b.example.com", "example.com", 1},
	    {"https://notexample.com", "example.com", 0},
	    {"https://EXAMPLE.com", " Example.COM ", 1},
	    {"https://example.com", ".example.com", 0},
	    {"https://a.example.com", ".example.com", 1},
	    {"https://a.example.com", "*.example.com", 1},
	    {"https://example.com", "*.example.com", 0},
	    {"https://example.com:6443", "example.com:6443", 1},
	    {"https://example.com:6443", "example.com:443", 0},
	    {"https://example.com", "example.com:443", 1},
	    {"https://10.0.0.1:6443", "10.0.0.0/8", 1},
	    {"https://10.0.0.1:6443", "10.9.9.9/8", 1},
	    {"https://11.0.0.1:6443", "10.0.0.0/8", 0},
	    {"https://10.0.0.1:6443", "10.0.0.1", 1},
	    {"https://10.0.0.1:6443", "10.0.0.1:6443", 1},
	    {"https://10.0.0.1:6443", "10.0.0.1:1", 0},
	    {"https://10.0.0.11", "10.0.0.1", 0},
	    {"https://[fd00::1]:6443", "fd00::/8", 1},
	    {"https://[fd00::1]:6443", "fd00::1", 1},
	    {"https://[fd00::1]:6443", "[fd00::1]", 1},
	    {"https://[fd00::1]:6443", "[fd00::1]:6443", 1},
	    {"https://[fd00::1]:6443", "[fd00::1]:443", 0},
	    {"https://[fd00::1]:6443", "fd00:0:0::1", 1},
	    {"https://k8s", "a, b ,,k8s", 1},
	    {"https://k8s", "*", 1},
	    {"https://k8s", "a,*", 1},
	    {"https://k8s", ",", 0},
	    {"https://k8s", ":443", 0},
	    {"https://k8s", "*k8s", 0},
	    {"https://k8s", "10.0.0.0/33", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proxy_env e = {.https = "http://p:1", .no = cases[i].no};
		char *proxy;

		assert_null(proxy_choose(&proxy, cases[i].server, &e));
		if ((proxy == NULL) != cases[i].direct)
			fail_msg("%s, NO_PROXY=%s: %s", cases[i].server, cases[i].no, proxy);
		free(proxy);
	}
}

static void wrong_value(void **state)
{
	struct proxy_env e = {.https = "gopher://u:hunter2@p", .no = "direct"};
	const char *why;
	char *proxy;

	(void)state;
	why = proxy_choose(&proxy, "https://k", &e);
	assert_non_null(why);
	assert_non_null(strstr(why, "HTTPS_PROXY"));
	assert_null(strstr(why, "hunter2"));
	assert_null(proxy);
	assert_null(proxy_choose(&proxy, "https://direct", &e)); /* not needed, not looked at */
}

static void environment(void **state)
{
	struct proxy_env e;

	(void)state;
	setenv("https_proxy", "lower", 1);
	setenv("HTTPS_PROXY", "", 1);
	setenv("http_proxy", "lower", 1);
	setenv("HTTP_PROXY", "upper", 1);
	unsetenv("NO_PROXY");
	unsetenv("no_proxy");
	proxy_env_load(&e);
	assert_string_equal(e.https, "lower");
	assert_string_equal(e.http, "upper");
	assert_null(e.no);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls),
	    cmocka_unit_test(public),
	    cmocka_unit_test(by_scheme),
	    cmocka_unit_test(no_proxy),
	    cmocka_unit_test(wrong_value),
	    cmocka_unit_test(environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
