/* API objects to the planner's: what a real apiserver answered, and what no server should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/decode.h"

#define RECORDINGS "tests/data/recordings/"

static json_t *load(const char *name)
{
	char path[256];
	json_error_t err;
	json_t *json;

	snprintf(path, sizeof(path), RECORDINGS "%s", name);
	json = json_load_file(path, 0, &err);
	if (json == NULL)
		fail_msg("%s:%d: %s", path, err.line, err.text);
	return json;
}

static const json_t *item(const json_t *list, const char *name)
{
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(list, "items"), i, one) {
		const json_t *meta = json_object_get(one, "metadata");

		if (strcmp(json_string_value(json_object_get(meta, "name")), name) == 0)
			return one;
	}
	fail_msg("no %s", name);
	return NULL;
}

static json_t *parse(const char *text)
{
	json_error_t err;
	char *copy = strdup(text);
	json_t *json;

	/* Single quotes, to be readable here. */
	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(copy, 0, &err);
	if (json == NULL)
		fail_msg("%s: %s", copy, err.text);
	free(copy);
	return json;
}

static void assert_ip(const struct ip_addr *a, const char *text)
{
	char buf[IP_STRLEN];

	assert_string_equal(ip_format(a, buf), text);
}

static void assert_cidr(const struct ip_cidr *c, const char *text)
{
	char buf[CIDR_STRLEN];

	assert_string_equal(ip_cidr_format(c, buf), text);
}

static const char *hex(const uint8_t uid[SERVICE_UID_LEN], char text[2 * SERVICE_UID_LEN + 1])
{
	for (size_t i = 0; i < SERVICE_UID_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", uid[i]);
	return text;
}

/* --- the recordings --- */

/* A server's object says both, and a UUID's digits are its bytes. */
static void check_identity(const json_t *object, const struct service *s)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *uid = json_string_value(json_object_get(meta, "uid"));
	char text[2 * SERVICE_UID_LEN + 1], want[64] = "";

	for (; *uid != '\0'; uid++)
		if (*uid != '-')
			strncat(want, uid, 1);
	assert_string_equal(hex(s->uid, text), want);
	assert_in_range(s->created, 1700000000, 4000000000);
}

static void test_service_web(void **state)
{
	json_t *list = load("services-list.json.body");
	struct service s;

	(void)state;
	assert_int_equal(decode_service(item(list, "web"), &s), DECODE_OK);
	assert_string_equal(s.namespace, "shop");
	assert_string_equal(s.name, "web");
	assert_int_equal(s.cluster_ip_count, 2);
	assert_int_equal(s.cluster_ips[0].family, FAMILY_4);
	assert_int_equal(s.cluster_ips[1].family, FAMILY_6);
	assert_int_equal(s.port_count, 2);
	assert_string_equal(s.ports[1].name, "metrics");
	assert_int_equal(s.ports[1].port, 9090);
	assert_int_equal(s.ports[1].proto, PROTO_TCP);
	assert_int_equal(s.affinity_seconds, 0);
	assert_false(s.internal_local);
	check_identity(item(list, "web"), &s);
	service_clear(&s);
	json_decref(list);
}

