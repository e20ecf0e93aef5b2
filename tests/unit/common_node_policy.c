/* What the node's policy allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/node_policy.h"

static void add(struct node_prefixes *list, const char *text)
{
	assert_int_equal(ip_cidr_parse(&list->nets[list->count++], text), 0);
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, text), 0);
	return a;
}

static const char *frontend(const struct node_policy *p, const char *text)
{
	const struct ip_addr a = address(text);

	return node_policy_frontend(p, &a);
}

static const char *endpoint(const struct node_policy *p, const char *text)
{
	const struct ip_addr a = address(text);

	return node_policy_endpoint(p, &a);
}

static const char *drop(const struct node_policy *p, const char *text)
{
	struct ip_cidr net;

	assert_int_equal(ip_cidr_parse(&net, text), 0);
	return node_policy_drop(p, &net);
}

static void ports(void **state)
{
	const struct node_policy any = {0},
				 some = {.node_port_low = 30000, .node_port_high = 32767};

	(void)state;
	assert_null(node_policy_port(&any, 22));
	assert_null(node_policy_port(&some, 30000));
	assert_null(node_policy_port(&some, 32767));
	assert_non_null(node_policy_port(&some, 29999));
	assert_non_null(node_policy_port(&some, 32768));
	assert_non_null(node_policy_port(&some, 22));
}

/* A list without prefixes of a family allows nothing of it. */
static void addresses(void **state)
{
	struct node_policy p = {0};

	(void)state;
	assert_null(frontend(&p, "198.51.100.1"));
	assert_null(endpoint(&p, "2001:db8::1"));
	add(&p.frontends, "10.96.0.0/12");
	add(&p.frontends, "203.0.113.7/32");
	assert_null(frontend(&p, "10.111.255.255"));
	assert_null(frontend(&p, "203.0.113.7"));
	assert_non_null(frontend(&p, "203.0.113.8"));
	assert_non_null(frontend(&p, "fd00:96::1"));
	assert_null(endpoint(&p, "203.0.113.8"));
	add(&p.denied_endpoints, "168.63.129.16/32");
	assert_non_null(endpoint(&p, "168.63.129.16"));
	assert_null(endpoint(&p, "168.63.129.17"));
	add(&p.endpoints, "168.63.0.0/16");
	assert_non_null(endpoint(&p, "168.63.129.16"));
	assert_null(endpoint(&p, "168.63.129.17"));
	assert_non_null(endpoint(&p, "10.244.0.1"));
}

static void drops(void **state)
{
	struct node_policy p = {0};

	(void)state;
	assert_null(drop(&p, "10.0.0.0/8"));
	assert_null(drop(&p, "fd00:96::/48"));
	assert_non_null(drop(&p, "0.0.0.0/0"));
	assert_non_null(drop(&p, "10.0.0.0/7"));
	assert_non_null(drop(&p, "fd00::/47"));
	assert_non_null(drop(&p, "127.0.0.0/8"));
	assert_non_null(drop(&p, "224.0.0.0/8"));
	assert_non_null(drop(&p, "169.254.0.0/16"));
	assert_non_null(drop(&p, "fe80::/64"));
	add(&p.frontends, "10.96.0.0/12");
	assert_null(drop(&p, "10.96.0.0/12"));
	assert_null(drop(&p, "10.100.0.0/16"));
	assert_non_null(drop(&p, "10.0.0.0/8"));
	assert_non_null(drop(&p, "10.96.0.0/11"));
	assert_non_null(drop(&p, "10.128.0.0/16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ports),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
