/* Health check node ports over loopback: who answers what, and who gets a port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"
#include "ipc/health.h"
#include "listener/service_health.h"

static struct frame f;
static struct event_base *base;
static struct http_pool *pool;
static struct service_health *services;
static bool live;

static bool is_live(const void *arg)
{
	assert_ptr_equal(arg, &live);
	return live;
}

static void begin(unsigned sockets)
{
	base = event_base_new();
	pool = http_pool_new(base, 16);
	services = service_health_new(pool, sockets, is_live, &live);
	assert_non_null(services);
	live = true;
}

static void end(void)
{
	service_health_free(services);
	http_pool_free(pool);
	event_base_free(base);
}

/* As the planner would say what is in F. */
static const char *say(void)
{
	struct cursor c;
	unsigned type;
	const char *why;

	assert_null(frame_open(f.buf, f.len, &type, &c));
	why = service_health_message(services, type, &c);
	return why;
}

static void put(const char *name, uint16_t port, uint32_t endpoints)
{
	struct health_service s = {.namespace = "a", .port = port, .endpoints = endpoints};

	strlcpy(s.name, name, sizeof(s.name));
	health_encode_put(&f, &s);
	assert_null(say());
}

static const char *del(const char *name)
{
	health_encode_del(&f, "a", name);
	return say();
}

static void at(const char *one, const char *other)
{
	struct health_addrs a = {0};

	if (one != NULL)
		assert_int_equal(ip_parse(&a.addrs[a.count++], one), 0);
	if (other != NULL)
		assert_int_equal(ip_parse(&a.addrs[a.count++], other), 0);
	health_encode_addrs(&f, &a);
	assert_null(say());
}

static uint16_t free_port(void)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin6_port);
}

static int dial(const char *ip, uint16_t port)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool four = inet_pton(AF_INET, ip, &in4.sin_addr) == 1;
	int fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	inet_pton(AF_INET6, ip, &in6.sin6_addr);
	if (connect(fd, four ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
		four ? sizeof(in4) : sizeof(in6)) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	return -1;
}

/* What is answered, or "" if nobody listens. */
static const char *ask(const char *ip, uint16_t port, const char *request)
{
	static char got[4096];
	int fd = dial(ip, port);
	size_t len = 0;
	ssize_t n = -1;

	got[0] = '\0';
	if (fd < 0)
		return got;
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (n != 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = read(fd, got + len, sizeof(got) - 1 - len);
		assert_true(n >= 0 || errno == EAGAIN);
		len += n > 0 ? (size_t)n : 0;
	}
	got[len] = '\0';
	close(fd);
	return got;
}

/* How many endpoints are told at IP; -1: nobody answers. */
static int weight(const char *ip, uint16_t port)
{
	const char *got = ask(ip, port, "GET / HTTP/1.0\r\n\r\n");
	const char *w = strstr(got, "X-Load-Balancing-Endpoint-Weight: ");

	if (got[0] == '\0')
		return -1;
	assert_non_null(w);
	return atoi(strchr(w, ':') + 2);
}

