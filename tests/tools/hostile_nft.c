/*
 * A malicious planner in nftables mode, as hostile.c is one in iptables mode: it does what the file
 * "scenario" beside it names. tests/integration/test_escape_nft.py says what must become of each.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/nft_ops.h"

static struct txn_writer writer = {.type = NFT_OPS};

static void sink(void *arg, const struct frame *f)
{
	(void)arg;
	/* The parent may be gone already: that is what most scenarios are for. */
	if (write(PLANNER_FD_APPLIER, f->buf, f->len) < 0)
		exit(0);
}

static void begin(void)
{
	txn_begin(&writer, sink, NULL, 1, 0);
}

/* Reads answers until a result comes, and prints it. */
static void commit(void)
{
	static uint8_t buf[FRAME_MAX];
	struct txn_result r;
	struct cursor c;
	unsigned type = 0;

	txn_commit(&writer);
	while (type != TXN_RESULT) {
		ssize_t n = read(PLANNER_FD_APPLIER, buf, sizeof(buf));

		if (n <= 0 || frame_open(buf, (size_t)n, &type, &c) != NULL)
			exit(0);
		if (type == TXN_RESULT && txn_decode_result(&c, &r) == NULL)
			fprintf(stderr, "hostile: result %u: %s\n", r.code, r.detail);
	}
}

/* --- elements, right or with one thing wrong --- */

static struct nft_elem elem(unsigned set)
{
	const struct ip_addr vip = {.b = {10, 96, 0, 1}}, pod = {.b = {10, 244, 1, 10}};

	return (struct nft_elem){.set = (uint8_t)set,
	    .proto = IPPROTO_TCP,
	    .port = 80,
	    .to_port = 8080,
	    .addr = vip,
	    .net = {{.b = {10, 244}}, 16},
	    .to = pod,
	    .name = "default/web"};
}

static void put_one(const struct nft_elem *e)
{
	begin();
	nft_write_put(&writer, e);
	commit();
}

