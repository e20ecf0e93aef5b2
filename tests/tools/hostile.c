/*
 * A malicious planner: it takes the place of kube-proxy-planner beside the real parent and does
 * what the file "scenario" beside it names. Results it gets go to stderr.
 * tests/integration/test_escape.py says what must become of each scenario.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/flows.h"
#include "ipc/leftovers.h"
#include "ipc/nft_ops.h"
#include "ipc/txn.h"

static struct txn_writer writer;
static uint64_t generation;

static void send_bytes(const void *p, size_t len)
{
	/* The parent may be gone already: that is what most scenarios are for. */
	if (write(PLANNER_FD_APPLIER, p, len) < 0)
		exit(0);
}

static void sink(void *arg, const struct frame *f)
{
	(void)arg;
	send_bytes(f->buf, f->len);
}

static struct frame frame;

static void send_frame(void)
{
	sink(NULL, &frame);
}

static void begin(void)
{
	generation++;
	txn_begin(&writer, sink, NULL, generation, generation - 1);
}

/* Reads answers until a result comes and prints it. */
static void await_result(bool print)
{
	static uint8_t buf[FRAME_MAX];
	struct txn_result r;
	struct cursor c;
	unsigned type = 0;

	while (type != TXN_RESULT) {
		ssize_t n = read(PLANNER_FD_APPLIER, buf, sizeof(buf));

		if (n <= 0 || frame_open(buf, (size_t)n, &type, &c) != NULL)
			exit(0);
		if (type == TXN_RESULT && txn_decode_result(&c, &r) == NULL && print)
			fprintf(stderr, "hostile: result %u: %s\n", r.code, r.detail);
	}
}

static void commit(void)
{
	txn_commit(&writer);
	await_result(true);
}

/* --- rules, right or with one thing wrong --- */

static struct ipt_chain chain(uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = {.table = table, .kind = kind};

	memset(c.hash, ipt_chain_kinds[kind].hashed ? hash : 0, sizeof(c.hash));
	return c;
}

static void put(uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = chain(table, kind, hash);

	txn_chain_put(&writer, &c);
}

/* The first of KINDS, a bit each; some templates have none. */
static uint8_t first(unsigned kinds)
{
	return (uint8_t)(kinds != 0 ? __builtin_ctz(kinds) : 0);
}

static struct ipt_rule rule(uint8_t template)
{
	struct ipt_rule r = {.template = template,
	    .proto = IPPROTO_TCP,
	    .dport = 80,
	    .to_port = 8080,
	    .probability = 1,
	    .seconds = 10800,
	    .net = {{.b = {10, 244}}, 16},
	    .dst = {.b = {10, 96, 0, 1}},
	    .to = {.b = {10, 244, 1, 10}},
	    .target_kind = first(ipt_templates[template].targets),
	    .name = "default/web"};

	memset(r.target_hash, r.target_kind == CHAIN_SEP ? 2 : 1, sizeof(r.target_hash));
	return r;
}

static void put_rule(uint8_t template)
{
	struct ipt_rule r = rule(template);

	txn_rule(&writer, &r);
}

/* One transaction of one rule in a chain of KIND. */
static void alone_in(uint8_t kind, const struct ipt_rule *r)
{
	begin();
	put(ipt_templates[r->template].table, kind, 2);
	txn_rule(&writer, r);
	commit();
}

static void alone(const struct ipt_rule *r)
{
	alone_in(first(ipt_templates[r->template].chains), r);
}

static void misplaced(uint8_t template, uint8_t kind)
{
	struct ipt_rule r = rule(template);

	alone_in(kind, &r);
}

static void dnat_to(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	struct ipt_rule r = rule(T_ENDPOINT_DNAT);

	r.to = (struct ip_addr){.b = {a, b, c, d}};
	alone(&r);
}

static void named(const char *name)
{
	struct ipt_rule r = rule(T_ENDPOINT_DNAT);

	snprintf(r.name, sizeof(r.name), "%s", name);
	alone(&r);
}

