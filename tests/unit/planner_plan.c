/* The core as a function: objects in, transactions out, a kernel that follows them. */
#include "planner_world.h"

static void test_nothing_before_everything_is_known(void **state)
{
	struct world *w = world_new();
	struct store *s = plan_store(w->plan);

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	world_snapshot(w);
	assert_false(world_sync(w));
	store_list_begin(s, KIND_SERVICE);
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	assert_null(store_list_end(s, KIND_SERVICE));
	assert_false(world_sync(w));
	store_list_begin(s, KIND_SLICE);
	assert_false(world_sync(w));
	assert_null(store_list_end(s, KIND_SLICE));
	assert_true(world_sync(w));
	assert_non_null(store_list_end(s, KIND_SLICE)); /* an end without a beginning */
	world_free(w);
	w = world_new();
	world_listed(w);
	assert_false(world_sync(w)); /* no snapshot */
	world_snapshot(w);
	assert_true(world_sync(w));
	world_free(w);
}

/* New chains come first in a table and in descending order of names. */
static void test_order_of_puts(void **state)
{
	struct world *w = programmed();
	char *save = NULL, last[64] = "~", *name;

	(void)state;
	put_slice(w, "a/web-1", "web", "http:8080/tcp",
	    "10.1.0.2=r 10.1.0.3=r 10.1.0.4=r 10.1.0.5=r 10.1.0.6=r 10.1.0.7=r 10.1.0.8=r");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 7);
	for (int i = 0; i < 6; i++) {
		name = strtok_r(i == 0 ? w->put : NULL, " ", &save);
		assert_non_null(name);
		assert_memory_equal(name, "KUBE-SEP-", 9);
		assert_true(strcmp(name, last) < 0);
		snprintf(last, sizeof(last), "%s", name);
	}
	assert_string_equal(strtok_r(NULL, " ", &save), svc("a/web:http"));
	snprintf(last, sizeof(last), "%s ", sep("a/web:http", "10.1.0.1:8080"));
	assert_string_equal(w->deleted, last);
	world_free(w);
}

static void test_equal_objects_cause_nothing(void **state)
{
	struct world *w = programmed();

	(void)state;
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	store_service_del(plan_store(w->plan), "a", "nobody");
	store_slice_del(plan_store(w->plan), "a", "nobody");
	assert_false(plan_waiting(w->plan));
	/* Other order, another port nobody asks for: looked at, but nothing to write. */
	put_slice(w, "a/web-1", "web", "http:8080/tcp x:1/tcp", "10.1.0.2=r 10.1.0.1=r");
	assert_true(plan_waiting(w->plan));
	assert_false(world_sync(w));
	assert_int_equal(w->apply.generation, 1);
	assert_false(plan_waiting(w->plan));
	world_free(w);
}

static void test_a_change_touches_its_service_only(void **state)
{
	struct world *w = programmed();

	(void)state;
	for (int i = 0; i < 50; i++) {
		char name[32], slice[32], ip[32];

		snprintf(name, sizeof(name), "b/s%d", i);
		snprintf(slice, sizeof(slice), "b/s%d-x", i);
		snprintf(ip, sizeof(ip), "10.0.1.%d", i + 1);
		put_service(w, name, ip, "http:80/tcp");
		put_slice(w, slice, name + 2, "http:80/tcp", "10.2.0.1=r");
	}
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 50 * 2 + 1); /* and nat KUBE-SERVICES */
	put_slice(w, "b/s7-x", "s7", "http:80/tcp", "10.2.0.1=r 10.2.0.2=r");
	assert_true(world_sync(w));
	assert_int_equal(w->counts.services, 1);
	assert_int_equal(w->puts, 2);
	assert_int_equal(w->deletes, 0);
	put_slice(w, "b/s7-x", "s7", "http:80/tcp", "10.2.0.2=r");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 1);
	assert_int_equal(w->deletes, 1);
	world_free(w);
}

