/* Every message there and back; long ones in parts; what a decoder must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/config.h"
#include "ipc/health.h"
#include "ipc/leftovers.h"
#include "ipc/metrics.h"
#include "ipc/nft_ops.h"
#include "ipc/objects.h"
#include "ipc/profile.h"
#include "ipc/status.h"
#include "ipc/txn.h"

#include "sample_rules.h"

static struct frame f;

static void config_round_trip(void **state)
{
	static struct config a, b;

	(void)state;
	a = (struct config){.mode = MODE_IPTABLES,
	    .cleanup = true,
	    .cleanup_keep = (1 << LEFTOVERS_WHERES) - 1,
	    .oom_score_adj = -999,
	    .verbosity = 3,
	    .vmodule = "api_list=4",
	    .audit_log = "syslog",
	    .node_name = "node-a",
	    .kubeconfig = "/etc/kube-proxy/kubeconfig",
	    .api_content_type = "application/json",
	    .api_qps_milli = 5000,
	    .masquerade_bit = 14,
	    .masquerade_all = true,
	    .detect_local = DETECT_INTERFACE_PREFIX,
	    .cluster_cidr_count = 2,
	    .pod_interface = "veth0123456789a",
	    .nodeport_address_count = CONFIG_PREFIXES_MAX,
	    .reserved_node_ports = "22,10248-10259",
	    .sync_period_ms = 30000,
	    .min_sync_period_ms = 1000,
	    .conntrack_min = 131072,
	    .healthz_port = 10256,
	    .metrics_addr = {.family = FAMILY_6},
	    .profiling = true,
	    .flags_text = "v=3\n",
	    .config_json = "{}",
	    .proxy_port_high = 65535,
	    .key = {1, UINT64_MAX}};
	ip_cidr_parse(&a.cluster_cidrs[0], "10.244.0.0/16");
	ip_cidr_parse(&a.cluster_cidrs[1], "fd00:244::/48");
	config_encode(&f, &a);
	assert_false(f.overflow);
	assert_null(config_decode(&b, f.buf, f.len));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_non_null(config_decode(&b, f.buf, f.len - 1));
	assert_non_null(config_decode(&b, f.buf, 0));
}

/* One value too great for each kind of field; what stands behind it in memory is not touched. */
static void config_out_of_range(void **state)
{
	static struct config good, bad, b;
	static const struct {
		size_t at;
		uint32_t value;
		size_t size;
		const char *says;
	} cases[] = {
	    {offsetof(struct config, mode), MODE_USERSPACE + 1, 1, "a number out of range"},
	    {offsetof(struct config, mode), 0, 1, "an unknown mode"},
	    {offsetof(struct config, cleanup_keep), 1 << LEFTOVERS_WHERES, 1,
		"a number out of range"},
	    {offsetof(struct config, masquerade_bit), 32, 1, "a number out of range"},
	    {offsetof(struct config, detect_local), DETECT_LOCAL_COUNT, 1, "a number out of range"},
	    {offsetof(struct config, oom_score_adj), 1001, 4, "a number out of range"},
	    {offsetof(struct config, oom_score_adj), (uint32_t)-1001, 4, "a number out of range"},
	    {offsetof(struct config, verbosity), 11, 4, "a number out of range"},
	    {offsetof(struct config, conntrack_min), UINT32_MAX, 4, "a number out of range"},
	    {offsetof(struct config, cluster_cidrs[0].addr.b[3]), 1, 1,
		"a prefix with host bits set"},
	    /* writes the prefix behind the last of the array; the decoder must not */
	    {offsetof(struct config, cluster_cidr_count), FAMILY_COUNT + 1, 4, "too many elements"},
	};

	(void)state;
	good = (struct config){.mode = MODE_IPTABLES, .cluster_cidr_count = 1};
	config_encode(&f, &good);
	assert_null(config_decode(&b, f.buf, f.len));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bad = good;
		memcpy((char *)&bad + cases[i].at, &cases[i].value, cases[i].size);
		config_encode(&f, &bad);
		assert_string_equal(config_decode(&b, f.buf, f.len), cases[i].says);
	}
}

static struct cursor open_it(unsigned want)
{
	struct cursor c;
	unsigned type;

	assert_false(f.overflow);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_int_equal(type, want);
	return c;
}

