/* The session with the planner: transactions into a real kernel, and every way to break the rules.
 */
#include "applier/session.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "applier/ipt_entry.h"
#include "applier/ipt_handle.h"
#include "ipc/txn.h"
#include "tests/unit/applier_fixture.h"

static const struct policy *policy;
static int audit_fd;
static struct session *session;
static int planner_fd, session_fd;
static const char *refusal; /* what the session said last */
static struct txn_writer writer;
static uint64_t generation, base;

/* --- a planner --- */

static void sink(void *arg, const struct frame *f)
{
	(void)arg;
	assert_false(f->overflow);
	if (refusal == NULL)
		refusal = session_frame(session, f->buf, f->len);
}

static int end(void **state)
{
	(void)state;
	close(planner_fd);
	close(session_fd);
	return 0;
}

static int start_with(const struct policy *p)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	planner_fd = sv[0];
	session_fd = sv[1];
	session = session_new(p, session_fd);
	refusal = NULL;
	generation = base = 0;
	assert_int_equal(ftruncate(audit_fd, 0), 0);
	assert_int_equal(lseek(audit_fd, 0, SEEK_SET), 0);
	return 0;
}

/* A new session, as after a restart. */
static int start(void **state)
{
	(void)state;
	return start_with(policy);
}

static const char *audited(void)
{
	static char buf[1 << 16];
	ssize_t n = pread(audit_fd, buf, sizeof(buf) - 1, 0);

	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

static void begin(void)
{
	txn_begin(&writer, sink, NULL, ++generation, base);
}

/* Reads one answer, which must be of TYPE. */
static struct cursor answer(unsigned type)
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

static struct txn_result commit(enum txn_code code)
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

static void put(uint8_t family, uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = chain(family, table, kind, hash);

	txn_chain_put(&writer, &c);
}

static void put_rule(uint8_t family, uint8_t template)
{
	struct ipt_rule r = rule(family, template);

	txn_rule(&writer, &r);
}

static void delete (uint8_t family, uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = chain(family, table, kind, hash);

	txn_chain_delete(&writer, &c);
}

/* One service with one endpoint, in both families. */
static void put_service(void)
{
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		put(f, IPT_NAT, CHAIN_SVC, 1);
		put_rule(f, T_CLUSTER_IP_MASQ_OUTSIDE);
		put_rule(f, T_ENDPOINT_LAST);
		put(f, IPT_NAT, CHAIN_SERVICES, 0);
		put_rule(f, T_CLUSTER_IP);
		put(f, IPT_NAT, CHAIN_SEP, 2);
		put_rule(f, T_HAIRPIN_MARK);
		put_rule(f, T_ENDPOINT_DNAT);
		put(f, IPT_NAT, CHAIN_MARK_MASQ, 0);
		put_rule(f, T_MARK_MASQ);
		put(f, IPT_FILTER, CHAIN_FORWARD, 0);
		put_rule(f, T_FORWARD_INVALID);
		put_rule(f, T_FORWARD_MARKED);
	}
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		txn_hook(&writer, f, 5, true);
		txn_hook(&writer, f, 9, true);
		txn_hook(&writer, f, 10, true);
	}
}

static void delete_service(void)
{
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		txn_hook(&writer, f, 5, false);
		txn_hook(&writer, f, 9, false);
		txn_hook(&writer, f, 10, false);
	}
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		delete (f, IPT_NAT, CHAIN_SVC, 1);
		delete (f, IPT_NAT, CHAIN_SERVICES, 0);
		delete (f, IPT_NAT, CHAIN_SEP, 2);
		delete (f, IPT_NAT, CHAIN_MARK_MASQ, 0);
		delete (f, IPT_FILTER, CHAIN_FORWARD, 0);
	}
}