static void test_service_identity(void **state)
{
	static const struct {
		const char *meta;
		uint64_t created;
		const char *uid; /* as hexadecimal digits */
	} cases[] = {
	    {"", 0, "00000000000000000000000000000000"},
	    {",'creationTimestamp':null,'uid':7", 0, "00000000000000000000000000000000"},
	    {",'creationTimestamp':'2026-01-02T03:04:05Z'", 1767323045,
		"00000000000000000000000000000000"},
	    {",'creationTimestamp':'yesterday'", 0, "00000000000000000000000000000000"},
	    {",'uid':'01234567-89aB-cdef-0123-456789ABCDEF'", 0,
		"0123456789abcdef0123456789abcdef"},
	    /* none of these is a UUID */
	    {",'uid':'ab'", 0, "61620000000000000000000000000000"},
	    {",'uid':'01234567-89ab-cdef-0123-456789abcdeg'", 0,
		"30313233343536372d383961622d6364"},
	    {",'uid':'01234567-89ab-cdef-0123-456789abcdef0'", 0,
		"30313233343536372d383961622d6364"},
	    {",'uid':'0123456789abcdef0123456789abcdef'", 0, "30313233343536373839616263646566"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], uid[2 * SERVICE_UID_LEN + 1];
		struct service s;
		json_t *json;

		snprintf(text, sizeof(text),
		    "{'metadata':{'namespace':'a','name':'b'%s},'spec':{'clusterIP':'10.0.0.1',"
		    "'ports':[{'port':80}]}}",
		    cases[i].meta);
		json = parse(text);
		assert_int_equal(decode_service(json, &s), DECODE_OK);
		assert_int_equal(s.created, cases[i].created);
		assert_string_equal(hex(s.uid, uid), cases[i].uid);
		service_clear(&s);
		json_decref(json);
	}
}

static void test_service_kinds(void **state)
{
	json_t *list = load("services-list.json.body");
	struct service s;

	(void)state;
	assert_int_equal(decode_service(item(list, "api"), &s), DECODE_OK);
	assert_int_equal(s.ports[0].node_port, 30443);
	assert_int_equal(s.affinity_seconds, 600);
	assert_true(s.internal_local);
	assert_false(s.external_local);
	service_clear(&s);

	assert_int_equal(decode_service(item(list, "shopfront"), &s), DECODE_OK);
	assert_true(s.external_local);
	assert_int_equal(s.health_check_node_port, 31234);
	assert_int_equal(s.source_range_count, 2);
	assert_cidr(&s.source_ranges[0], "203.0.113.0/24");
	assert_cidr(&s.source_ranges[1], "198.51.100.7/32");
	assert_int_equal(s.external_ip_count, 1);
	assert_ip(&s.external_ips[0], "192.0.2.50");
	assert_int_equal(s.lb_ip_count, 1);
	assert_ip(&s.lb_ips[0], "203.0.113.99");
	service_clear(&s);

	assert_int_equal(decode_service(item(list, "signalling"), &s), DECODE_OK);
	assert_int_equal(s.ports[0].proto, PROTO_SCTP);
	service_clear(&s);
	assert_int_equal(decode_service(item(list, "dns"), &s), DECODE_OK);
	assert_int_equal(s.ports[0].proto, PROTO_UDP);
	service_clear(&s);
	json_decref(list);
}

static void test_slices(void **state)
{
	json_t *list = load("endpointslices-list.json.body");
	struct slice s;

	(void)state;
	assert_int_equal(decode_slice(item(list, "web-4a"), "node-a", &s), DECODE_OK);
	assert_string_equal(s.service, "web");
	assert_int_equal(s.family, FAMILY_4);
	assert_int_equal(s.port_count, 2);
	assert_int_equal(s.ports[1].port, 9100);
	assert_int_equal(s.endpoint_count, 3);
	assert_ip(&s.endpoints[0].addr, "10.244.1.10");
	assert_string_equal(s.endpoints[0].node, "node-a");
	assert_int_equal(s.endpoints[0].flags, EP_READY | EP_SERVING);
	assert_int_equal(s.endpoints[0].zone_hint_count, 1);
	assert_string_equal(s.endpoints[0].zone_hints[0], "z1");
	assert_int_equal(s.endpoints[2].flags, EP_SERVING | EP_TERMINATING);
	slice_clear(&s);

	assert_int_equal(decode_slice(item(list, "web-6a"), "node-a", &s), DECODE_OK);
	assert_int_equal(s.family, FAMILY_6);
	assert_ip(&s.endpoints[0].addr, "fd00:10:244:1::10");
	slice_clear(&s);

	assert_int_equal(decode_slice(item(list, "dns-1"), "node-a", &s), DECODE_OK);
	assert_int_equal(s.endpoints[1].flags, EP_READY | EP_SERVING); /* conditions: {} */
	slice_clear(&s);

	assert_int_equal(decode_slice(item(list, "headless-1"), "node-a", &s), DECODE_SKIP);
	assert_string_equal(s.name, "headless-1");
	slice_clear(&s);
	json_decref(list);
}

