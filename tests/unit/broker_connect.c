/* What the broker answers a relay, a hostile one as well: it connects to the planner's endpoints
 * only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/connect.h"
#include "ipc/objects.h"

/* Addresses of TEST-NET: whatever the machine's routes are, nobody answers. */
#define ENDPOINT "192.0.2.1"
#define OTHER	 "192.0.2.2"

static struct frame f;
static const struct node_policy policy = {
    .denied_endpoints = {1, {{{FAMILY_4, {198, 51, 100}}, 24}}}};
static struct endpoints endpoints = {.policy = &policy};
static struct connects connects;
static int relay = -1; /* its end of the socket */

static const char *hear(const char *(*handler)(struct endpoints *e, struct cursor *c))
{
	struct cursor c;
	unsigned type;

	assert_null(frame_open(f.buf, f.len, &type, &c));
	return handler(&endpoints, &c);
}

static struct relay_endpoint endpoint(const char *text, uint16_t port)
{
	struct relay_endpoint e = {.port = port};

	assert_int_equal(ip_parse(&e.addr, text), 0);
	return e;
}

static const char *open_relay(uint32_t id, uint8_t proto)
{
	struct relay_open o = {.id = id, .name = "default/web:http", .proto = proto};

	relay_encode_open(&f, &o);
	return hear(endpoints_open);
}

static const char *set(uint32_t id, const struct relay_endpoint *list, uint32_t count)
{
	static struct relay_backends b;

	b = (struct relay_backends){.id = id, .first = true, .last = true, .count = count};
	memcpy(b.endpoints, list, count * sizeof(*list));
	relay_encode_backends(&f, &b);
	return hear(endpoints_set);
}

static const char *close_relay(uint32_t id)
{
	relay_encode_close(&f, id);
	return hear(endpoints_close);
}

static const char *request(uint32_t token, uint32_t id, struct relay_endpoint to)
{
	struct dial_request r = {token, id, to};
	struct cursor c;
	unsigned type;

	dial_encode_request(&f, &r);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	return connect_request(&connects, type, &c);
}

/* The errno of the result, and *FD, -1: none came. */
static int result(uint32_t token, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	uint8_t buf[64];
	struct iovec part = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf)};
	ssize_t n = recvmsg(relay, &m, MSG_DONTWAIT);
	struct cursor c;
	unsigned type;
	uint32_t got;
	int error;

	assert_true(n > 0);
	assert_null(frame_open(buf, (size_t)n, &type, &c));
	assert_int_equal(type, DIAL_RESULT);
	assert_null(dial_decode_result(&c, &got, &error));
	assert_int_equal(got, token);
	*fd = -1;
	if (CMSG_FIRSTHDR(&m) != NULL)
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*fd));
	return error;
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	endpoints = (struct endpoints){.policy = &policy};
	connects = (struct connects){.fd = sv[0], .endpoints = &endpoints};
	relay = sv[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < RELAYS_MAX; id++)
		if (endpoints.by_id[id] != NULL)
			assert_null(close_relay(id));
	close(connects.fd);
	close(relay);
	return 0;
}

/* A relay of TCP with two endpoints, and one of UDP with one. */
static void usual(void)
{
	const struct relay_endpoint list[] = {endpoint(ENDPOINT, 80), endpoint(ENDPOINT, 443)};
	const struct relay_endpoint udp[] = {endpoint(ENDPOINT, 53)};

	assert_null(open_relay(1, PROTO_TCP));
	assert_null(set(1, list, 2));
	assert_null(open_relay(2, PROTO_UDP));
	assert_null(set(2, udp, 1));
}

static void connects_to_endpoints(void **state)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	int fd, type;

	(void)state;
	usual();
	assert_null(request(7, 2, endpoint(ENDPOINT, 53)));
	if (result(7, &fd) == ENETUNREACH) { /* a machine without a route says so */
		assert_int_equal(fd, -1);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	assert_int_equal(ntohs(peer.sin_port), 53);
	assert_int_equal(peer.sin_addr.s_addr, inet_addr(ENDPOINT));
	len = sizeof(type);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, SOCK_DGRAM);
	close(fd);
}