/* Everything iptables-legacy-save prints of all tables, without counters and comments. */
static void save_all(char out[SAVED_MAX])
{
	FILE *f =
	    popen("for i in ip ip6; do for t in nat filter; do "
		  "${i}tables-legacy-save -t $t || exit 1; done; done | sed 's/\\[.*//;/^#/d'",
		"r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, SAVED_MAX - 1, f);
	out[n] = '\0';
	assert_int_equal(pclose(f), 0);
	assert_non_null(strstr(out, "*filter"));
}

/* --- what it does --- */

static void a_service_comes_stays_and_goes(void **state)
{
	static char before[SAVED_MAX], with[SAVED_MAX], after[SAVED_MAX];

	(void)state;
	run("iptables-legacy -t nat -N DOCKER; iptables-legacy -t nat -A DOCKER -s 192.0.2.1 -j "
	    "RETURN; "
	    "iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; "
	    "iptables-legacy -P FORWARD DROP");
	save_all(before);
	begin();
	put_service();
	assert_int_equal(commit(TXN_OK).writes, 4);
	save_all(with);
	assert_non_null(
	    strstr(with, "-A PREROUTING -m comment --comment \"kubernetes service portals\" "
			 "-j KUBE-SERVICES\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"));
	begin();
	put_service();
	assert_int_equal(commit(TXN_OK).writes, 8);
	begin();
	delete_service();
	assert_int_equal(commit(TXN_OK).writes, 12);
	save_all(after);
	assert_string_equal(before, after);
	run("iptables-legacy -t nat -F; iptables-legacy -t nat -X DOCKER; iptables-legacy -P "
	    "FORWARD ACCEPT");
}

static void only_the_tables_touched_are_written(void **state)
{
	struct ipt_rule r = rule(FAMILY_4, T_ENDPOINT_DNAT);

	(void)state;
	begin();
	put_service();
	assert_int_equal(commit(TXN_OK).writes, 4);
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	put_rule(FAMILY_4, T_HAIRPIN_MARK);
	r.to_port++;
	txn_rule(&writer, &r);
	assert_int_equal(commit(TXN_OK).writes, 5);
	begin();
	delete_service();
	commit(TXN_OK);
}

/* The digest after a transaction, reckoned from the changes, is the one read before the next. */
static void audit_digests_meet(void **state)
{
	unsigned long long first[2], second[2], third[2];
	char codes[3][16];
	const char *line;

	(void)state;
	begin();
	put_service();
	commit(TXN_OK);
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	put_rule(FAMILY_4, T_HAIRPIN_MARK);
	put(FAMILY_6, IPT_NAT, CHAIN_SEP, 2);
	put(FAMILY_6, IPT_FILTER, CHAIN_FORWARD, 0);
	txn_hook(&writer, FAMILY_4, 9, false);
	commit(TXN_OK);
	begin();
	delete_service();
	commit(TXN_OK);
	line = strstr(audited(), "; ipv4 nat ");
	assert_int_equal(
	    sscanf(line, "; ipv4 nat %llx->%llx; ipv6 filter %*[^;]; ipv6 nat %*[^;]; result %15s",
		&first[0], &first[1], codes[0]),
	    3);
	line = strstr(line + 1, "; ipv4 nat ");
	assert_int_equal(
	    sscanf(line, "; ipv4 nat %llx->%llx; ipv6 filter %*[^;]; ipv6 nat %*[^;]; result %15s",
		&second[0], &second[1], codes[1]),
	    3);
	line = strstr(line + 1, "; ipv4 nat ");
	assert_int_equal(
	    sscanf(line, "; ipv4 nat %llx->%llx; ipv6 filter %*[^;]; ipv6 nat %*[^;]; result %15s",
		&third[0], &third[1], codes[2]),
	    3);
	assert_true(first[0] == 0 && first[1] != 0);
	assert_true(second[0] == first[1] && second[1] != second[0]);
	assert_true(third[0] == second[1] && third[1] == 0);
	assert_string_equal(codes[2], "ok");
	assert_non_null(strstr(audited(), "generation 1 ops: put 10 delete 0 hook 6 rules 16;"));
}

static void snapshot_tells_what_is_there(void **state)
{
	static struct txn_snapshot snapshot;
	const struct ipt_chain sep = chain(FAMILY_6, IPT_NAT, CHAIN_SEP, 2);
	const uint8_t templates[] = {T_HAIRPIN_MARK, T_ENDPOINT_DNAT};
	struct siphash s;
	struct cursor c;
	struct frame f;
	bool found = false;

	(void)state;
	begin();
	put_service();
	commit(TXN_OK);
	txn_encode_snapshot_request(&f);
	sink(NULL, &f);
	assert_null(refusal);
	c = answer(TXN_SNAPSHOT);
	assert_null(txn_decode_snapshot(&c, &snapshot));
	assert_true(snapshot.last && snapshot.families[0] && snapshot.families[1]);
	assert_int_equal(snapshot.hooks[0], 1 << 5 | 1 << 9 | 1 << 10);
	assert_int_equal(snapshot.hooks[1], snapshot.hooks[0]);
	assert_int_equal(snapshot.count, 10);
	siphash_init(&s, &policy->key);
	for (size_t i = 0; i < 2; i++) {
		struct ipt_rule r = rule(FAMILY_6, templates[i]);
		struct ipt_blob b;

		ipt_entry_encode(&b, &r, &sep, &policy->params);
		ipt_blob_digest(&s, &b, FAMILY_6);
	}
	for (uint32_t i = 0; i < snapshot.count; i++)
		if (memcmp(&snapshot.chains[i].chain, &sep, sizeof(sep)) == 0) {
			assert_int_equal(snapshot.chains[i].digest, siphash_final(&s));
			found = true;
		}
	assert_true(found);
	begin();
	delete_service();
	commit(TXN_OK);
}

/* --- checks: has another program changed what is ours? --- */

static bool drifted(bool deep)
{
	struct cursor c;
	struct frame f;
	bool drift;

	txn_encode_check(&f, deep);
	sink(NULL, &f);
	assert_null(refusal);
	c = answer(TXN_CHECKED);
	assert_null(txn_decode_checked(&c, &drift));
	return drift;
}

static void take_snapshot(void)
{
	struct frame f;

	txn_encode_snapshot_request(&f);
	sink(NULL, &f);
	assert_null(refusal);
	answer(TXN_SNAPSHOT);
}

static void checks_see_what_others_change(void **state)
{
	(void)state;
	assert_true(drifted(false)); /* nothing is known yet */
	take_snapshot();
	assert_false(drifted(false));
	begin();
	put_service();
	assert_false(commit(TXN_OK).drift);
	assert_false(drifted(false));
	assert_false(drifted(true));
	/* What is not ours does not count, whatever it does to the numbers. */
	run("iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT");
	run("iptables-legacy -t nat -N MINE");
	assert_false(drifted(false));
	assert_false(drifted(true));
	run("iptables-legacy -t nat -A KUBE-MARK-MASQ -j RETURN");
	assert_true(drifted(false));
	take_snapshot();
	assert_false(drifted(false));
	/* A rule in the place of one of the same size is seen by the content alone ... */
	run("iptables-legacy -t nat -R KUBE-MARK-MASQ 2 -s 192.0.2.7 -j RETURN");
	assert_false(drifted(false));
	assert_true(drifted(true));
	take_snapshot();
	run("iptables-legacy -t nat -R KUBE-MARK-MASQ 2 -s 192.0.2.8 -j RETURN");
	/* ... and by a transaction, which reads it as well. */
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	put_rule(FAMILY_4, T_HAIRPIN_MARK);
	assert_true(commit(TXN_OK).drift);
	assert_false(drifted(true));
	begin();
	delete_service();
	assert_false(commit(TXN_OK).drift);
}

/* --- stale: nothing is written, and the audit says what --- */

static void expect_stale(const char *words)
{
	static char before[SAVED_MAX], after[SAVED_MAX];
	struct txn_result r;

	save_all(before);
	r = commit(TXN_STALE);
	save_all(after);
	assert_string_equal(before, after);
	if (strstr(r.detail, words) == NULL || strstr(audited(), words) == NULL)
		fail_msg("%s", r.detail);
}

static void stale(void **state)
{
	(void)state;
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	put_rule(FAMILY_4, T_CLUSTER_IP);
	put(FAMILY_4, IPT_FILTER, CHAIN_FORWARD, 0);
	put_rule(FAMILY_4, T_FORWARD_INVALID);
	expect_stale(
	    "a chain is not there: cannot add ipv4 nat KUBE-SERVICES: cluster-ip dst=10.96.0.1");
	begin();
	delete (FAMILY_4, IPT_NAT, CHAIN_SEP, 9); /* it is not there, as asked */
	commit(TXN_UNCHANGED);
	begin();
	put_service();
	commit(TXN_OK);
	begin();
	delete (FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	commit(TXN_OK); /* a rule still jumps there: it stays, empty */
	begin();
	delete (FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	commit(TXN_UNCHANGED);
	begin();
	delete (FAMILY_4, IPT_FILTER, CHAIN_FORWARD, 0); /* the hook still jumps there */
	commit(TXN_OK);
	begin();
	delete_service();
	commit(TXN_OK);
}

/* --- other writers --- */

static void others_between_read_and_commit(void **state)
{
	const struct ipt_chain c = chain(FAMILY_4, IPT_FILTER, CHAIN_FORWARD, 0);
	static const char *const commands[] = {
	    "iptables-legacy -A INPUT -s 192.0.2.1 -j ACCEPT",
	    "iptables-legacy -R INPUT 1 -s 192.0.2.1 -p tcp -m tcp --dport 5 -j ACCEPT",
	    "iptables-legacy -F INPUT",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct ipt_handle t;

		assert_int_equal(ipt_handle_read(&t, policy, FAMILY_4, IPT_FILTER), 0);
		assert_int_equal(ipt_chain_create(&t, &c), 0);
		run(commands[i]);
		assert_int_equal(ipt_handle_commit(&t), -1);
		assert_int_equal(errno, EAGAIN);
		ipt_handle_close(&t);
	}
}

static void a_held_lock_is_busy(void **state)
{
	int fd = open("/run/xtables.lock", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	assert_non_null(strstr(commit(TXN_BUSY).detail, "xtables.lock"));
	close(fd);
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	commit(TXN_OK);
	begin();
	delete (FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	commit(TXN_OK);
}

static void a_signal_ends_it_before_it_is_written(void **state)
{
	static char before[SAVED_MAX], after[SAVED_MAX];
	sigset_t term;

	(void)state;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &term, NULL), 0);
	assert_int_equal(raise(SIGTERM), 0);
	save_all(before);
	begin();
	put_service();
	assert_int_equal(commit(TXN_KERNEL).error, EINTR);
	save_all(after);
	assert_string_equal(before, after);
	assert_int_equal(sigwaitinfo(&term, NULL), SIGTERM);
	begin();
	put_service();
	commit(TXN_OK);
	begin();
	delete_service();
	commit(TXN_OK);
}

/* Of the processor: a busy machine takes longer by the clock. */
static void its_time_is_limited(void **state)
{
	struct policy hasty = *policy;

	hasty.max_ms = 0;
	start_with(&hasty);
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_MARK_MASQ, 0);
	for (int i = 0; i < 20000; i++)
		put_rule(FAMILY_4, T_MARK_MASQ);
	assert_int_equal(commit(TXN_KERNEL).error, ETIME);
	end(state);
}

/* --- every way to break the rules --- */

static void send_words(unsigned type, uint32_t fields, const uint64_t *values)
{
	struct frame f;

	frame_begin(&f, type, fields);
	for (uint32_t i = 0; i < fields; i++)
		frame_uint(&f, values[i]);
	sink(NULL, &f);
}

static void send_raw(const void *bytes, size_t len)
{
	refusal = session_frame(session, bytes, len);
}

static void ops_without_begin(void)
{
	send_words(TXN_OPS, 0, NULL);
}

static void commit_without_begin(void)
{
	send_words(TXN_COMMIT, 2, (uint64_t[]){1, 0});
}

static void begin_twice(void)
{
	begin();
	begin();
}

static void snapshot_within(void)
{
	begin();
	send_words(TXN_SNAPSHOT_REQUEST, 0, NULL);
}

static void check_within(void)
{
	const uint64_t deep[] = {0};

	begin();
	send_words(TXN_CHECK, 1, deep);
}

static void alive_within(void)
{
	begin();
	send_words(TXN_ALIVE, 0, NULL);
}

static void alive_too_often(void)
{
	for (uint32_t i = 0; refusal == NULL && i < 100 * policy->max_requests; i++)
		send_words(TXN_ALIVE, 0, NULL);
}

static void status_within(void)
{
	begin();
	send_words(TXN_STATUS, 4, (uint64_t[]){0, 0, 1, 1});
}

static void status_of_no_phase(void)
{
	send_words(TXN_STATUS, 4, (uint64_t[]){PHASE_COUNT, 0, 1, 1});
}

static void status_of_no_source(void)
{
	send_words(TXN_STATUS, 4, (uint64_t[]){0, SOURCE_COUNT, 1, 1});
}

static void status_too_many(void)
{
	send_words(TXN_STATUS, 4, (uint64_t[]){0, 0, 1, 1ull << 32});
}

static void generation_skipped(void)
{
	send_words(TXN_BEGIN, 2, (uint64_t[]){2, 0});
}

static void generation_zero(void)
{
	send_words(TXN_BEGIN, 2, (uint64_t[]){0, 0});
}

static void base_wrong(void)
{
	send_words(TXN_BEGIN, 2, (uint64_t[]){1, 1});
}

static void commit_of_another(void)
{
	begin();
	send_words(TXN_COMMIT, 2, (uint64_t[]){2, 0});
}

static void count_wrong(void)
{
	begin();
	txn_hook(&writer, FAMILY_4, 5, false);
	writer.ops++;
	txn_commit(&writer);
}

static void unknown_message(void)
{
	send_words(99, 0, NULL);
}

static void message_zero(void)
{
	send_words(0, 0, NULL);
}

static void an_answer_back(void)
{
	send_words(TXN_RESULT, 0, NULL);
}

static void arity(void)
{
	send_words(TXN_BEGIN, 3, (uint64_t[]){1, 0, 0});
}

static void trailing(void)
{
	send_raw("\x93\x02\x01\x00\x00", 5);
}

static void huge_count(void)
{
	send_raw("\xdd\x0f\xff\xff\xff", 5);
}

static void nothing(void)
{
	send_raw("", 0);
}

static void too_long(void)
{
	static char zeros[FRAME_MAX + 1];

	send_raw(zeros, sizeof(zeros));
}

static void more_without_chain(void)
{
	/* [OPS, [[CHAIN_MORE, [[mark-masq]]]]] */
	const uint8_t bytes[] = {0x92, TXN_OPS, 0x91, 0x92, OP_CHAIN_MORE, 0x91, 0x91, T_MARK_MASQ};

	begin();
	send_raw(bytes, sizeof(bytes));
}

static void more_after_hook(void)
{
	/* [OPS, [[HOOK, 0, 5, true], [CHAIN_MORE, [[mark-masq]]]]] */
	const uint8_t bytes[] = {0x92, TXN_OPS, 0x92, 0x94, OP_HOOK, 0, 5, 0xc3, 0x92,
	    OP_CHAIN_MORE, 0x91, 0x91, T_MARK_MASQ};

	begin();
	send_raw(bytes, sizeof(bytes));
}

static void loopback_dnat(void)
{
	struct ipt_rule r = rule(FAMILY_4, T_ENDPOINT_DNAT);

	r.to = addr("127.0.0.1");
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SEP, 2);
	txn_rule(&writer, &r);
	txn_commit(&writer);
}

/* Outside userspace mode no port is a relay's. */
static void redirect(void)
{
	struct ipt_rule r = rule(FAMILY_4, T_PORTAL);

	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_PORTALS_CONTAINER, 0);
	txn_rule(&writer, &r);
	txn_commit(&writer);
}