static void service_round_trip(void **state)
{
	struct service_port ports[] = {{"http", PROTO_TCP, 80, 30080}, {"", PROTO_SCTP, 9, 0}};
	struct ip_addr external[1], lb[2];
	struct ip_cidr ranges[1];
	struct service a = {.namespace = "shop",
	    .name = "web",
	    .cluster_ip_count = 2,
	    .port_count = 2,
	    .ports = ports,
	    .external_ip_count = 1,
	    .external_ips = external,
	    .lb_ip_count = 2,
	    .lb_ips = lb,
	    .source_range_count = 1,
	    .source_ranges = ranges,
	    .affinity_seconds = 600,
	    .internal_local = true,
	    .health_check_node_port = 31234,
	    .created = UINT64_MAX,
	    .uid = {1, 2, [15] = 255}};
	struct service b;
	struct cursor c;

	(void)state;
	ip_parse(&a.cluster_ips[0], "10.96.0.1");
	ip_parse(&a.cluster_ips[1], "fd00:96::1");
	ip_parse(&external[0], "192.0.2.1");
	ip_parse(&lb[0], "203.0.113.1");
	ip_parse(&lb[1], "2001:db8::1");
	ip_cidr_parse(&ranges[0], "203.0.113.0/24");
	objects_encode_service(&f, &a);
	c = open_it(OBJ_SERVICE_PUT);
	assert_null(objects_decode_service(&c, &b));
	assert_string_equal(b.namespace, "shop");
	assert_string_equal(b.name, "web");
	assert_int_equal(b.cluster_ip_count, 2);
	assert_memory_equal(b.cluster_ips, a.cluster_ips, sizeof(a.cluster_ips));
	assert_int_equal(b.port_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(b.ports[i].name, ports[i].name);
		assert_int_equal(b.ports[i].proto, ports[i].proto);
		assert_int_equal(b.ports[i].port, ports[i].port);
		assert_int_equal(b.ports[i].node_port, ports[i].node_port);
	}
	assert_memory_equal(b.lb_ips, lb, sizeof(lb));
	assert_memory_equal(b.external_ips, external, sizeof(external));
	assert_memory_equal(b.source_ranges, ranges, sizeof(ranges));
	assert_int_equal(b.affinity_seconds, 600);
	assert_true(b.internal_local);
	assert_false(b.external_local);
	assert_int_equal(b.health_check_node_port, 31234);
	assert_true(b.created == UINT64_MAX);
	assert_memory_equal(b.uid, a.uid, sizeof(a.uid));
	service_clear(&b);
	ports[0].port = 0;
	objects_encode_service(&f, &a);
	c = open_it(OBJ_SERVICE_PUT);
	assert_string_equal(objects_decode_service(&c, &b), "port 0");
	service_clear(&b);
	ports[0] = (struct service_port){"x", 99, 80, 0};
	objects_encode_service(&f, &a);
	c = open_it(OBJ_SERVICE_PUT);
	assert_string_equal(objects_decode_service(&c, &b), "an unknown protocol");
	service_clear(&b);
}

/* The longest service and slice the bounds allow must fit their frames. */
static void the_longest_fit(void **state)
{
	struct service s = {.port_count = SERVICE_PORTS_MAX,
	    .external_ip_count = SERVICE_IPS_MAX,
	    .lb_ip_count = SERVICE_IPS_MAX,
	    .source_range_count = SERVICE_IPS_MAX};
	struct slice sl = {.family = FAMILY_6,
	    .caused_ms = INT64_MAX,
	    .port_count = SLICE_PORTS_MAX,
	    .endpoint_count = SLICE_ENDPOINTS_MAX};
	struct slice part;
	uint32_t next = 0, parts = 0, seen = 0;

	(void)state;
	s.ports = calloc(s.port_count, sizeof(*s.ports));
	s.external_ips = calloc(s.external_ip_count, sizeof(*s.external_ips));
	s.lb_ips = calloc(s.lb_ip_count, sizeof(*s.lb_ips));
	s.source_ranges = calloc(s.source_range_count, sizeof(*s.source_ranges));
	for (int i = 0; i < SERVICE_IPS_MAX; i++) {
		s.external_ips[i].family = s.lb_ips[i].family = FAMILY_6;
		s.source_ranges[i].addr.family = FAMILY_6;
	}
	for (int i = 0; i < SERVICE_PORTS_MAX; i++) {
		memset(s.ports[i].name, 'p', NAME_MAX_LABEL - 1);
		s.ports[i].port = s.ports[i].node_port = 65535;
		s.ports[i].proto = PROTO_SCTP;
	}
	objects_encode_service(&f, &s);
	assert_false(f.overflow);
	service_clear(&s);

	sl.ports = calloc(sl.port_count, sizeof(*sl.ports));
	sl.endpoints = calloc(sl.endpoint_count, sizeof(*sl.endpoints));
	memset(sl.name, 'n', sizeof(sl.name) - 1);
	for (int i = 0; i < SLICE_PORTS_MAX; i++) {
		memset(sl.ports[i].name, 'p', NAME_MAX_LABEL - 1);
		sl.ports[i].proto = PROTO_UDP;
		sl.ports[i].port = 65535;
	}
	for (int i = 0; i < SLICE_ENDPOINTS_MAX; i++) {
		sl.endpoints[i].addr.family = FAMILY_6;
		sl.endpoints[i].addr.b[15] = (uint8_t)i;
		memset(sl.endpoints[i].node, 'n', NAME_MAX_SUBDOMAIN - 1);
		sl.endpoints[i].zone_hint_count = ZONE_HINTS_MAX;
		for (int j = 0; j < ZONE_HINTS_MAX; j++)
			memset(sl.endpoints[i].zone_hints[j], 'z', NAME_MAX_LABEL - 1);
	}
	do {
		struct cursor c;

		next = objects_encode_slice(&f, &sl, next, parts);
		c = open_it(OBJ_SLICE_PUT);
		assert_null(objects_decode_slice(&c, &part));
		assert_int_equal(part.caused_ms, sl.caused_ms);
		assert_int_equal(part.part, parts);
		assert_int_equal(part.last_part, next == sl.endpoint_count);
		assert_int_equal(part.port_count, SLICE_PORTS_MAX);
		for (uint32_t i = 0; i < part.endpoint_count; i++)
			assert_memory_equal(
			    &part.endpoints[i], &sl.endpoints[seen + i], sizeof(struct endpoint));
		seen += part.endpoint_count;
		parts++;
		slice_clear(&part);
	} while (next < sl.endpoint_count);
	assert_int_equal(seen, SLICE_ENDPOINTS_MAX);
	assert_true(parts > 1);
	slice_clear(&sl);
}

