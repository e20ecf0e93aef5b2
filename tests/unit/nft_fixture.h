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

static inline int end(void **state)
{
	(void)state;
	close(planner_fd);
	close(session_fd);
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
static inline struct cursor answer(struct frame_reader *reader, unsigned type)
{
	static uint8_t buf[FRAME_MAX];
	ssize_t n = recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct cursor c;
	unsigned got;

	assert_true(n > 0);
	assert_null(frame_open(reader, buf, (size_t)n, &got, &c));
	assert_int_equal(got, type);
	return c;
}

static inline struct txn_result commit(enum txn_code code)
{
	struct frame_reader reader;
	struct txn_result r;
	struct cursor c;

	txn_commit(&writer);
	if (refusal != NULL)
		fail_msg("%s", refusal);
	c = answer(&reader, TXN_RESULT);
	assert_null(txn_decode_result(&c, &r));
	frame_close(&reader);
	assert_int_equal(r.generation, generation);
	if (r.code != code)
		fail_msg("result %d: %s", r.code, r.detail);
	if (code == TXN_OK || code == TXN_UNCHANGED)
		base = generation;
	return r;
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