static void built_in_hash(void)
{
	struct ipt_chain c = chain(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);

	c.hash[0] = 1;
	begin();
	txn_chain_put(&writer, &c);
	txn_commit(&writer);
}

static void no_such_hook(void)
{
	begin();
	txn_hook(&writer, FAMILY_4, IPT_HOOK_COUNT, true);
	txn_commit(&writer);
}

static void too_many_ops(void)
{
	begin();
	for (uint32_t i = 0; i <= policy->max_ops; i++)
		txn_hook(&writer, FAMILY_4, 5, true);
	txn_commit(&writer);
}

static void too_many_rules(void)
{
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_MARK_MASQ, 0);
	for (uint32_t i = 0; i <= policy->max_rules; i++)
		put_rule(FAMILY_4, T_MARK_MASQ);
	txn_commit(&writer);
}

static void too_many_bytes(void)
{
	begin();
	put(FAMILY_4, IPT_NAT, CHAIN_SVC, 1);
	for (uint64_t i = 0; i <= policy->max_bytes / 32; i++)
		put_rule(FAMILY_4, T_ENDPOINT_LAST); /* more than 32 bytes */
	txn_commit(&writer);
}

static void too_many_requests(void)
{
	for (uint32_t i = 0; refusal == NULL && i < 100 * policy->max_requests; i++) {

		begin();
		txn_commit(&writer);
		base = generation;
		if (refusal != NULL)
			break;
		answer(TXN_RESULT);
	}
}

