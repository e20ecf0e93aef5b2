/*
 * The cleaner's compile-time names, its frames, and how it reads the kernel's messages: whole, cut
 * at every length and with every byte changed.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleaner/names.h"
#include "cleaner/nft_read.h"
#include "cleaner/tally.h"
#include "ipc/leftovers.h"

/* --- names --- */

static void test_names(void **state)
{
	static const struct {
		enum leftovers_table table;
		const char *name;
		bool ours;
	} cases[] = {
	    {LEFTOVERS_NAT, "KUBE-SERVICES", true},
	    {LEFTOVERS_FILTER, "KUBE-SERVICES", true},
	    {LEFTOVERS_MANGLE, "KUBE-SERVICES", false},
	    {LEFTOVERS_MANGLE, "KUBE-PROXY-CANARY", true},
	    {LEFTOVERS_NAT, "KUBE-PROXY-CANARY", true},
	    {LEFTOVERS_FILTER, "KUBE-EXTERNAL-SERVICES", true},
	    {LEFTOVERS_FILTER, "KUBE-NODEPORTS", true},
	    {LEFTOVERS_FILTER, "KUBE-FORWARD", true},
	    {LEFTOVERS_FILTER, "KUBE-PROXY-FIREWALL", true},
	    {LEFTOVERS_NAT, "KUBE-POSTROUTING", true},
	    {LEFTOVERS_NAT, "KUBE-MARK-MASQ", true},
	    {LEFTOVERS_NAT, "KUBE-SVC-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-SVL-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-EXT-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-FW-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-SEP-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-XLB-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-NET-LOLE4ISW44XBNF3G", true},
	    {LEFTOVERS_NAT, "KUBE-LOAD-BALANCER", true},
	    {LEFTOVERS_NAT, "KUBE-NODE-PORT", true},
	    {LEFTOVERS_NAT, "KUBE-PORTALS-CONTAINER", true},
	    {LEFTOVERS_NAT, "KUBE-PORTALS-HOST", true},
	    {LEFTOVERS_NAT, "KUBE-NODEPORT-CONTAINER", true},
	    {LEFTOVERS_NAT, "KUBE-NODEPORT-HOST", true},
	    {LEFTOVERS_FILTER, "KUBE-NODEPORT-NON-LOCAL", true},
	    /* the kubelet's */
	    {LEFTOVERS_FILTER, "KUBE-FIREWALL", false},
	    {LEFTOVERS_NAT, "KUBE-MARK-DROP", false},
	    {LEFTOVERS_NAT, "KUBE-KUBELET-CANARY", false},
	    {LEFTOVERS_MANGLE, "KUBE-KUBELET-CANARY", false},
	    {LEFTOVERS_MANGLE, "KUBE-IPTABLES-HINT", false},
	    /* somebody's */
	    {LEFTOVERS_FILTER, "KUBE-SVC-LOLE4ISW44XBNF3G", false},
	    {LEFTOVERS_NAT, "KUBE-SVC-NOTAHASH", false},
	    {LEFTOVERS_NAT, "KUBE-SVC-LOLE4ISW44XBNF3G0", false},
	    {LEFTOVERS_NAT, "KUBE-SVC-lole4isw44xbnf3g", false},
	    {LEFTOVERS_NAT, "KUBE-SERVICES2", false},
	    {LEFTOVERS_NAT, "kube-services", false},
	    {LEFTOVERS_NAT, "PREROUTING", false},
	    {LEFTOVERS_NAT, "", false},
	    {LEFTOVERS_FILTER, "FORWARD", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (name_is_kube_proxys(cases[i].table, cases[i].name) != cases[i].ours)
			fail_msg("%s in table %s", cases[i].name, leftovers_tables[cases[i].table]);
	assert_true(name_accepts(LEFTOVERS_FORWARD, "KUBE-FORWARD"));
	assert_false(name_accepts(LEFTOVERS_FORWARD, "KUBE-NODEPORTS"));
	assert_true(name_accepts(LEFTOVERS_INPUT, "KUBE-NODEPORTS"));
	assert_false(name_accepts(LEFTOVERS_INPUT, "KUBE-FORWARD"));
	assert_true(name_serves_others("KUBE-MARK-MASQ"));
	assert_false(name_serves_others("KUBE-SERVICES"));
}

/* --- frames --- */

static const struct leftovers_row some_row = {.where = LEFTOVERS_IPVS,
    .family = FAMILY_6,
    .why = LEFTOVERS_REFUSED,
    .error = 16,
    .chains = 3,
    .rules = 7,
    .name_count = 2,
    .names = {"KUBE-6-CLUSTER-IP", "kube-ipvs0"}};

/* Decodes F whole or cut; NULL, or why not. */
static const char *decode(const uint8_t *data, size_t len, struct leftovers_row *row)
{
	struct cursor c;
	unsigned type;
	const char *why = frame_open(data, len, &type, &c);

	if (why != NULL)
		return why;
	why = type == LEFTOVERS_ROW ? leftovers_decode_row(&c, row) : "another type";
	return why;
}

static void test_row(void **state)
{
	static struct frame f;
	struct leftovers_row row;

	(void)state;
	leftovers_encode_row(&f, &some_row);
	assert_null(decode(f.buf, f.len, &row));
	assert_memory_equal(&row, &some_row, sizeof(row));
	for (size_t len = 0; len < f.len; len++)
		assert_non_null(decode(f.buf, len, &row));
	for (size_t at = 0; at < f.len; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			f.buf[at] ^= (uint8_t)(1u << bit);
			if (decode(f.buf, f.len, &row) == NULL) {
				assert_true(
				    row.where < LEFTOVERS_WHERES && row.family < FAMILY_COUNT &&
				    row.table < LEFTOVERS_TABLES && row.why < LEFTOVERS_WHYS);
				assert_true(row.name_count <= LEFTOVERS_NAMES);
			}
			f.buf[at] ^= (uint8_t)(1u << bit);
		}
}

static void test_row_out_of_bounds(void **state)
{
	static struct frame f;
	struct leftovers_row row, bad[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		bad[i] = some_row;
	bad[0].where = LEFTOVERS_WHERES;
	bad[1].family = FAMILY_COUNT;
	bad[2].why = LEFTOVERS_WHYS;
	bad[3].rules = (uint64_t)UINT32_MAX + 1;
	strcpy(bad[4].names[0], "a\"b");
	for (size_t i = 0; i < 5; i++) {
		leftovers_encode_row(&f, &bad[i]);
		assert_non_null(decode(f.buf, f.len, &row));
	}
}

static void test_firewall(void **state)
{
	static struct frame f;
	const struct leftovers_firewall w = {
	    .family = LEFTOVERS_INET, .hook = LEFTOVERS_FORWARD, .table = "ufw", .chain = "fwd"};
	struct leftovers_firewall got;
	char text[LEFTOVERS_TEXT_MAX];
	struct cursor c;
	unsigned type;

	(void)state;
	leftovers_encode_firewall(&f, &w);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_int_equal(type, LEFTOVERS_FIREWALL);
	assert_null(leftovers_decode_firewall(&c, &got));
	assert_memory_equal(&got, &w, sizeof(w));
	assert_non_null(strstr(
	    leftovers_advice(text, &got), "nft insert rule inet ufw fwd ct status dnat accept"));
}

/* The planner's byte: of any two families but none; every other byte is refused. */
static void test_programmed(void **state)
{
	bool families[FAMILY_COUNT];

	(void)state;
	for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
		const bool good = byte == 'Q' || byte == 'R' || byte == 'S';

		assert_true(leftovers_decode_programmed((uint8_t)byte, families) == good);
		if (!good)
			continue;
		assert_true(families[FAMILY_4] == (byte != 'R'));
		assert_true(families[FAMILY_6] == (byte != 'Q'));
		assert_int_equal(leftovers_encode_programmed(families), byte);
	}
}

/* --- the kernel's messages --- */

static struct nl_msg *begin(uint16_t type)
{
	const struct nfgenmsg g = {.nfgen_family = NFPROTO_IPV4};
	struct nl_msg *m = nlmsg_alloc_size(4096);

	assert_non_null(m);
	nlmsg_put(m, 0, 0, NFNL_SUBSYS_NFTABLES << 8 | type, 0, 0);
	assert_int_equal(nlmsg_append(m, (void *)(uintptr_t)&g, sizeof(g), NLMSG_ALIGNTO), 0);
	return m;
}

static struct nl_msg *chain_message(void)
{
	struct nl_msg *m = begin(NFT_MSG_NEWCHAIN);
	struct nlattr *hook;

	nla_put_string(m, NFTA_CHAIN_TABLE, "filter");
	nla_put_string(m, NFTA_CHAIN_NAME, "FORWARD");
	nla_put_string(m, NFTA_CHAIN_TYPE, "filter");
	nla_put_u32(m, NFTA_CHAIN_POLICY, htonl(NF_DROP));
	hook = nla_nest_start(m, NFTA_CHAIN_HOOK);
	nla_put_u32(m, NFTA_HOOK_HOOKNUM, htonl(NF_INET_FORWARD));
	nla_put_u32(m, NFTA_HOOK_PRIORITY, htonl((uint32_t)-10));
	nla_nest_end(m, hook);
	return m;
}

static struct nl_msg *rule_message(void)
{
	struct nl_msg *m = begin(NFT_MSG_NEWRULE);
	struct nlattr *list, *e, *data, *immediate, *verdict;

	nla_put_string(m, NFTA_RULE_TABLE, "nat");
	nla_put_string(m, NFTA_RULE_CHAIN, "PREROUTING");
	nla_put_u64(m, NFTA_RULE_HANDLE, htobe64(4711));
	list = nla_nest_start(m, NFTA_RULE_EXPRESSIONS);
	e = nla_nest_start(m, NFTA_LIST_ELEM);
	nla_put_string(m, NFTA_EXPR_NAME, "counter");
	nla_nest_end(m, e);
	e = nla_nest_start(m, NFTA_LIST_ELEM);
	nla_put_string(m, NFTA_EXPR_NAME, "immediate");
	data = nla_nest_start(m, NFTA_EXPR_DATA);
	immediate = nla_nest_start(m, NFTA_IMMEDIATE_DATA);
	verdict = nla_nest_start(m, NFTA_DATA_VERDICT);
	nla_put_u32(m, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_JUMP));
	nla_put_string(m, NFTA_VERDICT_CHAIN, "KUBE-SERVICES");
	nla_nest_end(m, verdict);
	nla_nest_end(m, immediate);
	nla_nest_end(m, data);
	nla_nest_end(m, e);
	nla_nest_end(m, list);
	return m;
}

static void test_chain(void **state)
{
	struct nl_msg *m = chain_message();
	struct nft_rule r;
	struct nft_chain c;

	(void)state;
	assert_true(nft_read_chain(nlmsg_hdr(m), &c));
	assert_string_equal(c.table, "filter");
	assert_string_equal(c.name, "FORWARD");
	assert_true(c.base && c.filter && c.drops);
	assert_false(c.nat);
	assert_int_equal(c.hook, NF_INET_FORWARD);
	assert_int_equal(c.priority, -10);
	assert_false(nft_read_rule(nlmsg_hdr(m), &r)); /* of another type */
	nlmsg_free(m);
}

static void test_rule(void **state)
{
	struct nl_msg *m = rule_message();
	struct nft_rule r;

	(void)state;
	assert_true(nft_read_rule(nlmsg_hdr(m), &r));
	assert_string_equal(r.table, "nat");
	assert_string_equal(r.chain, "PREROUTING");
	assert_string_equal(r.target, "KUBE-SERVICES");
	assert_int_equal(r.handle, 4711);
	nlmsg_free(m);
}

/* Reads LEN bytes of M in memory of just that size, so that valgrind and ASan see a byte too far.
 */
static void read_exactly(const struct nl_msg *m, size_t len, size_t flip, uint8_t mask)
{
	uint8_t *copy = malloc(len);
	struct nlmsghdr *h = (void *)copy;
	struct nft_chain c;
	struct nft_rule r;
	uint32_t generation;

	assert_non_null(copy);
	memcpy(copy, nlmsg_hdr((struct nl_msg *)(uintptr_t)m), len);
	copy[flip] ^= mask;
	h->nlmsg_len = (uint32_t)len; /* what nlmsg_ok() lets pass */
	if (nft_read_chain(h, &c))
		assert_true(strlen(c.name) < sizeof(c.name) && strlen(c.table) < sizeof(c.table));
	if (nft_read_rule(h, &r))
		assert_true(strlen(r.target) < sizeof(r.target) && r.chain[0] != '\0');
	nft_read_generation(h, &generation);
	free(copy);
}

static void test_cut_and_changed(void **state)
{
	struct nl_msg *messages[] = {chain_message(), rule_message()};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		const size_t len = nlmsg_hdr(messages[k])->nlmsg_len;

		for (size_t n = sizeof(struct nlmsghdr); n <= len; n++)
			read_exactly(messages[k], n, sizeof(struct nlmsghdr) - 1, 0);
		for (size_t at = offsetof(struct nlmsghdr, nlmsg_type); at < len; at++)
			for (unsigned bit = 0; bit < 8; bit++)
				read_exactly(messages[k], len, at, (uint8_t)(1u << bit));
		nlmsg_free(messages[k]);
	}
}