static void refuses_an_endpoint_of_the_other_family(void **state)
{
	struct endpoint e = {.addr = {.family = FAMILY_6}};
	struct slice s = {.family = FAMILY_4, .endpoint_count = 1, .endpoints = &e}, out;
	struct cursor c;

	(void)state;
	objects_encode_slice(&f, &s, 0, 0);
	c = open_it(OBJ_SLICE_PUT);
	assert_string_equal(objects_decode_slice(&c, &out), "an endpoint of the other family");
	slice_clear(&out);
}

static void node_round_trip(void **state)
{
	struct node a = {.name = "node-a", .zone = "z1", .addr_count = 2, .pod_cidr_count = 1};
	struct node b;
	struct cursor c;

	(void)state;
	ip_parse(&a.addrs[0], "192.168.9.11");
	ip_parse(&a.addrs[1], "fd00:192::11");
	ip_cidr_parse(&a.pod_cidrs[0], "10.244.1.0/24");
	a.deleting = true;
	objects_encode_node(&f, &a);
	c = open_it(OBJ_NODE_PUT);
	assert_null(objects_decode_node(&c, &b));
	assert_memory_equal(&a, &b, sizeof(a));
}

/* --- transactions --- */

struct seen {
	uint32_t frames, chains, rules, deletes, hooks;
	uint64_t generation, base, commit_ops;
	uint32_t rules_of_second;
};

static const char *see_put(void *arg, const struct ipt_chain *c)
{
	struct seen *s = arg;

	assert_int_equal(c->kind, CHAIN_SVC);
	assert_int_equal(c->hash[0], s->chains);
	s->chains++;
	return NULL;
}
static const char *see_rule(void *arg, const struct ipt_rule *r)
{
	struct seen *s = arg;

	assert_int_equal(r->template, T_ENDPOINT_RANDOM);
	assert_int_equal(r->to_port, 1 + s->rules % 60000);
	assert_string_equal(r->name, "shop/web:http");
	assert_int_equal(r->target_kind, CHAIN_SEP);
	assert_int_equal(r->target_hash[9], s->rules & 0xff);
	assert_int_equal(r->probability, 0x40000000);
	s->rules++;
	return NULL;
}
static const char *see_delete(void *arg, const struct ipt_chain *c)
{
	assert_int_equal(c->kind, CHAIN_SEP);
	((struct seen *)arg)->deletes++;
	return NULL;
}
static const char *see_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	assert_int_equal(family, FAMILY_6);
	assert_int_equal(number, 11);
	assert_true(on);
	((struct seen *)arg)->hooks++;
	return NULL;
}
static const struct txn_visitor seer = {see_put, see_rule, see_delete, see_hook, NULL};