static void from_prefix(uint8_t last, uint8_t bits)
{
	struct ipt_rule r = rule(T_CLUSTER_IP_MASQ_OUTSIDE);

	r.net.addr.b[3] = last;
	r.net.bits = bits;
	alone(&r);
}

static void jumping(uint8_t template, uint8_t kind, uint8_t hash)
{
	struct ipt_rule r = rule(template);

	r.target_kind = kind;
	memset(r.target_hash, hash, sizeof(r.target_hash));
	alone(&r);
}

/* --- scenarios --- */

/* What a good planner does: one service. */
static void service(void)
{
	begin();
	put(IPT_NAT, CHAIN_SEP, 2);
	put_rule(T_HAIRPIN_MARK);
	put_rule(T_ENDPOINT_DNAT);
	put(IPT_NAT, CHAIN_SVC, 1);
	put_rule(T_CLUSTER_IP_MASQ_OUTSIDE);
	put_rule(T_ENDPOINT_LAST);
	put(IPT_NAT, CHAIN_SERVICES, 0);
	put_rule(T_CLUSTER_IP);
	put(IPT_NAT, CHAIN_MARK_MASQ, 0);
	put_rule(T_MARK_MASQ);
	put(IPT_FILTER, CHAIN_FORWARD, 0);
	put_rule(T_FORWARD_INVALID);
	txn_hook(&writer, FAMILY_4, 5, true);
	txn_hook(&writer, FAMILY_4, 10, true);
	commit();
}

static void jump_missing(void)
{
	jumping(T_ENDPOINT_LAST, CHAIN_SEP, 9);
}

static void jump_cycle(void)
{
	jumping(T_ENDPOINT_LAST, CHAIN_SVC, 1);
}

static void jump_down(void)
{
	jumping(T_CLUSTER_IP, CHAIN_SERVICES, 0);
}

/* Back to who may come in: a cycle of FW and EXT. */
static void jump_from_external(void)
{
	jumping(T_EXTERNAL_POLICY, CHAIN_FW, 1);
}

static void jump_from_service(void)
{
	jumping(T_ENDPOINT_LAST, CHAIN_EXT, 1);
}

/* Past the source ranges. */
static void jump_past_firewall(void)
{
	jumping(T_LOAD_BALANCER_IP, CHAIN_SVC, 1);
}

static void jump_other_table(void)
{
	jumping(T_CLUSTER_IP, CHAIN_FORWARD, 0);
}

static void delete_referenced(void)
{
	struct ipt_chain c = chain(IPT_NAT, CHAIN_SEP, 2);

	begin();
	txn_chain_delete(&writer, &c);
	commit();
}

/* [OPS, [[CHAIN_PUT, ipv4, nat, KIND, hash of HASH bytes, [[TEMPLATE]]]]] */
static void raw_chain(uint64_t family, uint64_t kind, size_t hash, uint64_t template)
{
	static const uint8_t ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

	begin();
	frame_begin(&frame, TXN_OPS, 1);
	frame_array(&frame, 1);
	frame_array(&frame, 6);
	frame_uint(&frame, OP_CHAIN_PUT);
	frame_uint(&frame, family);
	frame_uint(&frame, IPT_NAT);
	frame_uint(&frame, kind);
	frame_bin(&frame, ones, hash);
	frame_array(&frame, 1);
	frame_array(&frame, 1);
	frame_uint(&frame, template);
	send_frame();
}

static void unknown_template(void)
{
	raw_chain(FAMILY_4, CHAIN_SVC, CHAIN_HASH_LEN, IPT_TEMPLATE_COUNT);
}

static void unknown_kind(void)
{
	raw_chain(FAMILY_4, CHAIN_KIND_COUNT, CHAIN_HASH_LEN, T_MARK_MASQ);
}

static void unknown_family(void)
{
	raw_chain(FAMILY_COUNT, CHAIN_SVC, CHAIN_HASH_LEN, T_MARK_MASQ);
}

static void hash_of_fixed_chain(void)
{
	raw_chain(FAMILY_4, CHAIN_SERVICES, CHAIN_HASH_LEN, T_MARK_MASQ);
}