/* What the kernel echoes of a chain that it would not delete. */
static void test_refused_chain(void **state)
{
	struct nl_msg *about = begin(NFT_MSG_DELCHAIN);
	char table[NFT_READ_NAME_MAX], name[NFT_READ_NAME_MAX];
	uint8_t *answer;
	struct nlmsghdr *h;
	size_t len;

	(void)state;
	nla_put_string(about, NFTA_CHAIN_TABLE, "nat");
	nla_put_string(about, NFTA_CHAIN_NAME, "KUBE-MARK-MASQ");
	len = NLMSG_HDRLEN + sizeof(int) + nlmsg_hdr(about)->nlmsg_len;
	for (size_t n = NLMSG_HDRLEN; n <= len; n++) {
		answer = calloc(1, n);
		assert_non_null(answer);
		h = (void *)answer;
		if (n > NLMSG_HDRLEN + sizeof(int))
			memcpy(answer + NLMSG_HDRLEN + sizeof(int), nlmsg_hdr(about),
			    n - NLMSG_HDRLEN - sizeof(int));
		h->nlmsg_type = NLMSG_ERROR;
		h->nlmsg_len = (uint32_t)n;
		assert_int_equal(nft_read_refused_chain(h, table, name), n == len);
		free(answer);
	}
	assert_string_equal(table, "nat");
	assert_string_equal(name, "KUBE-MARK-MASQ");
	nlmsg_free(about);
}

/* --- tally --- */

static void test_tally(void **state)
{
	static struct tally t;
	struct leftovers_row *r = tally_begin(&t, LEFTOVERS_NF_TABLES, FAMILY_4, LEFTOVERS_NAT);

	(void)state;
	assert_true(tally_empty(&t) && tally_settled(&t));
	r->chains = 2;
	for (int i = 0; i < 6; i++)
		tally_name(r, "KUBE-SERVICES");
	tally_name(r, "a\nb");
	assert_int_equal(r->name_count, LEFTOVERS_NAMES);
	assert_false(tally_empty(&t) || tally_settled(&t));
	tally_stays(r, LEFTOVERS_POLICY, "KUBE-FORWARD");
	assert_int_equal(r->name_count, 1);
	assert_true(!tally_empty(&t) && tally_settled(&t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_row),
	    cmocka_unit_test(test_row_out_of_bounds),
	    cmocka_unit_test(test_firewall),
	    cmocka_unit_test(test_programmed),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_rule),
	    cmocka_unit_test(test_cut_and_changed),
	    cmocka_unit_test(test_refused_chain),
	    cmocka_unit_test(test_tally),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