static void take_frame(void *arg, const struct frame *sent)
{
	struct seen *s = arg;
	struct cursor c;
	unsigned type;

	assert_false(sent->overflow);
	assert_true(sent->len <= FRAME_MAX);
	assert_null(frame_open(sent->buf, sent->len, &type, &c));
	if (type == TXN_BEGIN)
		assert_null(txn_decode_begin(&c, &s->generation, &s->base));
	else if (type == TXN_COMMIT)
		assert_null(txn_decode_commit(&c, &s->generation, &s->commit_ops));
	else
		assert_null(txn_decode_ops(&c, &seer, s));
	s->frames++;
}

/* A chain of many frames, then many chains of a rule each, deletions and a hook. */
static void transaction_across_frames(void **state)
{
	static struct txn_writer w;
	struct seen s = {0};
	struct ipt_chain svc = {.table = IPT_NAT, .kind = CHAIN_SVC};
	struct ipt_chain sep = {.table = IPT_NAT, .kind = CHAIN_SEP};
	struct ipt_rule r = {.template = T_ENDPOINT_RANDOM,
	    .probability = 0x40000000,
	    .target_kind = CHAIN_SEP,
	    .name = "shop/web:http"};
	uint32_t n = 0;

	(void)state;
	ip_parse(&r.to, "10.0.0.1");
	txn_begin(&w, take_frame, &s, 7, 6);
	for (int chain = 0; chain < 100; chain++) {
		svc.hash[0] = (uint8_t)chain;
		txn_chain_put(&w, &svc);
		for (int i = 0; i < (chain == 0 ? 20000 : chain); i++, n++) {
			r.to_port = (uint16_t)(1 + n % 60000);
			r.target_hash[9] = (uint8_t)n;
			txn_rule(&w, &r);
		}
	}
	for (int i = 0; i < 20000; i++)
		txn_chain_delete(&w, &sep);
	txn_hook(&w, FAMILY_6, 11, true);
	txn_commit(&w);
	assert_int_equal(s.chains, 100);
	assert_int_equal(s.rules, n);
	assert_int_equal(s.deletes, 20000);
	assert_int_equal(s.hooks, 1);
	assert_int_equal(s.commit_ops, 100 + 20000 + 1);
	assert_int_equal(s.generation, 7);
	assert_int_equal(s.base, 6);
	assert_true(s.frames > 10);
}

static struct ipt_rule came;

static const char *take_chain(void *arg, const struct ipt_chain *c)
{
	(void)arg;
	(void)c;
	return NULL;
}
static const char *take_rule(void *arg, const struct ipt_rule *r)
{
	(void)arg;
	came = *r;
	return NULL;
}
static const struct txn_visitor taker = {take_chain, take_rule, take_chain, see_hook, NULL};

static void take_one(void *arg, const struct frame *sent)
{
	struct cursor c;
	unsigned type;

	assert_null(frame_open(sent->buf, sent->len, &type, &c));
	if (type == TXN_OPS)
		assert_null(txn_decode_ops(&c, &taker, arg));
}

/* A rule of each template brings its arguments, and no others. */
static void every_template(void **state)
{
	static struct txn_writer w;

	(void)state;
	for (uint8_t t = 0; t < IPT_TEMPLATE_COUNT; t++) {
		const uint16_t args = ipt_templates[t].args;
		const struct ipt_rule a = rule(FAMILY_6, t);

		memset(&came, 0xff, sizeof(came));
		txn_begin(&w, take_one, NULL, 1, 0);
		txn_chain_put(&w, &(struct ipt_chain){.kind = CHAIN_SERVICES});
		txn_rule(&w, &a);
		txn_commit(&w);
		assert_int_equal(came.template, t);
		assert_int_equal(came.proto, args & ARG_PROTO ? a.proto : 0);
		assert_int_equal(came.dport, args & ARG_DPORT ? a.dport : 0);
		assert_int_equal(came.to_port, args & (ARG_TO | ARG_RELAY) ? a.to_port : 0);
		assert_int_equal(came.probability, args & ARG_PROBABILITY ? a.probability : 0);
		assert_int_equal(came.seconds, args & ARG_SECONDS ? 10800 : 0);
		assert_int_equal(came.net.bits, args & ARG_NET ? a.net.bits : 0);
		assert_int_equal(ip_cmp(&came.net.addr, &a.net.addr) == 0, (args & ARG_NET) != 0);
		assert_int_equal(ip_cmp(&came.dst, &a.dst) == 0, (args & ARG_DST) != 0);
		assert_int_equal(ip_cmp(&came.to, &a.to) == 0, (args & ARG_TO) != 0);
		assert_int_equal(came.target_kind, args & ARG_TARGET ? a.target_kind : 0);
		assert_int_equal(came.target_hash[9], args & ARG_TARGET ? a.target_hash[9] : 0);
		assert_string_equal(came.name, args & ARG_NAME ? a.name : "");
	}
}

