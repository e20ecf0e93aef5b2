/* UDP flows of a real kernel, shown and deleted through the session. */
#include <sys/mman.h>
#include <sys/socket.h>

#include "applier/conntrack.h"
#include "applier/fds.h"
#include "applier/session.h"
#include "ipc/txn.h"
#include "tests/unit/applier_fixture.h"

static const struct policy *policy;
static struct policy small; /* quotas that a test can reach */
static int audit_fd;
static struct session *session;
static int planner_fd, session_fd;
static const char *refusal; /* what the session said last */
static struct frame frame;
static struct flows_part part; /* shown last */
static struct flows_choice choice;
static struct flows_end end;

static int start(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	planner_fd = sv[0];
	session_fd = sv[1];
	session = session_new(policy, session_fd);
	conntrack_open();
	refusal = NULL;
	choice.count = 0;
	assert_int_equal(ftruncate(audit_fd, 0), 0);
	assert_int_equal(lseek(audit_fd, 0, SEEK_SET), 0);
	run("conntrack -F 2>/dev/null");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(planner_fd);
	close(session_fd);
	return 0;
}

static const char *audited(void)
{
	static char buf[4096];
	ssize_t n = pread(audit_fd, buf, sizeof(buf) - 1, 0);

	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

static void tell(const struct frame *f)
{
	assert_false(f->overflow);
	refusal = session_frame(session, f->buf, f->len);
}

/* True: a part came, false: the end. */
static bool part_came(void)
{
	static uint8_t buf[FRAME_MAX];
	ssize_t n = recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT);
	struct cursor c;
	unsigned type;

	if (refusal != NULL)
		fail_msg("%s", refusal);
	assert_true(n > 0);
	assert_null(frame_open(buf, (size_t)n, &type, &c));
	if (type == TXN_FLOWS)
		assert_null(flows_decode_part(&c, &part));
	else
		assert_null(flows_decode_end(&c, &end));
	assert_true(type == TXN_FLOWS || type == TXN_FLOWS_END);
	return type == TXN_FLOWS;
}

static bool request(uint8_t family)
{
	flows_encode_request(&frame, family);
	tell(&frame);
	return part_came();
}

/* Deletes CHOICE and asks for the next part. */
static bool next(void)
{
	flows_encode_choice(&frame, &choice);
	tell(&frame);
	choice.count = 0;
	return part_came();
}

/* Goes on to the next part that has a flow, or to the end. */
static bool next_flows(void)
{
	bool more = next();

	while (more && part.count == 0)
		more = next();
	return more;
}

static bool request_flows(uint8_t family)
{
	bool more = request(family);

	return more && part.count == 0 ? next_flows() : more;
}

/* "10.96.0.10 53 10.1.0.1 8080 " for each flow of the part. */
static const char *shown(void)
{
	static char text[4096];
	char dst[IP_STRLEN], src[IP_STRLEN];

	text[0] = '\0';
	for (uint32_t i = 0; i < part.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %u %s %u ",
		    ip_format(&part.flows[i].dst, dst), part.flows[i].dst_port,
		    ip_format(&part.flows[i].src, src), part.flows[i].src_port);
	return text;
}

/* --- the kernel's table --- */

/* A flow from port SPORT to DST:53, answered by SRC:8080. */
static void insert(const char *options, unsigned sport, const char *dst, const char *src)
{
	bool v6 = strchr(dst, ':') != NULL;
	char command[512];

	snprintf(command, sizeof(command),
	    "conntrack -I %s -s %s -d %s -r %s -q %s --sport %u --dport 53 "
	    "--reply-port-src 8080 --reply-port-dst %u -t 100 >/dev/null 2>&1",
	    options, v6 ? "fd01::9" : "10.2.0.9", dst, src, v6 ? "fd01::9" : "10.2.0.9", sport,
	    sport);
	run(command);
}

static void insert_udp(unsigned sport, const char *dst, const char *src)
{
	insert("-p udp", sport, dst, src);
}

/* How many flows of a family and protocol have this option. */
static unsigned counted(const char *options)
{
	char command[256];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "conntrack -L %s 2>/dev/null | wc -l", options);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

/* --- tests --- */

