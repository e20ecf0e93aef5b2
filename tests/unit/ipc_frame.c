/* The frame's bound and cursor, on bytes that no honest peer sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/frame.h"

#define CHECK(bytes) frame_precheck((const uint8_t *)(bytes), sizeof(bytes) - 1)

static void bounds_declared_counts(void **state)
{
	(void)state;
	/* five bytes that announce 268 million elements */
	assert_string_equal(CHECK("\xdd\x0f\xff\xff\xff"), "a count beyond the end of the frame");
	assert_string_equal(CHECK("\xdc\xff\xff"), "a count beyond the end of the frame");
	assert_string_equal(CHECK("\x93\x01\x02"), "a count beyond the end of the frame");
	assert_string_equal(CHECK("\xdb\xff\xff\xff\xff"), "a length beyond the end of the frame");
	assert_string_equal(CHECK("\xc4\x05"
				  "abcd"),
	    "a length beyond the end of the frame");
	assert_string_equal(CHECK("\xa3"
				  "ab"),
	    "a length beyond the end of the frame");
}

static void refuses_what_the_protocol_does_not_use(void **state)
{
	static const uint8_t others[] = {0x80, 0x8f, 0xc0, 0xc1, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xd0,
	    0xd1, 0xd2, 0xd3, 0xd4, 0xd8, 0xde, 0xdf, 0xe0, 0xff};

	(void)state;
	for (size_t i = 0; i < sizeof(others); i++) {
		uint8_t frame[32] = {0x91, others[i]};

		assert_string_equal(
		    frame_precheck(frame, sizeof(frame)), "a type the protocol does not use");
	}
}

static void refuses_broken_ends(void **state)
{
	(void)state;
	assert_string_equal(CHECK(""), "truncated");
	assert_string_equal(CHECK("\x92\x01\xcd"), "truncated");
	assert_string_equal(CHECK("\x91\x01\x01"), "trailing bytes");
	assert_string_equal(CHECK("\x91\x91\x91\x91\x91\x91\x91\x01"), "nested too deeply");
	assert_null(CHECK("\x91\x91\x91\x91\x91\x91\x01"));
	assert_null(CHECK("\x93\x01\x90\x92\xc2\xa1x"));
}

static void never_reads_beyond_any_prefix(void **state)
{
	static const uint8_t whole[] = {0x95, 0x01, 0xcd, 0x12, 0x34, 0xc4, 0x02, 0xaa, 0xbb, 0x92,
	    0xc3, 0xa2, 'h', 'i', 0xcf, 1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		uint8_t *exact = malloc(n + 1); /* an overread shows in a sanitizer or valgrind */

		memcpy(exact, whole, n);
		assert_non_null(frame_precheck(exact, n));
		free(exact);
	}
	assert_null(frame_precheck(whole, sizeof(whole)));
}

static struct frame f;

static const char *open_frame(struct cursor *c, unsigned *type)
{
	assert_false(f.overflow);
	return frame_open(f.buf, f.len, type, c);
}

static void round_trip(void **state)
{
	struct cursor c, in;
	struct ip_addr a, b;
	struct ip_cidr p, q;
	char text[8];
	uint8_t raw[3];
	unsigned type;

	(void)state;
	assert_int_equal(ip_parse(&a, "fd00::1"), 0);
	assert_int_equal(ip_cidr_parse(&p, "10.0.0.0/8"), 0);
	frame_begin(&f, 300, 7);
	frame_uint(&f, UINT64_MAX);
	frame_bool(&f, true);
	frame_str(&f, "seven77");
	frame_bin(&f, "\0\1\2", 3);
	frame_ip(&f, &a);
	frame_cidr(&f, &p);
	frame_array(&f, 2);
	frame_uint(&f, 1);
	frame_uint(&f, 2);
	assert_null(open_frame(&c, &type));
	assert_int_equal(type, 300);
	assert_true(cursor_uint(&c, UINT64_MAX) == UINT64_MAX);
	assert_true(cursor_bool(&c));
	cursor_str(&c, text, sizeof(text));
	assert_string_equal(text, "seven77");
	cursor_bin(&c, raw, 3);
	assert_memory_equal(raw, "\0\1\2", 3);
	cursor_ip(&c, &b);
	assert_int_equal(ip_cmp(&a, &b), 0);
	cursor_cidr(&c, &q);
	assert_memory_equal(&p, &q, sizeof(p));
	in = cursor_array(&c, 2);
	assert_int_equal(cursor_uint(&in, 1), 1);
	assert_int_equal(cursor_uint(&in, 2), 2);
	cursor_leave(&c, &in);
	assert_null(cursor_end(&c));
}

/* Opens a message of type 1 with the fields WRITE makes and returns what READ's error is. */
static const char *error_of(void (*write)(void), void (*read)(struct cursor *), uint32_t fields)
{
	struct cursor c;
	unsigned type;
	const char *why;

	frame_begin(&f, 1, fields);
	write();
	assert_null(open_frame(&c, &type));
	read(&c);
	why = cursor_end(&c);
	return why;
}