static const struct violation {
	void (*commit)(void);
	const char *why; /* a part of it */
} violations[] = {
    {ops_without_begin, "not without BEGIN"},
    {commit_without_begin, "not without BEGIN"},
    {begin_twice, "not within a transaction"},
    {snapshot_within, "not within a transaction"},
    {check_within, "not within a transaction"},
    {alive_within, "not within a transaction"},
    {alive_too_often, "too many requests in a second"},
    {status_within, "not within a transaction"},
    {status_of_no_phase, "a number out of range"},
    {status_of_no_source, "a number out of range"},
    {status_too_many, "a number out of range"},
    {generation_skipped, "a generation out of order"},
    {generation_zero, "a generation out of order"},
    {base_wrong, "a base that is not the last generation done"},
    {commit_of_another, "a commit of another generation"},
    {count_wrong, "another number of operations"},
    {unknown_message, "an unknown message"},
    {message_zero, "an unknown message"},
    {an_answer_back, "an unknown message"},
    {arity, "too many fields"},
    {trailing, "trailing bytes"},
    {huge_count, "a count beyond the end of the frame"},
    {nothing, "truncated"},
    {too_long, "longer than a frame may be"},
    {more_without_chain, "rules without a chain"},
    {more_after_hook, "rules without a chain"},
    {redirect, "a relay's port that is none of this mode's"},
    {loopback_dnat, "no plain unicast address: ipv4 nat KUBE-SEP-AIBAEAQCAIBAEAQC: endpoint-dnat "
		    "proto=6 name=default/kubernetes:https to=127.0.0.1 port=8443"},
    {built_in_hash, "a chain that cannot exist"},
    {no_such_hook, "a number out of range"},
    {too_many_ops, "more operations than a transaction may have: hook 5 of ipv4 filter"},
    {too_many_rules, "more rules than a transaction may have: ipv4 nat KUBE-MARK-MASQ: mark-masq"},
    {too_many_bytes, "more bytes than a transaction may have"},
    {too_many_requests, "too many requests in a second"},
};

