/* What the watcher asks the apiserver, and how long it waits between tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/api_backoff.h"
#include "watcher/api_bucket.h"
#include "watcher/api_discovery.h"
#include "watcher/api_format.h"
#include "watcher/api_request.h"
#include "watcher/api_url.h"
#include "watcher/api_version.h"

static void url_list(void **state)
{
	static const struct api_query plain = {"/api/v1/services", NULL, ""};
	static const struct api_query both = {"/p", "!a.io/b,c=d", "metadata.name=n"};
	char *url = api_url_list(&plain, 500, "", NULL);

	(void)state;
	assert_string_equal(url, "/api/v1/services?limit=500");
	free(url);
	url = api_url_list(&plain, 0, "12", NULL);
	assert_string_equal(url, "/api/v1/services?limit=0&resourceVersion=12");
	free(url);
	/* A server refuses both at once. */
	url = api_url_list(&both, 1, "12", "a+b/c=&d\xc3\xa9 ~");
	assert_string_equal(url,
	    "/p?limit=1&labelSelector=%21a.io%2Fb%2Cc%3Dd"
	    "&fieldSelector=metadata.name%3Dn&continue=a%2Bb%2Fc%3D%26d%C3%A9%20~");
	free(url);
}

static void url_watch(void **state)
{
	static const struct api_query q = {"/api/v1/nodes", NULL, "metadata.name=n"};
	char *url = api_url_watch(&q, "12", 301);

	(void)state;
	assert_string_equal(url, "/api/v1/nodes?watch=1&allowWatchBookmarks=true&timeoutSeconds=301"
				 "&resourceVersion=12&fieldSelector=metadata.name%3Dn");
	free(url);
	url = api_url_watch(&q, "", 301);
	assert_string_equal(url,
	    "/api/v1/nodes?watch=1&allowWatchBookmarks=true&timeoutSeconds=301&sendInitialEvents="
	    "true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Dn");
	free(url);
}