static void write_number(void)
{
	frame_uint(&f, 70000);
}
static void read_port(struct cursor *c)
{
	assert_int_equal(cursor_uint(c, 65535), 0);
}
static void read_string(struct cursor *c)
{
	char buf[4];

	cursor_str(c, buf, sizeof(buf));
	assert_string_equal(buf, "");
}
static void read_nothing(struct cursor *c)
{
	(void)c;
}
static void read_two(struct cursor *c)
{
	cursor_uint(c, UINT64_MAX);
	cursor_uint(c, UINT64_MAX);
}
static void write_long(void)
{
	frame_str(&f, "four");
}
static void write_nul(void)
{
	frame_str(&f, "aXb");
	f.buf[f.len - 2] = '\0';
}
static void write_host_bits(void)
{
	frame_array(&f, 2);
	frame_bin(&f, "\x0a\0\0\1", 4);
	frame_uint(&f, 8);
}
static void read_cidr(struct cursor *c)
{
	struct ip_cidr p;

	cursor_cidr(c, &p);
}
static void write_five_bytes(void)
{
	frame_bin(&f, "12345", 5);
}
static void read_ip(struct cursor *c)
{
	struct ip_addr a;

	cursor_ip(c, &a);
}
static void write_array(void)
{
	frame_array(&f, 2);
	frame_uint(&f, 1);
	frame_uint(&f, 1);
}
static void read_array_of_one(struct cursor *c)
{
	struct cursor in = cursor_array(c, 1);

	assert_int_equal(in.left, 0);
	cursor_leave(c, &in);
}
static void read_half_array(struct cursor *c)
{
	struct cursor in = cursor_array(c, 2);

	cursor_uint(&in, 1);
	cursor_leave(c, &in);
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	assert_string_equal(error_of(write_number, read_port, 1), "a number out of range");
	assert_string_equal(error_of(write_number, read_string, 1), "a field of the wrong type");
	assert_string_equal(error_of(write_number, read_nothing, 1), "too many fields");
	assert_string_equal(error_of(write_number, read_two, 1), "too few fields");
	assert_string_equal(error_of(write_long, read_string, 1), "a string too long");
	assert_string_equal(error_of(write_nul, read_string, 1), "a string with a NUL byte");
	assert_string_equal(error_of(write_host_bits, read_cidr, 1), "a prefix with host bits set");
	assert_string_equal(
	    error_of(write_five_bytes, read_ip, 1), "an address that is not 4 or 16 bytes");
	assert_string_equal(error_of(write_array, read_array_of_one, 1), "too many elements");
	assert_string_equal(error_of(write_array, read_half_array, 1), "too many fields");
}

struct form {
	uint32_t n;
	uint8_t number, string, bin, array; /* the first byte */
};

/* A number, a string, bytes or an array of N, alone in a frame; and back. */
static void check_form(const struct form *x)
{
	static char text[65537], back[65537];
	struct cursor c, in;
	unsigned type;

	memset(text, 'x', x->n);
	text[x->n] = '\0';
	frame_begin(&f, 1, 1);
	frame_uint(&f, x->n);
	assert_int_equal(f.buf[2], x->number);
	assert_null(open_frame(&c, &type));
	assert_int_equal(cursor_uint(&c, x->n), x->n);
	frame_begin(&f, 1, 1);
	frame_str(&f, text);
	assert_int_equal(f.buf[2], x->string);
	assert_null(open_frame(&c, &type));
	cursor_str(&c, back, sizeof(back));
	assert_string_equal(back, text);
	frame_begin(&f, 1, 1);
	frame_bin(&f, text, x->n);
	assert_int_equal(f.buf[2], x->bin);
	assert_null(open_frame(&c, &type));
	assert_int_equal(cursor_bytes(&c, back, x->n), x->n);
	assert_null(cursor_end(&c));
	frame_begin(&f, 1, 1);
	frame_array(&f, x->n);
	assert_int_equal(f.buf[2], x->array);
	for (uint32_t k = 0; k < x->n; k++)
		frame_bool(&f, true);
	assert_null(open_frame(&c, &type));
	in = cursor_array(&c, x->n);
	assert_int_equal(in.left, x->n);
	while (in.left > 0)
		assert_true(cursor_bool(&in));
	cursor_leave(&c, &in);
	assert_null(cursor_end(&c));
}

/* Lengths around each change of form, against the msgpack specification. */
static void forms(void **state)
{
	static const struct form cases[] = {
	    {0, 0x00, 0xa0, 0xc4, 0x90},
	    {15, 0x0f, 0xaf, 0xc4, 0x9f},
	    {16, 0x10, 0xb0, 0xc4, 0xdc},
	    {31, 0x1f, 0xbf, 0xc4, 0xdc},
	    {32, 0x20, 0xd9, 0xc4, 0xdc},
	    {127, 0x7f, 0xd9, 0xc4, 0xdc},
	    {128, 0xcc, 0xd9, 0xc4, 0xdc},
	    {255, 0xcc, 0xd9, 0xc4, 0xdc},
	    {256, 0xcd, 0xda, 0xc5, 0xdc},
	    {65535, 0xcd, 0xda, 0xc5, 0xdc},
	    {65536, 0xce, 0xdb, 0xc6, 0xdd},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_form(&cases[i]);
	frame_begin(&f, 1, 2);
	frame_uint(&f, UINT32_MAX);
	assert_int_equal(f.buf[2], 0xce);
	frame_uint(&f, UINT32_MAX + 1ull);
	assert_int_equal(f.buf[7], 0xcf);
}

static void overflow_is_remembered(void **state)
{
	static char big[FRAME_MAX];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	frame_begin(&f, 1, 1);
	frame_str(&f, big);
	assert_true(f.overflow);
	frame_begin(&f, 1, 0);
	assert_false(f.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bounds_declared_counts),
	    cmocka_unit_test(refuses_what_the_protocol_does_not_use),
	    cmocka_unit_test(refuses_broken_ends),
	    cmocka_unit_test(never_reads_beyond_any_prefix),
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(says_what_is_wrong),
	    cmocka_unit_test(forms),
	    cmocka_unit_test(overflow_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