static void test_node(void **state)
{
	json_t *json = load("node-get.json.body");
	struct node n;

	(void)state;
	assert_int_equal(decode_node(json, &n), DECODE_OK);
	assert_string_equal(n.name, "node-a");
	assert_string_equal(n.zone, "z1");
	assert_int_equal(n.addr_count, 2); /* not the host name */
	assert_ip(&n.addrs[0], "192.168.9.11");
	assert_ip(&n.addrs[1], "fd00:192::11");
	assert_int_equal(n.pod_cidr_count, 2);
	assert_cidr(&n.pod_cidrs[1], "fd00:10:244:1::/64");
	assert_false(n.deleting);
	json_decref(json);
}

/* The first address of a family is the node's own: the API's order within a type, InternalIPs
 * first. */
static void test_node_address_order(void **state)
{
	static const char *const wanted[] = {
	    "10.0.0.2", "fd00::2", "10.0.0.3", "192.0.2.1", "fd00::1"};
	json_t *json = json_loads("{\"metadata\":{\"name\":\"n\"},\"status\":{\"addresses\":["
				  "{\"type\":\"ExternalIP\",\"address\":\"192.0.2.1\"},"
				  "{\"type\":\"InternalIP\",\"address\":\"10.0.0.2\"},"
				  "{\"type\":\"Hostname\",\"address\":\"10.0.0.9\"},"
				  "{\"type\":\"ExternalIP\",\"address\":\"fd00::1\"},"
				  "{\"type\":\"InternalIP\",\"address\":\"not one\"},"
				  "{\"type\":\"InternalIP\",\"address\":\"fd00::2\"},"
				  "{\"type\":\"InternalIP\",\"address\":\"10.0.0.3\"}]}}",
	    0, NULL);
	struct node n;

	(void)state;
	assert_non_null(json);
	assert_int_equal(decode_node(json, &n), DECODE_OK);
	assert_int_equal(n.addr_count, sizeof(wanted) / sizeof(wanted[0]));
	for (uint32_t i = 0; i < n.addr_count; i++)
		assert_ip(&n.addrs[i], wanted[i]);
	json_decref(json);
}

/* --- cases --- */

#define META "'metadata':{'namespace':'ns','name':'n'}"

static const struct {
	const char *json;
	enum decode_result result;
} service_cases[] = {
    {"{" META ",'spec':{'clusterIP':'10.0.0.1'}}", DECODE_OK},
    {"{" META ",'spec':{'clusterIP':'None'}}", DECODE_SKIP},
    {"{" META ",'spec':{'clusterIP':''}}", DECODE_SKIP},
    {"{" META ",'spec':{}}", DECODE_SKIP},
    {"{" META "}", DECODE_SKIP},
    {"{" META ",'spec':{'type':'ExternalName','clusterIP':'10.0.0.1'}}", DECODE_SKIP},
    {"{'metadata':{'namespace':'ns','name':'n','labels':"
     "{'service.kubernetes.io/service-proxy-name':''}},'spec':{'clusterIP':'10.0.0.1'}}",
	DECODE_SKIP},
    {"{" META ",'spec':7}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':7}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'10.0.0.256'}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'127.0.0.1'}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'169.254.1.1'}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'10.0.0.1','ports':{}}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'10.0.0.1','loadBalancerSourceRanges':['x']}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'10.0.0.1','healthCheckNodePort':65536}}", DECODE_BAD},
    {"{" META ",'spec':{'clusterIP':'10.0.0.1','sessionAffinity':'ClientIP',"
     "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':86401}}}}",
	DECODE_BAD},
    {"{'metadata':{'name':'n'},'spec':{'clusterIP':'10.0.0.1'}}", DECODE_BAD},
    {"{'metadata':{'namespace':'ns'},'spec':{'clusterIP':'10.0.0.1'}}", DECODE_BAD},
    {"{'metadata':{'namespace':'ns','name':'A'},'spec':{'clusterIP':'10.0.0.1'}}", DECODE_BAD},
    {"{'metadata':{'namespace':'ns','name':'a\\\"b'},'spec':{'clusterIP':'10.0.0.1'}}", DECODE_BAD},
    {"{'metadata':{'namespace':'ns','name':"
     "'a234567890123456789012345678901234567890123456789012345678901234'}}",
	DECODE_BAD}, /* 64 */
    {"{'metadata':[]}", DECODE_BAD},
    {"[]", DECODE_BAD},
    {"'text'", DECODE_BAD},
};

