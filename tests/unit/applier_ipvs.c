/* What the applier lets pass in ipvs mode, over the codec, and what it refuses. */
#include "applier/ipt_apply.h"
#include "applier/ipvs_apply.h"
#include "tests/unit/applier_fixture.h"

static struct policy policy;
static struct transaction txn;
static struct txn_writer writer;
static const char *refusal;
static struct ipvs_item came[IPVS_KIND_COUNT * FAMILY_COUNT];
static enum txn_op ops[IPVS_KIND_COUNT * FAMILY_COUNT];
static size_t count;

/* --- items --- */

/* One of KIND with every field in order. */
static struct ipvs_item item(uint8_t kind, uint8_t family)
{
	const uint8_t fields = ipvs_kinds[kind].fields;
	struct ipvs_item i = {.kind = kind, .family = family};
	struct ip_cidr net;

	if (fields & IPVS_ADDR)
		i.addr = addr(family == FAMILY_4 ? "10.96.0.1" : "fd00:96::1");
	if (fields & IPVS_PROTO)
		i.proto = IPPROTO_SCTP;
	if (fields & IPVS_PORT)
		i.port = 443;
	if (fields & IPVS_TO)
		i.to = addr(family == FAMILY_4 ? "10.1.0.1" : "fd00:1::1");
	if (fields & IPVS_TO_PORT)
		i.to_port = 8443;
	if (fields & IPVS_NET) {
		assert_int_equal(
		    ip_cidr_parse(&net, family == FAMILY_4 ? "10.0.0.0/9" : "fd00::/64"), 0);
		i.to = net.addr;
		i.bits = net.bits;
	}
	i.value = fields & IPVS_SECONDS ? 86400 : fields & IPVS_WEIGHT ? 1 : 0;
	return i;
}

static const char *take(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	(void)arg;
	assert_true(count < sizeof(ops) / sizeof(ops[0]));
	ops[count] = op;
	came[count++] = *i;
	return NULL;
}

static void sink(void *arg, const struct frame *f)
{
	static const struct txn_visitor taker = {.item = take};
	struct cursor c;
	unsigned type;

	(void)arg;
	assert_null(frame_open(f->buf, f->len, &type, &c));
	if (type == TXN_OPS) {
		refusal = transaction_add(&txn, &c, f->buf, f->len, ipt_check_ops);
		assert_null(frame_open(f->buf, f->len, &type, &c));
		assert_null(txn_decode_ops(&c, &taker, NULL));
	}
}

/* Why OP on I is refused; NULL: it is not. */
static const char *say(enum txn_op op, const struct ipvs_item *i)
{
	count = 0;
	transaction_begin(&txn, 1);
	txn_begin(&writer, sink, NULL, 1, 0);
	txn_item(&writer, op, i);
	txn_commit(&writer);
	return refusal;
}

static void refused(enum txn_op op, const struct ipvs_item *i, const char *why)
{
	const char *said = say(op, i);

	if (said == NULL || strstr(said, why) == NULL)
		fail_msg("%s and not %s", said != NULL ? said : "taken", why);
	assert_true(txn.refused[0] != '\0');
}

/* --- tests --- */

static void they_come_as_they_went(void **state)
{
	struct ipvs_item sent[IPVS_KIND_COUNT * FAMILY_COUNT];
	char text[256];
	size_t n = 0;

	(void)state;
	count = 0;
	transaction_begin(&txn, 1);
	txn_begin(&writer, sink, NULL, 1, 0);
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++)
		for (uint8_t k = 0; k < (uint8_t)IPVS_KIND_COUNT; k++) {
			sent[n] = item(k, f);
			txn_item(&writer, n % 2 ? OP_ITEM_PUT : OP_ITEM_DELETE, &sent[n]);
			n++;
		}
	txn_commit(&writer);
	assert_null(refusal);
	assert_int_equal(count, n);
	assert_memory_equal(came, sent, sizeof(sent));
	assert_int_equal(ops[0], OP_ITEM_DELETE);
	assert_int_equal(ops[1], OP_ITEM_PUT);
	assert_int_equal(transaction_ops(&txn), n);
	assert_non_null(strstr(ipvs_item_text(text, sizeof(text), &sent[0]), "KUBE-LOOP-BACK"));
}