static void test_first_and_last_endpoint(void **state)
{
	struct world *w = programmed();

	(void)state;
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=s");
	assert_true(world_sync(w));
	assert_string_equal(w->put, "KUBE-SERVICES f:KUBE-SERVICES ");
	assert_int_equal(w->deletes, 3);
	assert_no_chain(w, svc("a/web:http"));
	assert_rules(w, "f:KUBE-SERVICES",
	    "-A KUBE-SERVICES -d 10.0.0.2/32 -p udp -m comment --comment \"a/empty has no "
	    "endpoints\" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable\n"
	    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment \"a/web:http has no "
	    "endpoints\" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable\n");
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=st");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 4);
	store_service_del(plan_store(w->plan), "a", "web");
	assert_true(world_sync(w));
	assert_string_equal(w->put, "KUBE-SERVICES ");
	assert_int_equal(w->deletes, 2);
	/* The slice was there first this time. */
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 3);
	world_free(w);
}

static void test_relist_sweeps(void **state)
{
	struct world *w = programmed();
	struct store *s = plan_store(w->plan);

	(void)state;
	store_list_begin(s, KIND_SERVICE);
	/* A deletion within the list waits for its end, and a later put takes it back. */
	store_service_del(s, "a", "web");
	assert_false(plan_waiting(w->plan));
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	assert_null(store_list_end(s, KIND_SERVICE));
	assert_true(world_sync(w));
	assert_string_equal(w->put, "f:KUBE-SERVICES "); /* without a/empty */
	assert_int_equal(w->deletes, 0);

	store_list_begin(s, KIND_SLICE);
	put_slice(w, "a/web-2", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.3=r");
	assert_true(world_sync(w));
	assert_int_equal(w->deletes, 0); /* web-1 still counts */
	assert_null(store_list_end(s, KIND_SLICE));
	assert_true(world_sync(w));
	assert_int_equal(w->deletes, 1);
	assert_no_chain(w, sep("a/web:http", "10.1.0.1:8080"));

	/* A list that breaks off and begins anew. */
	store_list_begin(s, KIND_SLICE);
	put_slice(w, "a/web-2", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.3=r");
	store_list_begin(s, KIND_SLICE);
	assert_null(store_list_end(s, KIND_SLICE));
	assert_true(world_sync(w));
	assert_no_chain(w, svc("a/web:http"));
	world_free(w);
}

/* A planner that starts on a kernel that is as it should be writes nothing. */
static void test_restart(void **state)
{
	struct world *w = programmed();
	struct ipt_chain stray = {.table = IPT_NAT, .kind = CHAIN_SVC, .hash = {1}};

	(void)state;
	plan_free(w->plan);
	w->plan = plan_new(&w->cfg);
	world_listed(w);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r 10.1.0.1=r");
	put_service(w, "a/empty", "10.0.0.2", ":53/udp");
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	world_snapshot(w);
	assert_false(world_sync(w));
	assert_int_equal(w->counts.services, 2);
	assert_int_equal(w->counts.endpoints, 2);

	/* A chain too many, a rule too few, a hook gone: that and nothing else is put right. */
	kernel_put(w, &stray);
	stray.hash[0] = 2;
	kernel_put(w, &stray);
	memset(stray.hash, 0, sizeof(stray.hash));
	stray.kind = CHAIN_POSTROUTING;
	kernel_find(w, &stray)->count--;
	w->hooks[FAMILY_6] &= ~4u;
	plan_forget(w->plan);
	assert_false(world_sync(w)); /* not before the snapshot */
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_string_equal(w->put, "KUBE-POSTROUTING ");
	assert_int_equal(w->deletes, 2);
	assert_int_equal(w->hook_ops, 1);
	world_free(w);
}

static void drop_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

/* What was planned while a transaction fails comes with the difference to the next snapshot. */
/* What other kube-proxies left goes with the first transaction, and is never made again. */
static void test_leftovers(void **state)
{
	struct world *w = world_new();
	struct ipt_chain left = {.table = IPT_NAT, .kind = CHAIN_XLB, .hash = {1}};

	(void)state;
	assert_null(kernel_put(w, &left));
	for (left.kind = CHAIN_XLB + 1; left.kind < CHAIN_KIND_COUNT; left.kind++) {
		left.family = FAMILY_6;
		left.table =
		    ipt_chain_kinds[left.kind].tables & 1u << IPT_FILTER ? IPT_FILTER : IPT_NAT;
		memset(left.hash, 0, sizeof(left.hash));
		assert_null(kernel_put(w, &left));
	}
	w->hooks[FAMILY_6] = (1u << IPT_HOOK_COUNT) - 1;
	world_listed(w);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(w->deletes, CHAIN_KIND_COUNT - CHAIN_LEFTOVERS);
	assert_non_null(strstr(w->deleted, "KUBE-XLB-AEAAAAAAAAAAAAAA "));
	assert_int_equal(w->hook_ops, IPT_HOOK_COUNT); /* on in one family, off in the other */
	assert_int_equal(w->hooks[FAMILY_4], (1u << IPT_HOOK_LEFTOVERS) - 1);
	assert_int_equal(w->hooks[FAMILY_6], (1u << IPT_HOOK_LEFTOVERS) - 1);
	world_free(w);
}

static void test_failure(void **state)
{
	struct world *w = programmed();
	struct plan_counts n;
	struct apply lost;

	(void)state;
	apply_init(&lost, drop_frame, NULL);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.9=r");
	store_service_del(plan_store(w->plan), "a", "empty");
	plan_sync(w->plan, &apply_operations, &lost, &n);
	assert_int_equal(n.puts, 3);
	plan_forget(w->plan);
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.8=r");
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 3);
	assert_int_equal(w->deletes, 1);
	world_free(w);
}

/* 1,010 endpoints of one service: more than the layout with a chain per endpoint is for. */
static void put_many(struct world *w, const char *name, const char *base)
{
	static char words[1010 * 24];
	size_t len = 0;

	for (unsigned i = 0; i < 1010; i++)
		len += (size_t)snprintf(
		    words + len, sizeof(words) - len, "%s%u.%u=r ", base, i / 250, 1 + i % 250);
	put_slice(w, name, "many", "http:80/tcp", words);
}

static void test_layout_of_large_clusters(void **state)
{
	struct world *w = programmed();
	char want[512];

	(void)state;
	put_service(w, "a/many", "10.0.0.9", "http:80/tcp");
	put_many(w, "a/many-1", "10.9.");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 5); /* web, many, nat KUBE-SERVICES, both KUBE-POSTROUTING */
	assert_int_equal(w->deletes, 2);
	assert_int_equal(w->counts.endpoints, 1012);
	snprintf(want, sizeof(want),
	    "-A %s -p tcp -m statistic --mode random --probability 0.50000000000 -m tcp -j DNAT "
	    "--to-destination 10.1.0.1:8080\n"
	    "-A %s -p tcp -m tcp -j DNAT --to-destination 10.1.0.2:8080\n",
	    svc("a/web:http"), svc("a/web:http"));
	assert_rules(w, svc("a/web:http"), want);
	assert_rules(w, "KUBE-POSTROUTING",
	    "-A KUBE-POSTROUTING -m conntrack --ctstate DNAT -m bpf --bytecode "
	    "\"6,32 0 0 12,7 0 0 0,32 0 0 16,29 0 1 0,6 0 0 1,6 0 0 0\" -m comment --comment "
	    "\"kubernetes endpoints that reach themselves\" -j MASQUERADE --random-fully\n"
	    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
	    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n"
	    "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring "
	    "SNAT\" -j MASQUERADE --random-fully\n");
	/* One change is one chain. */
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.2=r");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 1);
	assert_int_equal(w->deletes, 0);
	/* After a restart there is nothing to write. */
	plan_forget(w->plan);
	world_snapshot(w);
	assert_false(world_sync(w));
	/* A kernel that cannot do it gets the other layout, and back it does not go. */
	plan_forget(w->plan);
	assert_true(plan_refuse_compact(w->plan));
	assert_false(plan_refuse_compact(w->plan));
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 2 + 1 + 1 + 1010 + 1);
	world_free(w);
}