static void every_violation(void **state)
{
	static char before[SAVED_MAX], after[SAVED_MAX];

	save_all(before);
	for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
		start(state);
		violations[i].commit();
		if (refusal == NULL)
			fail_msg("violation %zu (%s): allowed", i, violations[i].why);
		if (strstr(audited(), "refused: ") == NULL ||
		    strstr(audited(), violations[i].why) == NULL)
			fail_msg("violation %zu in the audit log: %s", i, audited());
		end(state);
	}
	save_all(after);
	assert_string_equal(before, after);
}

/* A family that the kernel lacks is not to be named. */
static void a_family_not_offered(void **state)
{
	struct policy p = *policy;

	p.families[FAMILY_6] = false;
	start_with(&p);
	begin();
	put(FAMILY_6, IPT_NAT, CHAIN_MARK_MASQ, 0);
	txn_commit(&writer);
	assert_non_null(refusal);
	assert_non_null(strstr(audited(), "not offered: ipv6 nat KUBE-MARK-MASQ"));
	end(state);
}

/* --- at size: 5,000 services of 10 endpoints, 55,000 chains, 110,000 rules and more --- */

#define BIG_SERVICES  5000
#define BIG_ENDPOINTS 10

static void number_hash(uint8_t hash[CHAIN_HASH_LEN], uint32_t n)
{
	memset(hash, 0, CHAIN_HASH_LEN);
	hash[0] = (uint8_t)(n >> 16);
	hash[1] = (uint8_t)(n >> 8);
	hash[2] = (uint8_t)n;
}

