/* Names against known ones: kube-proxy's own, and sha256sum | base32 for the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/objects.h"
#include "planner/names.h"

static const char *chain(uint8_t kind, const uint8_t hash[CHAIN_HASH_LEN])
{
	static char name[CHAIN_NAME_LEN];
	struct ipt_chain c = {.table = IPT_NAT, .kind = kind};

	memcpy(c.hash, hash, CHAIN_HASH_LEN);
	return ipt_chain_name(&c, name);
}

static void svc(const char *port, uint8_t proto, const char *want)
{
	uint8_t hash[CHAIN_HASH_LEN];

	names_svc_hash(hash, port, proto);
	assert_string_equal(chain(CHAIN_SVC, hash), want);
}

static void test_service_chains(void **state)
{
	(void)state;
	svc("default/kubernetes:https", PROTO_TCP, "KUBE-SVC-NPX46M4PTMTKRN6Y");
	svc("kube-system/kube-dns:dns", PROTO_UDP, "KUBE-SVC-TCOU7JCQXEZGVUNU");
	svc("kube-system/kube-dns:dns-tcp", PROTO_TCP, "KUBE-SVC-ERIFXISQEP7F7OF4");
}

static void test_endpoint_chains(void **state)
{
	static const struct {
		const char *name, *endpoint, *want;
		uint8_t proto;
	} cases[] = {
	    {"default/kubernetes:https", "10.0.0.1:6443", "KUBE-SEP-NMFUQD3Y5ZBKJ7GW", PROTO_TCP},
	    {"default/web", "[fd00::1]:80", "KUBE-SEP-M7PWXQJAFEZKPQIX", PROTO_TCP},
	    {"default/sig:m3", "10.0.0.9:2905", "KUBE-SEP-PE25OHBR3OS7AVDK", PROTO_SCTP},
	};
	uint8_t hash[CHAIN_HASH_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		names_sep_hash(hash, cases[i].name, cases[i].proto, cases[i].endpoint);
		assert_string_equal(chain(CHAIN_SEP, hash), cases[i].want);
	}
}

static void test_texts(void **state)
{
	char name[SVCPORT_NAME_LEN], text[ENDPOINT_STRLEN];
	struct ip_addr a;

	(void)state;
	assert_string_equal(names_service_port(name, "a", "b", ""), "a/b");
	assert_string_equal(names_service_port(name, "a", "b", "c"), "a/b:c");
	assert_int_equal(ip_parse(&a, "10.2.3.4"), 0);
	assert_string_equal(names_endpoint(text, &a, 65535), "10.2.3.4:65535");
	assert_int_equal(ip_parse(&a, "fd00:1:2:3:4:5:6:7"), 0);
	assert_string_equal(names_endpoint(text, &a, 65535), "[fd00:1:2:3:4:5:6:7]:65535");
	assert_string_equal(names_proto(1), "");
}

/* The chain of a longer prefix ranks higher, whatever the rest of the hash. */
static void test_prefix_chains(void **state)
{
	static const char *const nets[] = {"0.0.0.0/0", "::/0", "10.96.0.0/12", "fd00::/12",
	    "10.96.0.0/14", "10.96.0.1/32", "fd00:96::/112", "fd00:96::1/128"};
	uint8_t hash[8][CHAIN_HASH_LEN];
	struct ip_cidr c;

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ip_cidr_parse(&c, nets[i]), 0);
		names_net_hash(hash[i], &c);
		assert_int_equal(hash[i][0], c.bits + 1);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(hash[i] + 1, hash[k] + 1, CHAIN_HASH_LEN - 1);
	}
	assert_int_equal(hash[7][0], 129);
}

/* Every pair of hashes orders as the chains' names do. */
static void test_keys_order_as_names(void **state)
{
	enum { COUNT = 400 };
	static uint8_t hash[COUNT][CHAIN_HASH_LEN], key[COUNT][NAMES_KEY_LEN];
	static char name[COUNT][CHAIN_NAME_LEN];

	(void)state;
	srandom(7);
	for (int i = 0; i < COUNT; i++) {
		for (int b = 0; b < CHAIN_HASH_LEN; b++)
			hash[i][b] = (uint8_t)(random() >> 8);
		names_hash_key(key[i], hash[i]);
		strlcpy(name[i], chain(CHAIN_SVC, hash[i]), sizeof(name[i]));
	}
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < COUNT; k++) {
			int by_name = strcmp(name[i], name[k]);
			int by_key = memcmp(key[i], key[k], NAMES_KEY_LEN);

			assert_int_equal(by_name < 0, by_key < 0);
			assert_int_equal(by_name > 0, by_key > 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_service_chains),
	    cmocka_unit_test(test_endpoint_chains),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_prefix_chains),
	    cmocka_unit_test(test_keys_order_as_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
