/* The HTTP server over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "listener/http.h"

static void answer_503(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	reply->status = 503;
	reply->content_type = "application/json";
	strlcpy(reply->headers, "X-Of-Us: 1\r\n", sizeof(reply->headers));
	evbuffer_add_printf(reply->body, "{\"a\": 1%s}", r->query);
}

static struct http_pending *later;
static struct event *soon;
static bool cutting; /* the answer is broken off in place of being finished */
static unsigned cancelled;

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)fd;
	(void)what;
	(void)arg;
	evbuffer_add(body, "at last", 7);
	if (cutting)
		http_abort(later);
	else
		http_finish(later, 200, "text/plain", body);
	cutting = false;
	later = NULL;
	evbuffer_free(body);
}

static void on_cancelled(void *arg)
{
	assert_ptr_equal(arg, &cancelled);
	later = NULL;
	cancelled++;
}

/* "/later/never" is not answered at all. */
static void answer_later(void *arg, const struct http_request *r, struct http_reply *reply)
{
	const struct timeval pause = {0, 50000};

	(void)arg;
	later = http_defer(reply, on_cancelled, &cancelled);
	if (strcmp(r->path, "/later/soon") == 0)
		event_add(soon, &pause);
	if (strcmp(r->path, "/later/now") == 0)
		on_soon(-1, 0, NULL);
}

/* Three parts, each when the one before is gone; "/parts/cut" is broken off after the first. */
static unsigned parts;

static void send_part(void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	if (parts == 0) {
		http_end(later);
		later = NULL;
	} else {
		evbuffer_add_printf(body, "part %u", parts--);
		http_send(later, body);
		assert_int_equal(evbuffer_get_length(body), 0);
	}
	evbuffer_free(body);
}

static void cut(void *arg)
{
	const struct timeval at_once = {0, 0};

	(void)arg;
	cutting = true;
	event_add(soon, &at_once);
}

static void answer_parts(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	parts = 3;
	later = http_defer(reply, on_cancelled, &cancelled);
	http_stream(later, 200, "text/parts", strcmp(r->path, "/parts/cut") == 0 ? cut : send_part);
	send_part(NULL);
}

static void answer_cancelled(void *arg, const struct http_request *r, struct http_reply *reply)
{
	(void)arg;
	(void)r;
	evbuffer_add_printf(reply->body, "%u", cancelled);
}

static void answer_large(void *arg, const struct http_request *r, struct http_reply *reply)
{
	static char block[4096];

	(void)arg;
	(void)r;
	for (int i = 0; i < 1024; i++)
		evbuffer_add(reply->body, block, sizeof(block));
}

#define NEEDED 2
static const struct http_route routes[] = {
    {"/healthz", answer_503, 0},
    {"/later/*", answer_later, 0},
    {"/cancelled", answer_cancelled, 0},
    {"/parts/*", answer_parts, 0},
    {"/switched/on", answer_cancelled, NEEDED},
    {"/switched/off", answer_cancelled, NEEDED | 4},
    {"/large", answer_large, 0},
};