/* Writes one operation by hand and returns what the decoder says. */
static const char *decode_by_hand(void (*write)(void))
{
	struct seen s = {0};
	struct cursor c;
	const char *why;

	frame_begin(&f, TXN_OPS, 1);
	frame_array(&f, 1);
	write();
	c = open_it(TXN_OPS);
	why = txn_decode_ops(&c, &seer, &s);
	return why;
}

static void unknown_operation(void)
{
	frame_array(&f, 1);
	frame_uint(&f, 99);
}
static void chain_of_unknown_kind(void)
{
	frame_array(&f, 5);
	frame_uint(&f, OP_CHAIN_DELETE);
	frame_uint(&f, 0);
	frame_uint(&f, 0);
	frame_uint(&f, CHAIN_KIND_COUNT);
	frame_bin(&f, "0123456789", 10);
}
static void chain_in_wrong_table(void)
{
	frame_array(&f, 5);
	frame_uint(&f, OP_CHAIN_DELETE);
	frame_uint(&f, 0);
	frame_uint(&f, IPT_FILTER);
	frame_uint(&f, CHAIN_SEP);
	frame_bin(&f, "0123456789", 10);
}
static void hash_where_none_belongs(void)
{
	frame_array(&f, 5);
	frame_uint(&f, OP_CHAIN_DELETE);
	frame_uint(&f, 0);
	frame_uint(&f, IPT_NAT);
	frame_uint(&f, CHAIN_MARK_MASQ);
	frame_bin(&f, "0123456789", 10);
}
static void rule_of_unknown_template(void)
{
	frame_array(&f, 2);
	frame_uint(&f, OP_CHAIN_MORE);
	frame_array(&f, 1);
	frame_array(&f, 1);
	frame_uint(&f, IPT_TEMPLATE_COUNT);
}
static void rule_with_a_field_more(void)
{
	frame_array(&f, 2);
	frame_uint(&f, OP_CHAIN_MORE);
	frame_array(&f, 1);
	frame_array(&f, 2);
	frame_uint(&f, T_MARK_MASQ);
	frame_uint(&f, 1);
}

/* Beyond 32 bits seconds must not come out as fewer. */
static void rule_of_too_many_seconds(void)
{
	frame_array(&f, 2);
	frame_uint(&f, OP_CHAIN_MORE);
	frame_array(&f, 1);
	frame_array(&f, 7);
	frame_uint(&f, T_ENDPOINT_AFFINE);
	frame_str(&f, "shop/web");
	frame_bin(&f, "\x0a\0\0\1", 4);
	frame_uint(&f, 80);
	frame_uint(&f, (UINT64_C(1) << 32) + 1);
	frame_uint(&f, CHAIN_SEP);
	frame_bin(&f, "0123456789", 10);
}

static void refuses_malformed_operations(void **state)
{
	(void)state;
	assert_string_equal(decode_by_hand(unknown_operation), "an unknown operation");
	assert_string_equal(decode_by_hand(chain_of_unknown_kind), "a number out of range");
	assert_string_equal(decode_by_hand(chain_in_wrong_table), "a chain that cannot exist");
	assert_string_equal(decode_by_hand(hash_where_none_belongs), "a chain that cannot exist");
	assert_string_equal(decode_by_hand(rule_of_unknown_template), "a number out of range");
	assert_string_equal(decode_by_hand(rule_with_a_field_more), "too many fields");
	assert_string_equal(decode_by_hand(rule_of_too_many_seconds), "a number out of range");
}

static void answers_round_trip(void **state)
{
	static struct txn_snapshot a, b;
	struct txn_result r = {9, TXN_KERNEL, 12, 3, true, 20, "IPv4 nat: out of memory"}, s;
	struct cursor c;

	(void)state;
	a.families[0] = true;
	a.hooks[0] = (1u << IPT_HOOK_COUNT) - 1;
	a.count = SNAPSHOT_PART_MAX;
	for (uint32_t i = 0; i < a.count; i++) {
		a.chains[i].chain =
		    (struct ipt_chain){FAMILY_4, IPT_NAT, CHAIN_SEP, {(uint8_t)i, 1}};
		a.chains[i].digest = UINT64_MAX - i;
	}
	a.last = true;
	txn_encode_snapshot(&f, &a);
	c = open_it(TXN_SNAPSHOT);
	assert_null(txn_decode_snapshot(&c, &b));
	assert_memory_equal(&a, &b, sizeof(a));
	txn_encode_result(&f, &r);
	c = open_it(TXN_RESULT);
	memset(&s, 0, sizeof(s));
	assert_null(txn_decode_result(&c, &s));
	assert_true(r.generation == s.generation && r.code == s.code && r.error == s.error &&
		    r.writes == s.writes && s.drift && s.lock_wait_ms == 20);
	assert_string_equal(r.detail, s.detail);
}

