/* Addresses, prefixes and the hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/ip.h"
#include "common/siphash.h"

static void addresses(void **state)
{
	char buf[IP_STRLEN];
	struct ip_addr a, b;

	(void)state;
	assert_int_equal(ip_parse(&a, "10.0.0.1"), 0);
	assert_string_equal(ip_format(&a, buf), "10.0.0.1");
	assert_int_equal(ip_parse(&b, "::ffff:10.0.0.1"), 0);
	assert_int_equal(ip_cmp(&a, &b), 0);
	assert_int_equal(ip_parse(&b, "FD00:0::1"), 0);
	assert_string_equal(ip_format(&b, buf), "fd00::1");
	assert_true(ip_cmp(&a, &b) < 0);
	assert_int_equal(ip_parse(&a, "10.0.0"), -1);
	assert_int_equal(ip_parse(&a, "10.0.0.01"), -1);
	assert_int_equal(ip_parse(&a, ""), -1);
	assert_int_equal(ip_parse(&a, "fe80::1%eth0"), -1);
	assert_int_equal(ip_from_bytes(&a, "12345", 5), -1);
}

static void prefixes(void **state)
{
	char buf[CIDR_STRLEN];
	struct ip_cidr c;
	struct ip_addr a;

	(void)state;
	assert_int_equal(ip_cidr_parse(&c, "10.1.2.3/8"), 0);
	assert_string_equal(ip_cidr_format(&c, buf), "10.0.0.0/8");
	assert_true(ip_cidr_is_canonical(&c));
	ip_parse(&a, "10.255.0.1");
	assert_true(ip_cidr_contains(&c, &a));
	ip_parse(&a, "11.0.0.1");
	assert_false(ip_cidr_contains(&c, &a));
	assert_int_equal(ip_cidr_parse(&c, "fd00:244::/49"), 0);
	ip_parse(&a, "fd00:244:0:7fff::1");
	assert_true(ip_cidr_contains(&c, &a));
	ip_parse(&a, "fd00:244:0:8000::1");
	assert_false(ip_cidr_contains(&c, &a));
	assert_int_equal(ip_cidr_parse(&c, "0.0.0.0/0"), 0);
	ip_parse(&a, "255.1.1.1");
	assert_true(ip_cidr_contains(&c, &a));
	assert_int_equal(ip_cidr_parse(&c, "10.0.0.0/33"), -1);
	assert_int_equal(ip_cidr_parse(&c, "10.0.0.0/08"), -1);
	assert_int_equal(ip_cidr_parse(&c, "10.0.0.0/"), -1);
	assert_int_equal(ip_cidr_parse(&c, "10.0.0.0/1x"), -1);
	assert_int_equal(ip_cidr_parse(&c, "10.0.0.0"), -1);
	c = (struct ip_cidr){.addr = {.family = FAMILY_4, .b = {10, 0, 0, 1}}, .bits = 31};
	assert_false(ip_cidr_is_canonical(&c));
	c.bits = 33;
	assert_false(ip_cidr_is_canonical(&c));
}

static void endpoints(void **state)
{
	static const char *const good[] = {"10.0.0.1", "192.0.2.255", "223.255.255.254", "fd00::1",
	    "2001:db8::", "64:ff9b::10.0.0.1", "64:ff9b:1::7f00:1"};
	static const char *const bad[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9",
	    "169.254.1.1", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "::1",
	    "fe80::1", "febf::1", "ff02::1", "::ffff:127.0.0.1", "240.0.0.1", "255.255.255.254",
	    "::10.0.0.1", "::2", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::"};
	struct ip_addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ip_parse(&a, good[i]), 0);
		assert_true(ip_is_endpoint(&a));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ip_parse(&a, bad[i]), 0);
		assert_false(ip_is_endpoint(&a));
	}
	/* A mapped one is IPv4 to ip_parse(); a message may have it in bytes. */
	a = (struct ip_addr){FAMILY_6, {[10] = 0xff, 0xff, 10, 0, 0, 1}};
	assert_false(ip_is_endpoint(&a));
}

/* The vectors of the SipHash paper's appendix and reference code: key 00..0f, input 00..0e, 00..07,
 * "". */
static void siphash_vectors(void **state)
{
	const struct siphash_key key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
	uint8_t in[15];
	struct siphash s;

	(void)state;
	for (uint8_t i = 0; i < sizeof(in); i++)
		in[i] = i;
	siphash_init(&s, &key);
	siphash_update(&s, in, sizeof(in));
	assert_true(siphash_final(&s) == 0xa129ca6149be45e5ULL);
	siphash_init(&s, &key);
	siphash_update(&s, in, 8);
	assert_true(siphash_final(&s) == 0x93f5f5799a932462ULL);
	siphash_init(&s, &key);
	assert_true(siphash_final(&s) == 0x726fdb47dd0e0e31ULL);
	for (size_t cut = 0; cut <= sizeof(in); cut++) {
		siphash_init(&s, &key);
		siphash_update(&s, in, cut);
		siphash_update(&s, in + cut, sizeof(in) - cut);
		assert_true(siphash_final(&s) == 0xa129ca6149be45e5ULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(prefixes),
	    cmocka_unit_test(endpoints),
	    cmocka_unit_test(siphash_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