static void only_udp_of_the_family(void **state)
{
	(void)state;
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	insert("-p tcp --state ESTABLISHED", 1001, "10.96.0.10", "10.1.0.1");
	insert("-p sctp --state ESTABLISHED --orig-vtag 1 --reply-vtag 2", 1002, "10.96.0.10",
	    "10.1.0.1");
	insert_udp(1003, "fd00:96::10", "fd01::1");
	assert_true(request_flows(FAMILY_4));
	assert_string_equal(shown(), "10.96.0.10 53 10.1.0.1 8080 ");
	assert_false(next_flows());
	assert_true(end.seen == 1 && end.deleted == 0 && end.error == 0);
	assert_true(request_flows(FAMILY_6));
	assert_string_equal(shown(), "fd00:96::10 53 fd01::1 8080 ");
	choice = (struct flows_choice){1, {0}};
	assert_false(next_flows());
	assert_true(end.seen == 1 && end.deleted == 1 && end.error == 0);
	assert_non_null(strstr(audited(), "flows: deleted 1 of 1 IPv6 UDP flows "));
	assert_null(strstr(audited(), "IPv4")); /* nothing was done to these */
	assert_int_equal(counted("-f ipv6"), 0);
	assert_int_equal(counted("-f ipv4"), 3);
}

static void exactly_those_chosen(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		insert_udp(2000 + i, "10.96.0.10", "10.1.0.1");
	insert("-w 7 -p udp", 2002, "10.96.0.10", "10.1.0.1"); /* the same in a zone */
	insert("-w 7 -p udp", 2009, "10.96.0.11", "10.1.0.1");
	insert("-w 7 -p udp", 2009, "10.96.0.12", "10.1.0.2");
	assert_true(request_flows(FAMILY_4));
	assert_int_equal(part.count, 8);
	/* By what they are, as the order is the kernel's. */
	for (uint32_t i = 0; i < part.count; i++)
		if (part.flows[i].dst.b[3] == 11)
			choice.places[choice.count++] = (uint16_t)i;
	assert_int_equal(choice.count, 1);
	assert_false(next_flows());
	assert_true(end.deleted == 1 && end.error == 0);
	assert_int_equal(counted("-p udp -d 10.96.0.11"), 0);
	assert_int_equal(counted("-p udp"), 7);

	assert_true(request_flows(FAMILY_4));
	assert_int_equal(part.count, 7);
	choice = (struct flows_choice){3, {0, 2, 6}};
	assert_false(next_flows());
	assert_true(end.seen == 7 && end.deleted == 3 && end.error == 0);
	assert_int_equal(counted("-p udp"), 4);
}

/*
 * What was shown goes and another flow takes its place, even its place in memory, of which the id
 * is made: one with another translation, then one to another address that gets the same answers.
 * Each stays. (One that is the same in all would be as stale.)
 */
static void a_flow_that_was_replaced(void **state)
{
	static const struct {
		const char *dst, *src;
	} others[] = {{"10.96.0.10", "10.1.0.2"}, {"10.96.0.77", "10.1.0.1"}};

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		insert_udp(3000, "10.96.0.10", "10.1.0.1");
		assert_true(request_flows(FAMILY_4));
		assert_int_equal(part.count, 1);
		run("conntrack -D -p udp >/dev/null 2>&1");
		insert_udp(3000, others[i % 2].dst, others[i % 2].src);
		choice = (struct flows_choice){1, {0}};
		assert_false(next_flows());
		assert_true(end.deleted == 0 && end.error == 0);
		assert_int_equal(counted("-p udp"), 1);
		run("conntrack -F 2>/dev/null");
	}
	assert_string_equal(audited(), "");
}

/* Thousands, over many parts: each is seen once, and the chosen half goes. */
static void many(void **state)
{
	static uint8_t seen[6000];
	FILE *f = popen("conntrack -R - >/dev/null 2>&1", "w");
	unsigned parts = 0, twice = 0;
	bool more;

	(void)state;
	assert_non_null(f);
	for (unsigned i = 0; i < 6000; i++)
		fprintf(f,
		    "-I -p udp -s 10.2.0.9 -d 10.96.0.10 -r 10.1.%u.%u -q 10.2.0.9 --sport %u "
		    "--dport 53 --reply-port-src 8080 --reply-port-dst %u -t 100\n",
		    i / 250, i % 250, i + 1000, i + 1000);
	assert_int_equal(pclose(f), 0);
	memset(seen, 0, sizeof(seen));
	for (more = request(FAMILY_4); more; more = next()) {
		parts++;
		for (uint32_t i = 0; i < part.count; i++) {
			const uint8_t *b = part.flows[i].src.b;
			unsigned n = b[2] * 250u + b[3];

			assert_true(n < 6000);
			twice += seen[n]++;
			if (n % 2 == 0)
				choice.places[choice.count++] = (uint16_t)i;
		}
	}
	assert_true(parts > 6000 / FLOWS_PART_MAX);
	assert_int_equal(twice, 0);
	assert_true(end.seen == 6000 && end.deleted == 3000 && end.error == 0);
	assert_int_equal(counted("-p udp"), 3000);
	assert_null(memchr(seen, 0, sizeof(seen)));
}