/* --- nftables mode --- */

/* An element of SET with every field its set has. */
static struct nft_elem full_elem(uint8_t family, uint8_t set)
{
	const struct nft_set *t = nft_set(set);
	const struct ip_addr addr = {family, {10, 1, 2, 3, family == FAMILY_6 ? 4 : 0}};
	struct nft_elem e = {.family = family, .set = set};

	e.addr = t->fields & NFT_ADDR ? addr : e.addr;
	e.proto = t->fields & NFT_PROTO ? 132 : 0;
	e.port = t->fields & NFT_PORT ? 65535 : 0;
	e.slot = t->fields & NFT_SLOT ? NFT_LOCAL_SLOT + 1 : 0;
	e.seconds = t->fields & NFT_SECONDS ? 86400 : 0;
	e.to = t->fields & NFT_TO ? addr : e.to;
	e.to_port = t->fields & NFT_TO ? 8080 : 0;
	if (t->fields & NFT_NET)
		e.net = (struct ip_cidr){{family, {10}}, 8};
	if (t->fields & NFT_NAME)
		snprintf(e.name, sizeof(e.name), "default/web-%u", set);
	return e;
}

static void same_elem(const struct nft_elem *a, const struct nft_elem *b)
{
	assert_memory_equal(a, b, offsetof(struct nft_elem, name));
	assert_string_equal(a->name, b->name);
}

struct nft_seen {
	unsigned next; /* family * NFT_SET_COUNT + set */
	unsigned installs, affinities;
	bool whole; /* not just keys */
};

static const char *see_nft_elem(void *arg, const struct nft_elem *e)
{
	struct nft_seen *s = arg;
	struct nft_elem want =
	    full_elem((uint8_t)(s->next / NFT_SET_COUNT), (uint8_t)(s->next % NFT_SET_COUNT));

	if (!s->whole && !nft_set_dynamic(e->set)) {
		want.to = (struct ip_addr){0};
		want.to_port = 0;
		want.name[0] = '\0';
	}
	same_elem(e, &want);
	s->next++;
	return NULL;
}

static const char *see_install(void *arg, uint8_t family)
{
	((struct nft_seen *)arg)->installs |= 1u << family;
	return NULL;
}

static const char *see_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	assert_true(family == FAMILY_6 && number == 7 && seconds == 86400);
	((struct nft_seen *)arg)->affinities++;
	return NULL;
}

static const struct nft_visitor nft_visitor = {
    see_install, see_nft_elem, see_nft_elem, see_affinity, see_nft_elem};
static struct nft_seen nft_seen;

static void nft_sink(void *arg, const struct frame *frame)
{
	struct cursor c;
	unsigned type;

	(void)arg;
	assert_null(frame_open(frame->buf, frame->len, &type, &c));
	if (type == NFT_OPS)
		assert_null(nft_decode_ops(&c, &nft_visitor, &nft_seen));
}

/* The kernel's own sets have no PUT; FORGET names theirs. */
static void nft_operations_round_trip(void **state)
{
	static struct txn_writer w = {.type = NFT_OPS};

	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		nft_seen = (struct nft_seen){.whole = whole};
		txn_begin(&w, nft_sink, NULL, 1, 0);
		nft_write_install(&w, FAMILY_4);
		nft_write_install(&w, FAMILY_6);
		for (unsigned i = 0; i < FAMILY_COUNT * NFT_SET_COUNT; i++) {
			struct nft_elem e =
			    full_elem((uint8_t)(i / NFT_SET_COUNT), (uint8_t)(i % NFT_SET_COUNT));

			if (nft_set_dynamic(e.set))
				nft_write_forget(&w, &e);
			else if (whole)
				nft_write_put(&w, &e);
			else
				nft_write_delete(&w, &e);
		}
		nft_write_affinity(&w, FAMILY_6, 7, 86400);
		txn_commit(&w);
		assert_int_equal(nft_seen.next, FAMILY_COUNT * NFT_SET_COUNT);
		assert_true(nft_seen.installs == 3 && nft_seen.affinities == 1);
		assert_int_equal(w.ops, FAMILY_COUNT * NFT_SET_COUNT + 3);
	}
}

