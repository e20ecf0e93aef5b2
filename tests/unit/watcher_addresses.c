/* The machine's own addresses, in a network namespace whose addresses come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/netns.h"
#include "watcher/addresses.h"

static struct event_base *base;
static struct feed feed;
static int planner;

static const char *nothing_to_say(void *arg, unsigned type, struct cursor *c)
{
	(void)arg, (void)type, (void)c;
	return "the planner is quiet";
}

/* Lets the watcher read what there is, then gives what it sent: the addresses, how many parts. */
static unsigned told(char *text, size_t size, unsigned *addrs)
{
	static uint8_t buf[FRAME_MAX];
	static struct node_addrs_part part;
	char ip[IP_STRLEN];
	unsigned parts = 0;
	ssize_t n;

	*addrs = 0;
	text[0] = '\0';
	assert_true(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
	while ((n = recv(planner, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct cursor c;
		unsigned type;

		assert_null(frame_open(buf, (size_t)n, &type, &c));
		assert_int_equal(type, OBJ_NODE_ADDRS);
		assert_null(objects_decode_node_addrs(&c, &part));
		assert_int_equal(part.first, parts == 0);
		parts++;
		*addrs += part.count;
		for (uint32_t i = 0; i < part.count; i++) {
			strlcat(text, ip_format(&part.addrs[i], ip), size);
			strlcat(text, " ", size);
		}
	}
	assert_true(parts == 0 || part.last);
	return parts;
}

static void assert_told(const char *want)
{
	char text[1024];
	unsigned addrs, parts = told(text, sizeof(text), &addrs);

	if (want == NULL) {
		assert_int_equal(parts, 0);
		return;
	}
	assert_int_equal(parts, 1);
	assert_string_equal(text, want);
}

static void they_come_and_go(void **state)
{
	(void)state;
	assert_told("10.0.0.5 127.0.0.1 192.0.2.1 ::1 fd00::5 "); /* before the loop ran */
	run("ip addr add 10.0.0.6/24 dev d0");
	assert_told("10.0.0.5 10.0.0.6 127.0.0.1 192.0.2.1 ::1 fd00::5 ");
	assert_told(NULL);
	/* on two interfaces: once, and until neither has it */
	run("ip addr add 10.0.0.6/24 dev d1");
	assert_told(NULL);
	run("ip addr del 10.0.0.6/24 dev d0");
	assert_told(NULL);
	run("ip addr change 10.0.0.6/24 dev d1 preferred_lft 1000 valid_lft 1000");
	assert_told(NULL);
	run("ip link del d1");
	assert_told("10.0.0.5 127.0.0.1 192.0.2.1 ::1 fd00::5 ");
	run("ip -6 addr del fd00::5/64 dev d0");
	assert_told("10.0.0.5 127.0.0.1 192.0.2.1 ::1 ");
}

/* More news than the socket holds: none is lost for good. More than a message holds: parts. */
static void thousands(void **state)
{
	static char text[1 << 20];
	unsigned addrs;
	FILE *ip = popen("ip -batch -", "w");

	(void)state;
	assert_non_null(ip);
	for (unsigned i = 0; i < 10000; i++)
		fprintf(ip, "addr add 10.9.%u.%u/32 dev d0\n", i / 250, i % 250 + 1);
	assert_int_equal(pclose(ip), 0);
	assert_int_equal(told(text, sizeof(text), &addrs), 3);
	assert_int_equal(addrs, 10004);
	run("ip addr flush dev d0");
	assert_told("127.0.0.1 ::1 ");
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	enter_namespace();
	run("ip link set lo up");
	run("ip link add name d0 type veth peer name p0 && ip link set d0 addrgenmode none && "
	    "ip link set d0 up");
	run("ip link add name d1 type veth peer name p1 && ip link set d1 addrgenmode none && "
	    "ip link set d1 up");
	run("ip addr add 10.0.0.5/24 dev d0 && ip -6 addr add fd00::5/64 dev d0 nodad");
	run("ip addr add 192.0.2.1 peer 192.0.2.2 dev d0"); /* ours is the first */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	planner = sv[0];
	base = event_base_new();
	assert_non_null(base);
	feed.planner = channel_new(base, sv[1], "the planner", nothing_to_say, NULL);
	addresses_start(base, &feed, "d9");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(they_come_and_go),
	    cmocka_unit_test(thousands),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