static void on_term(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

#define CONNECTIONS_MAX 128
/* Long enough for a client on a busy machine to be in time. */
enum { REQUEST_MS = 8000, IDLE_MS = 3000, DEFER_MS = 300, WRITE_MS = 5000 };
/* Limits of waits for what must come. */
enum { DIAL_MS = 30000, CLOSE_MS = 60000 };

static int holder = -1;

/* Runs the server until SIGTERM, then frees everything, which the leak checkers look at. */
static _Noreturn void serve(const struct ip_addr *addr, uint16_t port)
{
	struct event_base *base = event_base_new();
	struct event *term = evsignal_new(base, SIGTERM, on_term, base);
	const struct http_server_options options = {
	    .name = "test server", .hint = "", .addr = *addr, .port = port, .has = NEEDED | 1};
	const struct http_times times = {REQUEST_MS, IDLE_MS, DEFER_MS, WRITE_MS, WRITE_MS};
	struct http_pool *pool = http_pool_new(base, CONNECTIONS_MAX);
	struct http_server *s;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The socket that holds the port in test_port_taken must not live on in here. */
	if (holder >= 0)
		close(holder);
	event_add(term, NULL);
	http_pool_times(pool, &times);
	s = http_server_new(pool, &options);
	soon = event_new(base, -1, 0, on_soon, NULL);
	if (s == NULL || http_server_add(s, routes, sizeof(routes) / sizeof(routes[0]), NULL) != 0)
		_exit(1);
	event_base_dispatch(base);
	http_server_free(s);
	http_pool_free(pool);
	event_free(soon);
	event_free(term);
	event_base_free(base);
	exit(0);
}

struct server {
	pid_t pid;
	uint16_t port;
};

static int tcp_socket(int family)
{
	const struct timeval limit = {CLOSE_MS / 1000, 0};
	int fd = socket(family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* A socket bound and listening on a free port of 127.0.0.1. */
static int take_port(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);
	int fd = tcp_socket(AF_INET);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* Connects to ADDRESS, trying for LIMIT_MS. The socket, or -1. */
static int dial(const char *address, uint16_t port, int limit_ms)
{
	struct sockaddr_storage sa = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
	socklen_t len = sizeof(*in);

	sa.ss_family = AF_INET;
	in->sin_port = htons(port);
	if (inet_pton(AF_INET, address, &in->sin_addr) != 1) {
		sa.ss_family = AF_INET6;
		in6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
		len = sizeof(*in6);
	}
	for (int waited = 0;; waited += 20) {
		const struct timespec pause = {0, 20000000};
		const struct sockaddr_in other = {
		    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK + 1)}};
		int fd = tcp_socket(sa.ss_family);

		/* From 127.0.0.2, or a try at a free port might connect to itself. */
		if (sa.ss_family == AF_INET)
			assert_int_equal(
			    bind(fd, (const struct sockaddr *)&other, sizeof(other)), 0);
		if (connect(fd, (struct sockaddr *)&sa, len) == 0)
			return fd;
		close(fd);
		if (waited >= limit_ms)
			return -1;
		nanosleep(&pause, NULL);
	}
}

static void start(struct server *s, const char *address)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, address), 0);
	fflush(NULL); /* or the server's exit prints our results again */
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0)
		serve(&a, s->port);
}

static void stop(const struct server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void start_free(struct server *s, const char *address)
{
	close(take_port(&s->port));
	start(s, address);
}

/* Reads until the server's end, as a string. */
static void read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0); /* neither a reset nor a time-out */
	buf[len] = '\0';
	close(fd);
}

static void ask(const struct server *s, const char *request, char *buf, size_t size)
{
	int fd = dial("127.0.0.1", s->port, DIAL_MS);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	read_all(fd, buf, size);
}

/* Takes the Date header out, which must be there and look like one. */
static void without_date(char *got)
{
	char *date = strstr(got, "Date: "), *end = strstr(date != NULL ? date : got, "\r\n");

	assert_non_null(date);
	assert_int_equal(end - date, strlen("Date: Sun, 06 Nov 1994 08:49:37 GMT"));
	memmove(date, end + 2, strlen(end + 2) + 1);
}