/* Each value that is not in its set, of every kind that has the field. */
static void fields_out_of_their_sets(void **state)
{
	static const char *const bad4[] = {
	    "0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255"};

	(void)state;
	for (uint8_t k = 0; k < (uint8_t)IPVS_KIND_COUNT; k++) {
		const uint8_t fields = ipvs_kinds[k].fields;
		const struct ipvs_item good = item(k, FAMILY_4);
		struct ipvs_item bad;

		for (size_t a = 0; fields & IPVS_ADDR && a < sizeof(bad4) / sizeof(bad4[0]); a++) {
			bad = good;
			bad.addr = addr(bad4[a]);
			refused(OP_ITEM_PUT, &bad, "no plain unicast");
			bad = good;
			bad.to = addr(bad4[a]);
			if (fields & IPVS_TO)
				refused(OP_ITEM_PUT, &bad, "no plain unicast");
		}
		bad = good;
		bad.addr = addr("fd00::1");
		if (fields & IPVS_ADDR)
			refused(OP_ITEM_DELETE, &bad, "of its family");
		bad = good;
		bad.proto = IPPROTO_ICMP;
		if (fields & IPVS_PROTO)
			refused(OP_ITEM_PUT, &bad, "a protocol other");
		bad = good;
		bad.port = 0;
		if (fields & IPVS_PORT)
			refused(OP_ITEM_PUT, &bad, "a port 0");
		bad = good;
		bad.to_port = 0;
		if (fields & IPVS_TO_PORT)
			refused(OP_ITEM_PUT, &bad, "port 0");
		bad = good;
		bad.value++;
		if (fields & IPVS_VALUE)
			refused(OP_ITEM_PUT, &bad, "a weight above 1");
		bad = good;
		bad.to = addr("0.0.0.0");
		bad.bits = 0;
		if (fields & IPVS_NET)
			refused(OP_ITEM_PUT, &bad, "a prefix of no bits");
		if (!(fields & IPVS_VALUE))
			refused(OP_ITEM_CHANGE, &good, "nothing to change");
		else
			assert_null(say(OP_ITEM_CHANGE, &good));
	}
}

static void what_the_policy_forbids(void **state)
{
	(void)state;
	for (uint8_t k = IPVS_ADDRESS; k < (uint8_t)IPVS_KIND_COUNT; k++) {
		struct ipvs_item i = item(k, FAMILY_4);

		i.addr = addr("192.0.2.200");
		refused(OP_ITEM_PUT, &i, "--ipvs-exclude-cidrs");
		refused(OP_ITEM_DELETE, &i, "--ipvs-exclude-cidrs");
	}
	policy.families[FAMILY_6] = false;
	refused(OP_ITEM_PUT, &(struct ipvs_item){.kind = IPVS_NODE_PORT, .family = 1, .port = 1},
	    "not offered");
	policy.families[FAMILY_6] = true;
	for (uint8_t k = 0; k < (uint8_t)IPVS_KIND_COUNT; k++) {
		const struct ipvs_item i = item(k, FAMILY_4);

		policy.mode = MODE_IPTABLES;
		refused(OP_ITEM_DELETE, &i, "of ipvs mode");
		policy.mode = MODE_IPVS;
		assert_null(say(OP_ITEM_DELETE, &i));
	}
	policy.max_ops = 0;
	refused(
	    OP_ITEM_PUT, &(struct ipvs_item){.kind = IPVS_NODE_PORT, .port = 1}, "more operations");
	policy.max_ops = 100;
}

/* A rule that matches an ipset is of no use, and no harm, in another mode. */
static void templates_of_ipvs_mode(void **state)
{
	(void)state;
	for (uint8_t t = T_IPVS_FIRST; t < IPT_TEMPLATE_COUNT; t++)
		for (unsigned mode = MODE_IPTABLES; mode <= MODE_USERSPACE; mode++) {
			const struct ipt_chain c = chain_of(FAMILY_4, t);
			const struct ipt_rule r = rule(FAMILY_4, t);

			policy.mode = (uint8_t)mode;
			transaction_begin(&txn, 1);
			txn_begin(&writer, sink, NULL, 1, 0);
			txn_chain_put(&writer, &c);
			txn_rule(&writer, &r);
			txn_commit(&writer);
			assert_int_equal(refusal == NULL, mode == MODE_IPVS);
		}
	policy.mode = MODE_IPVS;
}

/* CONFIG's key is every process's; by it a planner could choose what collides. */
static void the_secret_is_the_appliers_alone(void **state)
{
	static const struct config cfg = {.key = {1, 2}};
	const struct policy *a = policy_new(&cfg, -1), *b = policy_new(&cfg, -1);

	(void)state;
	assert_memory_equal(&a->key, &b->key, sizeof(a->key));
	assert_memory_not_equal(&a->secret, &b->secret, sizeof(a->secret));
	assert_memory_not_equal(&a->secret, &cfg.key, sizeof(a->secret));
}

static int setup(void **state)
{
	(void)state;
	policy = (struct policy){.mode = MODE_IPVS,
	    .families = {true, true},
	    .ipvs_exclude_count = 1,
	    .max_ops = 100,
	    .max_rules = 10,
	    .max_bytes = 1 << 20,
	    .relays = {0, 0}};
	assert_int_equal(ip_cidr_parse(&policy.ipvs_exclude[0], "192.0.2.128/25"), 0);
	transaction_init(&txn, &policy);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(they_come_as_they_went),
	    cmocka_unit_test(fields_out_of_their_sets),
	    cmocka_unit_test(what_the_policy_forbids),
	    cmocka_unit_test(templates_of_ipvs_mode),
	    cmocka_unit_test(the_secret_is_the_appliers_alone),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