static void test_service_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(service_cases) / sizeof(service_cases[0]); i++) {
		json_t *json;
		struct service s;
		enum decode_result r;

		if (service_cases[i].json[0] == '\'')
			json = json_string("text");
		else
			json = parse(service_cases[i].json);
		r = decode_service(json, &s);
		if (r != service_cases[i].result)
			fail_msg("%s: %d", service_cases[i].json, (int)r);
		service_clear(&s);
		json_decref(json);
	}
}

/* What is wrong in a part of a service is left out, the rest stands. */
static void test_service_parts(void **state)
{
	json_t *json = parse(
	    "{" META
	    ",'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','x','10.0.0.2','fd00::1'],"
	    "'ports':[{'port':80},{'port':0},{'port':65536},{'port':'81'},{'name':'x "
	    "y','port':82},7,"
	    "{'protocol':'ICMP','port':83},{'port':84,'protocol':'UDP','nodePort':-1},{},"
	    "{'name':'last','port':65535,'protocol':null}],"
	    "'externalIPs':['192.0.2.1','::1',5,'192.0.2.2'],"
	    "'loadBalancerSourceRanges':[' 10.1.0.0/16 ','bad','fd00::/8'],"
	    "'sessionAffinity':'ClientIP'},"
	    "'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.1','ipMode':'Proxy'},"
	    "{'hostname':'lb.example'},{'ip':'198.51.100.2','ipMode':'VIP'},{'ip':6},{'ip':'198.51."
	    "100.3'}]}}}");
	struct service s;

	(void)state;
	assert_int_equal(decode_service(json, &s), DECODE_OK);
	assert_int_equal(s.cluster_ip_count, 2);
	assert_ip(&s.cluster_ips[1], "fd00::1");
	assert_int_equal(s.port_count, 2);
	assert_string_equal(s.ports[0].name, "");
	assert_int_equal(s.ports[1].port, 65535);
	assert_int_equal(s.ports[1].proto, PROTO_TCP);
	assert_int_equal(s.external_ip_count, 2);
	assert_ip(&s.external_ips[1], "192.0.2.2");
	assert_int_equal(s.source_range_count, 2);
	assert_cidr(&s.source_ranges[0], "10.1.0.0/16");
	assert_int_equal(s.lb_ip_count, 2);
	assert_ip(&s.lb_ips[0], "198.51.100.2");
	assert_ip(&s.lb_ips[1], "198.51.100.3");
	assert_int_equal(s.affinity_seconds, 10800);
	service_clear(&s);
	json_decref(json);
}

#define SMETA                                                                                      \
	"'metadata':{'namespace':'ns','name':'n.x','labels':{'kubernetes.io/service-name':'s'}}"