/* Puts service N; its endpoints' chains are there, or follow. */
static void big_service(uint32_t n)
{
	struct ipt_chain c = chain(FAMILY_4, IPT_NAT, CHAIN_SVC, 0);
	struct ipt_rule r = rule(FAMILY_4, T_ENDPOINT_RANDOM);

	number_hash(c.hash, n);
	txn_chain_put(&writer, &c);
	put_rule(FAMILY_4, T_CLUSTER_IP_MASQ_OUTSIDE);
	for (uint32_t i = 0; i < BIG_ENDPOINTS; i++) {
		r.template = i + 1 < BIG_ENDPOINTS ? T_ENDPOINT_RANDOM : T_ENDPOINT_LAST;
		number_hash(r.target_hash, n * BIG_ENDPOINTS + i);
		txn_rule(&writer, &r);
	}
}

static void big_endpoint(uint32_t n, uint16_t port)
{
	struct ipt_chain c = chain(FAMILY_4, IPT_NAT, CHAIN_SEP, 0);
	struct ipt_rule r = rule(FAMILY_4, T_ENDPOINT_DNAT);

	number_hash(c.hash, n);
	txn_chain_put(&writer, &c);
	put_rule(FAMILY_4, T_HAIRPIN_MARK);
	r.to_port = port;
	txn_rule(&writer, &r);
}

