/* Flows and own addresses on the wire: what is written is read back, what is wrong is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/flows.h"
#include "ipc/objects.h"
#include "ipc/txn.h"

static struct frame f;

/* Stands on the first field of F, whose type must be TYPE. */
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

static void requests(void **state)
{
	uint8_t family = 7;
	struct cursor c;

	(void)state;
	for (uint8_t want = 0; want < FAMILY_COUNT; want++) {
		flows_encode_request(&f, want);
		c = opened(TXN_FLOWS_REQUEST);
		assert_null(flows_decode_request(&c, &family));
		assert_int_equal(family, want);
	}
	flows_encode_request(&f, FAMILY_COUNT);
	c = opened(TXN_FLOWS_REQUEST);
	assert_refused(flows_decode_request(&c, &family), "out of range");
}

/* A full part of the longest flows fits a frame and comes back as it was. */
static void parts(void **state)
{
	static struct flows_part in, out;
	struct cursor c;

	(void)state;
	in.count = FLOWS_PART_MAX;
	for (uint32_t i = 0; i < in.count; i++) {
		struct flow *w = &in.flows[i];

		w->dst.family = w->src.family = i % 2 == 0 ? FAMILY_6 : FAMILY_4;
		memset(w->dst.b, (int)i, ip_len(w->dst.family));
		memset(w->src.b, 255 - (int)i, ip_len(w->src.family));
		w->dst_port = UINT16_MAX;
		w->src_port = (uint16_t)i;
	}
	flows_encode_part(&f, &in);
	c = opened(TXN_FLOWS);
	memset(&out, 0xff, sizeof(out));
	assert_null(flows_decode_part(&c, &out));
	assert_int_equal(out.count, in.count);
	for (uint32_t i = 0; i < in.count; i++) {
		assert_int_equal(ip_cmp(&out.flows[i].dst, &in.flows[i].dst), 0);
		assert_int_equal(ip_cmp(&out.flows[i].src, &in.flows[i].src), 0);
		assert_int_equal(out.flows[i].dst_port, in.flows[i].dst_port);
		assert_int_equal(out.flows[i].src_port, in.flows[i].src_port);
	}
	frame_begin(&f, TXN_FLOWS, 1);
	frame_array(&f, FLOWS_PART_MAX + 1);
	for (uint32_t i = 0; i <= FLOWS_PART_MAX; i++)
		frame_array(&f, 0);
	c = opened(TXN_FLOWS);
	assert_non_null(flows_decode_part(&c, &out));
}

static void write_places(const uint64_t *places, uint32_t count)
{
	frame_begin(&f, TXN_FLOWS_DELETE, 1);
	frame_array(&f, count);
	for (uint32_t i = 0; i < count; i++)
		frame_uint(&f, places[i]);
}

static void choices(void **state)
{
	static struct flows_choice in, out;
	struct cursor c;

	(void)state;
	for (uint32_t n = 0; n <= FLOWS_PART_MAX; n += FLOWS_PART_MAX) {
		in.count = n;
		for (uint32_t i = 0; i < n; i++)
			in.places[i] = (uint16_t)i;
		flows_encode_choice(&f, &in);
		c = opened(TXN_FLOWS_DELETE);
		assert_null(flows_decode_choice(&c, &out));
		assert_int_equal(out.count, n);
		assert_memory_equal(out.places, in.places, n * sizeof(in.places[0]));
	}
	write_places((const uint64_t[]){3, 3}, 2);
	c = opened(TXN_FLOWS_DELETE);
	assert_refused(flows_decode_choice(&c, &out), "flows out of order");
	write_places((const uint64_t[]){1, 4, 2}, 3);
	c = opened(TXN_FLOWS_DELETE);
	assert_refused(flows_decode_choice(&c, &out), "flows out of order");
	write_places((const uint64_t[]){FLOWS_PART_MAX}, 1);
	c = opened(TXN_FLOWS_DELETE);
	assert_refused(flows_decode_choice(&c, &out), "out of range");
}

static void ends(void **state)
{
	const struct flows_end in = {UINT64_MAX, 5, 95};
	struct flows_end out;
	struct cursor c;

	(void)state;
	flows_encode_end(&f, &in);
	c = opened(TXN_FLOWS_END);
	assert_null(flows_decode_end(&c, &out));
	assert_true(out.seen == in.seen && out.deleted == in.deleted && out.error == in.error);
}

static void own_addresses(void **state)
{
	static struct node_addrs_part in = {.first = true, .count = NODE_ADDRS_PART_MAX}, out;
	struct cursor c;

	(void)state;
	for (uint32_t i = 0; i < in.count; i++)
		in.addrs[i] =
		    (struct ip_addr){FAMILY_6, {0xfd, 1, [14] = (uint8_t)(i >> 8), (uint8_t)i}};
	objects_encode_node_addrs(&f, &in);
	c = opened(OBJ_NODE_ADDRS);
	assert_null(objects_decode_node_addrs(&c, &out));
	assert_true(out.first && !out.last && out.count == in.count);
	for (uint32_t i = 0; i < in.count; i++)
		assert_int_equal(ip_cmp(&out.addrs[i], &in.addrs[i]), 0);
}

static void service_ranges(void **state)
{
	struct ip_cidr in[SERVICE_CIDRS_MAX + 1], *out;
	struct cursor c;
	uint32_t n;

	(void)state;
	for (uint32_t i = 0; i <= SERVICE_CIDRS_MAX; i++)
		in[i] = (struct ip_cidr){{FAMILY_6, {0xfd, (uint8_t)(i >> 8), (uint8_t)i}}, 108};
	for (uint32_t count = 0; count <= SERVICE_CIDRS_MAX; count += 64) {
		objects_encode_service_cidrs(&f, in, count);
		c = opened(OBJ_SERVICE_CIDRS);
		assert_null(objects_decode_service_cidrs(&c, &out, &n));
		assert_int_equal(n, count);
		for (uint32_t i = 0; i < n; i++)
			assert_true(ip_cmp(&out[i].addr, &in[i].addr) == 0 && out[i].bits == 108);
		free(out);
	}
	objects_encode_service_cidrs(&f, in, SERVICE_CIDRS_MAX + 1);
	c = opened(OBJ_SERVICE_CIDRS);
	assert_string_equal(objects_decode_service_cidrs(&c, &out, &n), "too many elements");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests),
	    cmocka_unit_test(parts),
	    cmocka_unit_test(choices),
	    cmocka_unit_test(ends),
	    cmocka_unit_test(own_addresses),
	    cmocka_unit_test(service_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