static void nft_answers_round_trip(void **state)
{
	static struct nft_snapshot a, b;
	struct cursor c;

	(void)state;
	a = (struct nft_snapshot){.families = {true, true},
	    .installed = {false, true},
	    .there = {true, true},
	    .last = true};
	for (unsigned set = 0; set < NFT_SET_COUNT; set++)
		if (!nft_set_dynamic(set))
			a.elems[a.count++] = full_elem(FAMILY_6, (uint8_t)set);
	nft_encode_snapshot(&f, &a);
	c = open_it(NFT_SNAPSHOT);
	assert_null(nft_decode_snapshot(&c, &b));
	assert_memory_equal(&a, &b, offsetof(struct nft_snapshot, count));
	assert_true(a.count == b.count && b.last);
	for (uint32_t i = 0; i < a.count; i++)
		same_elem(&a.elems[i], &b.elems[i]);
	nft_encode_drift(&f);
	c = open_it(NFT_DRIFT);
	assert_null(nft_decode_drift(&c));
}

static void health_round_trip(void **state)
{
	const struct health_service a = {"default", "web", 32000, 3}, nameless = {"", "web", 1, 1},
				    portless = {"a", "b", 0, 1};
	static struct health_addrs ips, ips_back, none;
	struct health_service b;
	struct cursor c;
	unsigned type;

	(void)state;
	health_encode_put(&f, &a);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_int_equal(type, HEALTH_PUT);
	assert_null(health_decode_put(&c, &b));
	assert_string_equal(b.namespace, a.namespace);
	assert_string_equal(b.name, a.name);
	assert_int_equal(b.port, a.port);
	assert_int_equal(b.endpoints, a.endpoints);
	health_encode_put(&f, &nameless);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_non_null(health_decode_put(&c, &b));
	health_encode_put(&f, &portless);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_non_null(health_decode_put(&c, &b));
	health_encode_del(&f, "default", "web");
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_int_equal(type, HEALTH_DEL);
	assert_null(health_decode_del(&c, &b));
	assert_string_equal(b.namespace, "default");
	assert_string_equal(b.name, "web");
	assert_int_equal(b.port, 0);
	for (; ips.count < HEALTH_ADDRS_MAX; ips.count++)
		ips.addrs[ips.count] = (struct ip_addr){ips.count % 2, {10, (uint8_t)ips.count}};
	for (const struct health_addrs *i = &ips; i != NULL; i = i == &ips ? &none : NULL) {
		health_encode_addrs(&f, i);
		assert_null(frame_open(f.buf, f.len, &type, &c));
		assert_int_equal(type, HEALTH_ADDRS);
		assert_null(health_decode_addrs(&c, &ips_back));
		assert_int_equal(ips_back.count, i->count);
		assert_memory_equal(ips_back.addrs, i->addrs, i->count * sizeof(i->addrs[0]));
	}
	/* One more than there may be. */
	frame_begin(&f, HEALTH_ADDRS, 1);
	frame_array(&f, HEALTH_ADDRS_MAX + 1);
	for (unsigned i = 0; i <= HEALTH_ADDRS_MAX; i++)
		frame_ip(&f, &ips.addrs[0]);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_non_null(health_decode_addrs(&c, &ips_back));
}

static void status_round_trip(void **state)
{
	struct status s;
	struct cursor c;

	(void)state;
	status_encode_pending(&f);
	c = open_it(STATUS_PENDING);
	assert_null(status_decode(STATUS_PENDING, &c, &s));
	status_encode_applied(&f, 12);
	c = open_it(STATUS_APPLIED);
	assert_null(status_decode(STATUS_APPLIED, &c, &s));
	assert_int_equal(s.generation, 12);
	assert_non_null(status_decode(99, &c, &s));
	status_encode_node(&f, true);
	c = open_it(STATUS_NODE);
	assert_null(status_decode(STATUS_NODE, &c, &s));
	assert_true(s.eligible);
}