/* The numbers below COUNT in the order in which the names of their chains descend. */
static int by_name(const void *a, const void *b)
{
	struct ipt_chain x = chain(FAMILY_4, IPT_NAT, CHAIN_SVC, 0), y = x;
	char x_name[CHAIN_NAME_LEN], y_name[CHAIN_NAME_LEN];

	number_hash(x.hash, *(const uint32_t *)a);
	number_hash(y.hash, *(const uint32_t *)b);
	return strcmp(ipt_chain_name(&y, y_name), ipt_chain_name(&x, x_name));
}

static const uint32_t *descending(uint32_t count)
{
	static uint32_t n[BIG_SERVICES * BIG_ENDPOINTS];

	for (uint32_t i = 0; i < count; i++)
		n[i] = i;
	qsort(n, count, sizeof(*n), by_name);
	return n;
}

static void drop_big(uint8_t kind, uint32_t count)
{
	struct ipt_chain c = chain(FAMILY_4, IPT_NAT, kind, 0);
	const uint32_t *n = descending(count);

	for (uint32_t i = 0; i < count; i++) {
		number_hash(c.hash, n[i]);
		txn_chain_delete(&writer, &c);
	}
}

static void drop_big_services(void)
{
	put(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	put(FAMILY_4, IPT_NAT, CHAIN_MARK_MASQ, 0);
	drop_big(CHAIN_SVC, BIG_SERVICES);
	drop_big(CHAIN_SEP, BIG_SERVICES * BIG_ENDPOINTS);
}

static void put_big_services(void)
{
	struct ipt_rule r = rule(FAMILY_4, T_CLUSTER_IP);
	const uint32_t *n = descending(BIG_SERVICES);

	for (uint32_t i = 0; i < BIG_SERVICES; i++)
		big_service(n[i]);
	put(FAMILY_4, IPT_NAT, CHAIN_SERVICES, 0);
	for (uint32_t i = 0; i < BIG_SERVICES; i++) {
		number_hash(r.target_hash, i);
		txn_rule(&writer, &r);
	}
	n = descending(BIG_SERVICES * BIG_ENDPOINTS);
	for (uint32_t i = 0; i < BIG_SERVICES * BIG_ENDPOINTS; i++)
		big_endpoint(n[i], 80);
	put(FAMILY_4, IPT_NAT, CHAIN_MARK_MASQ, 0);
}

static void say_seconds(const char *what, struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	print_message("%-20s %.2f s\n", what,
	    (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9);
	*since = now;
}

static void many_services(void **state)
{
	struct timespec t;
	struct policy big = *policy;

	big.max_ops = 500000;
	big.max_rules = 2000000;
	big.max_bytes = 256 << 20;
	start_with(&big);
	clock_gettime(CLOCK_MONOTONIC, &t);
	begin();
	put_big_services();
	say_seconds("sent and checked", &t);
	commit(TXN_OK);
	say_seconds("all written", &t);
	begin();
	commit(TXN_UNCHANGED);
	begin();
	big_endpoint(4711, 81);
	commit(TXN_OK);
	say_seconds("one endpoint changed", &t);
	begin();
	drop_big_services();
	commit(TXN_OK);
	say_seconds("all deleted", &t);
	end(state);
}

static int setup(void **state)
{
	static struct policy small; /* quotas that a test can reach */

	(void)state;
	audit_fd = memfd_create("audit", 0);
	small = *policy_in_namespace(audit_fd);
	small.max_ops = 20000;
	small.max_rules = 30000;
	small.max_bytes = 1 << 20;
	small.max_requests = 200;
	policy = &small;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_service_comes_stays_and_goes, start, end),
	    cmocka_unit_test_setup_teardown(only_the_tables_touched_are_written, start, end),
	    cmocka_unit_test_setup_teardown(audit_digests_meet, start, end),
	    cmocka_unit_test_setup_teardown(snapshot_tells_what_is_there, start, end),
	    cmocka_unit_test_setup_teardown(checks_see_what_others_change, start, end),
	    cmocka_unit_test_setup_teardown(stale, start, end),
	    cmocka_unit_test_setup_teardown(others_between_read_and_commit, start, end),
	    cmocka_unit_test_setup_teardown(a_held_lock_is_busy, start, end),
	    cmocka_unit_test_setup_teardown(a_signal_ends_it_before_it_is_written, start, end),
	    cmocka_unit_test(its_time_is_limited),
	    cmocka_unit_test(every_violation),
	    cmocka_unit_test(a_family_not_offered),
	    cmocka_unit_test(many_services),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
