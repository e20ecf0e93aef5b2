/*
 * --dry-run's text against the judges: iptables-legacy-restore takes it in a fresh network
 * namespace, and iptables-legacy-save prints the same.
 */
#include "planner_world.h"

#include "netns.h"

#define DIR_TEMPLATE "/tmp/kp-print-XXXXXX"

/* Everything a template can say, in both families, as --dry-run prints it. */
static void dry_run(FILE *out, bool masquerade_all)
{
	struct world *w = world_new();
	struct printer *pr = printer_new(w->cfg.masquerade_bit);

	assert_non_null(pr);
	w->cfg.masquerade_all = masquerade_all;
	w->cfg.cluster_cidr_count = 2;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[1], "fd01::/48"), 0);
	world_listed(w);
	put_service(w, "a/web", "10.0.0.1 fd00::1", "http:80/tcp dns:53/udp m3:2905/sctp");
	put_service(w, "b/empty", "10.0.0.2 fd00::2", ":80/tcp u:80/udp s:80/sctp");
	put_slice(w, "a/4", "web", "http:8080/tcp dns:53/udp m3:2905/sctp",
	    "10.1.0.1=r 10.1.0.2=r 10.1.0.3=r 10.1.0.4=r 10.1.0.5=r 10.1.0.6=r 10.1.0.7=r");
	put_slice(w, "a/6", "web", "http:8080/tcp dns:53/udp m3:2905/sctp", "fd01::1=r fd01::2=r");
	world_snapshot(w);
	plan_sync(w->plan, &printer_operations, pr, &w->counts);
	printer_write(pr, out);
	printer_free(pr);
	world_free(w);
}

/* TEXT (one family's part, LEN bytes) goes in by PREFIX-legacy-restore and must come out again. */
static void round_trip(const char *dir, const char *prefix, const char *text, size_t len)
{
	char command[1024], path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/in", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	snprintf(command, sizeof(command), "%s-legacy-restore < %s/in", prefix, dir);
	run(command);
	/* But for comments, counters of and policies of the built-in chains. */
	snprintf(command, sizeof(command),
	    "(%s-legacy-save -t nat; %s-legacy-save -t filter) | grep -v -e '^#' -e '^:[A-Z]* "
	    "ACCEPT' "
	    "> %s/out",
	    prefix, prefix, dir);
	run(command);
	snprintf(command, sizeof(command), "grep -v '^#' %s/in | diff - %s/out", dir, dir);
	run(command);
	snprintf(command, sizeof(command), "rm %s/in %s/out", dir, dir);
	run(command);
}

static void test_round_trip(void **state)
{
	char dir[] = DIR_TEMPLATE, *text = NULL, *six;
	size_t len;
	FILE *out;

	(void)state;
	enter_namespace();
	assert_non_null(mkdtemp(dir));
	for (int all = 0; all < 2; all++) {
		out = open_memstream(&text, &len);
		assert_non_null(out);
		dry_run(out, all != 0);
		fclose(out);
		assert_memory_equal(text, "# IPv4\n*nat\n", 12);
		six = strstr(text, "# IPv6\n*nat\n");
		assert_non_null(six);
		round_trip(dir, "iptables", text, (size_t)(six - text));
		round_trip(dir, "ip6tables", six, strlen(six));
		free(text);
	}
	rmdir(dir);
}

/* Hooks are all there, and stand as upstream's prepending leaves them. */
static void test_hooks(void **state)
{
	static const char *const want[] = {
	    "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
	    "-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
	    "-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j "
	    "KUBE-POSTROUTING\n-A KUBE",
	    "-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer "
	    "firewall\" -j KUBE-PROXY-FIREWALL\n"
	    "-A INPUT -m comment --comment \"kubernetes health check service ports\" -j "
	    "KUBE-NODEPORTS\n"
	    "-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes "
	    "externally-visible service portals\" -j KUBE-EXTERNAL-SERVICES\n-A FORWARD"};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	unsigned hooks = 0;

	(void)state;
	assert_non_null(out);
	dry_run(out, false);
	fclose(out);
	for (size_t i = 0; i < 2; i++) {
		char *v4 = strstr(text, want[i]);

		assert_non_null(v4);
		assert_non_null(strstr(v4 + 1, want[i]));
	}
	for (char *at = text; (at = strstr(at, "\n-A ")) != NULL; at++)
		hooks += strncmp(at + 4, "KUBE-", 5) != 0;
	assert_int_equal(hooks, FAMILY_COUNT * IPT_HOOK_COUNT);
	free(text);
}

/* Every template is in that text: none escapes the judges. */
static void test_every_template(void **state)
{
	struct world *w = world_new();
	bool seen[IPT_TEMPLATE_COUNT] = {false};

	(void)state;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	world_listed(w);
	put_service(w, "a/web", "10.0.0.1", "http:80/tcp");
	put_service(w, "b/empty", "10.0.0.2", ":80/tcp");
	put_slice(w, "a/4", "web", "http:8080/tcp", "10.1.0.1=r 10.1.0.2=r");
	world_snapshot(w);
	assert_true(world_sync(w));
	for (size_t i = 0; i < w->chain_count; i++)
		for (size_t r = 0; r < w->chains[i].count; r++)
			seen[w->chains[i].rules[r].template] = true;
	seen[T_CLUSTER_IP_MASQ_ALL] = true; /* in the second round */
	for (int t = 0; t < IPT_TEMPLATE_COUNT; t++)
		if (!seen[t])
			fail_msg("no rule of template %s", ipt_templates[t].name);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_hooks),
	    cmocka_unit_test(test_every_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