static void metrics_round_trip(void **state)
{
	static struct metrics a, b;
	struct cursor c;
	uint64_t v = 0;

	(void)state;
	strcpy(a.apiserver, "[fd00::1]:6443");
	for (size_t i = 0; i < sizeof(a.watcher); i += sizeof(v), v++)
		memcpy((char *)&a.watcher + i, &v, sizeof(v));
	metrics_encode_stats(&f, a.apiserver, &a.watcher);
	c = open_it(METRICS_STATS);
	assert_null(metrics_decode_stats(&c, &b));
	assert_memory_equal(&a, &b, sizeof(a));

	v = UINT64_MAX;
	for (size_t i = 0; i < sizeof(a.planner); i += sizeof(v), v--)
		memcpy((char *)&a.planner + i, &v, sizeof(v));
	metrics_encode_all(&f, &a);
	c = open_it(METRICS_ALL);
	assert_null(metrics_decode_all(&c, &b));
	assert_memory_equal(&a, &b, sizeof(a));

	metrics_encode_request(&f);
	c = open_it(METRICS_REQUEST);
	assert_string_equal(metrics_decode_stats(&c, &b), "too few fields");

	/* One number too many, one too few. */
	for (unsigned n = 0; n < 2; n++) {
		uint32_t count = (uint32_t)(sizeof(a.watcher) / sizeof(v)) - 1 + 2 * n;

		frame_begin(&f, METRICS_STATS, 2);
		frame_str(&f, "");
		frame_array(&f, count);
		while (count-- > 0)
			frame_uint(&f, 1);
		c = open_it(METRICS_STATS);
		assert_string_equal(
		    metrics_decode_stats(&c, &b), n == 0 ? "too few fields" : "too many elements");
	}
}

static void profile_round_trip(void **state)
{
	static struct profile_part part;
	static uint8_t bytes[PROFILE_PART_MAX + 1];
	enum profile_process process;
	unsigned seconds;
	struct cursor c;

	(void)state;
	profile_encode_ask(&f, PROFILE_WATCHER, 25);
	c = open_it(PROFILE_ASK);
	assert_null(profile_decode_ask(&c, &process, &seconds));
	assert_int_equal(process, PROFILE_WATCHER);
	assert_int_equal(seconds, 25);
	for (unsigned bad = 0; bad < 2; bad++) {
		profile_encode_ask(
		    &f, bad == 0 ? PROFILE_PROCESSES : PROFILE_PLANNER, bad == 1 ? 26 : 1);
		c = open_it(PROFILE_ASK);
		assert_non_null(profile_decode_ask(&c, &process, &seconds));
	}
	memset(bytes, 7, sizeof(bytes));
	profile_encode_part(&f, true, bytes, PROFILE_PART_MAX);
	c = open_it(PROFILE_PART);
	assert_null(profile_decode_part(&c, &part));
	assert_true(part.last);
	assert_int_equal(part.len, PROFILE_PART_MAX);
	assert_memory_equal(part.bytes, bytes, PROFILE_PART_MAX);
	profile_encode_part(&f, false, NULL, 0);
	c = open_it(PROFILE_PART);
	assert_null(profile_decode_part(&c, &part));
	assert_int_equal(part.len, 0);
	profile_encode_part(&f, false, bytes, sizeof(bytes));
	c = open_it(PROFILE_PART);
	assert_non_null(profile_decode_part(&c, &part));
}

static void histograms(void **state)
{
	uint64_t h[METRICS_HISTOGRAM(METRICS_NETWORK_BOUNDS)] = {0};
	static const struct metrics_bounds *const all[] = {
	    &metrics_sync_bounds, &metrics_network_bounds, &metrics_request_bounds};

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 1; i < all[k]->count; i++)
			assert_true(all[k]->us[i] > all[k]->us[i - 1]);
	assert_int_equal(metrics_network_bounds.us[METRICS_NETWORK_BOUNDS - 1], 300000000);
	metrics_observe(h, &metrics_network_bounds, 0);
	metrics_observe(h, &metrics_network_bounds, 250000);
	metrics_observe(h, &metrics_network_bounds, 250001);
	metrics_observe(h, &metrics_network_bounds, 300000001);
	assert_int_equal(h[0], 1);
	assert_int_equal(h[1], 1);
	assert_int_equal(h[2], 1);
	assert_int_equal(h[METRICS_NETWORK_BOUNDS], 1);
	assert_int_equal(h[METRICS_NETWORK_BOUNDS + 1], 300500002);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(config_round_trip),
	    cmocka_unit_test(config_out_of_range),
	    cmocka_unit_test(service_round_trip),
	    cmocka_unit_test(the_longest_fit),
	    cmocka_unit_test(refuses_an_endpoint_of_the_other_family),
	    cmocka_unit_test(node_round_trip),
	    cmocka_unit_test(transaction_across_frames),
	    cmocka_unit_test(every_template),
	    cmocka_unit_test(refuses_malformed_operations),
	    cmocka_unit_test(answers_round_trip),
	    cmocka_unit_test(nft_operations_round_trip),
	    cmocka_unit_test(nft_answers_round_trip),
	    cmocka_unit_test(health_round_trip),
	    cmocka_unit_test(status_round_trip),
	    cmocka_unit_test(metrics_round_trip),
	    cmocka_unit_test(profile_round_trip),
	    cmocka_unit_test(histograms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