static void test_slice_parts(void **state)
{
	json_t *json = parse(
	    "{" SMETA
	    ",'addressType':'IPv4','ports':[{'name':null,'port':80},{'name':'all','port':null},"
	    "{'name':'u','port':53,'protocol':'UDP'},{'port':70000}],"
	    "'endpoints':[{'addresses':['10.0.0.1','10.0.0.2']},{'addresses':[]},{},"
	    "{'addresses':['127.0.0.1']},{'addresses':['fd00::1']},{'addresses':['::ffff:10.0.0.9']"
	    "},"
	    "{'addresses':['10.0.0.3'],'conditions':{'ready':false}},"
	    "{'addresses':['10.0.0.4'],'conditions':{'ready':false,'serving':null,'terminating':"
	    "true}},"
	    "{'addresses':['10.0.0.5'],'conditions':{'ready':'yes'}},"
	    "{'addresses':['10.0.0.6'],'hints':{'forNodes':[{'name':'other'}]}},"
	    "{'addresses':['10.0.0.7'],'hints':{'forNodes':[{'name':'other'},{'name':'me'}],"
	    "'forZones':[{'name':'a'},{'name':'b'}]}}]}");
	struct slice s;

	(void)state;
	assert_int_equal(decode_slice(json, "me", &s), DECODE_OK);
	assert_string_equal(s.name, "n.x");
	assert_int_equal(s.port_count, 2);
	assert_string_equal(s.ports[0].name, "");
	assert_int_equal(s.ports[1].proto, PROTO_UDP);
	assert_int_equal(s.endpoint_count, 6);
	assert_ip(&s.endpoints[0].addr, "10.0.0.1");
	assert_ip(&s.endpoints[1].addr, "10.0.0.9");
	assert_int_equal(s.endpoints[2].flags, 0); /* serving follows ready */
	assert_int_equal(s.endpoints[3].flags, EP_TERMINATING);
	assert_int_equal(s.endpoints[4].flags, EP_READY | EP_SERVING | EP_NODE_HINTS);
	assert_int_equal(
	    s.endpoints[5].flags, EP_READY | EP_SERVING | EP_NODE_HINTS | EP_NODE_HINT_OURS);
	assert_int_equal(s.endpoints[5].zone_hint_count, 2);
	slice_clear(&s);
	json_decref(json);
}

static const struct {
	const char *json;
	enum decode_result result;
} slice_cases[] = {
    {"{" SMETA ",'addressType':'IPv6'}", DECODE_OK},
    {"{" SMETA ",'addressType':'IPv6','endpoints':null,'ports':null}", DECODE_OK},
    {"{" SMETA ",'addressType':'FQDN'}", DECODE_SKIP},
    {"{" META ",'addressType':'IPv4'}", DECODE_SKIP},
    {"{" SMETA ",'addressType':'ipv4'}", DECODE_BAD},
    {"{" SMETA "}", DECODE_BAD},
    {"{" SMETA ",'addressType':'IPv4','endpoints':'x'}", DECODE_BAD},
    {"{'metadata':{'namespace':'ns','name':'n','labels':{'kubernetes.io/service-name':'a.b'}},"
     "'addressType':'IPv4'}",
	DECODE_BAD},
    {"{'metadata':{'namespace':'n/s','name':'n','labels':{'kubernetes.io/service-name':'a'}},"
     "'addressType':'IPv4'}",
	DECODE_BAD},
};

static void test_slice_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(slice_cases) / sizeof(slice_cases[0]); i++) {
		json_t *json = parse(slice_cases[i].json);
		struct slice s;
		enum decode_result r = decode_slice(json, "me", &s);

		if (r != slice_cases[i].result)
			fail_msg("%s: %d", slice_cases[i].json, (int)r);
		slice_clear(&s);
		json_decref(json);
	}
}