static void test_layout_follows_the_size(void **state)
{
	struct world *w = programmed();

	(void)state;
	put_service(w, "a/many", "10.0.0.9", "http:80/tcp");
	put_many(w, "a/many-1", "10.9.");
	assert_true(world_sync(w));
	store_slice_del(plan_store(w->plan), "a", "many-1");
	assert_true(world_sync(w));
	/* web with its endpoints, nat and filter KUBE-SERVICES, both KUBE-POSTROUTING */
	assert_int_equal(w->puts, 7);
	assert_int_equal(w->deletes, 1);
	put_many(w, "a/many-1", "10.9.");
	assert_true(world_sync(w));
	assert_int_equal(w->counts.endpoints, 1012);
	world_free(w);
}

/* The same objects in any order give the same transaction. */
static void test_stable_order(void **state)
{
	char first[64 * 1024] = "", *rejects = NULL, *text;

	(void)state;
	for (int turn = 0; turn < 6; turn++) {
		struct world *w = world_new();

		world_listed(w);
		for (int k = 0; k < 20; k++) {
			int i = turn % 2 ? 19 - k : (k * (turn + 1)) % 20; /* 1, 3, 5 divide not */
			char name[32], slice[64], ip[32];

			if (turn == 4)
				i = k ^ 1;
			snprintf(name, sizeof(name), "n%d/s%d", i % 3, i);
			snprintf(ip, sizeof(ip), "10.0.1.%d", i + 1);
			put_service(w, name, ip,
			    turn % 2 ? "http:80/tcp :1/tcp z:2/tcp" : "z:2/tcp :1/tcp http:80/tcp");
			snprintf(slice, sizeof(slice), "n%d/x%d", i % 3, i);
			put_slice(w, slice, name + 3, "http:80/tcp", "10.2.0.1=r 10.2.0.2=st");
			snprintf(slice, sizeof(slice), "n%d/y%d", i % 3, i);
			put_slice(w, slice, name + 3, "http:80/tcp", "10.2.0.2=r 10.2.0.1=t");
		}
		world_snapshot(w);
		assert_true(world_sync(w));
		if (turn == 0)
			snprintf(first, sizeof(first), "%s", w->put);
		assert_string_equal(w->put, first);
		text = rules_of(w, "f:KUBE-SERVICES");
		assert_non_null(text);
		if (rejects == NULL)
			rejects = text;
		assert_string_equal(text, rejects);
		if (text != rejects)
			free(text);
		world_free(w);
	}
	free(rejects);
}

