/* What people ask, as they write it and as it goes over the channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/query.h"

static const struct {
	const char *url, *why; /* the beginning of it; NULL: it is good */
} urls[] = {
    {"/services", NULL},
    {"/services?", NULL},
    {"/services?namespace=a&name=web-1", NULL},
    {"/services?format=json", NULL},
    {"/services?format=text&name=%77eb", NULL},
    {"/diff", NULL},
    {"/diff?format=json", NULL},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=80", NULL},
    {"/explain?src=fd00::1&dst=fd00::2&port=65535&proto=SCTP&in=cni0", NULL},
    {"/explain?src=fd00%3a%3A1&dst=fd00::2&port=1&", NULL},
    {"", "the paths are"},
    {"/", "the paths are"},
    {"/services/", "the paths are"},
    {"/a-path-that-is-longer-than-any-of-ours-and-then-some-more", "the paths are"},
    {"/services?namespace", "the parameters are namespace"},
    {"/services?src=10.0.0.1", "the parameters are namespace"},
    {"/services?Name=a", "the parameters are namespace"},
    {"/services?name=a&name=b", "a parameter is there twice"},
    {"/services?name=A", "name is no service's name"},
    {"/services?namespace=a/b", "namespace is no namespace's name"},
    {"/services?name="
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"name is no service's name"},
    {"/services?format=xml", "format is text or json"},
    {"/services?name=a%0", "a value is not printable"},
    {"/services?name=a%zz", "a value is not printable"},
    {"/services?name=a%00b", "a value is not printable"},
    {"/services?name=a%0ab", "a value is not printable"},
    {"/services?name=\xc3\xa4", "a value is not printable"},
    {"/diff?name=a", "the parameter is format"},
    {"/explain", "the parameters are src"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2", "the parameters are src"},
    {"/explain?src=10.0.0&dst=10.0.0.2&port=80", "src is no IP address"},
    {"/explain?src=10.0.0.1&dst=web&port=80", "dst is no IP address"},
    {"/explain?src=10.0.0.1&dst=fd00::1&port=80", "src and dst are of different families"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=0", "port is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=65536", "port is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=-1", "port is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=80x", "port is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=", "port is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=80&proto=icmp", "proto is none"},
    {"/explain?src=10.0.0.1&dst=10.0.0.2&port=80&in=sixteen-letters-", "in is no interface"},
};

static void test_parse(void **state)
{
	struct query q;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		const char *why = query_parse_url(&q, urls[i].url);

		if (urls[i].why == NULL ? why != NULL
					: why == NULL || strstr(why, urls[i].why) != why)
			fail_msg("%s: %s", urls[i].url, why != NULL ? why : "taken");
	}
	assert_null(query_parse_url(
	    &q, "/explain?src=fd00%3a%3A1&dst=fd00::2&port=53&proto=udp&in=eth0&format=json"));
	assert_int_equal(q.kind, QUERY_EXPLAIN);
	assert_true(q.json);
	assert_int_equal(q.packet.src.b[15], 1);
	assert_int_equal(q.packet.dst.b[15], 2);
	assert_int_equal(q.packet.port, 53);
	assert_int_equal(q.packet.proto, PROTO_UDP);
	assert_string_equal(q.packet.in, "eth0");
}

static const char *read_ask(const struct frame *f, struct query *q)
{
	struct cursor c;
	unsigned type;
	const char *why;

	assert_false(f->overflow);
	assert_null(frame_open(f->buf, f->len, &type, &c));
	assert_int_equal(type, QUERY_ASK);
	why = query_decode_ask(&c, q);
	return why;
}

static void test_over_the_channel(void **state)
{
	static const char *const good[] = {"/services?namespace=a&name=b&format=json", "/diff",
	    "/explain?src=10.0.0.1&dst=10.0.0.2&port=80", "/explain?src=::1&dst=::2&port=9&in=x"};
	static struct query_answer a;
	struct frame *f = calloc(1, sizeof(*f));
	struct query q, back;
	struct cursor c;
	unsigned type;

	(void)state;
	assert_non_null(f);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(query_parse_url(&q, good[i]));
		query_encode_ask(f, &q);
		assert_null(read_ask(f, &back));
		assert_memory_equal(&q, &back, sizeof(q));
	}
	q.packet.port = 0;
	query_encode_ask(f, &q);
	assert_string_equal(read_ask(f, &back), "no packet");
	q.kind = 0;
	query_encode_ask(f, &q);
	assert_string_equal(read_ask(f, &back), "an unknown kind of query");
	query_encode_answer(f, 200, true, "a\0b", 3);
	assert_null(frame_open(f->buf, f->len, &type, &c));
	assert_int_equal(type, QUERY_ANSWER);
	assert_null(query_decode_answer(&c, &a));
	assert_int_equal(a.status, 200);
	assert_true(a.last);
	assert_int_equal(a.len, 3);
	assert_memory_equal(a.text, "a\0b", 3);
	free(f);
}

/* The longest part fits a frame; a longer one is refused, and so is a status that is none. */
static void test_bounds(void **state)
{
	static char text[QUERY_PART_MAX + 1];
	static struct query_answer a;
	struct frame *f = calloc(1, sizeof(*f));

	(void)state;
	assert_non_null(f);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const whys[] = {NULL, "too many bytes", "a status that is none"};
		struct cursor c;
		unsigned type;
		const char *why;

		query_encode_answer(f, i == 2 ? 99 : 200, false, text, QUERY_PART_MAX + (i == 1));
		assert_false(f->overflow);
		assert_null(frame_open(f->buf, f->len, &type, &c));
		why = query_decode_answer(&c, &a);
		if (whys[i] == NULL)
			assert_null(why);
		else
			assert_string_equal(why, whys[i]);
	}
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_over_the_channel),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
