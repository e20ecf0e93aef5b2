/* The planner's conversations: objects in parts from the watcher, answers of the applier, pace. */
#include "planner_world.h"

#include "planner/feed.h"
#include "planner/pace.h"

static const char *feed_frame(struct feed *f, const struct frame *fr)
{
	struct cursor c;
	unsigned type;
	const char *why;

	assert_false(fr->overflow);
	assert_null(frame_open(fr->buf, fr->len, &type, &c));
	why = feed_message(f, type, &c);
	return why;
}

static void feed_list(struct feed *f, struct frame *fr, enum object_message m, enum object_kind k)
{
	objects_encode_list(fr, m, k);
	assert_null(feed_frame(f, fr));
}

/* A slice of 1,000 endpoints with long names takes several frames and is one object. */
static void test_slice_in_parts(void **state)
{
	struct world *w = world_new();
	struct frame *fr = malloc(sizeof(*fr));
	struct slice s = {.namespace = "a",
	    .name = "web-1",
	    .service = "web",
	    .port_count = 1,
	    .endpoint_count = SLICE_ENDPOINTS_MAX};
	struct feed f;
	uint32_t at = 0, parts = 0;

	(void)state;
	assert_non_null(fr);
	feed_init(&f, w->plan, NULL);
	s.ports = calloc(1, sizeof(*s.ports));
	s.endpoints = calloc(SLICE_ENDPOINTS_MAX, sizeof(*s.endpoints));
	assert_true(s.ports != NULL && s.endpoints != NULL);
	s.ports[0] = (struct slice_port){"", PROTO_TCP, 80};
	for (uint32_t i = 0; i < SLICE_ENDPOINTS_MAX; i++) {
		s.endpoints[i].addr =
		    (struct ip_addr){FAMILY_4, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
		s.endpoints[i].flags = EP_READY;
		memset(s.endpoints[i].node, 'n', NAME_MAX_SUBDOMAIN - 1);
	}
	put_service(w, "a/web", "10.0.0.1", ":80/tcp");
	feed_list(&f, fr, OBJ_LIST_BEGIN, KIND_SLICE);
	do {
		uint32_t next = objects_encode_slice(fr, &s, at, parts);

		/* Between the parts nothing else may come, nor another part than the next one. */
		if (parts == 1) {
			struct frame *other = malloc(sizeof(*other));

			assert_non_null(other);
			objects_encode_node_del(other);
			assert_non_null(feed_frame(&f, other));
			objects_encode_slice(other, &s, at, 7);
			assert_non_null(feed_frame(&f, other));
			free(other);
		}
		assert_null(feed_frame(&f, fr));
		at = next;
		parts++;
	} while (at < s.endpoint_count);
	assert_true(parts > 1);
	/* Continues a slice that has ended. */
	objects_encode_slice(fr, &s, 900, 1);
	assert_non_null(feed_frame(&f, fr));
	feed_list(&f, fr, OBJ_LIST_END, KIND_SLICE);
	feed_list(&f, fr, OBJ_LIST_BEGIN, KIND_SERVICE);
	put_service(w, "a/web", "10.0.0.1", ":80/tcp");
	feed_list(&f, fr, OBJ_LIST_END, KIND_SERVICE);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(w->counts.endpoints, 1000);
	feed_clear(&f);
	slice_clear(&s);
	free(fr);
	world_free(w);
}

static void test_every_message(void **state)
{
	struct world *w = world_new();
	struct frame *fr = malloc(sizeof(*fr));
	struct service_port port = {"http", PROTO_TCP, 80, 0};
	struct service s = {.namespace = "a",
	    .name = "web",
	    .cluster_ip_count = 1,
	    .port_count = 1,
	    .ports = &port,
	    .cluster_ips = {{FAMILY_4, {10, 0, 0, 1}}}};
	struct node n = {.name = "me", .zone = "z"};
	struct feed f;

	(void)state;
	assert_non_null(fr);
	feed_init(&f, w->plan, NULL);
	world_listed(w);
	world_snapshot(w);
	assert_true(world_sync(w));
	objects_encode_service(fr, &s);
	assert_null(feed_frame(&f, fr));
	assert_true(world_sync(w));
	assert_string_equal(w->put, "f:KUBE-SERVICES ");
	objects_encode_del(fr, OBJ_SERVICE_DEL, "a", "web");
	assert_null(feed_frame(&f, fr));
	assert_true(world_sync(w));
	objects_encode_del(fr, OBJ_SLICE_DEL, "a", "web");
	assert_null(feed_frame(&f, fr));
	assert_false(plan_waiting(w->plan));
	assert_int_equal(f.node, NODE_UNKNOWN);
	objects_encode_node(fr, &n);
	assert_null(feed_frame(&f, fr));
	assert_int_equal(f.node, NODE_ELIGIBLE);
	n.deleting = true;
	objects_encode_node(fr, &n);
	assert_null(feed_frame(&f, fr));
	assert_int_equal(f.node, NODE_INELIGIBLE);
	objects_encode_node_del(fr);
	assert_null(feed_frame(&f, fr));
	for (uint32_t count = 2; count-- > 0;) {
		const struct ip_cidr range = {{FAMILY_4, {10, 96}}, 16};

		objects_encode_service_cidrs(fr, &range, count);
		assert_null(feed_frame(&f, fr));
		assert_int_equal(plan_store(w->plan)->service_cidr_count, count);
		if (count > 0)
			assert_int_equal(plan_store(w->plan)->service_cidrs[0].bits, 16);
	}
	frame_begin(fr, OBJ_SERVICE_CIDRS + 1, 0);
	assert_non_null(feed_frame(&f, fr));
	frame_begin(fr, 0, 0);
	assert_non_null(feed_frame(&f, fr));
	frame_begin(fr, OBJ_NODE_DEL, 1);
	frame_uint(fr, 1);
	assert_non_null(feed_frame(&f, fr)); /* a field too many */
	feed_clear(&f);
	free(fr);
	world_free(w);
}

static void count_frame(void *arg, const struct frame *f)
{
	unsigned *frames = arg;

	assert_false(f->overflow);
	(*frames)++;
}

static void test_transactions(void **state)
{
	struct ipt_chain c = {.table = IPT_NAT, .kind = CHAIN_CANARY};
	struct txn_result r = {.generation = 1};
	unsigned frames = 0;
	bool applied = true;
	struct apply a;

	(void)state;
	apply_init(&a, count_frame, &frames);
	assert_false(apply_commit(&a)); /* nothing to say */
	assert_int_equal(frames, 0);
	assert_non_null(apply_result(&a, &r, &applied)); /* nothing was asked */
	apply_operations.chain_put(&a, &c);
	assert_true(apply_commit(&a));
	assert_int_equal(frames, 3); /* BEGIN, OPS, COMMIT */
	r.generation = 2;
	assert_non_null(apply_result(&a, &r, &applied));
	r.generation = 1;
	r.code = TXN_BUSY;
	assert_null(apply_result(&a, &r, &applied));
	assert_false(applied);
	assert_int_equal(a.base, 0);
	apply_operations.chain_delete(&a, &c);
	apply_operations.hook(&a, FAMILY_4, 0, true);
	assert_true(apply_commit(&a));
	r.generation = 2;
	r.code = TXN_UNCHANGED;
	assert_null(apply_result(&a, &r, &applied));
	assert_true(applied);
	assert_int_equal(a.base, 2);
	assert_non_null(apply_result(&a, &r, &applied)); /* answered before */
}

static void test_pace(void **state)
{
	struct pace p;

	(void)state;
	pace_init(&p, 1000, 50000);
	assert_int_equal(pace_wait(&p, 50000), 0);
	pace_spend(&p, 50000);
	assert_int_equal(pace_wait(&p, 50100), 0); /* two at once, ... */
	pace_spend(&p, 50100);
	assert_int_equal(pace_wait(&p, 50200), 800); /* ... then one a second */
	assert_int_equal(pace_wait(&p, 50700), 300);
	assert_int_equal(pace_wait(&p, 51000), 0);
	pace_spend(&p, 51000);
	assert_int_equal(pace_wait(&p, 51000), 1000);
	pace_spend(&p, 52000); /* by a timer: what was waited for this one is not the next one's */
	assert_int_equal(pace_wait(&p, 52000), 1000);
	/* However long it is quiet, no more than two. */
	assert_int_equal(pace_wait(&p, 9000000), 0);
	pace_spend(&p, 9000000);
	assert_int_equal(pace_wait(&p, 9000000), 0);
	pace_spend(&p, 9000000);
	assert_int_equal(pace_wait(&p, 9000000), 1000);
	pace_init(&p, 0, 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(pace_wait(&p, 0), 0);
		pace_spend(&p, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slice_in_parts),
	    cmocka_unit_test(test_every_message),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
