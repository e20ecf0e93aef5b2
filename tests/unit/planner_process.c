/*
 * kube-proxy-planner as a process, between a watcher, an applier and a listener that this test is.
 * Takes the program of the same build; skipped if that is not there.
 */
#include "planner_world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/fds.h"
#include "ipc/health.h"
#include "ipc/query.h"
#include "ipc/status.h"

enum { WATCHER, APPLIER, LISTENER, CLEANER, PEERS };

struct process {
	pid_t pid;
	int fd[PEERS];
	struct frame f;
};

static int config_fd(enum proxy_mode mode)
{
	struct config cfg = {
	    .mode = (uint8_t)mode, .masquerade_bit = 14, .sync_period_ms = 30000, .key = {1, 2}};
	struct frame *f = malloc(sizeof(*f));
	int fd = memfd_create("config", 0);

	assert_true(f != NULL && fd >= 0);
	config_encode(f, &cfg);
	assert_int_equal(write(fd, f->buf, f->len), (ssize_t)f->len);
	free(f);
	return fd;
}

static int start_with(void **state, enum proxy_mode mode)
{
	static const int at[PEERS] = {
	    PLANNER_FD_WATCHER, PLANNER_FD_APPLIER, PLANNER_FD_LISTENER, PLANNER_FD_CLEANER};
	struct process *p = calloc(1, sizeof(*p));
	char path[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	int pair[PEERS][2], config = config_fd(mode);

	assert_true(p != NULL && n > 0);
	path[n] = '\0';
	for (int up = 0; up < 3; up++) { /* BUILD/tests/unit/NAME */
		slash = strrchr(path, '/');
		assert_non_null(slash);
		*slash = '\0';
	}
	strcat(path, "/kube-proxy-planner");
	if (access(path, X_OK) != 0) {
		free(p);
		*state = NULL;
		return 0;
	}
	for (int i = 0; i < PEERS; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair[i]), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		int high[PEERS];

		for (int i = 0; i < PEERS; i++)
			high[i] = fcntl(pair[i][1], F_DUPFD_CLOEXEC, 50);
		config = fcntl(config, F_DUPFD_CLOEXEC, 50);
		dup2(config, FD_CONFIG);
		for (int i = 0; i < PEERS; i++)
			dup2(high[i], at[i]);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(config);
	for (int i = 0; i < PEERS; i++) {
		close(pair[i][1]);
		p->fd[i] = pair[i][0];
	}
	*state = p;
	return 0;
}

static int start(void **state)
{
	return start_with(state, MODE_IPTABLES);
}

static int start_nftables(void **state)
{
	return start_with(state, MODE_NFTABLES);
}

static int stop(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		return 0;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	for (int i = 0; i < PEERS; i++)
		close(p->fd[i]);
	free(p);
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Is the next message STATUS to the applier? That is taken: it comes at most once a second,
 * whatever else does. */
static bool took_status(struct process *p, int peer)
{
	uint8_t head[2] = {0};

	if (peer != APPLIER || recv(p->fd[peer], head, sizeof(head), MSG_PEEK) < 2 ||
	    head[1] != TXN_STATUS)
		return false;
	assert_true(recv(p->fd[peer], head, sizeof(head), 0) > 0);
	return true;
}

static bool comes(struct process *p, int peer, int ms)
{
	struct pollfd pf = {.fd = p->fd[peer], .events = POLLIN};
	const uint64_t end = now_ms() + (uint64_t)ms;
	uint64_t now;

	do {
		now = now_ms();
		if (poll(&pf, 1, now < end ? (int)(end - now) : 0) <= 0)
			return false;
	} while (took_status(p, peer));
	return true;
}

static uint64_t told_ms; /* when tell() was last called */

/* Whether a message comes sooner than MS after the last one to the planner. One that this process,
 * on a busy machine, looks for too late to know is not early. */
static bool comes_early(struct process *p, int peer, uint64_t ms)
{
	const uint64_t end = told_ms + ms, now = now_ms();

	return now < end && comes(p, peer, (int)(end - now)) && now_ms() < end;
}

/* The next message from the planner must be of TYPE; its first two numbers, if it has them. */
static void expect(struct process *p, int peer, unsigned type, uint64_t *a, uint64_t *b)
{
	static uint8_t buf[FRAME_MAX];
	struct cursor c;
	unsigned got;
	ssize_t n;

	if (!comes(p, peer, 10000))
		fail_msg("peer %d: no message of type %u came", peer, type);
	n = read(p->fd[peer], buf, sizeof(buf));
	assert_true(n > 0);
	assert_null(frame_open(buf, (size_t)n, &got, &c));
	assert_int_equal(got, type);
	if (a != NULL)
		*a = cursor_uint(&c, UINT64_MAX);
	if (b != NULL)
		*b = cursor_uint(&c, UINT64_MAX);
}

static void tell(struct process *p, int peer)
{
	assert_false(p->f.overflow);
	told_ms = now_ms();
	assert_int_equal(write(p->fd[peer], p->f.buf, p->f.len), (ssize_t)p->f.len);
}

static void tell_slice(struct process *p, uint8_t endpoints)
{
	struct slice_port port = {"", PROTO_TCP, 8080};
	struct endpoint *e = calloc(endpoints, sizeof(*e));
	struct slice s = {.namespace = "a",
	    .name = "web-1",
	    .service = "web",
	    .port_count = 1,
	    .ports = &port,
	    .endpoint_count = endpoints,
	    .endpoints = e};

	assert_non_null(e);
	for (uint8_t i = 0; i < endpoints; i++) {
		e[i].addr = (struct ip_addr){FAMILY_4, {10, 1, 0, (uint8_t)(i + 1)}};
		e[i].flags = EP_READY;
	}
	assert_int_equal(objects_encode_slice(&p->f, &s, 0, 0), endpoints);
	tell(p, WATCHER);
	free(e);
}

static void tell_lists(struct process *p)
{
	struct service_port port = {"", PROTO_TCP, 80, 0};
	struct service s = {.namespace = "a",
	    .name = "web",
	    .cluster_ip_count = 1,
	    .port_count = 1,
	    .ports = &port,
	    .cluster_ips = {{FAMILY_4, {10, 0, 0, 1}}}};

	objects_encode_list(&p->f, OBJ_LIST_BEGIN, KIND_SERVICE);
	tell(p, WATCHER);
	objects_encode_service(&p->f, &s);
	tell(p, WATCHER);
	objects_encode_list(&p->f, OBJ_LIST_END, KIND_SERVICE);
	tell(p, WATCHER);
	objects_encode_list(&p->f, OBJ_LIST_BEGIN, KIND_SLICE);
	tell(p, WATCHER);
	tell_slice(p, 2);
	objects_encode_list(&p->f, OBJ_LIST_END, KIND_SLICE);
	tell(p, WATCHER);
}

static void tell_snapshot(struct process *p)
{
	static struct txn_snapshot s = {.families = {true, true}, .last = true};

	expect(p, APPLIER, TXN_SNAPSHOT_REQUEST, NULL, NULL);
	txn_encode_snapshot(&p->f, &s);
	tell(p, APPLIER);
}

/* Returns the number of its operations. */
static uint64_t expect_txn(struct process *p, uint64_t generation, uint64_t base)
{
	uint64_t g = 0, b = 0, ops = 0;

	expect(p, APPLIER, TXN_BEGIN, &g, &b);
	assert_int_equal(g, generation);
	assert_int_equal(b, base);
	expect(p, APPLIER, TXN_OPS, NULL, NULL);
	expect(p, APPLIER, TXN_COMMIT, &g, &ops);
	assert_int_equal(g, generation);
	return ops;
}

static void tell_result(struct process *p, uint64_t generation, enum txn_code code)
{
	struct txn_result r = {.generation = generation, .code = (uint8_t)code};

	txn_encode_result(&p->f, &r);
	tell(p, APPLIER);
}

static void expect_applied(struct process *p, uint64_t generation)
{
	uint64_t g = 0;

	expect(p, LISTENER, STATUS_APPLIED, &g, NULL);
	assert_int_equal(g, generation);
}

static int exit_status(struct process *p)
{
	int status = 0;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	p->pid = 0;
	assert_true(WIFEXITED(status)); /* not killed by the filter */
	return WEXITSTATUS(status);
}

static void test_conversation(void **state)
{
	struct process *p = *state;
	struct node n = {.name = "me"};
	uint64_t everything;

	if (p == NULL)
		skip();
	tell_lists(p);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	tell_snapshot(p);
	/* Two failures: each time everything again, after a new snapshot and not at once. */
	everything = expect_txn(p, 1, 0);
	tell_result(p, 1, TXN_BUSY);
	assert_false(comes_early(p, APPLIER, 50));
	tell_snapshot(p);
	assert_int_equal(expect_txn(p, 2, 0), everything);
	tell_result(p, 2, TXN_KERNEL);
	assert_false(comes_early(p, APPLIER, 150));
	tell_snapshot(p);
	assert_int_equal(expect_txn(p, 3, 0), everything);
	assert_false(comes(p, LISTENER, 0));
	tell_result(p, 3, TXN_OK);
	expect_applied(p, 3);
	/* Changes that come while one is in flight make one transaction. */
	tell_slice(p, 3);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	assert_int_equal(expect_txn(p, 4, 3), 2);
	tell_slice(p, 4);
	tell_slice(p, 5);
	assert_false(comes(p, APPLIER, 100));
	tell_result(p, 4, TXN_UNCHANGED);
	expect_applied(p, 4); /* or a steady stream of changes would look like one that is late */
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	expect_txn(p, 5, 4);
	tell_result(p, 5, TXN_OK);
	expect_applied(p, 5);
	/* What changes nothing writes nothing. */
	tell_slice(p, 5);
	objects_encode_node(&p->f, &n);
	tell(p, WATCHER);
	expect(p, LISTENER, STATUS_NODE, NULL, NULL);
	assert_false(comes(p, APPLIER, 50));
	close(p->fd[APPLIER]);
	p->fd[APPLIER] = -1;
	assert_int_equal(exit_status(p), 0);
}

static void tell_nft_snapshot(struct process *p)
{
	static struct nft_snapshot s = {
	    .families = {true, true}, .installed = {true, true}, .last = true};

	expect(p, APPLIER, TXN_SNAPSHOT_REQUEST, NULL, NULL);
	nft_encode_snapshot(&p->f, &s);
	tell(p, APPLIER);
}

static void expect_nft_txn(struct process *p, uint64_t generation)
{
	uint64_t g = 0;

	expect(p, APPLIER, TXN_BEGIN, &g, NULL);
	assert_int_equal(g, generation);
	expect(p, APPLIER, NFT_OPS, NULL, NULL);
	expect(p, APPLIER, TXN_COMMIT, &g, NULL);
	assert_int_equal(g, generation);
}

/* Who made a transaction fail is told of as well: one snapshot is for both. */
static void test_drift_and_failure(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_lists(p);
	objects_encode_node_del(&p->f);
	tell(p, WATCHER);
	tell_nft_snapshot(p);
	expect_nft_txn(p, 1);
	tell_result(p, 1, TXN_STALE);
	nft_encode_drift(&p->f);
	tell(p, APPLIER);
	assert_false(comes_early(p, APPLIER, 50));
	tell_nft_snapshot(p);
	expect_nft_txn(p, 2);
	/* While one is under way the repair waits for its end. */
	nft_encode_drift(&p->f);
	tell(p, APPLIER);
	assert_false(comes(p, APPLIER, 50));
	tell_result(p, 2, TXN_OK);
	tell_nft_snapshot(p);
	expect_nft_txn(p, 3);
	tell_result(p, 3, TXN_OK);
	/* At any other time it is at once. */
	assert_false(comes(p, APPLIER, 200));
	nft_encode_drift(&p->f);
	tell(p, APPLIER);
	tell_nft_snapshot(p);
	expect_nft_txn(p, 4);
}

static void test_walls(void **state)
{
	struct process *p = *state;
	char path[64], status[4096];
	ssize_t n;
	int fd;

	if (p == NULL)
		skip();
	tell_snapshot(p); /* it asks once it is locked in */
	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, status, sizeof(status) - 1);
	assert_true(n > 0);
	status[n] = '\0';
	close(fd);
	assert_non_null(strstr(status, "Seccomp:\t2"));
	assert_non_null(strstr(status, "NoNewPrivs:\t1"));
}

static void test_violation(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	objects_encode_list(&p->f, OBJ_LIST_END, KIND_SLICE); /* of a list that never began */
	tell(p, WATCHER);
	assert_int_equal(exit_status(p), 1);
}

static void test_unasked_result(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_result(p, 1, TXN_OK);
	assert_int_equal(exit_status(p), 1);
}

/* --- queries --- */

static void tell_ask(struct process *p, const char *url)
{
	struct query q;

	assert_null(query_parse_url(&q, url));
	query_encode_ask(&p->f, &q);
	tell(p, LISTENER);
}

static void tell_go_on(struct process *p, enum query_message type)
{
	query_encode_go_on(&p->f, type);
	tell(p, LISTENER);
}

static void expect_answer(struct process *p, uint64_t status, bool last, const char *words)
{
	static uint8_t buf[FRAME_MAX];
	static struct query_answer a;
	struct cursor c;
	unsigned type;
	ssize_t n;

	assert_true(comes(p, LISTENER, 10000));
	n = read(p->fd[LISTENER], buf, sizeof(buf));
	assert_true(n > 0);
	assert_null(frame_open(buf, (size_t)n, &type, &c));
	assert_int_equal(type, QUERY_ANSWER);
	assert_null(query_decode_answer(&c, &a));
	assert_int_equal(a.status, status);
	assert_int_equal(a.last, last);
	if (memmem(a.text, a.len, words, strlen(words)) == NULL)
		fail_msg("no \"%s\" in \"%.*s\"", words, (int)a.len, a.text);
}

static void program(struct process *p)
{
	tell_lists(p);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	tell_snapshot(p);
	expect_txn(p, 1, 0);
	tell_result(p, 1, TXN_OK);
	expect_applied(p, 1);
}

static void tell_alive(struct process *p, int peer)
{
	health_encode_alive(&p->f);
	tell(p, peer);
}

/* The watcher is asked once at a time; an answer that nobody asked for is a violation. */
static void test_alive(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	program(p);
	tell_alive(p, LISTENER);
	expect(p, WATCHER, HEALTH_ALIVE, NULL, NULL);
	tell_alive(p, LISTENER);
	assert_false(comes(p, WATCHER, 50));
	tell_alive(p, WATCHER);
	expect(p, APPLIER, TXN_ALIVE, NULL, NULL);
	tell_alive(p, WATCHER);
	assert_int_equal(exit_status(p), 1);
}

static void test_queries(void **state)
{
	static const char explain[] = "/explain?src=10.1.0.9&dst=10.0.0.1&port=80";
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_ask(p, "/services");
	expect_answer(p, 503, true, "nothing is programmed yet");
	program(p);
	tell_ask(p, explain);
	expect_answer(p, 200, true, "10.1.0.2:8080");
	/* What came before counts, though it waits to be planned. */
	tell_slice(p, 3);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	tell_ask(p, explain);
	expect_answer(p, 200, true, "10.1.0.3:8080");
	expect_txn(p, 2, 1);
	/* Nothing is told of rules that the kernel refused. After some failures the next try is
	 * seconds away. */
	for (unsigned generation = 2; generation < 7; generation++) {
		tell_result(p, generation, TXN_KERNEL);
		tell_snapshot(p);
		expect_txn(p, generation + 1, 1);
	}
	tell_result(p, 7, TXN_KERNEL);
	assert_false(comes(p, APPLIER, 30));
	tell_ask(p, explain);
	expect_answer(p, 503, true, "the kernel refused");
	tell_ask(p, "/diff");
	expect_answer(p, 503, true, "the kernel refused");
	tell_snapshot(p);
	expect_txn(p, 8, 1);
	tell_result(p, 8, TXN_OK);
	expect_applied(p, 8);
	tell_ask(p, "/services?name=web");
	expect_answer(p, 200, true, "a/web");
}

/* Looking for differences waits for a transaction, and holds the next one until it has looked. */
static void test_differences(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	program(p);
	tell_slice(p, 3);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	expect_txn(p, 2, 1);
	tell_ask(p, "/diff");
	assert_false(comes(p, APPLIER, 50));
	tell_result(p, 2, TXN_OK);
	expect_applied(p, 2);
	expect(p, APPLIER, TXN_SNAPSHOT_REQUEST, NULL, NULL);
	tell_slice(p, 4);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	assert_false(comes(p, APPLIER, 50));
	assert_false(comes(p, LISTENER, 0));
	/* Nothing is there any more: told, then put right, with the change that waited. */
	txn_encode_snapshot(&p->f, &(struct txn_snapshot){.families = {true, true}, .last = true});
	tell(p, APPLIER);
	expect_answer(p, 200, true, "is: missing");
	tell_snapshot(p);
	expect_txn(p, 3, 2);
	tell_result(p, 3, TXN_OK);
	expect_applied(p, 3);
	/* Not twice a second. */
	tell_ask(p, "/diff");
	assert_false(comes_early(p, APPLIER, 200));
	expect(p, APPLIER, TXN_SNAPSHOT_REQUEST, NULL, NULL);
}

static void test_more_of_nothing(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_go_on(p, QUERY_MORE);
	assert_int_equal(exit_status(p), 1);
}

static void test_two_queries(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	program(p);
	tell_slice(p, 3); /* it waits to be planned, and the query with it */
	tell_ask(p, "/diff");
	tell_ask(p, "/services");
	assert_int_equal(exit_status(p), 1);
}

/* --- the cleaner --- */

static void tell_row(struct process *p, uint64_t rules)
{
	const struct leftovers_row row = {.where = LEFTOVERS_NF_TABLES,
	    .table = LEFTOVERS_NAT,
	    .chains = rules > 0,
	    .rules = rules,
	    .name_count = 1,
	    .names = {"KUBE-SERVICES"}};

	leftovers_encode_row(&p->f, &row);
	tell(p, CLEANER);
}

static void program_and_tell_cleaner(struct process *p)
{
	char bytes[2];

	tell_lists(p);
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	tell_snapshot(p);
	expect_txn(p, 1, 0);
	assert_false(comes(p, CLEANER, 100)); /* sent is not programmed */
	tell_result(p, 1, TXN_OK);
	expect_applied(p, 1);
	assert_true(comes(p, CLEANER, 10000));
	assert_int_equal(read(p->fd[CLEANER], bytes, sizeof(bytes)), 1);
	assert_int_equal(bytes[0], 'S'); /* of both families */
}

static void expect_explained(struct process *p, const char *words)
{
	tell_ask(p, "/explain?src=10.1.0.9&dst=10.0.0.1&port=80");
	expect_answer(p, 200, true, words);
}

static void test_cleaner(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_row(p, 7);
	program_and_tell_cleaner(p);
	expect_explained(p,
	    "rules of another kube-proxy may answer first: iptables-nft, table ip nat: 1 "
	    "chains, 7 rules, for example KUBE-SERVICES");
	tell_ask(p, "/diff");
	tell_snapshot(p);
	expect_answer(p, 200, true, "leftovers:");
	tell_snapshot(p); /* it repairs what it saw missing */
	expect(p, LISTENER, STATUS_PENDING, NULL, NULL);
	expect_txn(p, 2, 1);
	tell_result(p, 2, TXN_OK);
	expect_applied(p, 2);
	tell_row(p, 0);
	leftovers_encode_done(&p->f);
	tell(p, CLEANER);
	shutdown(p->fd[CLEANER], SHUT_RDWR);
	expect_explained(p, "10.1.0.2:8080");
	tell_slice(p, 3); /* changes after the first are none of the cleaner's business */
	assert_false(comes(p, CLEANER, 0) && read(p->fd[CLEANER], &(char){0}, 1) > 0);
}

/* What no cleaner says: its channel goes, and nothing else. */
static void tell_junk(struct process *p, const void *data, size_t len)
{
	char byte;

	program_and_tell_cleaner(p);
	assert_int_equal(write(p->fd[CLEANER], data, len), (ssize_t)len);
	assert_true(comes(p, CLEANER, 10000));
	assert_int_equal(read(p->fd[CLEANER], &byte, 1), 0);
	expect_explained(p, "10.1.0.2:8080");
}

static void test_cleaner_of_junk(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_junk(p, "\xff\xff\xff\xff", 4);
}

static void test_cleaner_of_another_type(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	txn_encode_alive(&p->f);
	tell_junk(p, p->f.buf, p->f.len);
}

static void test_cleaner_with_a_wrong_name(void **state)
{
	static struct frame f;
	const struct leftovers_row row = {.rules = 1, .name_count = 1, .names = {"a\nb"}};

	if (*state == NULL)
		skip();
	leftovers_encode_row(&f, &row);
	tell_junk(*state, f.buf, f.len);
}

static void test_cleaner_that_dies(void **state)
{
	struct process *p = *state;

	if (p == NULL)
		skip();
	tell_row(p, 7);
	shutdown(p->fd[CLEANER], SHUT_RDWR);
	program(p);
	expect_explained(p, "7 rules"); /* what it has told last is what is known */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_conversation, start, stop),
	    cmocka_unit_test_setup_teardown(test_drift_and_failure, start_nftables, stop),
	    cmocka_unit_test_setup_teardown(test_walls, start, stop),
	    cmocka_unit_test_setup_teardown(test_violation, start, stop),
	    cmocka_unit_test_setup_teardown(test_alive, start, stop),
	    cmocka_unit_test_setup_teardown(test_unasked_result, start, stop),
	    cmocka_unit_test_setup_teardown(test_queries, start, stop),
	    cmocka_unit_test_setup_teardown(test_differences, start, stop),
	    cmocka_unit_test_setup_teardown(test_more_of_nothing, start, stop),
	    cmocka_unit_test_setup_teardown(test_two_queries, start, stop),
	    cmocka_unit_test_setup_teardown(test_cleaner, start, stop),
	    cmocka_unit_test_setup_teardown(test_cleaner_of_junk, start, stop),
	    cmocka_unit_test_setup_teardown(test_cleaner_of_another_type, start, stop),
	    cmocka_unit_test_setup_teardown(test_cleaner_with_a_wrong_name, start, stop),
	    cmocka_unit_test_setup_teardown(test_cleaner_that_dies, start, stop),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
