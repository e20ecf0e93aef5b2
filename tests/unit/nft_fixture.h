/* nftables mode in a network namespace of the test's own: a session, and a planner that talks to
 * it. */
#ifndef TESTS_NFT_FIXTURE_H
#define TESTS_NFT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "applier/nft_backend.h"
#include "applier/policy.h"
#include "applier/session.h"
#include "ipc/nft_ops.h"

#include "netns.h"

static const struct policy *policy;
static int audit_fd;
static struct session *session;
static int planner_fd, session_fd;
static const char *refusal; /* what the session said last */
static struct txn_writer writer;
static uint64_t generation, base;

static inline void open_policy(const char *pod_if, bool prefix)
{
	static const struct config cfg = {
	    .mode = MODE_NFTABLES, .masquerade_bit = 14, .key = {1, 2}};
	struct policy *p;

	audit_fd = memfd_create("audit", 0);
	assert_true(audit_fd >= 0);
	p = policy_new(&cfg, audit_fd);
	strlcpy(p->params.pod_if, pod_if, sizeof(p->params.pod_if));
	p->params.pod_if_prefix = prefix;
	enter_namespace();
	nft_backend_open(p);
	assert_true(p->families[FAMILY_4] && p->families[FAMILY_6]);
	policy_freeze(p);
	policy = p;
}

/* A new session, as after a restart. */
static inline int start(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	planner_fd = sv[0];
	session_fd = sv[1];
	session = session_new(policy, session_fd);
	refusal = NULL;
	generation = base = 0;
	assert_int_equal(ftruncate(audit_fd, 0), 0);
	assert_int_equal(lseek(audit_fd, 0, SEEK_SET), 0);
	return 0;
}

static inline void end_session(void)
{
	close(planner_fd);
	close(session_fd);
}

static inline int end(void **state)
{
	(void)state;
	end_session();
	return system("nft flush ruleset") == 0 ? 0 : -1;
}

static inline const char *audited(void)
{
	static char buf[1 << 16];
	ssize_t n = pread(audit_fd, buf, sizeof(buf) - 1, 0);

	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

static inline void sink(void *arg, const struct frame *f)
{
	(void)arg;
	assert_false(f->overflow);
	if (refusal == NULL)
		refusal = session_frame(session, f->buf, f->len);
}

static inline void begin(void)
{
	writer.type = NFT_OPS;
	txn_begin(&writer, sink, NULL, ++generation, base);
}

/* Reads one answer, which must be of TYPE. */
static inline struct cursor answer(unsigned type)
{
	static uint8_t buf[FRAME_MAX];
	ssize_t n = recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct cursor c;
	unsigned got;

	assert_true(n > 0);
	assert_null(frame_open(buf, (size_t)n, &got, &c));
	assert_int_equal(got, type);
	return c;
}

static inline struct txn_result commit(enum txn_code code)
{
	struct txn_result r;
	struct cursor c;

	txn_commit(&writer);
	if (refusal != NULL)
		fail_msg("%s", refusal);
	c = answer(TXN_RESULT);
	assert_null(txn_decode_result(&c, &r));
	assert_int_equal(r.generation, generation);
	if (r.code != code)
		fail_msg("result %d: %s", r.code, r.detail);
	if (code == TXN_OK || code == TXN_UNCHANGED)
		base = generation;
	return r;
}

static inline struct ip_addr address(uint8_t family, uint8_t a, uint8_t d)
{
	struct ip_addr ip = {.family = family, .b = {10, a, 0, d}};

	if (family == FAMILY_6)
		ip = (struct ip_addr){FAMILY_6, {0xfd, a, [15] = d}};
	return ip;
}

/* Some element of SET, the same for each SEED. */
static inline struct nft_elem elem(uint8_t family, uint8_t set, uint8_t seed)
{
	const struct nft_set *s = nft_set(set);
	struct nft_elem e = {.family = family, .set = set};

	if (s->fields & NFT_ADDR)
		e.addr = address(family, 96, seed);
	if (s->fields & NFT_PROTO)
		e.proto = (const uint8_t[]){IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP}[seed % 3];
	if (s->fields & NFT_PORT)
		e.port = (uint16_t)(80 + seed);
	if (s->fields & NFT_SLOT)
		e.slot = (seed % 2 != 0 ? NFT_LOCAL_SLOT : 0) + seed % s->slots;
	if (s->fields & NFT_NET) {
		e.net = (struct ip_cidr){address(family, seed, 0), family == FAMILY_6 ? 48 : 16};
		if (seed == 255) /* it goes up to the last address */
			e.net = (struct ip_cidr){{family, {[0] = 0xff}}, 8};
	}
	if (s->fields & NFT_TO) {
		e.to = address(family, 244, seed);
		e.to_port = (uint16_t)(8000 + seed);
	}
	if (s->fields & NFT_NAME)
		snprintf(e.name, sizeof(e.name), "default/web-%u:http", seed);
	return e;
}

static inline void put(uint8_t family, uint8_t set, uint8_t seed)
{
	struct nft_elem e = elem(family, set, seed);

	nft_write_put(&writer, &e);
}

static inline void delete (uint8_t family, uint8_t set, uint8_t seed)
{
	struct nft_elem e = elem(family, set, seed);

	nft_write_delete(&writer, &e);
}

static inline void install(void)
{
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		nft_write_install(&writer, f);
}

static inline void installed(void)
{
	begin();
	install();
	commit(TXN_OK);
}

/* What COMMAND prints; it must succeed. */
static inline const char *output(const char *command)
{
	static char buf[1 << 20];
	FILE *f = popen(command, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	if (pclose(f) != 0)
		fail_msg("%s", command);
	return buf;
}

#endif