static void test_answers(void **state)
{
	struct server s;
	char got[4096];

	(void)state;
	start_free(&s, "127.0.0.1");
	ask(&s, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", got, sizeof(got));
	without_date(got);
	assert_string_equal(got, "HTTP/1.1 503 Service Unavailable\r\n"
				 "Content-Type: application/json\r\n"
				 "X-Content-Type-Options: nosniff\r\n"
				 "X-Of-Us: 1\r\n"
				 "Content-Length: 8\r\nConnection: close\r\n\r\n{\"a\": 1}");
	ask(&s, "HEAD /healthz?23 HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 Service Unavailable\r\n"), got);
	assert_non_null(strstr(got, "Content-Length: 10\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	ask(&s, "GET /etc/passwd HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 404 Not Found\r\n"), got);
	ask(&s, "HEAD /etc/passwd HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_non_null(strstr(got, "Content-Length: 10\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	ask(&s, "GET /switched/on HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 200 OK\r\n"), got);
	ask(&s, "GET /switched/off HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 404 "), got);
	ask(&s, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.1 405 Method Not Allowed\r\n"), got);
	assert_non_null(strstr(got, "\r\nAllow: GET, HEAD\r\n"));
	stop(&s);
}

static size_t count_of(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
		n++;
	return n;
}

/* Many requests in one packet, then the client hangs up its side: every one is answered, in order.
 */
static void test_pipeline(void **state)
{
	static const char one[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	enum { MANY = 1000 }; /* more than one connection's input has room for */
	static char request[MANY * sizeof(one)], got[MANY * 400];
	struct server s;
	int fd;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		strlcat(request, one, sizeof(request));
	start_free(&s, "127.0.0.1");
	fd = dial("127.0.0.1", s.port, DIAL_MS);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	read_all(fd, got, sizeof(got));
	assert_int_equal(count_of(got, "HTTP/1.1 503 "), MANY);
	assert_int_equal(count_of(got, "{\"a\": 1}"), MANY);
	assert_int_equal(count_of(got, "Connection:"), 0);
	/* One that is put off holds up those behind it. */
	ask(&s,
	    "GET /later/soon HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
	    "GET /later/soon HTTP/1.1\r\n\r\n",
	    got, sizeof(got));
	assert_non_null(strstr(got, "at lastHTTP/1.1 503 "));
	assert_int_equal(count_of(got, "HTTP/1.1 "), 2);
	stop(&s);
}

static void test_deferred(void **state)
{
	const struct linger reset = {1, 0};
	struct server s;
	char got[4096];
	int fd;

	(void)state;
	start_free(&s, "127.0.0.1");
	ask(&s, "GET /later/soon HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\nat last");
	ask(&s, "HEAD /later/now HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_non_null(strstr(got, "Content-Length: 7\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	ask(&s, "GET /cancelled HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n0");
	/* The client breaks off. */
	fd = dial("127.0.0.1", s.port, DIAL_MS);
	assert_int_equal(write(fd, "GET /later/never HTTP/1.0\r\n\r\n", 29), 29);
	usleep(100000);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	for (int i = 0; i < 100; i++) {
		ask(&s, "GET /cancelled HTTP/1.0\r\n\r\n", got, sizeof(got));
		if (strcmp(strstr(got, "\r\n\r\n"), "\r\n\r\n1") == 0)
			break;
	}
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n1");
	/* One waits still when the server ends, which its handler is told as well. */
	fd = dial("127.0.0.1", s.port, DIAL_MS);
	assert_int_equal(write(fd, "GET /later/never HTTP/1.0\r\n\r\n", 29), 29);
	ask(&s, "GET /cancelled HTTP/1.0\r\n\r\n", got, sizeof(got));
	stop(&s);
	close(fd);
}

/* Whoever put an answer off has so much time; the client is told. */
static void test_deferred_for_too_long(void **state)
{
	struct server s;
	char got[4096];

	(void)state;
	start_free(&s, "127.0.0.1");
	ask(&s, "GET /later/never HTTP/1.1\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.1 503 Service Unavailable\r\n"), got);
	assert_non_null(strstr(got, "\r\nConnection: close\r\n"));
	ask(&s, "GET /cancelled HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n1");
	stop(&s);
}

/* An answer in parts: chunks, for old clients the connection's end, nothing for HEAD. */
static void test_parts(void **state)
{
	struct server s;
	char got[4096];

	(void)state;
	start_free(&s, "127.0.0.1");
	ask(&s,
	    "GET /parts/ HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET /parts/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	    got, sizeof(got));
	assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\nContent-Type: text/parts\r\n"));
	for (unsigned i = 0; i < 2; i++) {
		static const char body[] =
		    "Transfer-Encoding: chunked\r\n\r\n6\r\npart 3\r\n6\r\npart "
		    "2\r\n6\r\npart 1\r\n0\r\n\r\n";
		static const char last[] = "chunked\r\nConnection: close\r\n\r\n";

		assert_non_null(strstr(got, i == 0 ? body : last));
	}
	assert_string_equal(strstr(got, "close\r\n\r\n"),
	    "close\r\n\r\n6\r\npart 3\r\n6\r\npart 2\r\n6\r\npart 1\r\n0\r\n\r\n");
	ask(&s, "GET /parts/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", got, sizeof(got));
	assert_null(strstr(got, "chunked"));
	assert_non_null(strstr(got, "Connection: close\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\npart 3part 2part 1");
	ask(&s, "GET /parts/cut HTTP/1.1\r\nHost: a\r\n\r\n", got, sizeof(got));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n6\r\npart 3\r\n");
	stop(&s);
}

static bool closed_within(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, ms) == 1 && read(fd, &byte, 1) <= 0;
}

static void test_kept_connection(void **state)
{
	struct server s;
	char got[4096];
	ssize_t n;
	int fd;

	(void)state;
	start_free(&s, "127.0.0.1");
	fd = dial("127.0.0.1", s.port, DIAL_MS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(fd, "GET /healthz HTTP/1.1\r\n\r\n", 25), 25);
		n = read(fd, got, sizeof(got) - 1);
		assert_true(n > 0);
		got[n] = '\0';
		assert_non_null(strstr(got, "{\"a\": 1}"));
		assert_false(closed_within(fd, IDLE_MS / 10));
	}
	assert_true(closed_within(fd, CLOSE_MS)); /* nothing is asked any more */
	close(fd);
	stop(&s);
}

/* A client that asks PATH and takes little of the answer. */
static int dial_slow(const struct server *s, const char *request)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(s->port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = tcp_socket(AF_INET), small = 4096;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	return fd;
}

static size_t take_rest(int fd)
{
	static char got[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, got, sizeof(got))) > 0)
		sum += (size_t)n;
	close(fd);
	return sum;
}

/* Answers that nobody takes are bounded: the oldest ends for a new one, and each after a while. */
static void test_slow_readers(void **state)
{
	static const char request[] = "GET /large HTTP/1.0\r\n\r\n";
	struct server s;
	char got[4096];
	int first, second;

	(void)state;
	start_free(&s, "127.0.0.1");
	close(dial("127.0.0.1", s.port, DIAL_MS));
	first = dial_slow(&s, request);
	ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got)); /* behind it */
	second = dial_slow(&s, request);
	ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 "), got);
	assert_true(take_rest(first) < 4 << 20);
	usleep((WRITE_MS + 1000) * 1000); /* a close is behind what is not read: nothing tells */
	assert_true(take_rest(second) < 4 << 20);
	/* One that hurries gets all of it. */
	assert_true(take_rest(dial_slow(&s, request)) > 4 << 20);
	stop(&s);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* No more than so many requests a second are answered; each is in the end, and others meanwhile. */