static void hash_too_long(void)
{
	raw_chain(FAMILY_4, CHAIN_SVC, 64, T_MARK_MASQ);
}

static void template_misplaced(void)
{
	raw_chain(FAMILY_4, CHAIN_SVC, CHAIN_HASH_LEN, T_MARK_MASQ);
}

static void template_without_arguments(void)
{
	raw_chain(FAMILY_4, CHAIN_SVC, CHAIN_HASH_LEN, T_ENDPOINT_LAST);
}

static void drop_everything(void)
{
	misplaced(T_FORWARD_INVALID, CHAIN_SERVICES);
}

/* KUBE-SERVICES is behind OUTPUT too: what is for strangers would cut the node off. */
static void drop_misplaced(void)
{
	misplaced(T_NODE_PORT_NO_LOCAL_DROP, CHAIN_SERVICES);
}

static void drop_in_nat(void)
{
	misplaced(T_FIREWALL_DROP, CHAIN_SVC);
}

static void drop_everywhere(void)
{
	struct ipt_rule r = rule(T_FIREWALL_DROP);

	memset(r.dst.b, 0, sizeof(r.dst.b));
	alone(&r);
}

static void drop_multicast(void)
{
	struct ipt_rule r = rule(T_EXTERNAL_NO_LOCAL_DROP);

	r.dst = (struct ip_addr){.b = {224, 0, 0, 1}};
	alone(&r);
}

static void drop_every_port(void)
{
	struct ipt_rule r = rule(T_NODE_PORT_NO_LOCAL_DROP);

	r.dport = 0;
	alone(&r);
}

static void accept_misplaced(void)
{
	misplaced(T_HEALTH_CHECK_ACCEPT, CHAIN_EXTERNAL_SERVICES);
}

static void accept_udp(void)
{
	struct ipt_rule r = rule(T_HEALTH_CHECK_ACCEPT);

	r.proto = IPPROTO_UDP;
	alone(&r);
}

static void accept_every_port(void)
{
	struct ipt_rule r = rule(T_HEALTH_CHECK_ACCEPT);

	r.dport = 0;
	alone(&r);
}

static void service_in_filter(void)
{
	begin();
	put(IPT_FILTER, CHAIN_SVC, 1);
	put_rule(T_ENDPOINT_LAST);
	commit();
}

static void affine_for(uint32_t seconds)
{
	struct ipt_rule r = rule(T_ENDPOINT_AFFINE);

	r.seconds = seconds;
	alone(&r);
}

static void affine_never(void)
{
	affine_for(0);
}

static void affine_too_long(void)
{
	affine_for(86401);
}

static void range_of_other_family(void)
{
	struct ipt_rule r = rule(T_SOURCE_RANGE);

	r.net = (struct ip_cidr){{FAMILY_6, {0xfd}}, 8};
	alone(&r);
}

static void reject_everything(void)
{
	struct ipt_rule r = rule(T_NO_ENDPOINTS_REJECT);

	memset(r.dst.b, 0, sizeof(r.dst.b));
	alone(&r);
}

static void wrong_family(void)
{
	struct ipt_rule r = rule(T_ENDPOINT_DNAT);

	r.to = (struct ip_addr){FAMILY_6, {0xfd, [15] = 1}};
	alone(&r);
}

static void dnat_loopback(void)
{
	dnat_to(127, 0, 0, 1);
}

static void dnat_link_local(void)
{
	dnat_to(169, 254, 169, 254);
}

static void dnat_multicast(void)
{
	dnat_to(224, 0, 0, 1);
}

static void dnat_unspecified(void)
{
	dnat_to(0, 0, 0, 0);
}

static void prefix_bits(void)
{
	from_prefix(0, 33);
}

static void prefix_host_bits(void)
{
	from_prefix(1, 24);
}

static void name_newline(void)
{
	named("default/web\n-A INPUT -j ACCEPT");
}

static void name_quote(void)
{
	named("default/web\" -j ACCEPT");
}

