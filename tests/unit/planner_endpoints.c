/* Which endpoints serve a port: conditions, hints, duplicates, matching of ports. */
#include "planner_world.h"

#include "planner/endpoints.h"

static struct stored_service *service_of(struct world *w, const char *ns, const char *name)
{
	struct stored_service *v;

	RB_FOREACH (v, service_tree, &plan_store(w->plan)->services)
		if (strcmp(v->namespace, ns) == 0 && strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* The endpoints of a/s's port INDEX in LIST as one line of text. */
static const char *listed(
    struct world *w, enum endpoint_list list, uint32_t index, uint8_t family, const char *zone)
{
	static char text[4096];
	struct chosen_endpoints out = {.e = NULL};
	size_t count = 0;

	endpoints_choose(&out, service_of(w, "a", "s"), index, family, zone);
	text[0] = '\0';
	for (size_t i = 0; i < out.count; i++) {
		assert_int_not_equal(out.e[i].lists, 0);
		if (!(out.e[i].lists & 1u << list))
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
		    count++ > 0 ? " " : "", out.e[i].text);
	}
	assert_int_equal(count, out.in_list[list]);
	endpoints_clear(&out);
	return text;
}

static const char *chosen(struct world *w, uint32_t index, uint8_t family, const char *zone)
{
	return listed(w, LIST_CLUSTER, index, family, zone);
}

static void test_conditions_and_hints(void **state)
{
	static const struct {
		const char *endpoints, *zone, *want;
	} cases[] = {
	    /* ready ones; without any, those serving while they terminate */
	    {"10.1.0.2=rs 10.1.0.1=rs", "", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=rs 10.1.0.2=st", "", "10.1.0.1:80"},
	    {"10.1.0.1=st 10.1.0.2=st 10.1.0.3=s 10.1.0.4=t", "", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=s 10.1.0.2=t", "", ""},
	    {"10.1.0.1=rst", "", "10.1.0.1:80"},
	    {"", "", ""},
	    /* as text: 10 before 2 */
	    {"10.1.0.2=r 10.1.0.10=r", "", "10.1.0.10:80 10.1.0.2:80"},
	    /* zones: all carry hints, and one names ours */
	    {"10.1.0.1=r@a 10.1.0.2=r@b", "a", "10.1.0.1:80"},
	    {"10.1.0.1=r@b,a 10.1.0.2=r@b", "a", "10.1.0.1:80"},
	    {"10.1.0.1=r@a 10.1.0.2=r@b", "", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=r@a 10.1.0.2=r@b", "c", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=r@a 10.1.0.2=r", "a", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=r@aa 10.1.0.2=r@a", "a", "10.1.0.2:80"},
	    /* only ready ones decide, and hints never hide terminating ones that must serve */
	    {"10.1.0.1=r@a 10.1.0.2=r@b 10.1.0.3=s", "a", "10.1.0.1:80"},
	    {"10.1.0.1=st@a 10.1.0.2=st@b", "a", "10.1.0.1:80 10.1.0.2:80"},
	    /* nodes before zones */
	    {"10.1.0.1=rh@a 10.1.0.2=rho@b", "a", "10.1.0.2:80"},
	    {"10.1.0.1=rh@a 10.1.0.2=rh@b", "a", "10.1.0.1:80"},
	    {"10.1.0.1=r@a 10.1.0.2=rho@b", "a", "10.1.0.1:80"},
	    {"10.1.0.1=r 10.1.0.2=rho", "", "10.1.0.1:80 10.1.0.2:80"},
	    /* what nothing may be sent to is left out */
	    {"127.0.0.1=r 169.254.169.254=r 224.0.0.1=r 0.0.0.0=r 10.1.0.1=r", "", "10.1.0.1:80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new();

		put_service(w, "a/s", "10.0.0.1", "http:80/tcp");
		put_slice(w, "a/x", "s", "http:80/tcp", cases[i].endpoints);
		assert_string_equal(chosen(w, 0, FAMILY_4, cases[i].zone), cases[i].want);
		world_free(w);
	}
}

/* The local list is decided by itself. */
static void test_local(void **state)
{
	static const struct {
		const char *endpoints, *cluster, *local;
	} cases[] = {
	    {"10.1.0.1=rl 10.1.0.2=r", "10.1.0.1:80 10.1.0.2:80", "10.1.0.1:80"},
	    {"10.1.0.1=r 10.1.0.2=r", "10.1.0.1:80 10.1.0.2:80", ""},
	    /* those that end serve here though others are ready elsewhere, not among them */
	    {"10.1.0.1=stl 10.1.0.2=r", "10.1.0.2:80", "10.1.0.1:80"},
	    {"10.1.0.1=stl 10.1.0.2=rl 10.1.0.3=st", "10.1.0.2:80", "10.1.0.2:80"},
	    {"10.1.0.1=stl 10.1.0.2=st", "10.1.0.1:80 10.1.0.2:80", "10.1.0.1:80"},
	    {"10.1.0.1=sl 10.1.0.2=tl 10.1.0.3=r", "10.1.0.3:80", ""},
	    /* hints are the cluster's affair */
	    {"10.1.0.1=rl@b 10.1.0.2=r@a", "10.1.0.2:80", "10.1.0.1:80"},
	    {"10.1.0.1=rhl 10.1.0.2=rho", "10.1.0.2:80", "10.1.0.1:80"},
	    {"10.1.0.1=rlho 10.1.0.2=rh", "10.1.0.1:80", "10.1.0.1:80"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new();

		put_service(w, "a/s", "10.0.0.1", "http:80/tcp");
		put_slice(w, "a/x", "s", "http:80/tcp", cases[i].endpoints);
		assert_string_equal(chosen(w, 0, FAMILY_4, "a"), cases[i].cluster);
		assert_string_equal(listed(w, LIST_LOCAL, 0, FAMILY_4, "a"), cases[i].local);
		world_free(w);
	}
}

/* Without a name of our own nothing is local. */
static void test_no_node_name(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->cfg.node_name[0] = '\0';
	put_service(w, "a/s", "10.0.0.1", "http:80/tcp");
	put_slice(w, "a/x", "s", "http:80/tcp", "10.1.0.1=rl");
	assert_string_equal(listed(w, LIST_LOCAL, 0, FAMILY_4, ""), "");
	world_free(w);
}

/* The same address in two slices, which come in either order. */
static void test_duplicates(void **state)
{
	static const struct {
		const char *one, *other, *want;
	} cases[] = {
	    {"10.1.0.1=r", "10.1.0.1=r", "10.1.0.1:80"},
	    {"10.1.0.1=rs", "10.1.0.1=st", "10.1.0.1:80"},
	    {"10.1.0.1=st", "10.1.0.1=t", "10.1.0.1:80"},
	    /* not terminating wins: then neither ready nor terminating, it serves nobody */
	    {"10.1.0.1=s", "10.1.0.1=st", ""},
	    {"10.1.0.1=st 10.1.0.2=rs", "10.1.0.1=rs", "10.1.0.1:80 10.1.0.2:80"},
	    {"10.1.0.1=rs@a 10.1.0.2=rs@b", "10.1.0.1=st", "10.1.0.1:80"},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_new();
		bool swap = i & 1;

		put_service(w, "a/s", "10.0.0.1", "http:80/tcp");
		put_slice(w, swap ? "a/y" : "a/x", "s", "http:80/tcp", cases[i / 2].one);
		put_slice(w, swap ? "a/x" : "a/y", "s", "http:80/tcp", cases[i / 2].other);
		assert_string_equal(chosen(w, 0, FAMILY_4, "a"), cases[i / 2].want);
		world_free(w);
	}
}

static void test_ports_match_by_name_and_protocol(void **state)
{
	struct world *w = world_new();

	(void)state;
	/* Sorted: "" tcp, "" udp, dns udp, http tcp. */
	put_service(w, "a/s", "10.0.0.1 fd00::1", "http:80/tcp dns:53/udp :1/tcp :2/udp");
	put_slice(w, "a/x", "s", "http:8080/tcp dns:5353/tcp :9/udp", "10.1.0.1=r");
	put_slice(w, "a/y", "s", "http:8081/tcp", "10.1.0.1=r");
	put_slice(w, "a/z", "s", "dns:5353/udp", "fd00:1::1=r");
	put_slice(w, "a/o", "other", "http:8082/tcp", "10.1.0.9=r");
	put_slice(w, "b/o", "s", "http:8083/tcp", "10.1.0.9=r");
	assert_string_equal(chosen(w, 0, FAMILY_4, ""), "");
	assert_string_equal(chosen(w, 1, FAMILY_4, ""), "10.1.0.1:9");
	assert_string_equal(chosen(w, 2, FAMILY_4, ""), "");
	assert_string_equal(chosen(w, 2, FAMILY_6, ""), "[fd00:1::1]:5353");
	/* one address with two numbers for one name, in two slices: both, as they are */
	assert_string_equal(chosen(w, 3, FAMILY_4, ""), "10.1.0.1:8080 10.1.0.1:8081");
	assert_string_equal(chosen(w, 3, FAMILY_6, ""), "");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_conditions_and_hints),
	    cmocka_unit_test(test_local),
	    cmocka_unit_test(test_no_node_name),
	    cmocka_unit_test(test_duplicates),
	    cmocka_unit_test(test_ports_match_by_name_and_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
