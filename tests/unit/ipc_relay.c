/* Messages about relays: what is written is read back, what is wrong is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/objects.h"
#include "ipc/relay.h"

static struct frame f;
static struct relay_backends in, out;

static struct cursor opened(unsigned type)
{
	struct cursor c;
	unsigned got;

	assert_false(f.overflow);
	assert_null(frame_open(f.buf, f.len, &got, &c));
	assert_int_equal(got, type);
	return c;
}

static void assert_refused(const char *why, const char *words)
{
	if (why == NULL || strstr(why, words) == NULL)
		fail_msg("%s, not %s", why == NULL ? "allowed" : why, words);
}

static void opens(void **state)
{
	struct relay_open o = {.id = RELAYS_MAX - 1,
	    .name = "default/web:http",
	    .proto = PROTO_UDP,
	    .family = FAMILY_6,
	    .local_list = true,
	    .port = 65535};
	struct relay_open got;
	struct cursor c;

	(void)state;
	relay_encode_open(&f, &o);
	c = opened(RELAY_PROXY_PORT_OPEN);
	assert_null(relay_decode_open(&c, &got));
	assert_int_equal(got.id, o.id);
	assert_string_equal(got.name, o.name);
	assert_int_equal(got.proto, o.proto);
	assert_int_equal(got.family, o.family);
	assert_true(got.local_list);
	assert_int_equal(got.port, o.port);
	o.proto = PROTO_SCTP;
	relay_encode_open(&f, &o);
	c = opened(RELAY_PROXY_PORT_OPEN);
	assert_refused(relay_decode_open(&c, &got), "another protocol");
	o.proto = PROTO_TCP;
	o.id = RELAYS_MAX;
	relay_encode_open(&f, &o);
	c = opened(RELAY_PROXY_PORT_OPEN);
	assert_refused(relay_decode_open(&c, &got), "out of range");
}

/* A full part of IPv6 fits a frame. */
static void backends(void **state)
{
	struct cursor c;

	(void)state;
	in = (struct relay_backends){.id = 7, .affinity_seconds = RELAY_SECONDS_MAX, .last = true};
	in.count = RELAY_PART_MAX;
	for (uint32_t i = 0; i < in.count; i++) {
		assert_int_equal(ip_parse(&in.endpoints[i].addr, "fd00::1:0"), 0);
		in.endpoints[i].addr.b[14] = (uint8_t)(i >> 8);
		in.endpoints[i].addr.b[15] = (uint8_t)i;
		in.endpoints[i].port = 65535;
	}
	relay_encode_backends(&f, &in);
	c = opened(RELAY_BACKENDS);
	memset(&out, 0xff, sizeof(out));
	assert_null(relay_decode_backends(&c, &out));
	assert_int_equal(out.id, 7);
	assert_int_equal(out.affinity_seconds, RELAY_SECONDS_MAX);
	assert_false(out.first);
	assert_true(out.last);
	assert_int_equal(out.count, in.count);
	for (uint32_t i = 0; i < in.count; i++)
		assert_int_equal(relay_endpoint_cmp(&in.endpoints[i], &out.endpoints[i]), 0);
}

/* The listener connects to nobody whom an endpoint could not be. */
static void bad_backends(void **state)
{
	static const struct {
		const char *addr[2];
		uint16_t port[2];
		const char *why;
	} cases[] = {
	    {{"127.0.0.1", "127.0.0.2"}, {80, 80}, "no plain unicast address"},
	    {{"10.0.0.1", "169.254.169.254"}, {80, 80}, "no plain unicast address"},
	    {{"::1", "fd00::1"}, {80, 80}, "no plain unicast address"},
	    {{"10.0.0.1", "224.0.0.1"}, {80, 80}, "no plain unicast address"},
	    {{"10.0.0.1", "10.0.0.2"}, {80, 0}, "no plain unicast address"},
	    {{"10.0.0.1", "10.0.0.1"}, {80, 80}, "out of order"},
	    {{"10.0.0.1", "10.0.0.1"}, {80, 79}, "out of order"},
	    {{"10.0.0.2", "10.0.0.1"}, {80, 80}, "out of order"},
	};
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		in = (struct relay_backends){.first = true, .last = true, .count = 2};
		for (int k = 0; k < 2; k++) {
			assert_int_equal(ip_parse(&in.endpoints[k].addr, cases[i].addr[k]), 0);
			in.endpoints[k].port = cases[i].port[k];
		}
		relay_encode_backends(&f, &in);
		c = opened(RELAY_BACKENDS);
		assert_refused(relay_decode_backends(&c, &out), cases[i].why);
	}
	frame_begin(&f, RELAY_BACKENDS, 5);
	frame_uint(&f, 1);
	frame_uint(&f, RELAY_SECONDS_MAX + 1);
	frame_bool(&f, true);
	frame_bool(&f, true);
	frame_array(&f, 0);
	c = opened(RELAY_BACKENDS);
	assert_refused(relay_decode_backends(&c, &out), "out of range");
}

static void ports(void **state)
{
	struct cursor c;
	uint32_t id;
	uint16_t port;

	(void)state;
	relay_encode_port(&f, 12, 40000);
	c = opened(RELAY_PROXY_PORT);
	assert_null(relay_decode_port(&c, &id, &port));
	assert_int_equal(id, 12);
	assert_int_equal(port, 40000);
	relay_encode_close(&f, 13);
	c = opened(RELAY_PROXY_PORT_CLOSE);
	assert_null(relay_decode_close(&c, &id));
	assert_int_equal(id, 13);
	relay_encode_close(&f, RELAYS_MAX);
	c = opened(RELAY_PROXY_PORT_CLOSE);
	assert_refused(relay_decode_close(&c, &id), "out of range");
}

/* The mode decides whether there are any, the flag which. */
static void ranges(void **state)
{
	struct config cfg = {
	    .mode = MODE_IPTABLES, .proxy_port_low = 5000, .proxy_port_high = 5009};
	struct relay_open o = {.name = "a/b", .proto = PROTO_TCP};
	struct relay_ports r;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(relay_ports_of(&cfg).low + relay_ports_of(&cfg).high, 0);
	assert_false(relays_wanted(&cfg));
	cfg.mode = MODE_USERSPACE;
	assert_true(relays_wanted(&cfg));
	r = relay_ports_of(&cfg);
	assert_int_equal(r.low, 5000);
	assert_int_equal(r.high, 5009);
	for (int i = 0; i < 200; i++) {
		uint16_t port;

		o.name[2] = (char)('a' + i % 26);
		o.name[0] = (char)('a' + i / 26);
		o.local_list = i % 2;
		port = relay_first_port(&r, &o);
		assert_in_range(port, r.low, r.high);
		assert_int_equal(port, relay_first_port(&r, &o));
		seen |= 1u << (port - r.low);
	}
	assert_int_equal(seen, 0x3ff);
	cfg.proxy_port_low = cfg.proxy_port_high = 0;
	r = relay_ports_of(&cfg);
	assert_int_equal(r.low, 32768); /* behind the node ports */
	assert_int_equal(r.high, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opens),
	    cmocka_unit_test(backends),
	    cmocka_unit_test(bad_backends),
	    cmocka_unit_test(ports),
	    cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