static void protocol_icmp(void)
{
	struct ipt_rule r = rule(T_ENDPOINT_DNAT);

	r.proto = IPPROTO_ICMP;
	alone(&r);
}

/* [OPS, [[OP, 0, NUMBER, true]]] */
static void raw_hook(uint64_t op, uint64_t number)
{
	begin();
	frame_begin(&frame, TXN_OPS, 1);
	frame_array(&frame, 1);
	frame_array(&frame, 4);
	frame_uint(&frame, op);
	frame_uint(&frame, FAMILY_4);
	frame_uint(&frame, number);
	frame_bool(&frame, true);
	send_frame();
}

static void unknown_hook(void)
{
	raw_hook(OP_HOOK, IPT_HOOK_COUNT);
}

static void unknown_operation(void)
{
	raw_hook(OP_ITEM_DELETE + 1, 0);
}

/* --- ipvs mode's items, right or with one thing wrong --- */

static struct ipvs_item real_server(void)
{
	return (struct ipvs_item){.kind = IPVS_REAL,
	    .family = FAMILY_4,
	    .addr = {FAMILY_4, {10, 96, 0, 10}},
	    .proto = 6,
	    .port = 80,
	    .to = {FAMILY_4, {10, 244, 1, 10}},
	    .to_port = 8080,
	    .value = 1};
}

static void one_item(enum txn_op op, struct ipvs_item i)
{
	begin();
	txn_item(&writer, op, &i);
	commit();
}

static void item_server(void)
{
	const struct ipvs_item real = real_server();
	struct ipvs_item server = {.kind = IPVS_SERVER,
	    .family = FAMILY_4,
	    .addr = real.addr,
	    .proto = real.proto,
	    .port = real.port};

	begin();
	txn_item(&writer, OP_ITEM_PUT, &server);
	txn_item(&writer, OP_ITEM_PUT, &real);
	commit();
}

/* Makes another program's virtual server look like ours, then wants it changed and gone. */
static void item_foreign(void)
{
	struct ipvs_item real = real_server(), server, address = {.kind = IPVS_ADDRESS};

	real.addr.b[1] = 98;
	server = (struct ipvs_item){.kind = IPVS_SERVER,
	    .family = FAMILY_4,
	    .addr = real.addr,
	    .proto = real.proto,
	    .port = real.port};
	address.family = FAMILY_4;
	address.addr = real.addr;
	one_item(OP_ITEM_PUT, address);
	frame_begin(&frame, TXN_SNAPSHOT_REQUEST, 0);
	send_frame();
	begin();
	txn_item(&writer, OP_ITEM_PUT, &server);
	txn_item(&writer, OP_ITEM_PUT, &real);
	server.value = 600;
	txn_item(&writer, OP_ITEM_CHANGE, &server);
	real.value = 0;
	txn_item(&writer, OP_ITEM_CHANGE, &real);
	txn_item(&writer, OP_ITEM_DELETE, &real);
	txn_item(&writer, OP_ITEM_DELETE, &server);
	commit();
}

static void item_excluded(void)
{
	struct ipvs_item i = real_server();

	i.addr.b[1] = 97; /* --ipvs-exclude-cidrs=10.97.0.0/16 */
	one_item(OP_ITEM_DELETE, i);
}

static void item_at_loopback(void)
{
	struct ipvs_item i = {
	    .kind = IPVS_ADDRESS, .family = FAMILY_4, .addr = {FAMILY_4, {127, 1}}};

	one_item(OP_ITEM_PUT, i);
}

static void item_to_loopback(void)
{
	struct ipvs_item i = real_server();

	i.to = (struct ip_addr){FAMILY_4, {127, 0, 0, 1}};
	one_item(OP_ITEM_PUT, i);
}

static void item_weight(void)
{
	struct ipvs_item i = real_server();

	i.value = 2;
	one_item(OP_ITEM_CHANGE, i);
}

static void item_protocol(void)
{
	struct ipvs_item i = real_server();

	i.proto = 1;
	one_item(OP_ITEM_PUT, i);
}

