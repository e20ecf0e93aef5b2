/* What stands in the chains, as iptables-save would print it. */
#include "planner_world.h"

static void test_rules(void **state)
{
	struct world *w = programmed();
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text),
	    "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m comment --comment \"a/web:http cluster IP\" "
	    "-m tcp --dport 80 -j %s\n"
	    "-A KUBE-SERVICES ! -d 127.0.0.0/8 -m comment --comment \"kubernetes service "
	    "nodeports; NOTE: this must "
	    "be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n",
	    svc("a/web:http"));
	assert_rules(w, "KUBE-SERVICES", text);
	assert_rules(w, "f:KUBE-SERVICES",
	    "-A KUBE-SERVICES -d 10.0.0.2/32 -p udp -m comment --comment \"a/empty has no "
	    "endpoints\" -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable\n");
	snprintf(text, sizeof(text),
	    "-A %s -m comment --comment \"a/web:http -> 10.1.0.1:8080\" -m statistic --mode random "
	    "--probability 0.50000000000 -j %s\n"
	    "-A %s -m comment --comment \"a/web:http -> 10.1.0.2:8080\" -j %s\n",
	    svc("a/web:http"), sep("a/web:http", "10.1.0.1:8080"), svc("a/web:http"),
	    sep("a/web:http", "10.1.0.2:8080"));
	assert_rules(w, svc("a/web:http"), text);
	snprintf(text, sizeof(text),
	    "-A %s -s 10.1.0.2/32 -m comment --comment \"a/web:http\" -j KUBE-MARK-MASQ\n"
	    "-A %s -p tcp -m comment --comment \"a/web:http\" -m tcp -j DNAT --to-destination "
	    "10.1.0.2:8080\n",
	    sep("a/web:http", "10.1.0.2:8080"), sep("a/web:http", "10.1.0.2:8080"));
	assert_rules(w, sep("a/web:http", "10.1.0.2:8080"), text);
	world_free(w);
}

static void test_static_chains(void **state)
{
	struct world *w = programmed();

	(void)state;
	assert_rules(w, "KUBE-MARK-MASQ", "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n");
	assert_rules(w, "6:KUBE-POSTROUTING",
	    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
	    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n"
	    "-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic "
	    "requiring SNAT\" "
	    "-j MASQUERADE --random-fully\n");
	assert_rules(w, "f:KUBE-FORWARD",
	    "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n"
	    "-A KUBE-FORWARD -m conntrack --ctstate DNAT -m comment --comment "
	    "\"kubernetes forwarding rules\" -m mark --mark "
	    "0x4000/0x4000 -j ACCEPT\n"
	    "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "
	    "\"kubernetes forwarding conntrack rule\" -j ACCEPT\n");
	assert_rules(w, "KUBE-NODEPORTS", "");
	assert_rules(w, "KUBE-PROXY-CANARY", "");
	assert_rules(w, "f:KUBE-PROXY-CANARY", "");
	assert_rules(w, "f:KUBE-NODEPORTS", "");
	assert_rules(w, "f:KUBE-EXTERNAL-SERVICES", "");
	assert_rules(w, "6:f:KUBE-PROXY-FIREWALL", "");
	assert_rules(w, "6:f:KUBE-SERVICES", "");
	assert_int_equal(w->hooks[FAMILY_4], (1u << IPT_HOOK_LEFTOVERS) - 1);
	assert_int_equal(w->hooks[FAMILY_6], (1u << IPT_HOOK_LEFTOVERS) - 1);
	world_free(w);
}

