/* Chain names both ways, the invariants of the compile-time tables, and every refusal of a rule. */
#include "applier/ipvs_tables.h"
#include "tests/unit/applier_fixture.h"

static void names_go_both_ways(void **state)
{
	char name[CHAIN_NAME_LEN];

	(void)state;
	for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++)
		for (uint8_t t = 0; t < IPT_TABLE_COUNT; t++)
			for (unsigned h = 0; h < 256; h++) {
				struct ipt_chain c = chain(FAMILY_4, t, k, (uint8_t)h);
				struct ipt_chain back = {.family = FAMILY_4, .table = t};

				if (ipt_chain_kinds[k].hashed)
					c.hash[9] = (uint8_t)(h * 7);
				if ((ipt_chain_kinds[k].tables & 1u << t) == 0)
					continue;
				assert_true(ipt_chain_valid(&c));
				assert_true(ipt_chain_parse(&back, ipt_chain_name(&c, name)));
				assert_memory_equal(&back, &c, sizeof(c));
			}
}

static void hash_is_base32(void **state)
{
	/* The first ten bytes of SHA-256("default/kubernetes:httpstcp"): a name seen in every
	 * cluster. */
	const struct ipt_chain c = {.table = IPT_NAT,
	    .kind = CHAIN_SVC,
	    .hash = {0x6b, 0xef, 0xcf, 0x33, 0x8f, 0x9b, 0x26, 0xa8, 0xb7, 0xd8}};
	char name[CHAIN_NAME_LEN];

	(void)state;
	assert_string_equal(ipt_chain_name(&c, name), "KUBE-SVC-NPX46M4PTMTKRN6Y");
}

static void foreign_names_are_not_ours(void **state)
{
	static const char *const names[] = {"", "INPUT", "PREROUTING", "DOCKER", "KUBE-",
	    "KUBE-SVC-", "KUBE-SVC-AAAAAAAAAAAAAAA", "KUBE-SVC-AAAAAAAAAAAAAAAAA",
	    "KUBE-SVC-AAAAAAAAAAAAAAA1", "KUBE-SVC-aaaaaaaaaaaaaaaa",
	    "KUBE-SVC-AAAAAAAAAAAAAAA=", "KUBE-SERVICE", "KUBE-SERVICES2", "kube-services",
	    "KUBE-FIREWALL", "KUBE-KUBELET-CANARY",
	    /* of the other table */
	    "KUBE-FORWARD"};
	struct ipt_chain c = {.table = IPT_NAT};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (ipt_chain_parse(&c, names[i]))
			fail_msg("%s", names[i]);
}

static void chains_that_cannot_exist(void **state)
{
	struct ipt_chain c = chain(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);

	(void)state;
	assert_true(ipt_chain_valid(&c));
	c.hash[3] = 1;
	assert_false(ipt_chain_valid(&c));
	c = chain(FAMILY_COUNT, IPT_NAT, CHAIN_SERVICES, 0);
	assert_false(ipt_chain_valid(&c));
	c = chain(FAMILY_4, IPT_TABLE_COUNT, CHAIN_SERVICES, 0);
	assert_false(ipt_chain_valid(&c));
	c = chain(FAMILY_4, IPT_FILTER, CHAIN_SVC, 1);
	assert_false(ipt_chain_valid(&c));
	c = (struct ipt_chain){.kind = CHAIN_KIND_COUNT};
	assert_false(ipt_chain_valid(&c));
}

/* The ipset it matches. */
static unsigned set_of(const struct ipt_template *t)
{
	return t->matches / MATCH_SET_NUMBER;
}

