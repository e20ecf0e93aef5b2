/*
 * --dry-run's text against the judges: iptables-legacy-restore takes it in a fresh network
 * namespace, and iptables-legacy-save prints the same.
 */
#include "planner_world.h"

#include "netns.h"
#include "sample_rules.h"

#define DIR_TEMPLATE "/tmp/kp-print-XXXXXX"

static void print_rules_of(struct printer *p, const struct ipt_chain *c, uint8_t template)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct ipt_rule r = rule(c->family, template);

	for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++) {
		if ((ipt_templates[template].args & ARG_TARGET) != 0)
			set_target(&r, k);
		for (size_t i = 0; i < sizeof(protos); i++) {
			r.proto = protos[i];
			if (ipt_rule_check(&r, c) == NULL)
				assert_null(printer_operations.rule(p, &r));
		}
	}
}

static const struct config cfg = {.mode = MODE_IPTABLES};
static const struct ipt_params params = {.masq_bit = 14, .pod_if = "cni0"};

/* All chains, in them every rule that may stand there, in both families; and every hook. */
static void every_rule(FILE *out)
{
	struct printer *p = printer_new(&params, &cfg);

	assert_non_null(p);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		for (uint8_t t = 0; t < IPT_TABLE_COUNT; t++)
			for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++) {
				struct ipt_chain c = sample_chain(f, t, k);

				if (!ipt_chain_valid(&c))
					continue;
				assert_null(printer_operations.chain_put(p, &c));
				/* those of ipvs mode take ipsets: tests/uml */
				for (uint8_t i = 0; i < T_IPVS_FIRST; i++)
					print_rules_of(p, &c, i);
				c.hash[0]++; /* what a KUBE-NET- jumps to */
				if (k == CHAIN_NET)
					assert_null(printer_operations.chain_put(p, &c));
			}
		for (unsigned i = 0; i < IPT_HOOK_LEFTOVERS; i++)
			assert_null(printer_operations.hook(p, f, i, true));
	}
	printer_write(p, out);
	printer_free(p);
}

/* What a planner makes of two services. */
static void dry_run(FILE *out)
{
	struct world *w = world_new();
	struct printer *pr = printer_new(plan_params(w->plan), &w->cfg);

	assert_non_null(pr);
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

static void both_families_round_trip(void (*print)(FILE *out))
{
	char dir[] = DIR_TEMPLATE, *text = NULL, *six;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out);
	fclose(out);
	assert_non_null(mkdtemp(dir));
	assert_memory_equal(text, "# IPv4\n*nat\n", 12);
	six = strstr(text, "# IPv6\n*nat\n");
	assert_non_null(six);
	round_trip(dir, "iptables", text, (size_t)(six - text));
	round_trip(dir, "ip6tables", six, strlen(six));
	free(text);
	rmdir(dir);
}

static void test_every_rule(void **state)
{
	(void)state;
	both_families_round_trip(every_rule);
}

static void test_dry_run(void **state)
{
	(void)state;
	both_families_round_trip(dry_run);
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
	every_rule(out);
	fclose(out);
	for (size_t i = 0; i < 2; i++) {
		char *v4 = strstr(text, want[i]);

		assert_non_null(v4);
		assert_non_null(strstr(v4 + 1, want[i]));
	}
	for (char *at = text; (at = strstr(at, "\n-A ")) != NULL; at++)
		hooks += strncmp(at + 4, "KUBE-", 5) != 0;
	assert_int_equal(hooks, FAMILY_COUNT * IPT_HOOK_LEFTOVERS);
	free(text);
}

/* What goes round unchanged may still be another rule: names stand where they belong. */
static void test_spelling(void **state)
{
#define SVC "KUBE-SVC-AEAQCAIBAEAQCAIB"
#define SEP "KUBE-SEP-AIBAEAQCAIBAEAQC"
	static const struct {
		uint8_t family, template;
		const char *text;
	} rules[] = {
	    {FAMILY_4, T_EXTERNAL_LOCAL,
		"-A KUBE-EXT-AEAQCAIBAEAQCAIB -m comment --comment \"route LOCAL traffic for "
		"default/kubernetes:https external destinations\" -m addrtype --src-type LOCAL "
		"-j " SVC},
	    {FAMILY_4, T_NODE_PORT,
		"-A KUBE-NODEPORTS -p tcp -m comment --comment \"default/kubernetes:https\" -m tcp "
		"--dport 443 -j KUBE-EXT-AEAQCAIBAEAQCAIB"},
	    {FAMILY_6, T_SOURCE_RANGE,
		"-A KUBE-FW-AEAQCAIBAEAQCAIB -s fd00:244::/56 -m comment --comment "
		"\"default/kubernetes:https loadbalancer IP\" -j KUBE-EXT-AEAQCAIBAEAQCAIB"},
	    {FAMILY_6, T_ENDPOINT_AFFINE,
		"-A " SVC
		" -m comment --comment \"default/kubernetes:https -> [fd00::a:1]:8443\" -m "
		"recent --rcheck --seconds 10800 --reap --name " SEP
		" --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource -j " SEP},
	    {FAMILY_4, T_ENDPOINT_DNAT_AFFINE,
		"-A " SEP
		" -p tcp -m comment --comment \"default/kubernetes:https\" -m recent --set "
		"--name " SEP " --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination "
		"10.0.0.1:8443"},
	    {FAMILY_4, T_NODEPORTS_LAST,
		"-A KUBE-SERVICES ! -d 127.0.0.0/8 -m comment --comment \"kubernetes service "
		"nodeports; NOTE: this must be the last rule in this chain\" -m addrtype "
		"--dst-type "
		"LOCAL -j KUBE-NODEPORTS"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct ipt_chain c = chain_of(rules[i].family, rules[i].template);
		struct ipt_rule r = rule(rules[i].family, rules[i].template);
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		assert_non_null(out);
		print_rule(out, &r, &c, &params);
		fclose(out);
		assert_int_equal(text[len - 1], '\n');
		text[len - 1] = '\0';
		assert_string_equal(text, rules[i].text);
		free(text);
	}
}

static int setup(void **state)
{
	(void)state;
	enter_namespace();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_rule),
	    cmocka_unit_test(test_dry_run),
	    cmocka_unit_test(test_spelling),
	    cmocka_unit_test(test_hooks),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
