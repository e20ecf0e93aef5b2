/* nftables mode's session with the planner: transactions into a real kernel. */
#include "nft_fixture.h"

/* --- elements --- */

static struct ip_addr address(uint8_t family, uint8_t a, uint8_t d)
{
	struct ip_addr ip = {.family = family, .b = {10, a, 0, d}};

	if (family == FAMILY_6)
		ip = (struct ip_addr){FAMILY_6, {0xfd, a, [15] = d}};
	return ip;
}

/* Some element of SET, the same for each SEED. */
static struct nft_elem elem(uint8_t family, uint8_t set, uint8_t seed)
{
	const struct nft_set s = nft_set(set);
	struct nft_elem e = {.family = family, .set = set};

	if (s.fields & NFT_ADDR)
		e.addr = address(family, 96, seed);
	if (s.fields & NFT_PROTO)
		e.proto = (const uint8_t[]){IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP}[seed % 3];
	if (s.fields & NFT_PORT)
		e.port = (uint16_t)(80 + seed);
	if (s.fields & NFT_SLOT)
		e.slot = (seed % 2 != 0 ? NFT_LOCAL_SLOT : 0) + seed % s.slots;
	if (s.fields & NFT_NET) {
		e.net = (struct ip_cidr){address(family, seed, 0), 16};
		if (seed == 255) /* it goes up to the last address */
			e.net = (struct ip_cidr){{family, {[0] = 0xff}}, 8};
	}
	if (s.fields & NFT_TO) {
		e.to = address(family, 244, seed);
		e.to_port = (uint16_t)(8000 + seed);
	}
	if (s.fields & NFT_NAME)
		snprintf(e.name, sizeof(e.name), "default/web-%u:http", seed);
	return e;
}

static void put(uint8_t family, uint8_t set, uint8_t seed)
{
	struct nft_elem e = elem(family, set, seed);

	nft_write_put(&writer, &e);
}

static void delete (uint8_t family, uint8_t set, uint8_t seed)
{
	struct nft_elem e = elem(family, set, seed);

	nft_write_delete(&writer, &e);
}

static void install(void)
{
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		nft_write_install(&writer, f);
}

static void installed(void)
{
	begin();
	install();
	commit(TXN_OK);
}

/* Which sets the planner can fill. */
static bool fillable(unsigned set)
{
	return !nft_set_dynamic(set) && set != NFT_TIMEOUTS;
}

/* --- snapshots --- */

static struct nft_snapshot part;
static struct nft_elem seen[4096];
static size_t seen_count;

static void snapshot(void)
{
	struct frame_reader reader;
	struct cursor c;

	seen_count = 0;
	frame_begin(&writer.frame, TXN_SNAPSHOT_REQUEST, 0);
	sink(NULL, &writer.frame);
	if (refusal != NULL)
		fail_msg("%s", refusal);
	do {
		c = answer(&reader, NFT_SNAPSHOT);
		assert_null(nft_decode_snapshot(&c, &part));
		frame_close(&reader);
		for (uint32_t i = 0; i < part.count; i++) {
			assert_true(seen_count < sizeof(seen) / sizeof(seen[0]));
			seen[seen_count++] = part.elems[i];
		}
	} while (!part.last);
}

static bool was_seen(const struct nft_elem *e)
{
	for (size_t i = 0; i < seen_count; i++)
		if (memcmp(&seen[i], e, offsetof(struct nft_elem, name)) == 0 &&
		    strcmp(seen[i].name, e->name) == 0)
			return true;
	return false;
}

/* --- tests --- */

/* applier/rules.nft for one family, as nft prints it. */
static void the_rules_are_the_text(void **state)
{
	(void)state;
	begin();
	install();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		nft_write_affinity(&writer, f, 0, 10800);
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		char command[512];

		snprintf(command, sizeof(command),
		    "sed '/^#/d;%s' applier/rules.nft >/run/want && "
		    "nft list table %s kube-proxy | sed '/^\tcomment/d;/elements/d' >/run/got && "
		    "diff -u /run/want /run/got",
		    f == FAMILY_6 ? "s/\\bip\\b/ip6/g" : "", f == FAMILY_6 ? "ip6" : "ip");
		run(command);
	}
}

static void every_kind_of_element_comes_is_listed_and_goes(void **state)
{
	static char empty[1 << 20];
	const char *list;

	(void)state;
	installed();
	strlcpy(empty, output("nft list ruleset"), sizeof(empty));
	snapshot();
	assert_int_equal(seen_count, 0);
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++)
				put(f, set, seed);
	commit(TXN_OK);
	list = output("nft list ruleset");
	assert_non_null(strstr(list, "10.96.0.3 . tcp . 83 comment \"default/web-3:http\""));
	assert_non_null(strstr(
	    list, "10.96.0.4 . udp . 84 . 0 comment \"default/web-4:http\" : 10.244.0.4 . 8004"));
	assert_non_null(strstr(list, "fd60::5 . sctp . 85 . 65541 comment \"default/web-5:http\" "
				     ": fdf4::5 . 8005"));
	assert_non_null(strstr(list, "10.96.0.3 . tcp . 83 . 10.3.0.0/16"));
	assert_non_null(strstr(list, "elements = { 10.3.0.0/16, 10.4.0.0/16,"));
	assert_non_null(strstr(list, "fd05::/16"));
	snapshot();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		assert_true(part.installed[f] && part.there[f] && part.families[f]);
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++) {
				struct nft_elem e = elem(f, set, seed);

				if (!was_seen(&e))
					fail_msg("family %u: %s", f, nft_set(set).name);
			}
	}
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++)
				delete (f, set, seed);
	commit(TXN_OK);
	assert_string_equal(output("nft list ruleset"), empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_rules_are_the_text, start, end),
	    cmocka_unit_test_setup_teardown(
		every_kind_of_element_comes_is_listed_and_goes, start, end),
	};

	open_policy("cni0", false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