static void test_zone_changes(void **state)
{
	struct world *w = programmed();
	struct node n = {.name = "me", .zone = "a"};

	(void)state;
	put_slice(w, "a/web-1", "web", "http:8080/tcp", "10.1.0.1=r@a 10.1.0.2=r@b");
	assert_false(world_sync(w)); /* zone unknown: both, as before */
	plan_node(w->plan, &n);
	assert_true(world_sync(w));
	assert_int_equal(w->counts.services, 1);
	assert_no_chain(w, sep("a/web:http", "10.1.0.2:8080"));
	plan_node(w->plan, &n);
	assert_false(plan_waiting(w->plan));
	plan_node(w->plan, NULL);
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 2);
	world_free(w);
}

/* What the applier would refuse never reaches it; the rest of the object does. */
static void test_bad_objects(void **state)
{
	struct world *w = programmed();

	(void)state;
	put_service(w, "a/bad", "127.0.0.1 fd00::9", "http:80/tcp http:81/tcp Bad_Port:82/tcp");
	put_service(w, "a/Bad_Name", "10.0.0.9", "http:80/tcp");
	put_slice(w, "a/bad-1", "bad", "http:80/tcp", "fd01::1=r ::1=r fe80::1=r ff02::1=r");
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 3); /* one port, one endpoint, 6:KUBE-SERVICES */
	assert_int_equal(w->counts.endpoints, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_before_everything_is_known),
	    cmocka_unit_test(test_order_of_puts),
	    cmocka_unit_test(test_equal_objects_cause_nothing),
	    cmocka_unit_test(test_a_change_touches_its_service_only),
	    cmocka_unit_test(test_first_and_last_endpoint),
	    cmocka_unit_test(test_relist_sweeps),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_leftovers),
	    cmocka_unit_test(test_failure),
	    cmocka_unit_test(test_layout_of_large_clusters),
	    cmocka_unit_test(test_layout_follows_the_size),
	    cmocka_unit_test(test_stable_order),
	    cmocka_unit_test(test_zone_changes),
	    cmocka_unit_test(test_bad_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