/* Does it concern one port of an address or of the node, or alone what no good packet is? */
static bool narrow(const struct ipt_template *t)
{
	if ((t->matches & (MATCH_CTSTATE_INVALID | MATCH_LOCALNET)) != 0)
		return true;
	if ((t->matches & MATCH_SET) !=
	    0) /* of addresses and ports, or of kube-ipvs0's addresses */
		return set_of(t) == IPVS_FIREWALL || set_of(t) == IPVS_IPS;
	if ((t->args & ARG_DPORT) == 0 || (t->matches & MATCH_PROTO) == 0)
		return false;
	return (t->args & ARG_DST) != 0 || (t->matches & MATCH_LOCAL_DST) != 0;
}

/* No template may jump down the ranks, and none may drop or reject everything. */
static void templates_keep_the_rules(void **state)
{
	(void)state;
	for (unsigned i = 0; i < IPT_TEMPLATE_COUNT; i++) {
		const struct ipt_template *t = &ipt_templates[i];

		assert_non_null(t->name);
		assert_true(t->chains != 0 && t->chains >> CHAIN_KIND_COUNT == 0);
		for (unsigned k = 0; k < CHAIN_KIND_COUNT; k++) {
			if (((t->chains | t->targets) & 1u << k) != 0)
				assert_true(ipt_chain_kinds[k].tables & 1u << t->table);
			if ((t->chains & 1u << k) != 0 && k != CHAIN_NET) /* jumps go up */
				assert_int_equal(t->targets >> (k + 1) << (k + 1), t->targets);
		}
		assert_int_equal(
		    t->verdict == VERDICT_JUMP || t->verdict == VERDICT_GOTO, t->targets != 0);
		if (t->verdict == VERDICT_JUMP && (t->args & ARG_TARGET) == 0)
			assert_int_equal(__builtin_popcount(t->targets), 1);
		if (t->verdict == VERDICT_DROP || t->verdict == VERDICT_REJECT)
			assert_true(narrow(t));
		if (t->verdict == VERDICT_DNAT)
			assert_true((t->args & ARG_TO) != 0 && (t->args & ARG_PROTO) != 0);
		/* what the bytes of a part are made of must be among the arguments */
		assert_int_equal((t->args & ARG_SECONDS) != 0, (t->matches & MATCH_RECENT) != 0);
		assert_int_equal((t->args & ARG_NET) != 0,
		    (t->matches & (MATCH_SRC | MATCH_NOT_SRC | MATCH_DST)) != 0);
		if ((t->matches & (MATCH_SET | MATCH_SET_FROM)) == 0)
			assert_int_equal(
			    (t->args & ARG_PROTO) != 0, (t->matches & MATCH_PROTO) != 0);
		else /* the sets of node ports are one of each protocol */
			assert_int_equal(
			    set_of(t) == IPVS_NODE_PORT || set_of(t) == IPVS_NODE_PORT_LOCAL ||
				set_of(t) == IPVS_HEALTH_CHECK || t->verdict == VERDICT_REJECT,
			    (t->args & ARG_PROTO) != 0);
		assert_true(set_of(t) < IPVS_SET_COUNT);
		assert_int_equal(
		    i >= T_IPVS_FIRST && (t->matches & (MATCH_SET | MATCH_SET_FROM)) != 0,
		    (t->matches & (MATCH_SET | MATCH_SET_FROM)) != 0);
		/* a list of clients is named after an endpoint's chain */
		if ((t->matches & MATCH_RECENT) != 0)
			assert_int_equal(t->targets, 1u << CHAIN_SEP);
		if ((t->matches & MATCH_RECENT_SET) != 0)
			assert_int_equal(t->chains, 1u << CHAIN_SEP);
		assert_int_equal(
		    (t->matches & (MATCH_COMMENT | MATCH_COMMENT_TO)) != 0, t->comment != NULL);
	}
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++) {
		assert_true(ipt_chain_kinds[ipt_hooks[i].kind].tables & 1u << ipt_hooks[i].table);
		assert_false(ipt_chain_kinds[ipt_hooks[i].kind].hashed);
	}
}