static void item_of_no_value(void)
{
	struct ipvs_item i = {
	    .kind = IPVS_ADDRESS, .family = FAMILY_4, .addr = {FAMILY_4, {10, 96, 0, 10}}};

	one_item(OP_ITEM_CHANGE, i);
}

static void quota_operations(void)
{
	begin();
	for (int i = 0; i < 1000001; i++)
		txn_hook(&writer, FAMILY_4, 0, true);
	commit();
}

static void quota_rules(void)
{
	begin();
	put(IPT_NAT, CHAIN_MARK_MASQ, 0);
	for (int i = 0; i < 4000001; i++)
		put_rule(T_MARK_MASQ);
	commit();
}

static void quota_bytes(void)
{
	struct ipt_rule r = rule(T_ENDPOINT_LAST);

	memset(r.name, 'a', sizeof(r.name) - 1);
	r.name[63] = '/';
	r.name[127] = ':';
	begin();
	put(IPT_NAT, CHAIN_SVC, 1);
	for (int i = 0; i < 3000000; i++)
		txn_rule(&writer, &r);
	commit();
}

static void words(unsigned type, uint32_t fields, uint64_t a, uint64_t b)
{
	frame_begin(&frame, type, fields);
	for (uint32_t i = 0; i < fields; i++)
		frame_uint(&frame, i == 0 ? a : b);
	send_frame();
}

static void unknown_message(void)
{
	words(77, 0, 0, 0);
}

static void wrong_arity(void)
{
	words(TXN_BEGIN, 3, 1, 0);
}

static void commit_without_begin(void)
{
	words(TXN_COMMIT, 2, 1, 0);
}

static void operations_without_begin(void)
{
	words(TXN_OPS, 0, 0, 0);
}

static void begin_twice(void)
{
	begin();
	begin();
}

static void wrong_generation(void)
{
	words(TXN_BEGIN, 2, 7, 0);
}

static void wrong_base(void)
{
	words(TXN_BEGIN, 2, 1, 1);
}

static void wrong_count(void)
{
	begin();
	words(TXN_COMMIT, 2, 1, 3);
}

static void snapshot_in_transaction(void)
{
	begin();
	words(TXN_SNAPSHOT_REQUEST, 0, 0, 0);
}

static void rules_without_chain(void)
{
	const uint8_t bytes[] = {0x92, TXN_OPS, 0x91, 0x92, OP_CHAIN_MORE, 0x91, 0x91, T_MARK_MASQ};

	begin();
	send_bytes(bytes, sizeof(bytes));
}

static void trailing_bytes(void)
{
	send_bytes("\x91\x01\x00", 3);
}

static void huge_count(void)
{
	send_bytes("\xdd\x0f\xff\xff\xff", 5);
}

static void deep_nesting(void)
{
	char bytes[1000];

	memset(bytes, '\x91', sizeof(bytes));
	send_bytes(bytes, sizeof(bytes));
}

static void a_map(void)
{
	send_bytes("\x81\x01\x02", 3);
}

static void long_datagram(void)
{
	static char bytes[FRAME_MAX + 1];

	send_bytes(bytes, sizeof(bytes));
}

static void empty_datagram(void)
{
	send_bytes("", 0);
}

/* --- an order in which libiptc would look through all chains for each one's place --- */

static void chains_in_random_order(void)
{
	begin();
	put(IPT_NAT, CHAIN_SVC, 4);
	put(IPT_NAT, CHAIN_SVC, 2);
	put(IPT_NAT, CHAIN_SVC, 3);
	put(IPT_NAT, CHAIN_SVC, 1);
	put(IPT_NAT, CHAIN_SVC, 5);
	commit();
}

static void chain_twice(void)
{
	begin();
	for (int i = 0; i < 3; i++)
		put(IPT_NAT, CHAIN_SVC, 1);
	commit();
}

static void deleted_before_put(void)
{
	struct ipt_chain c = chain(IPT_NAT, CHAIN_SEP, 2);

	begin();
	txn_chain_delete(&writer, &c);
	put(IPT_NAT, CHAIN_SVC, 1);
	commit();
}