static void test_answer(void **state)
{
	const uint16_t port = free_port();
	const char *got;

	(void)state;
	begin(16);
	at("0.0.0.0", "::");
	put("web", port, 2);
	got = ask("127.0.0.1", port, "GET /whatever?x HTTP/1.0\r\n\r\n");
	assert_ptr_equal(strstr(got, "HTTP/1.0 200 OK\r\n"), got);
	assert_non_null(strstr(got, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(got, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(got, "\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n") + 4,
	    "{\n\t\"service\": {\n\t\t\"namespace\": \"a\",\n\t\t\"name\": \"web\"\n\t},\n"
	    "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
	live = false;
	got = ask("::1", port, "HEAD / HTTP/1.0\r\n\r\n");
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 Service Unavailable\r\n"), got);
	assert_non_null(strstr(got, "\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n"));
	assert_string_equal(strstr(got, "\r\n\r\n"), "\r\n\r\n");
	live = true;
	put("web", port, 0);
	got = ask("127.0.0.1", port, "GET / HTTP/1.0\r\n\r\n");
	assert_ptr_equal(strstr(got, "HTTP/1.0 503 "), got);
	assert_non_null(strstr(got, "\"localEndpoints\": 0,\n\t\"serviceProxyHealthy\": true\n"));
	/* A Service that goes; one that was not there is a violation. */
	assert_null(del("web"));
	assert_int_equal(weight("127.0.0.1", port), -1);
	assert_int_equal(weight("::1", port), -1);
	assert_non_null(del("web"));
	end();
}

static void test_one_port_for_two(void **state)
{
	const uint16_t port = free_port(), other = free_port();
	char got[4096];

	(void)state;
	begin(16);
	at("127.0.0.1", NULL);
	put("second", port, 2);
	capture_begin(STDERR_FILENO);
	put("first", port, 1);
	capture_end(STDERR_FILENO, got, sizeof(got));
	assert_non_null(strstr(got, "a/first"));
	assert_non_null(strstr(got, "a/second"));
	assert_int_equal(weight("127.0.0.1", port), 2);
	put("first", port, 3); /* changes nothing */
	assert_int_equal(weight("127.0.0.1", port), 2);
	assert_null(del("second"));
	assert_int_equal(weight("127.0.0.1", port), 3);
	/* Both again; the one that has it takes another, and gets that. */
	put("second", port, 2);
	put("first", other, 3);
	assert_int_equal(weight("127.0.0.1", port), 2);
	assert_int_equal(weight("127.0.0.1", other), 3);
	/* Who waits may go as well. */
	put("third", port, 7);
	assert_null(del("third"));
	assert_int_equal(weight("127.0.0.1", port), 2);
	end();
}

static void test_addresses(void **state)
{
	const uint16_t port = free_port();

	(void)state;
	begin(16);
	put("web", port, 1); /* before any address is known */
	assert_int_equal(weight("127.0.0.1", port), -1);
	at("127.0.0.2", "127.0.0.3");
	assert_int_equal(weight("127.0.0.1", port), -1);
	assert_int_equal(weight("127.0.0.2", port), 1);
	assert_int_equal(weight("127.0.0.3", port), 1);
	at("127.0.0.3", "::");
	assert_int_equal(weight("127.0.0.2", port), -1);
	assert_int_equal(weight("127.0.0.3", port), 1);
	assert_int_equal(weight("::1", port), 1);
	/* Every address of one family, of both, of none. */
	at("0.0.0.0", NULL);
	assert_int_equal(weight("127.0.0.1", port), 1);
	assert_int_equal(weight("::1", port), -1);
	at("0.0.0.0", "::");
	assert_int_equal(weight("127.0.0.9", port), 1);
	assert_int_equal(weight("::1", port), 1);
	at(NULL, NULL);
	assert_int_equal(weight("127.0.0.1", port), -1);
	end();
}

/* A connection to a place that stays is not broken off when others come. */
static void test_what_stays_goes_on(void **state)
{
	const uint16_t port = free_port();
	char got[1024];
	ssize_t n = -1;
	int fd;

	(void)state;
	begin(16);
	at("127.0.0.2", NULL);
	put("web", port, 1);
	fd = dial("127.0.0.2", port);
	assert_true(fd >= 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	at("127.0.0.1", "127.0.0.2");
	put("web", port, 4);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	for (int i = 0; i < 1000 && n < 0; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = read(fd, got, sizeof(got) - 1);
	}
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "Weight: 4\r\n"));
	close(fd);
	end();
}

/* More than there are sockets for: those beyond are not served, until others go. */
static void test_too_many(void **state)
{
	uint16_t ports[3];
	char got[4096];

	(void)state;
	begin(2);
	at("127.0.0.1", NULL);
	for (int i = 0; i < 3; i++)
		ports[i] = free_port();
	put("one", ports[0], 1);
	put("two", ports[1], 2);
	capture_begin(STDERR_FILENO);
	put("three", ports[2], 3);
	capture_end(STDERR_FILENO, got, sizeof(got));
	assert_non_null(strstr(got, "a/three"));
	assert_int_equal(weight("127.0.0.1", ports[2]), -1);
	assert_null(del("one"));
	assert_int_equal(weight("127.0.0.1", ports[2]), 3);
	assert_int_equal(weight("127.0.0.1", ports[1]), 2);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_one_port_for_two),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_what_stays_goes_on),
	    cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("listener_service_health", tests, NULL, NULL);
}