static void test_slice_too_long(void **state)
{
	json_t *json = parse("{" SMETA ",'addressType':'IPv4','endpoints':[]}");
	json_t *list = json_object_get(json, "endpoints");
	struct slice s;

	(void)state;
	for (int i = 0; i < SLICE_ENDPOINTS_MAX; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.0.%d.%d", i / 250, i % 250 + 1);
		json_array_append_new(list, json_pack("{s:[s]}", "addresses", ip));
	}
	assert_int_equal(decode_slice(json, "me", &s), DECODE_OK);
	assert_int_equal(s.endpoint_count, SLICE_ENDPOINTS_MAX);
	slice_clear(&s);
	json_array_append_new(list, json_pack("{s:[s]}", "addresses", "10.9.9.9"));
	assert_int_equal(decode_slice(json, "me", &s), DECODE_BAD);
	slice_clear(&s);
	json_decref(json);
}

static void test_node_cases(void **state)
{
	static const struct {
		const char *json;
		const char *zone;
		bool deleting;
	} cases[] = {
	    {"{'metadata':{'name':'n'}}", "", false},
	    {"{'metadata':{'name':'n','labels':{'failure-domain.beta.kubernetes.io/zone':'old'}}}",
		"old", false},
	    {"{'metadata':{'name':'n','deletionTimestamp':'2026-11-22T08:11:58Z'}}", "", true},
	    {"{'metadata':{'name':'n'},'spec':{'taints':[{'key':'x'},"
	     "{'key':'ToBeDeletedByClusterAutoscaler','effect':'NoSchedule'}]}}",
		"", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = parse(cases[i].json);
		struct node n;

		assert_int_equal(decode_node(json, &n), DECODE_OK);
		assert_string_equal(n.zone, cases[i].zone);
		assert_int_equal(n.deleting, cases[i].deleting);
		json_decref(json);
	}
}

/* Before nodeName there was a key of topology (v1beta1). */
static void test_slice_topology(void **state)
{
	json_t *json =
	    parse("{'metadata':{'name':'s','namespace':'ns','labels':"
		  "{'kubernetes.io/service-name':'web'}},'addressType':'IPv4','endpoints':["
		  "{'addresses':['10.0.0.1'],'topology':{'kubernetes.io/hostname':'n1'}},"
		  "{'addresses':['10.0.0.2'],'nodeName':'n2','topology':"
		  "{'kubernetes.io/hostname':'h2'}},"
		  "{'addresses':['10.0.0.3'],'topology':{'topology.kubernetes.io/zone':'z'}},"
		  "{'addresses':['10.0.0.4'],'topology':[]}]}");
	struct slice s;

	(void)state;
	assert_int_equal(decode_slice(json, "n1", &s), DECODE_OK);
	assert_int_equal(s.endpoint_count, 3); /* the fourth is bad */
	assert_string_equal(s.endpoints[0].node, "n1");
	assert_string_equal(s.endpoints[1].node, "n2");
	assert_string_equal(s.endpoints[2].node, "");
	slice_clear(&s);
	json_decref(json);
}

/* When it was that endpoints changed for, in whatever form of RFC 3339 controllers write. */
static void test_cause(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1970-01-01T00:00:01.5Z", 1500},
	    {"2000-02-29T23:59:59Z", 951868799000},
	    {"2024-03-01T00:00:00Z", 1709251200000},
	    {"2026-11-22T17:30:00.123456789Z", 1795368600123},
	    {"2100-02-28T12:00:00.04Z", 4107499200040},
	    {"9999-12-31T23:59:60Z", 253402300800000},
	    {"", 0},
	    {"2026-11-22T17:30:00+01:00", 0},
	    {"2026-11-22 17:30:00Z", 0},
	    {"2026-13-01T00:00:00Z", 0},
	    {"2026-1-01T00:00:00Z", 0},
	    {"2026-11-22T17:30:00.Z1", 0},
	    {"-026-11-22T17:30:00Z", 0},
	    {"2026-11-22T17:30:0", 0},
	};
	struct slice s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		json_t *json;

		snprintf(text, sizeof(text),
		    "{'metadata':{'name':'s','namespace':'ns','labels':"
		    "{'kubernetes.io/service-name':'web'},'annotations':"
		    "{'endpoints.kubernetes.io/last-change-trigger-time':'%s'}},"
		    "'addressType':'IPv4'}",
		    cases[i].text);
		json = parse(text);
		assert_int_equal(decode_slice(json, "me", &s), DECODE_OK);
		if (s.caused_ms != cases[i].ms)
			fail_msg("%s: %llu", cases[i].text, (unsigned long long)s.caused_ms);
		slice_clear(&s);
		json_decref(json);
	}
}