static void table_again(void)
{
	begin();
	put(IPT_FILTER, CHAIN_FORWARD, 0);
	put(IPT_NAT, CHAIN_SERVICES, 0);
	commit();
}

/* --- what the templates could do, and the node's policy forbids --- */

static void with_port(uint8_t template, uint16_t port)
{
	struct ipt_rule r = rule(template);

	r.dport = port;
	alone(&r);
}

static void node_port_outside(void)
{
	with_port(T_NODE_PORT, 22);
}

static void node_port_rejected(void)
{
	with_port(T_NODE_PORT_NO_ENDPOINTS_REJECT, 22);
}

static void node_port_dropped(void)
{
	with_port(T_NODE_PORT_NO_LOCAL_DROP, 10250);
}

static void health_check_outside(void)
{
	with_port(T_HEALTH_CHECK_ACCEPT, 22);
}

static void relay_reject_anywhere(void)
{
	with_port(T_RELAY_REJECT, 22);
}

static void with_address(uint8_t template, const struct ip_addr *dst, const struct ip_addr *to)
{
	struct ipt_rule r = rule(template);

	if (dst != NULL)
		r.dst = *dst;
	if (to != NULL)
		r.to = *to;
	alone(&r);
}

static const struct ip_addr stranger = {FAMILY_4, {198, 51, 100, 1}},
			    metadata = {FAMILY_4, {168, 63, 129, 16}};

static void dnat_metadata(void)
{
	with_address(T_ENDPOINT_DNAT, NULL, &metadata);
}

static void dnat_stranger(void)
{
	with_address(T_DNAT_LAST, NULL, &stranger);
}

static void frontend_stranger(void)
{
	with_address(T_CLUSTER_IP, &stranger, NULL);
}

static void reject_stranger(void)
{
	with_address(T_NO_ENDPOINTS_REJECT, &stranger, NULL);
}

static void drop_stranger(void)
{
	with_address(T_FIREWALL_DROP, &stranger, NULL);
}

static void item_with(
    uint8_t kind, const struct ip_addr *addr, uint16_t port, const struct ip_addr *to)
{
	struct ipvs_item i = real_server();

	if (addr != NULL)
		i.addr = *addr;
	if (to != NULL)
		i.to = *to;
	i.port = port;
	i = ipvs_item_key(kind, &i);
	one_item(OP_ITEM_PUT, i);
}

static void item_node_port_outside(void)
{
	item_with(IPVS_NODE_PORT, NULL, 22, NULL);
}

static void item_health_check_outside(void)
{
	item_with(IPVS_HEALTH_CHECK, NULL, 22, NULL);
}

static void item_to_metadata(void)
{
	item_with(IPVS_REAL, NULL, 80, &metadata);
}

static void item_to_stranger(void)
{
	item_with(IPVS_REAL, NULL, 80, &stranger);
}

static void item_server_stranger(void)
{
	item_with(IPVS_SERVER, &stranger, 80, NULL);
}

static void item_address_stranger(void)
{
	item_with(IPVS_ADDRESS, &stranger, 80, NULL);
}

/* --- to the cleaner, which takes one byte of one value --- */

static void tell_cleaner(const void *bytes, size_t len)
{
	if (write(PLANNER_FD_CLEANER, bytes, len) < 0)
		perror("hostile: write");
}

static void cleaner_word(void)
{
	tell_cleaner("PP", 2);
}

static void cleaner_byte(void)
{
	tell_cleaner("P", 1); /* no family */
}

static void cleaner_frame(void)
{
	static const uint8_t msg[] = {0x93, 1, 0xa3, 'n', 'a', 't', 0};

	tell_cleaner(msg, sizeof(msg));
}

static void cleaner_large(void)
{
	static uint8_t large[100000];

	memset(large, LEFTOVERS_PROGRAMMED, sizeof(large));
	tell_cleaner(large, sizeof(large));
}