/* One operation, whose fields are numbers. */
static void raw(unsigned op, const uint64_t *fields, uint32_t count)
{
	begin();
	txn_op(&writer, op, count);
	for (uint32_t i = 0; i < count; i++)
		frame_uint(&writer.frame, fields[i]);
	commit();
}
#define RAW(op, ...)                                                                               \
	raw(op, (const uint64_t[]){__VA_ARGS__},                                                   \
	    sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* What a good planner does: one service. */
static void service(void)
{
	struct nft_elem a = elem(NFT_SERVICES), b = elem(NFT_ENDPOINTS);

	begin();
	nft_write_install(&writer, FAMILY_4);
	nft_write_install(&writer, FAMILY_6);
	nft_write_put(&writer, &a);
	nft_write_put(&writer, &b);
	commit();
}

static void unknown_set(void)
{
	RAW(NFT_OP_PUT, FAMILY_4, NFT_SET_COUNT);
}

static void unknown_family(void)
{
	RAW(NFT_OP_INSTALL, FAMILY_COUNT);
}

static void unknown_operation(void)
{
	RAW(NFT_OP_FORGET + 1, FAMILY_4);
}

static void affinity_number(void)
{
	RAW(NFT_OP_AFFINITY, FAMILY_4, NFT_AFFINITIES, 10);
}

static void affinity_too_long(void)
{
	RAW(NFT_OP_AFFINITY, FAMILY_4, 0, 86401);
}

/* A client's endpoint is the kernel's to remember: the rules would follow it anywhere. */
static void dynamic_set(void)
{
	const struct nft_elem e = elem(NFT_AFFINITY);

	begin();
	txn_op(&writer, NFT_OP_PUT, 7);
	frame_uint(&writer.frame, e.family);
	frame_uint(&writer.frame, e.set);
	frame_ip(&writer.frame, &e.addr);
	frame_uint(&writer.frame, e.proto);
	frame_uint(&writer.frame, e.port);
	frame_ip(&writer.frame, &e.to);
	frame_uint(&writer.frame, e.to_port);
	commit();
}

static void timeouts_set(void)
{
	struct nft_elem e = {.set = NFT_TIMEOUTS, .slot = 1, .seconds = 10};

	put_one(&e);
}

static void dnat_to(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	struct nft_elem e = elem(NFT_ENDPOINTS);

	e.to = (struct ip_addr){.b = {a, b, c, d}};
	put_one(&e);
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

static void dnat_other_family(void)
{
	struct nft_elem e = elem(NFT_ENDPOINTS);

	e.to = (struct ip_addr){FAMILY_6, {0xfd, [15] = 1}};
	put_one(&e);
}

static void frontend_loopback(void)
{
	struct nft_elem e = elem(NFT_SERVICES);

	e.addr = (struct ip_addr){.b = {127, 0, 0, 1}};
	put_one(&e);
}

static void frontend_anywhere(void)
{
	struct nft_elem e = elem(NFT_NO_ENDPOINTS);

	e.addr = (struct ip_addr){.b = {0}};
	put_one(&e);
}

/* --- what elements could do, and the node's policy forbids --- */

static void drop_net(struct ip_cidr net)
{
	struct nft_elem e = {.family = net.addr.family, .set = NFT_SERVICE_CIDRS, .net = net};

	put_one(&e);
}

static void drop_all(void)
{
	drop_net((struct ip_cidr){{.family = FAMILY_4}, 0});
}

static void drop_half_of_ipv6(void)
{
	drop_net((struct ip_cidr){{FAMILY_6, {0x20}}, 3});
}

static void drop_loopback(void)
{
	drop_net((struct ip_cidr){{FAMILY_4, {127}}, 8});
}

static void drop_stranger(void)
{
	drop_net((struct ip_cidr){{FAMILY_4, {198, 51, 100}}, 24});
}

static void frontend(uint8_t set, struct ip_addr addr, uint16_t port)
{
	struct nft_elem e = elem(set);

	e.addr = addr;
	e.port = port;
	put_one(&e);
}
#define STRANGER ((struct ip_addr){FAMILY_4, {198, 51, 100, 1}})

static void frontend_stranger(void)
{
	frontend(NFT_SERVICES, STRANGER, 443);
}

static void reject_stranger(void)
{
	frontend(NFT_NO_ENDPOINTS, STRANGER, 22);
}

static void cluster_ip_stranger(void)
{
	frontend(NFT_CLUSTER_IPS, STRANGER, 0);
}

static void firewall_stranger(void)
{
	frontend(NFT_FIREWALL, STRANGER, 10250);
}

static void hairpin_stranger(void)
{
	frontend(NFT_HAIRPIN, STRANGER, 0);
}

static void dnat_metadata(void)
{
	dnat_to(100, 100, 100, 200);
}

static void dnat_stranger(void)
{
	dnat_to(198, 51, 100, 1);
}

static void protocol_icmp(void)
{
	struct nft_elem e = elem(NFT_SERVICES);

	e.proto = IPPROTO_ICMP;
	put_one(&e);
}

static void number_never_drawn(void)
{
	struct nft_elem e = elem(NFT_ENDPOINTS + 2);

	e.slot = 3;
	put_one(&e);
}

static void name_text(void)
{
	struct nft_elem e = elem(NFT_SERVICES);

	snprintf(e.name, sizeof(e.name), "%s", "default/web\" }\nflush ruleset");
	put_one(&e);
}

static void install_late(void)
{
	struct nft_elem e = elem(NFT_SERVICES);

	begin();
	nft_write_put(&writer, &e);
	nft_write_install(&writer, FAMILY_4);
	commit();
}

static void forget_elsewhere(void)
{
	struct nft_elem e = elem(NFT_SERVICES);

	begin();
	nft_write_forget(&writer, &e);
	commit();
}

/* Rules exist in the other mode only. */
static void a_rule(void)
{
	struct ipt_chain c = {.kind = CHAIN_SERVICES};

	writer.type = TXN_OPS;
	begin();
	txn_chain_put(&writer, &c);
	commit();
}

static void a_check(void)
{
	txn_encode_check(&writer.frame, true);
	sink(NULL, &writer.frame);
	pause();
}

static void quota_operations(void)
{
	const struct nft_elem e = elem(NFT_CLUSTER_IPS);

	begin();
	for (;;)
		nft_write_put(&writer, &e);
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
    SCENARIO(unknown_set),
    SCENARIO(unknown_family),
    SCENARIO(unknown_operation),
    SCENARIO(affinity_number),
    SCENARIO(affinity_too_long),
    SCENARIO(dynamic_set),
    SCENARIO(timeouts_set),
    SCENARIO(dnat_loopback),
    SCENARIO(dnat_link_local),
    SCENARIO(dnat_multicast),
    SCENARIO(dnat_other_family),
    SCENARIO(frontend_loopback),
    SCENARIO(frontend_anywhere),
    SCENARIO(drop_all),
    SCENARIO(drop_half_of_ipv6),
    SCENARIO(drop_loopback),
    SCENARIO(drop_stranger),
    SCENARIO(frontend_stranger),
    SCENARIO(reject_stranger),
    SCENARIO(cluster_ip_stranger),
    SCENARIO(firewall_stranger),
    SCENARIO(hairpin_stranger),
    SCENARIO(dnat_metadata),
    SCENARIO(dnat_stranger),
    SCENARIO(protocol_icmp),
    SCENARIO(number_never_drawn),
    SCENARIO(name_text),
    SCENARIO(install_late),
    SCENARIO(forget_elsewhere),
    SCENARIO(a_rule),
    SCENARIO(a_check),
    SCENARIO(quota_operations),
};

int main(void)
{
	char path[PATH_MAX], name[64];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("scenario"));
	FILE *f;

	if (n <= 0)
		return 1;
	path[n] = '\0';
	memcpy(strrchr(path, '/') + 1, "scenario", sizeof("scenario"));
	f = fopen(path, "r");
	if (f == NULL || fgets(name, sizeof(name), f) == NULL)
		return 1;
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(scenarios[i].name, name) == 0) {
			scenarios[i].run();
			pause();
		}
	fprintf(stderr, "hostile: no scenario %s\n", name);
	return 1;
}