static void test_rate(void **state)
{
	enum { GREEDY = 64, EACH = 250 };
	static const char one[] = "GET /healthz HTTP/1.1\r\n\r\n";
	static char request[EACH * sizeof(one)], got[EACH * 400];
	uint64_t began, asked;
	struct server s;
	int fds[GREEDY];

	(void)state;
	for (size_t i = 0; i < EACH; i++)
		strlcat(request, one, sizeof(request));
	start_free(&s, "127.0.0.1");
	for (size_t i = 0; i < GREEDY; i++)
		fds[i] = dial("127.0.0.1", s.port, DIAL_MS);
	began = now_ms();
	for (size_t i = 0; i < GREEDY; i++) {
		assert_int_equal(write(fds[i], request, strlen(request)), strlen(request));
		assert_int_equal(shutdown(fds[i], SHUT_WR), 0);
	}
	for (size_t i = 0; i < 5; i++) {
		ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got));
		assert_ptr_equal(strstr(got, "HTTP/1.0 503 "), got);
	}
	asked = now_ms();
	for (size_t i = 0; i < GREEDY; i++) {
		read_all(fds[i], got, sizeof(got));
		assert_int_equal(count_of(got, "HTTP/1.1 503 "), EACH);
	}
	assert_true(now_ms() - began >= GREEDY * EACH * 1000 / HTTP_TURNS_PER_SECOND - 200);
	assert_true((asked - began) * 2 < now_ms() - began); /* they did not wait for all of that */
	/* A connection takes a turn as well. */
	began = now_ms();
	for (size_t i = 0; i < 2500; i++)
		ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_true(now_ms() - began >= 2 * 2500 * 1000 / HTTP_TURNS_PER_SECOND - 100);
	stop(&s);
}