static void flood(void)
{
	for (;;) {
		begin();
		txn_commit(&writer);
		await_result(false);
	}
}

static void never_read(void)
{
	for (int i = 0; i < 900; i++)
		words(TXN_SNAPSHOT_REQUEST, 0, 0, 0);
}

/* --- flows --- */

static struct flows_part part;

/* Reads the answer. Returns whether it is a part. */
static bool await_flows(void)
{
	static uint8_t buf[FRAME_MAX];
	struct flows_end end = {0};
	struct cursor c;
	unsigned type = 0;
	ssize_t n = read(PLANNER_FD_APPLIER, buf, sizeof(buf));

	if (n <= 0 || frame_open(buf, (size_t)n, &type, &c) != NULL)
		exit(0);
	if (type == TXN_FLOWS)
		flows_decode_part(&c, &part);
	else
		flows_decode_end(&c, &end);
	if (type != TXN_FLOWS)
		fprintf(stderr, "hostile: flows: seen %llu deleted %llu error %d\n",
		    (unsigned long long)end.seen, (unsigned long long)end.deleted, end.error);
	return type == TXN_FLOWS;
}

static void ask_flows(uint8_t family)
{
	flows_encode_request(&frame, family);
	send_frame();
}

static void delete_flows(uint32_t count, uint16_t first, uint16_t second)
{
	struct flows_choice choice = {count, {first, second}};

	flows_encode_choice(&frame, &choice);
	send_frame();
}

/* All that may be deleted of both families: nothing but UDP. */
static void flows_all(void)
{
	for (uint8_t family = 0; family < FAMILY_COUNT; family++) {
		bool more;

		ask_flows(family);
		for (more = await_flows(); more; more = await_flows()) {
			struct flows_choice choice = {.count = part.count};

			for (uint32_t i = 0; i < part.count; i++)
				choice.places[i] = (uint16_t)i;
			flows_encode_choice(&frame, &choice);
			send_frame();
		}
	}
}

static void flows_not_shown(void)
{
	delete_flows(1, 0, 0);
}

static void flows_beyond_the_part(void)
{
	ask_flows(FAMILY_4);
	await_flows();
	delete_flows(1, (uint16_t)part.count, 0);
}

static void flows_twice(void)
{
	ask_flows(FAMILY_4);
	await_flows();
	delete_flows(2, 0, 0);
}

static void flows_pass_in_pass(void)
{
	ask_flows(FAMILY_4);
	await_flows();
	ask_flows(FAMILY_6);
}

static void flows_unknown_family(void)
{
	ask_flows(FAMILY_COUNT);
}

static void flows_in_transaction(void)
{
	begin();
	ask_flows(FAMILY_4);
}

static void flows_after_the_end(void)
{
	ask_flows(FAMILY_4);
	while (await_flows())
		delete_flows(0, 0, 0);
	delete_flows(0, 0, 0);
}

/* Elements exist in the other mode only. */
static void nftables_operation(void)
{
	begin();
	frame_begin(&frame, NFT_OPS, 1);
	frame_array(&frame, 0);
	send_frame();
}

#define SCENARIO(name)                                                                             \
	{                                                                                          \
#name, name                                                                        \
	}