static void refused(uint32_t id, const char *address, uint16_t port)
{
	int fd;

	assert_null(request(0, id, endpoint(address, port)));
	assert_int_equal(result(0, &fd), EACCES);
	assert_int_equal(fd, -1);
}

static void connects_to_nobody_else(void **state)
{
	(void)state;
	refused(1, ENDPOINT, 80); /* before the planner has said anything */
	usual();
	refused(1, OTHER, 80);
	refused(1, ENDPOINT, 81);
	refused(1, ENDPOINT, 0);
	refused(1, "127.0.0.1", 10250);
	refused(1, "169.254.169.254", 80);
	refused(1, "::1", 80);
	refused(1, "0.0.0.0", 0);
	refused(1, ENDPOINT, 53); /* another relay's, of another protocol */
	refused(2, ENDPOINT, 80);
	refused(3, ENDPOINT, 80); /* no relay */
	refused(RELAYS_MAX - 1, ENDPOINT, 80);
}

/* An endpoint that has left, and a relay that is closed, are none any more. */
static void forgets(void **state)
{
	const struct relay_endpoint other[] = {endpoint(OTHER, 80)};

	(void)state;
	usual();
	assert_null(set(1, other, 1));
	refused(1, ENDPOINT, 80);
	assert_null(set(1, other, 0));
	refused(1, OTHER, 80);
	assert_null(close_relay(2));
	refused(2, ENDPOINT, 53);
}

/* The first part of a list counts for nothing before the last came. */
static void half_a_list(void **state)
{
	static struct relay_backends b;

	(void)state;
	usual();
	b = (struct relay_backends){.id = 1, .first = true, .count = 1};
	b.endpoints[0] = endpoint(OTHER, 80);
	relay_encode_backends(&f, &b);
	assert_null(hear(endpoints_set));
	refused(1, OTHER, 80);
	assert_string_equal(set(2, b.endpoints, 1), "a part of a list without the one before");
	assert_string_equal(close_relay(1), "the end of a relay that is not open");
	b = (struct relay_backends){.id = 1, .last = true, .count = 1};
	b.endpoints[0] = endpoint(OTHER, 80);
	relay_encode_backends(&f, &b);
	assert_string_equal(hear(endpoints_set), "endpoints out of order");
	b.endpoints[0] = endpoint(OTHER, 81);
	relay_encode_backends(&f, &b);
	assert_null(hear(endpoints_set));
	refused(1, ENDPOINT, 80);
}

static void protocol_violations(void **state)
{
	struct dial_request r = {DIAL_MAX, 1, endpoint(ENDPOINT, 80)};
	const struct relay_endpoint loopback[] = {{{FAMILY_4, {127, 0, 0, 1}}, 80}};
	const struct relay_endpoint denied[] = {{{FAMILY_4, {198, 51, 100, 7}}, 80}};
	struct cursor c;
	unsigned type;

	(void)state;
	usual();
	dial_encode_request(&f, &r);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_string_equal(connect_request(&connects, type, &c), "a number out of range");
	dial_encode_result(&f, 1, 0);
	assert_null(frame_open(f.buf, f.len, &type, &c));
	assert_string_equal(connect_request(&connects, type, &c), "an unknown message type");
	assert_string_equal(open_relay(1, PROTO_TCP), "a relay that is open already");
	assert_string_equal(close_relay(9), "the end of a relay that is not open");
	assert_string_equal(set(9, loopback, 0), "endpoints of a relay that is not open");
	assert_non_null(set(1, loopback, 1));
	assert_string_equal(set(1, denied, 1), "an endpoint in --policy-denied-endpoints");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(connects_to_endpoints, setup, teardown),
	    cmocka_unit_test_setup_teardown(connects_to_nobody_else, setup, teardown),
	    cmocka_unit_test_setup_teardown(forgets, setup, teardown),
	    cmocka_unit_test_setup_teardown(half_a_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(protocol_violations, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