static void must_pass(const struct ipt_rule *good, uint8_t family, uint8_t kind)
{
	const struct ipt_template *t = &ipt_templates[good->template];
	struct ipt_chain in = sample_chain(family, t->table, kind);
	const char *why = ipt_rule_check(good, &in);

	if (why != NULL)
		fail_msg("%s: %s", t->name, why);
}

/* Each in every chain it may stand in, to every chain it may jump to; and nowhere else. */
static void good_rules_pass(void **state)
{
	(void)state;
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t i = 0; i < IPT_TEMPLATE_COUNT; i++)
			for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++)
				for (uint8_t to = 0; to < CHAIN_KIND_COUNT; to++) {
					const struct ipt_template *t = &ipt_templates[i];
					struct ipt_chain in = sample_chain(f, t->table, k);
					struct ipt_rule good = rule(f, i);
					bool jump = (t->args & ARG_TARGET) != 0;

					set_target(&good, to);
					if ((t->chains & 1u << k) != 0 &&
					    (!jump || (t->targets & 1u << to) != 0))
						must_pass(&good, f, k);
					else
						assert_non_null(ipt_rule_check(&good, &in));
				}
}

/* --- refusals: one thing wrong each --- */

static struct ipt_rule r;
static struct ipt_chain c;

static void set_dst(const char *text)
{
	r.dst = addr(text);
}

static void set_to(const char *text)
{
	r.to = addr(text);
}

static void set_name(const char *text)
{
	strlcpy(r.name, text, sizeof(r.name));
}

static void set_src(const char *text)
{
	assert_int_equal(ip_cidr_parse(&r.net, text), 0);
}

static void set_number(const char *text)
{
	unsigned long n = strtoul(text + 2, NULL, 0);

	switch (text[0]) {
	case 'T':
		r.template = (uint8_t)n;
		break;
	case 'p':
		r.proto = (uint8_t)n;
		break;
	case 'd':
		r.dport = (uint16_t)n;
		break;
	case 'o':
		r.to_port = (uint16_t)n;
		break;
	case 'P':
		r.probability = (uint32_t)n;
		break;
	case 's':
		r.seconds = (uint32_t)n;
		break;
	case 'b':
		r.net.bits = (uint8_t)n;
		break;
	case 'k':
		r.target_kind = (uint8_t)n;
		break;
	case 't':
		c.table = (uint8_t)n;
		break;
	default:
		fail();
	}
}

static uint8_t kind_named(const char *text)
{
	uint8_t k = 0;

	while (strcmp(ipt_chain_kinds[k].name, text) != 0)
		assert_true(++k < CHAIN_KIND_COUNT);
	return k;
}

static void set_target_kind(const char *text)
{
	set_target(&r, kind_named(text));
}

static void set_chain_kind(const char *text)
{
	c = sample_chain(c.family, c.table, kind_named(text));
}