/* What decode_endpoints() hands out, as text. */
static void on_endpoints_slice(void *arg, const struct slice *s)
{
	char *text = arg, ip[IP_STRLEN];
	size_t used = strlen(text);

	used += (size_t)snprintf(text + used, 2048 - used, "%s/%s of %s v%d:", s->namespace,
	    s->name, s->service, s->family == FAMILY_4 ? 4 : 6);
	for (uint32_t i = 0; i < s->port_count; i++)
		used += (size_t)snprintf(text + used, 2048 - used, " %s=%u", s->ports[i].name,
		    (unsigned)s->ports[i].port);
	for (uint32_t i = 0; i < s->endpoint_count; i++) {
		ip_format(&s->endpoints[i].addr, ip);
		used += (size_t)snprintf(text + used, 2048 - used, " %s@%s,%u", ip,
		    s->endpoints[i].node, (unsigned)s->endpoints[i].flags);
	}
	snprintf(text + used, 2048 - used, "; ");
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *json;
		enum decode_result result;
		uint32_t slices;
		const char *text;
	} cases[] = {
	    {"{'subsets':[{'addresses':[{'ip':'10.0.0.1','nodeName':'n1'},{'ip':'10.0.0.2'}],"
	     "'notReadyAddresses':[{'ip':'10.0.0.3'}],'ports':[{'name':'p','port':80}]}]}",
		DECODE_OK, 1, "ns/web of web v4: p=80 10.0.0.1@n1,3 10.0.0.2@,3 10.0.0.3@,0; "},
	    {"{'subsets':[{'addresses':[{'ip':'10.0.0.1'}],'ports':[{'port':80}]},"
	     "{'addresses':[{'ip':'10.0.0.2'},{'ip':'fd00::2'}],'ports':[{'port':81}]}]}",
		DECODE_OK, 3,
		"ns/web of web v4: =80 10.0.0.1@,3; ns/web/1 of web v4: =81 10.0.0.2@,3; "
		"ns/web/2 of web v6: =81 fd00::2@,3; "},
	    {"{}", DECODE_OK, 0, ""},
	    {"{'subsets':null}", DECODE_OK, 0, ""},
	    {"{'subsets':[{'addresses':[]}]}", DECODE_OK, 0, ""},
	    {"{'subsets':{}}", DECODE_BAD, 0, ""},
	    /* what is bad is left out, and the rest counts */
	    {"{'subsets':[1,{'addresses':1,'ports':[]},{'addresses':[{'ip':'x'},{'ip':'10.0.0.1'},"
	     "7,{},{'ip':'127.0.0.1'},{'ip':'10.0.0.9','nodeName':5}],"
	     "'ports':[{'port':0},{'port':80},{'name':'X','port':81}]},"
	     "{'addresses':[{'ip':'10.0.0.2'}],'ports':'all'}]}",
		DECODE_OK, 1, "ns/web of web v4: =80 10.0.0.1@,3 10.0.0.9@,3; "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = parse(cases[i].json);
		struct endpoints_ids ids;
		char text[2048] = "";

		json_object_set_new(json, "metadata", parse("{'name':'web','namespace':'ns'}"));
		assert_int_equal(
		    decode_endpoints(json, &ids, on_endpoints_slice, text), cases[i].result);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(ids.slices, cases[i].slices);
		assert_string_equal(ids.name, "web");
		json_decref(json);
	}
}

static void count_endpoints(void *arg, const struct slice *s)
{
	assert_true(s->endpoint_count > 0 && s->endpoint_count <= SLICE_ENDPOINTS_MAX);
	*(uint32_t *)arg += s->endpoint_count;
}