static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
    SCENARIO(service),
    SCENARIO(jump_missing),
    SCENARIO(jump_cycle),
    SCENARIO(jump_down),
    SCENARIO(jump_from_external),
    SCENARIO(jump_from_service),
    SCENARIO(jump_past_firewall),
    SCENARIO(jump_other_table),
    SCENARIO(delete_referenced),
    SCENARIO(unknown_template),
    SCENARIO(unknown_kind),
    SCENARIO(unknown_family),
    SCENARIO(hash_of_fixed_chain),
    SCENARIO(hash_too_long),
    SCENARIO(template_misplaced),
    SCENARIO(template_without_arguments),
    SCENARIO(drop_everything),
    SCENARIO(drop_misplaced),
    SCENARIO(drop_in_nat),
    SCENARIO(drop_everywhere),
    SCENARIO(drop_multicast),
    SCENARIO(drop_every_port),
    SCENARIO(accept_misplaced),
    SCENARIO(accept_udp),
    SCENARIO(accept_every_port),
    SCENARIO(service_in_filter),
    SCENARIO(affine_never),
    SCENARIO(affine_too_long),
    SCENARIO(range_of_other_family),
    SCENARIO(reject_everything),
    SCENARIO(wrong_family),
    SCENARIO(dnat_loopback),
    SCENARIO(dnat_link_local),
    SCENARIO(dnat_multicast),
    SCENARIO(dnat_unspecified),
    SCENARIO(prefix_bits),
    SCENARIO(prefix_host_bits),
    SCENARIO(name_newline),
    SCENARIO(name_quote),
    SCENARIO(protocol_icmp),
    SCENARIO(unknown_hook),
    SCENARIO(unknown_operation),
    SCENARIO(item_server),
    SCENARIO(item_foreign),
    SCENARIO(item_excluded),
    SCENARIO(item_at_loopback),
    SCENARIO(item_to_loopback),
    SCENARIO(item_weight),
    SCENARIO(item_protocol),
    SCENARIO(item_of_no_value),
    SCENARIO(node_port_outside),
    SCENARIO(node_port_rejected),
    SCENARIO(node_port_dropped),
    SCENARIO(health_check_outside),
    SCENARIO(relay_reject_anywhere),
    SCENARIO(dnat_metadata),
    SCENARIO(dnat_stranger),
    SCENARIO(frontend_stranger),
    SCENARIO(reject_stranger),
    SCENARIO(drop_stranger),
    SCENARIO(item_node_port_outside),
    SCENARIO(item_health_check_outside),
    SCENARIO(item_to_metadata),
    SCENARIO(item_to_stranger),
    SCENARIO(item_server_stranger),
    SCENARIO(item_address_stranger),
    SCENARIO(chains_in_random_order),
    SCENARIO(chain_twice),
    SCENARIO(deleted_before_put),
    SCENARIO(table_again),
    SCENARIO(quota_operations),
    SCENARIO(quota_rules),
    SCENARIO(quota_bytes),
    SCENARIO(unknown_message),
    SCENARIO(wrong_arity),
    SCENARIO(commit_without_begin),
    SCENARIO(operations_without_begin),
    SCENARIO(begin_twice),
    SCENARIO(wrong_generation),
    SCENARIO(wrong_base),
    SCENARIO(wrong_count),
    SCENARIO(snapshot_in_transaction),
    SCENARIO(rules_without_chain),
    SCENARIO(trailing_bytes),
    SCENARIO(huge_count),
    SCENARIO(deep_nesting),
    SCENARIO(a_map),
    SCENARIO(long_datagram),
    SCENARIO(empty_datagram),
    SCENARIO(cleaner_word),
    SCENARIO(cleaner_byte),
    SCENARIO(cleaner_frame),
    SCENARIO(cleaner_large),
    SCENARIO(flood),
    SCENARIO(never_read),
    SCENARIO(flows_all),
    SCENARIO(flows_not_shown),
    SCENARIO(flows_beyond_the_part),
    SCENARIO(flows_twice),
    SCENARIO(flows_pass_in_pass),
    SCENARIO(flows_unknown_family),
    SCENARIO(flows_in_transaction),
    SCENARIO(flows_after_the_end),
    SCENARIO(nftables_operation),
};

/* Reads the scenario's name from the file beside this program. */
static void read_scenario(char *name, int size)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("scenario"));
	FILE *f;

	if (n <= 0)
		exit(1);
	path[n] = '\0';
	memcpy(strrchr(path, '/') + 1, "scenario", sizeof("scenario"));
	f = fopen(path, "r");
	if (f == NULL || fgets(name, size, f) == NULL)
		exit(1);
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
}

int main(void)
{
	char name[64];

	read_scenario(name, sizeof(name));
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(scenarios[i].name, name) == 0) {
			scenarios[i].run();
			pause();
		}
	fprintf(stderr, "hostile: no scenario %s\n", name);
	return 1;
}