static void versions_in_order(void **state)
{
	static const struct {
		const char *a, *b;
		bool older;
	} cases[] = {
	    {"9", "10", true},
	    {"10", "9", false},
	    {"10", "10", false},
	    {"0009", "10", true},
	    {"18446744073709551616", "18446744073709551617", true},
	    {"", "1", false},
	    {"1", "", false},
	    {"0", "1", true},
	    {"a1", "2", false}, /* of a server that is not etcd's */
	    {"1", "b2", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(api_version_older(cases[i].a, cases[i].b), cases[i].older);
}

static void content_types(void **state)
{
	enum api_format f;

	(void)state;
	assert_null(api_format_of(&f, "application/json"));
	assert_int_equal(f, FORMAT_JSON);
	assert_null(api_format_of(&f, "Application/JSON; charset=utf-8"));
	assert_int_equal(f, FORMAT_JSON);
	assert_null(api_format_of(&f, "application/vnd.kubernetes.protobuf"));
	assert_int_equal(f, FORMAT_PROTO);
	assert_null(api_format_of(&f, "application/vnd.kubernetes.protobuf;stream=watch"));
	assert_int_equal(f, FORMAT_PROTO);
	assert_non_null(strstr(api_format_of(&f, "text/html"), "the answer is text/html, no API"));
	assert_non_null(api_format_of(&f, "application/jsonx"));
	assert_null(api_format_of(&f, NULL));
	assert_int_equal(f, FORMAT_JSON);
	assert_string_equal(api_format_accept("application/json"), "Accept: application/json");
	assert_string_equal(api_format_accept("application/vnd.kubernetes.protobuf"),
	    "Accept: application/vnd.kubernetes.protobuf,application/json");
}

/* Which Kubernetes has its endpoints where. */
static void discoveries(void **state)
{
	static const struct {
		const char *group;
		int found;
	} groups[] = {
	    {"{\"versions\":[{\"version\":\"v1\"}]}", ENDPOINTS_SLICE_V1},
	    {"{\"versions\":[{\"version\":\"v1beta1\"},{\"version\":\"v1\"}]}", ENDPOINTS_SLICE_V1},
	    {"{\"versions\":[{\"version\":\"v1\"},{\"version\":\"v1beta1\"}]}", ENDPOINTS_SLICE_V1},
	    {"{\"versions\":[{\"version\":\"v1beta1\"}]}", ENDPOINTS_SLICE_V1BETA1},
	    {"{\"versions\":[{\"version\":\"v1alpha1\"}]}", ENDPOINTS_CORE},
	    {"{\"versions\":[]}", ENDPOINTS_CORE},
	    {"{\"versions\":[1,{}]}", ENDPOINTS_CORE},
	    {"{}", -1},
	    {"<html>", -1},
	    {"", -1},
	};
	static const char proto_group[] = "k8s\0"
					  "\x0a\x0e\x0a\x02v1\x12\x08"
					  "APIGroup"
					  "\x12\x25\x12\x23\x0a\x18"
					  "discovery.k8s.io/v1beta1"
					  "\x12\x07v1beta1";

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		assert_int_equal(
		    api_discovery_group(FORMAT_JSON, groups[i].group, strlen(groups[i].group)),
		    groups[i].found);
	assert_int_equal(api_discovery_group(FORMAT_PROTO, proto_group, sizeof(proto_group) - 1),
	    ENDPOINTS_SLICE_V1BETA1);
	assert_int_equal(api_discovery_group(FORMAT_PROTO, "k8s", 3), -1);
#define VERSION_IS(text) api_discovery_version(text, strlen(text))
	assert_int_equal(VERSION_IS("{\"major\":\"1\",\"minor\":\"18+\"}"), ENDPOINTS_CORE);
	assert_int_equal(VERSION_IS("{\"major\":\"1\",\"minor\":\"19\"}"), ENDPOINTS_SLICE_V1BETA1);
	assert_int_equal(VERSION_IS("{\"major\":\"1\",\"minor\":\"\"}"), ENDPOINTS_SLICE_V1BETA1);
	assert_int_equal(VERSION_IS("nonsense"), ENDPOINTS_SLICE_V1BETA1);
}

/* Each wait lies between half and all of a ceiling that doubles from 1.6 s to 30 s. */
static void backoff_doubles(void **state)
{
	static const uint32_t ceilings[] = {1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
	static const uint32_t randoms[] = {0, 1, 12345, UINT32_MAX / 2, UINT32_MAX};

	(void)state;
	for (size_t r = 0; r < sizeof(randoms) / sizeof(randoms[0]); r++) {
		struct backoff b = {0};

		for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++)
			assert_in_range(backoff_next(&b, randoms[r]), ceilings[i] / 2, ceilings[i]);
		backoff_reset(&b);
		assert_in_range(backoff_next(&b, randoms[r]), BACKOFF_MIN_MS, 1600);
	}
}

static void backoff_has_jitter(void **state)
{
	struct backoff a = {0}, b = {0}, c = {0};

	(void)state;
	assert_int_equal(backoff_next(&a, 0), 800);
	assert_int_equal(backoff_next(&b, 800), 1600);
	assert_int_equal(backoff_next(&c, 400), 1200);
}

/* --- how often --- */

static void bucket_as_upstream(void **state)
{
	struct api_bucket b = {.qps_milli = 5000, .burst = 10};

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(api_bucket_take(&b, 1000), 0);
	for (int i = 1; i <= 10; i++)
		assert_int_equal(api_bucket_take(&b, 1000), i * 200);
	/* When all these turns have come, the next is a fifth of a second away. */
	assert_int_equal(api_bucket_take(&b, 3000), 200);
	/* After a pause the burst is back, and no more than that. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(api_bucket_take(&b, 1000000), 0);
	assert_int_equal(api_bucket_take(&b, 1000000), 200);
}

static void bucket_of_odd_rates(void **state)
{
	struct api_bucket none = {0}, slow = {.qps_milli = 1, .burst = 0},
			  fast = {.qps_milli = UINT32_MAX, .burst = UINT32_MAX};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(api_bucket_take(&none, 5), 0);
	assert_int_equal(api_bucket_take(&slow, 5), 0);
	assert_int_equal(api_bucket_take(&slow, 5), 1000000); /* a thousandth a second */
	assert_int_equal(api_bucket_take(&slow, 500005), 1500000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(api_bucket_take(&fast, UINT64_MAX), 0);
}

/* Nothing depends on the date; a clock that goes back all the same makes nobody wait longer. */
static void bucket_and_clock(void **state)
{
	struct api_bucket b = {.qps_milli = 1000, .burst = 1};

	(void)state;
	assert_int_equal(api_bucket_take(&b, 1000000), 0);
	assert_int_equal(api_bucket_take(&b, 10), 1000);
	assert_int_equal(api_bucket_take(&b, 2010), 0);
}

static void drips(void **state)
{
	(void)state;
	assert_false(api_response_drips(0, 65000));
	assert_false(api_response_drips(0, 65999));
	assert_true(api_response_drips(0, 66000));
	assert_true(api_response_drips(1023, 70000));
	assert_false(api_response_drips(5 * 1024, 70000));
	assert_false(api_response_drips(100 * 1024 * 1024, 3600000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(url_list),
	    cmocka_unit_test(url_watch),
	    cmocka_unit_test(versions_in_order),
	    cmocka_unit_test(content_types),
	    cmocka_unit_test(discoveries),
	    cmocka_unit_test(backoff_doubles),
	    cmocka_unit_test(backoff_has_jitter),
	    cmocka_unit_test(bucket_as_upstream),
	    cmocka_unit_test(bucket_of_odd_rates),
	    cmocka_unit_test(bucket_and_clock),
	    cmocka_unit_test(drips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