static void test_masquerade(void **state)
{
	struct world *w = world_new();
	char text[1024], *rules;

	(void)state;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	put_service(w, "a/web", "10.0.0.1 fd00::1", ":80/tcp");
	put_slice(w, "a/x", "web", ":80/tcp", "10.1.0.1=r");
	put_slice(w, "a/y", "web", ":80/tcp", "fd01::1=r");
	world_listed(w);
	put_slice(w, "a/x", "web", ":80/tcp", "10.1.0.1=r");
	put_slice(w, "a/y", "web", ":80/tcp", "fd01::1=r");
	put_service(w, "a/web", "10.0.0.1 fd00::1", ":80/tcp");
	world_snapshot(w);
	assert_true(world_sync(w));
	rules = rules_of(w, svc("a/web"));
	snprintf(text, sizeof(text),
	    "-A %s ! -s 10.1.0.0/16 -d 10.0.0.1/32 -p tcp -m comment --comment \"a/web "
	    "cluster IP\" "
	    "-m tcp --dport 80 -j KUBE-MARK-MASQ\n",
	    svc("a/web"));
	assert_non_null(rules);
	assert_memory_equal(rules, text, strlen(text));
	free(rules);
	/* No CIDR of this family: no masquerade rule. */
	snprintf(text, sizeof(text), "-A %s -m comment --comment \"a/web -> [fd01::1]:80\" -j %s\n",
	    svc("a/web"), sep("a/web", "[fd01::1]:80"));
	rules = malloc(64);
	snprintf(rules, 64, "6:%s", svc("a/web"));
	assert_rules(w, rules, text);
	free(rules);
	w->cfg.masquerade_all = true;
	plan_forget(w->plan);
	world_snapshot(w);
	assert_true(world_sync(w));
	assert_int_equal(w->puts, 2); /* both KUBE-SVC-, nothing else */
	rules = rules_of(w, svc("a/web"));
	snprintf(text, sizeof(text),
	    "-A %s -d 10.0.0.1/32 -p tcp -m comment --comment \"a/web cluster IP\" "
	    "-m tcp --dport 80 -j KUBE-MARK-MASQ\n",
	    svc("a/web"));
	assert_non_null(rules);
	assert_memory_equal(rules, text, strlen(text));
	free(rules);
	world_free(w);
}

static void test_probabilities(void **state)
{
	static const uint32_t want[] = {429496730, 536870912, 715827883, 1073741824};
	struct world *w = programmed();
	struct ipt_chain c = {.table = IPT_NAT};
	struct kernel_chain *k;

	(void)state;
	put_slice(w, "a/web-1", "web", "http:8080/tcp",
	    "10.1.0.1=r 10.1.0.2=r 10.1.0.3=r 10.1.0.4=r 10.1.0.5=r");
	assert_true(world_sync(w));
	assert_true(ipt_chain_parse(&c, svc("a/web:http")));
	k = kernel_find(w, &c);
	assert_non_null(k);
	assert_int_equal(k->count, 5);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(k->rules[i].template, T_ENDPOINT_RANDOM);
		assert_int_equal(k->rules[i].probability, want[i]);
	}
	assert_int_equal(k->rules[4].template, T_ENDPOINT_LAST);
	world_free(w);
}

static void test_both_families(void **state)
{
	struct world *w = programmed();
	char name[64];

	(void)state;
	put_service(w, "a/web", "10.0.0.1 fd00::1", "http:80/tcp");
	assert_true(world_sync(w));
	assert_string_equal(w->put, "6:f:KUBE-SERVICES ");
	assert_rules(w, "6:f:KUBE-SERVICES",
	    "-A KUBE-SERVICES -d fd00::1/128 -p tcp -m comment --comment \"a/web:http has no "
	    "endpoints\" -m tcp --dport 80 -j REJECT --reject-with icmp6-port-unreachable\n");
	put_slice(w, "a/web-6", "web", "http:8080/tcp", "fd01::1=r");
	assert_true(world_sync(w));
	snprintf(name, sizeof(name), "6:%s", sep("a/web:http", "[fd01::1]:8080"));
	assert_non_null(strstr(w->put, name));
	assert_non_null(strstr(w->put, "6:KUBE-SERVICES"));
	assert_int_equal(w->puts, 4);
	/* Endpoints of a family in which the service has no address are nobody's. */
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	assert_true(world_sync(w));
	assert_int_equal(w->deletes, 2);
	assert_string_equal(w->put, "6:KUBE-SERVICES ");
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_static_chains),
	    cmocka_unit_test(test_masquerade),
	    cmocka_unit_test(test_probabilities),
	    cmocka_unit_test(test_both_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