static void test_large_answer(void **state)
{
	static char got[5 << 20];
	struct server s;

	(void)state;
	start_free(&s, "127.0.0.1");
	ask(&s, "GET /large HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_non_null(strstr(got, "Content-Length: 4194304\r\n"));
	stop(&s);
}

/* The body behind a refused request must not turn the answer into a reset. */
static void test_refused_body(void **state)
{
	static char request[40000];
	struct server s;
	char got[4096];

	(void)state;
	memset(request, 'x', sizeof(request) - 1);
	memcpy(request, "POST /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 35);
	start_free(&s, "127.0.0.1");
	ask(&s, request, got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.1 405 "), got);
	/* Headers without an end. */
	memcpy(request, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", 35);
	ask(&s, request, got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.1 431 "), got);
	stop(&s);
}

static void test_idle_connections(void **state)
{
	int idle[CONNECTIONS_MAX];
	struct server s;
	char got[4096];

	(void)state;
	start_free(&s, "127.0.0.1");
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		idle[i] = dial("127.0.0.1", s.port, DIAL_MS);
		assert_true(idle[i] >= 0);
		assert_int_equal(write(idle[i], "G", 1), 1);
	}
	ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 "), got);
	assert_true(closed_within(idle[0], CLOSE_MS)); /* it made room */
	assert_false(closed_within(idle[2], 10));
	/* The others end at their deadline, though they say something now and then. */
	for (int i = 0; i < 3; i++) {
		assert_false(closed_within(idle[2], 600));
		assert_int_equal(write(idle[2], "E", 1), 1);
	}
	assert_true(closed_within(idle[2], CLOSE_MS));
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		close(idle[i]);
	stop(&s);
}

static void test_port_taken(void **state)
{
	struct server s;
	char got[4096];
	int fd;

	(void)state;
	holder = take_port(&s.port);
	start(&s, "127.0.0.1");
	/* It is still there, and gets the port once that is free. */
	usleep(300000);
	assert_int_equal(waitpid(s.pid, NULL, WNOHANG), 0);
	close(holder);
	holder = -1;
	fd = dial("127.0.0.1", s.port, HTTP_BIND_RETRY_SECONDS * 1000 + DIAL_MS);
	assert_true(fd >= 0);
	close(fd);
	ask(&s, "GET /healthz HTTP/1.0\r\n\r\n", got, sizeof(got));
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 "), got);
	stop(&s);
}

static void test_unspecified_means_both_families(void **state)
{
	struct server s;
	int fd4, fd6;

	(void)state;
	start_free(&s, "0.0.0.0");
	fd4 = dial("127.0.0.1", s.port, DIAL_MS);
	fd6 = dial("::1", s.port, 0);
	assert_true(fd4 >= 0);
	assert_true(fd6 >= 0);
	close(fd4);
	close(fd6);
	stop(&s);
}

static void test_one_address_means_that_one(void **state)
{
	struct server s;
	int fd;

	(void)state;
	start_free(&s, "::1");
	fd = dial("::1", s.port, DIAL_MS);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(dial("127.0.0.1", s.port, 0), -1);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_pipeline),
	    cmocka_unit_test(test_deferred),
	    cmocka_unit_test(test_deferred_for_too_long),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_kept_connection),
	    cmocka_unit_test(test_slow_readers),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_large_answer),
	    cmocka_unit_test(test_refused_body),
	    cmocka_unit_test(test_idle_connections),
	    cmocka_unit_test(test_port_taken),
	    cmocka_unit_test(test_unspecified_means_both_families),
	    cmocka_unit_test(test_one_address_means_that_one),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("listener_http", tests, NULL, NULL);
}