static void sink(void *arg, const struct frame *f)
{
	(void)arg;
	tell(f);
	assert_null(refusal);
}

static struct txn_writer writer;

/* Between two parts there may be a transaction. */
static void a_transaction_within_a_pass(void **state)
{
	static uint8_t buf[FRAME_MAX];

	(void)state;
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	assert_true(request_flows(FAMILY_4));
	txn_begin(&writer, sink, NULL, 1, 0);
	txn_commit(&writer);
	assert_true(recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0); /* the result */
	choice = (struct flows_choice){1, {0}};
	assert_false(next_flows());
	assert_int_equal(end.deleted, 1);
}

static void refused(const char *words)
{
	if (refusal == NULL || strstr(refusal, words) == NULL)
		fail_msg("%s, not %s", refusal == NULL ? "allowed" : refusal, words);
	if (strstr(audited(), "refused: ") == NULL || strstr(audited(), words) == NULL)
		fail_msg("audit: %s", audited());
}

static void tell_choice(uint32_t count, uint16_t first, uint16_t second)
{
	choice = (struct flows_choice){count, {first, second}};
	flows_encode_choice(&frame, &choice);
	choice.count = 0;
	tell(&frame);
}

static void violations(void **state)
{
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	tell_choice(0, 0, 0);
	refused("flows that were not shown");

	stop(state);
	start(state);
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	assert_true(request_flows(FAMILY_4));
	assert_int_equal(part.count, 1);
	tell_choice(1, 1, 0);
	refused("a flow that was not shown");

	stop(state);
	start(state);
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	insert_udp(1001, "10.96.0.10", "10.1.0.1");
	assert_true(request_flows(FAMILY_4));
	assert_int_equal(part.count, 2);
	tell_choice(2, 1, 0);
	refused("flows out of order");
	assert_int_equal(counted("-p udp"), 2);

	stop(state);
	start(state);
	for (bool more = request(FAMILY_4); more; more = next())
		continue;
	tell_choice(0, 0, 0);
	refused("flows that were not shown");
}

static void asked_twice(void **state)
{
	(void)state;
	insert_udp(1000, "10.96.0.10", "10.1.0.1");
	assert_true(request(FAMILY_4));
	flows_encode_request(&frame, FAMILY_6);
	tell(&frame);
	refused("flows asked for before the end");
}

static void within_a_transaction(void **state)
{
	(void)state;
	txn_begin(&writer, sink, NULL, 1, 0);
	flows_encode_request(&frame, FAMILY_4);
	tell(&frame);
	refused("not within a transaction");
}

/* Passes count as requests, of which a second has so many. */
static void too_often(void **state)
{
	static uint8_t buf[FRAME_MAX];

	(void)state;
	small.max_requests = 2; /* so many passes take less than a second on any machine */
	for (int i = 0; i < 1000 && refusal == NULL; i++) {
		flows_encode_request(&frame, FAMILY_4);
		for (tell(&frame); refusal == NULL; tell(&frame)) {
			assert_true(recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0);
			if (buf[1] == TXN_FLOWS_END)
				break;
			flows_encode_choice(&frame, &choice);
		}
	}
	small.max_requests = 30;
	refused("too many requests in a second");
}

/* A kernel without connection tracking over netlink: each pass ends at once and says why. */
static void nothing_there(void **state)
{
	(void)state;
	close(APPLIER_FD_FLOWS);
	close(APPLIER_FD_FLOW_DELETE);
	for (int i = 0; i < 2; i++) {
		assert_false(request(FAMILY_4));
		assert_true(end.seen == 0 && end.deleted == 0 && end.error == EBADF);
	}
}

static int setup(void **state)
{
	(void)state;
	audit_fd = memfd_create("audit", 0);
	small = *policy_in_namespace(audit_fd);
	small.max_requests = 30; /* passes are slow */
	policy = &small;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(only_udp_of_the_family, start, stop),
	    cmocka_unit_test_setup_teardown(exactly_those_chosen, start, stop),
	    cmocka_unit_test_setup_teardown(a_flow_that_was_replaced, start, stop),
	    cmocka_unit_test_setup_teardown(many, start, stop),
	    cmocka_unit_test_setup_teardown(a_transaction_within_a_pass, start, stop),
	    cmocka_unit_test_setup_teardown(violations, start, stop),
	    cmocka_unit_test_setup_teardown(asked_twice, start, stop),
	    cmocka_unit_test_setup_teardown(within_a_transaction, start, stop),
	    cmocka_unit_test_setup_teardown(too_often, start, stop),
	    cmocka_unit_test_setup_teardown(nothing_there, start, stop),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