static void test_endpoints_many(void **state)
{
	json_t *json = parse("{'metadata':{'name':'web','namespace':'ns'},'subsets':[{}]}");
	json_t *list = json_array();
	struct endpoints_ids ids;
	uint32_t count = 0;
	char ip[IP_STRLEN];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		snprintf(ip, sizeof(ip), "10.1.%d.%d", i / 200, 1 + i % 200);
		json_array_append_new(list, json_pack("{s:s}", "ip", ip));
	}
	json_object_set_new(json_array_get(json_object_get(json, "subsets"), 0), "addresses", list);
	assert_int_equal(decode_endpoints(json, &ids, count_endpoints, &count), DECODE_OK);
	assert_int_equal(count, 2000);
	assert_int_equal(ids.slices, 2);
	json_decref(json);
}

static void test_endpoints_names(void **state)
{
	json_t *headless = parse("{'metadata':{'name':'web','namespace':'ns','labels':"
				 "{'service.kubernetes.io/headless':''}},"
				 "'subsets':[{'addresses':[{'ip':'10.0.0.1'}]}]}");
	json_t *bad = parse("{'metadata':{'name':'We b','namespace':'ns'}}");
	struct endpoints_ids ids;
	char text[2048] = "", name[NAME_MAX_SUBDOMAIN];

	(void)state;
	assert_int_equal(decode_endpoints(headless, &ids, on_endpoints_slice, text), DECODE_SKIP);
	assert_string_equal(ids.name, "web");
	assert_int_equal(decode_endpoints(bad, &ids, on_endpoints_slice, text), DECODE_BAD);
	assert_string_equal(text, "");
	endpoints_slice_name(name, "web", 0);
	assert_string_equal(name, "web");
	endpoints_slice_name(name, "web", 12);
	assert_string_equal(name, "web/12");
	json_decref(headless);
	json_decref(bad);
}

static void test_service_cidrs(void **state)
{
	static const struct {
		const char *spec;
		enum decode_result result;
		uint32_t count;
	} cases[] = {
	    {"{'cidrs':['10.96.0.0/16','fd00:96::/108']}", DECODE_OK, 2},
	    {"{'cidrs':['10.96.0.0/16']}", DECODE_OK, 1},
	    {"{'cidrs':['x','10.96.0.0/16',7]}", DECODE_OK, 1},
	    {"{'cidrs':['10.96.0.0/16','10.97.0.0/16','10.98.0.0/16']}", DECODE_OK, 2},
	    {"{}", DECODE_OK, 0},
	    {"{'cidrs':'10.96.0.0/16'}", DECODE_BAD, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = parse("{'metadata':{'name':'kubernetes'}}");
		struct service_cidr s;

		json_object_set_new(json, "spec", parse(cases[i].spec));
		assert_int_equal(decode_service_cidr(json, &s), cases[i].result);
		assert_int_equal(s.count, cases[i].count);
		assert_string_equal(s.name, "kubernetes");
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_service_web),
	    cmocka_unit_test(test_service_identity),
	    cmocka_unit_test(test_service_kinds),
	    cmocka_unit_test(test_slices),
	    cmocka_unit_test(test_node),
	    cmocka_unit_test(test_node_address_order),
	    cmocka_unit_test(test_service_cases),
	    cmocka_unit_test(test_service_parts),
	    cmocka_unit_test(test_slice_parts),
	    cmocka_unit_test(test_slice_cases),
	    cmocka_unit_test(test_slice_too_long),
	    cmocka_unit_test(test_node_cases),
	    cmocka_unit_test(test_slice_topology),
	    cmocka_unit_test(test_cause),
	    cmocka_unit_test(test_endpoints),
	    cmocka_unit_test(test_endpoints_many),
	    cmocka_unit_test(test_endpoints_names),
	    cmocka_unit_test(test_service_cidrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