#define LABEL63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct refusal {
	uint8_t family;
	uint8_t template;
	void (*spoil)(const char *text);
	const char *text;
	const char *why; /* a part of it */
} refusals[] = {
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "127.0.0.1", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "127.255.0.9", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "169.254.169.254", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "224.0.0.1", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "255.255.255.255", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "0.0.0.0", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_to, "fd00::1", "other address family"},
    {FAMILY_6, T_ENDPOINT_DNAT, set_to, "::1", "unicast"},
    {FAMILY_6, T_ENDPOINT_DNAT, set_to, "::", "unicast"},
    {FAMILY_6, T_ENDPOINT_DNAT, set_to, "fe80::1", "unicast"},
    {FAMILY_6, T_ENDPOINT_DNAT, set_to, "ff02::1", "unicast"},
    {FAMILY_6, T_ENDPOINT_DNAT, set_to, "10.0.0.1", "other address family"},
    {FAMILY_4, T_HAIRPIN_MARK, set_to, "127.0.0.1", "unicast"},
    {FAMILY_4, T_ENDPOINT_DNAT, set_number, "o=0", "port 0"},
    {FAMILY_4, T_CLUSTER_IP, set_dst, "fd00::1", "other address family"},
    {FAMILY_4, T_CLUSTER_IP, set_dst, "127.0.0.1", "unicast"},
    {FAMILY_4, T_CLUSTER_IP, set_dst, "169.254.169.254", "unicast"},
    {FAMILY_4, T_CLUSTER_IP, set_dst, "0.0.0.0", "unicast"},
    {FAMILY_4, T_NO_ENDPOINTS_REJECT, set_dst, "0.0.0.0", "unicast"},
    {FAMILY_4, T_NO_ENDPOINTS_REJECT, set_dst, "239.1.1.1", "unicast"},
    {FAMILY_6, T_CLUSTER_IP, set_dst, "10.96.0.1", "other address family"},
    {FAMILY_4, T_CLUSTER_IP_MASQ_OUTSIDE, set_src, "fd00::/8", "other address family"},
    {FAMILY_4, T_CLUSTER_IP_MASQ_OUTSIDE, set_number, "b=13", "host bits"},
    {FAMILY_4, T_CLUSTER_IP_MASQ_OUTSIDE, set_number, "b=8", "host bits"},
    {FAMILY_4, T_CLUSTER_IP_MASQ_OUTSIDE, set_number, "b=33", "host bits"},
    {FAMILY_6, T_CLUSTER_IP_MASQ_OUTSIDE, set_number, "b=129", "host bits"},
    {FAMILY_4, T_CLUSTER_IP, set_number, "p=0", "protocol"},
    {FAMILY_4, T_CLUSTER_IP, set_number, "p=1", "protocol"},
    {FAMILY_4, T_CLUSTER_IP, set_number, "p=255", "protocol"},
    {FAMILY_4, T_CLUSTER_IP, set_number, "d=0", "port 0"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "", "name"}, {FAMILY_4, T_CLUSTER_IP, set_name, "a", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "/a", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b:", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b:c:d", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b/c", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/B", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b ", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b\"", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b\n-A INPUT", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "-a/b", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b-", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a/b%n", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_name, "a" LABEL63 "/b", "name"},
    {FAMILY_4, T_ENDPOINT_RANDOM, set_number, "P=0", "probability"},
    {FAMILY_4, T_ENDPOINT_RANDOM, set_number, "P=2147483649", "probability"},
    {FAMILY_4, T_ENDPOINT_AFFINE, set_number, "s=0", "1..86400 seconds"},
    {FAMILY_4, T_ENDPOINT_AFFINE, set_number, "s=86401", "1..86400 seconds"},
    {FAMILY_4, T_HEALTH_CHECK_ACCEPT, set_number, "p=17", "other than TCP"},
    {FAMILY_4, T_HEALTH_CHECK_ACCEPT, set_number, "p=132", "other than TCP"},
    {FAMILY_4, T_NODE_PORT, set_number, "d=0", "port 0"},
    {FAMILY_4, T_NODE_PORT_NO_LOCAL_DROP, set_number, "d=0", "port 0"},
    {FAMILY_4, T_SOURCE_RANGE, set_src, "fd00::/8", "other address family"},
    {FAMILY_6, T_SOURCE_RANGE, set_src, "192.0.2.0/24", "other address family"},
    {FAMILY_6, T_EXTERNAL_POD, set_src, "10.244.0.0/16", "other address family"},
    {FAMILY_4, T_FIREWALL_DROP, set_dst, "0.0.0.0", "unicast"},
    {FAMILY_4, T_EXTERNAL_NO_LOCAL_DROP, set_dst, "224.0.0.1", "unicast"},
    {FAMILY_4, T_EXTERNAL_IP, set_dst, "127.0.0.1", "unicast"},
    {FAMILY_4, T_LOAD_BALANCER_IP, set_dst, "169.254.169.254", "unicast"},
    {FAMILY_4, T_EXTERNAL_MASQ, set_name, "a/b%s", "name"},
    {FAMILY_4, T_CLUSTER_IP, set_number, "k=200", "cannot exist"},
    {FAMILY_4, T_CLUSTER_IP, set_target_kind, "KUBE-EXT-", "may not jump"},
    {FAMILY_4, T_CLUSTER_IP, set_target_kind, "KUBE-SEP-", "may not jump"},
    {FAMILY_4, T_EXTERNAL_IP, set_target_kind, "KUBE-SVC-", "may not jump"},
    {FAMILY_4, T_NODE_PORT, set_target_kind, "KUBE-FW-", "may not jump"},
    {FAMILY_4, T_EXTERNAL_POLICY, set_target_kind, "KUBE-FW-", "may not jump"}, /* a cycle */
    {FAMILY_4, T_EXTERNAL_POLICY, set_target_kind, "KUBE-EXT-", "may not jump"},
    {FAMILY_4, T_ENDPOINT_LAST, set_target_kind, "KUBE-EXT-", "may not jump"},
    {FAMILY_4, T_ENDPOINT_LAST, set_target_kind, "KUBE-SVC-", "may not jump"},
    {FAMILY_4, T_ENDPOINT_AFFINE, set_target_kind, "KUBE-SVL-", "may not jump"},
    {FAMILY_4, T_ENDPOINT_LAST, set_number, "k=1", "cannot exist"}, /* with a hash */
    {FAMILY_4, T_CLUSTER_IP, set_number, "T=200", "unknown template"},
    {FAMILY_4, T_CLUSTER_IP, set_chain_kind, "KUBE-NODEPORTS", "may not stand"},
    {FAMILY_4, T_SOURCE_RANGE, set_chain_kind, "KUBE-EXT-", "may not stand"},
    {FAMILY_4, T_ENDPOINT_LAST, set_chain_kind, "KUBE-EXT-", "may not stand"},
    {FAMILY_4, T_FORWARD_INVALID, set_chain_kind, "KUBE-SERVICES", "may not stand"},
    {FAMILY_4, T_FIREWALL_DROP, set_chain_kind, "KUBE-SERVICES", "may not stand"},
    {FAMILY_4, T_NODE_PORT_NO_LOCAL_DROP, set_chain_kind, "KUBE-NODEPORTS", "may not stand"},
    {FAMILY_4, T_HEALTH_CHECK_ACCEPT, set_chain_kind, "KUBE-FORWARD", "may not stand"},
    {FAMILY_4, T_NO_ENDPOINTS_REJECT, set_number, "t=0", "may not stand"},
    {FAMILY_4, T_NODE_PORT, set_number, "t=1", "may not stand"},
    {FAMILY_4, T_CLUSTER_IP, set_chain_kind, "KUBE-FORWARD", "cannot exist"}, /* in nat */
    {FAMILY_4, T_FIREWALL_DROP, set_chain_kind, "KUBE-SVC-", "cannot exist"}, /* in filter */
};

static void bad_rules_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *x = &refusals[i];
		const char *why;

		r = rule(x->family, x->template);
		c = chain_of(x->family, x->template);
		assert_null(ipt_rule_check(&r, &c));
		x->spoil(x->text);
		why = ipt_rule_check(&r, &c);
		if (why == NULL || strstr(why, x->why) == NULL)
			fail_msg("%s with %s: %s", ipt_templates[x->template].name, x->text,
			    why == NULL ? "allowed" : why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_go_both_ways),
	    cmocka_unit_test(hash_is_base32),
	    cmocka_unit_test(foreign_names_are_not_ours),
	    cmocka_unit_test(chains_that_cannot_exist),
	    cmocka_unit_test(templates_keep_the_rules),
	    cmocka_unit_test(good_rules_pass),
	    cmocka_unit_test(bad_rules_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
