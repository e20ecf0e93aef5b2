/* Each template and hook as the kernel's bytes: what iptables-save prints, and equal digests. */
#include "applier/ipt_entry.h"
#include "applier/ipt_handle.h"
#include "tests/unit/applier_fixture.h"

static const struct policy *policy;

struct expectation {
	uint8_t template;
	uint8_t proto;	     /* 0: TCP, if it has one */
	uint8_t target;	     /* a kind; 0: the first it may jump to */
	const char *v4, *v6; /* behind "-A CHAIN " */
};

#define NAME	"default/kubernetes:https"
#define COMMENT "-m comment --comment "
#define FW	"KUBE-FW-AEAQCAIBAEAQCAIB" /* hash 01 01 ... */
#define EXT	"KUBE-EXT-AEAQCAIBAEAQCAIB"
#define SVC	"KUBE-SVC-AEAQCAIBAEAQCAIB"
#define SVL	"KUBE-SVL-AEAQCAIBAEAQCAIB"
#define SEP	"KUBE-SEP-AIBAEAQCAIBAEAQC" /* hash 02 02 ... */
#define NET	"KUBE-NET-AIAQCAIBAEAQCAIB" /* hash 02 01 01 ... */
#define RANDOM	"-m statistic --mode random --probability 0.50000000000 "
#define RECENT	"-m recent "
#define LAST                                                                                       \
	COMMENT                                                                                    \
	"\"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" "        \
	"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
#define LIST4 " --name " SEP " --mask 255.255.255.255 --rsource "
#define LIST6 " --name " SEP " --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource "

static const struct expectation expectations[] = {
    {T_CLUSTER_IP, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME " cluster IP\" -m tcp --dport 443 -j " SVC,
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME " cluster IP\" -m tcp --dport 443 -j " SVC},
    {T_CLUSTER_IP, IPPROTO_UDP, 0,
	"-d 10.96.0.1/32 -p udp " COMMENT "\"" NAME " cluster IP\" -m udp --dport 443 -j " SVC,
	"-d fd00:10::1/128 -p udp " COMMENT "\"" NAME " cluster IP\" -m udp --dport 443 -j " SVC},
    {T_CLUSTER_IP, IPPROTO_SCTP, 0,
	"-d 10.96.0.1/32 -p sctp " COMMENT "\"" NAME " cluster IP\" -m sctp --dport 443 -j " SVC,
	"-d fd00:10::1/128 -p sctp " COMMENT "\"" NAME " cluster IP\" -m sctp --dport 443 -j " SVC},
    {T_LOCALNET_RETURN, 0, 0,
	"! -s 127.0.0.0/8 -d 127.0.0.0/8 " COMMENT
	"\"node ports on loopback are for this node\" -j RETURN",
	"! -s ::1/128 -d ::1/128 " COMMENT
	"\"node ports on loopback are for this node\" -j RETURN"},
    {T_NODEPORTS_LAST, 0, 0, "! -d 127.0.0.0/8 " LAST, "! -d ::1/128 " LAST},
    {T_CLUSTER_IP_MASQ_OUTSIDE, IPPROTO_TCP, 0,
	"! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ",
	"! -s fd00:244::/56 -d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ"},
    {T_CLUSTER_IP_MASQ_ALL, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ",
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ"},
    {T_ENDPOINT_RANDOM, 0, 0,
	COMMENT "\"" NAME " -> 10.0.0.1:8443\" -m statistic --mode random --probability "
		"0.50000000000 -j " SEP,
	COMMENT "\"" NAME " -> [fd00::a:1]:8443\" -m statistic --mode random --probability "
		"0.50000000000 -j " SEP},
    {T_ENDPOINT_LAST, 0, 0, COMMENT "\"" NAME " -> 10.0.0.1:8443\" -j " SEP,
	COMMENT "\"" NAME " -> [fd00::a:1]:8443\" -j " SEP},
    {T_HAIRPIN_MARK, 0, 0, "-s 10.0.0.1/32 " COMMENT "\"" NAME "\" -j KUBE-MARK-MASQ",
	"-s fd00::a:1/128 " COMMENT "\"" NAME "\" -j KUBE-MARK-MASQ"},
    {T_ENDPOINT_DNAT, IPPROTO_TCP, 0,
	"-p tcp " COMMENT "\"" NAME "\" -m tcp -j DNAT --to-destination 10.0.0.1:8443",
	"-p tcp " COMMENT "\"" NAME "\" -m tcp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_ENDPOINT_DNAT, IPPROTO_UDP, 0,
	"-p udp " COMMENT "\"" NAME "\" -m udp -j DNAT --to-destination 10.0.0.1:8443",
	"-p udp " COMMENT "\"" NAME "\" -m udp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_ENDPOINT_DNAT, IPPROTO_SCTP, 0,
	"-p sctp " COMMENT "\"" NAME "\" -m sctp -j DNAT --to-destination 10.0.0.1:8443",
	"-p sctp " COMMENT "\"" NAME "\" -m sctp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_MARK_MASQ, 0, 0, "-j MARK --set-xmark 0x4000/0x4000", NULL},
    {T_POSTROUTING_HAIRPIN, 0, 0,
	"-m conntrack --ctstate DNAT -m bpf --bytecode \"6,32 0 0 12,7 0 0 0,32 0 0 16,29 0 1 0,"
	"6 0 0 1,6 0 0 0\" " COMMENT "\"kubernetes endpoints that reach themselves\" "
	"-j MASQUERADE --random-fully",
	"-m conntrack --ctstate DNAT -m bpf --bytecode \"18,32 0 0 8,7 0 0 0,32 0 0 24,29 0 13 0,"
	"32 0 0 12,7 0 0 0,32 0 0 28,29 0 9 0,32 0 0 16,7 0 0 0,32 0 0 32,29 0 5 0,"
	"32 0 0 20,7 0 0 0,32 0 0 36,29 0 1 0,6 0 0 1,6 0 0 0\" " COMMENT
	"\"kubernetes endpoints that reach themselves\" -j MASQUERADE --random-fully"},
    {T_NODEPORTS_ANY, 0, 0,
	COMMENT "\"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" "
		"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
	NULL},
    {T_NODEPORTS_IN, 0, 0,
	"-d 10.244.0.0/16 " COMMENT "\"kubernetes service nodeports\" "
	"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
	"-d fd00:244::/56 " COMMENT "\"kubernetes service nodeports\" "
	"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"},
    {T_SERVICE_NET, 0, 0, "-d 10.244.0.0/16 -j " NET, "-d fd00:244::/56 -j " NET},
    {T_SERVICE_NET_GOTO, 0, 0, "-d 10.244.0.0/16 -g " NET, "-d fd00:244::/56 -g " NET},
    {T_EXTERNAL_POD_IF, 0, 0,
	"-i cni0 " COMMENT "\"pod traffic for " NAME " external destinations\" -j " SVC, NULL},
    {T_CLUSTER_IP_MASQ_OUTSIDE_IF, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 ! -i cni0 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ",
	"-d fd00:10::1/128 ! -i cni0 -p tcp " COMMENT "\"" NAME
	" cluster IP\" -m tcp --dport 443 -j KUBE-MARK-MASQ"},
    {T_DNAT_RANDOM, IPPROTO_TCP, 0,
	"-p tcp " RANDOM "-m tcp -j DNAT --to-destination 10.0.0.1:8443",
	"-p tcp " RANDOM "-m tcp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_DNAT_LAST, IPPROTO_UDP, 0, "-p udp -m udp -j DNAT --to-destination 10.0.0.1:8443",
	"-p udp -m udp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_FIREWALL_RETURN, IPPROTO_TCP, 0,
	"-s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" traffic of its source ranges\" -m tcp --dport 443 -j RETURN",
	"-s fd00:244::/56 -d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" traffic of its source ranges\" -m tcp --dport 443 -j RETURN"},
    {T_LOCALNET_DROP, 0, 0,
	"! -s 127.0.0.0/8 -d 127.0.0.0/8 " COMMENT "\"block incoming localnet connections\" "
	"-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
	"! -s ::1/128 -d ::1/128 " COMMENT "\"block incoming localnet connections\" "
	"-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"},
    {T_POSTROUTING_UNMARKED, 0, 0, "-m mark ! --mark 0x4000/0x4000 -j RETURN", NULL},
    {T_POSTROUTING_CLEAR, 0, 0, "-j MARK --set-xmark 0x4000/0x0", NULL},
    {T_POSTROUTING_MASQUERADE, 0, 0,
	COMMENT "\"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully", NULL},
    {T_NO_ENDPOINTS_REJECT, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" has no endpoints\" -m tcp --dport 443 -j REJECT --reject-with icmp-port-unreachable",
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" has no endpoints\" -m tcp --dport 443 -j REJECT --reject-with icmp6-port-unreachable"},
    {T_FORWARD_INVALID, 0, 0, "-m conntrack --ctstate INVALID -j DROP", NULL},
    {T_FORWARD_MARKED, 0, 0,
	"-m conntrack --ctstate DNAT " COMMENT
	"\"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT",
	NULL},
    {T_FORWARD_ESTABLISHED, 0, 0,
	"-m conntrack --ctstate RELATED,ESTABLISHED " COMMENT
	"\"kubernetes forwarding conntrack rule\" -j ACCEPT",
	NULL},
    {T_CLUSTER_IP, IPPROTO_TCP, CHAIN_SVL,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME " cluster IP\" -m tcp --dport 443 -j " SVL,
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME " cluster IP\" -m tcp --dport 443 -j " SVL},
    {T_EXTERNAL_IP, IPPROTO_UDP, 0,
	"-d 10.96.0.1/32 -p udp " COMMENT "\"" NAME " external IP\" -m udp --dport 443 -j " EXT,
	"-d fd00:10::1/128 -p udp " COMMENT "\"" NAME " external IP\" -m udp --dport 443 -j " EXT},
    {T_LOAD_BALANCER_IP, IPPROTO_SCTP, 0,
	"-d 10.96.0.1/32 -p sctp " COMMENT "\"" NAME
	" loadbalancer IP\" -m sctp --dport 443 -j " FW,
	"-d fd00:10::1/128 -p sctp " COMMENT "\"" NAME
	" loadbalancer IP\" -m sctp --dport 443 -j " FW},
    {T_LOAD_BALANCER_IP, IPPROTO_TCP, CHAIN_EXT,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME " loadbalancer IP\" -m tcp --dport 443 -j " EXT,
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" loadbalancer IP\" -m tcp --dport 443 -j " EXT},
    {T_NODE_PORT, IPPROTO_TCP, 0, "-p tcp " COMMENT "\"" NAME "\" -m tcp --dport 443 -j " EXT,
	"-p tcp " COMMENT "\"" NAME "\" -m tcp --dport 443 -j " EXT},
    {T_NODE_PORT, IPPROTO_UDP, 0, "-p udp " COMMENT "\"" NAME "\" -m udp --dport 443 -j " EXT,
	"-p udp " COMMENT "\"" NAME "\" -m udp --dport 443 -j " EXT},
    {T_NODE_PORT, IPPROTO_SCTP, 0, "-p sctp " COMMENT "\"" NAME "\" -m sctp --dport 443 -j " EXT,
	"-p sctp " COMMENT "\"" NAME "\" -m sctp --dport 443 -j " EXT},
    {T_SOURCE_RANGE, 0, 0, "-s 10.244.0.0/16 " COMMENT "\"" NAME " loadbalancer IP\" -j " EXT,
	"-s fd00:244::/56 " COMMENT "\"" NAME " loadbalancer IP\" -j " EXT},
    {T_EXTERNAL_MASQ, 0, 0,
	COMMENT "\"masquerade traffic for " NAME " external destinations\" -j KUBE-MARK-MASQ",
	NULL},
    {T_EXTERNAL_POD, 0, 0,
	"-s 10.244.0.0/16 " COMMENT "\"pod traffic for " NAME " external destinations\" -j " SVC,
	"-s fd00:244::/56 " COMMENT "\"pod traffic for " NAME " external destinations\" -j " SVC},
    {T_EXTERNAL_LOCAL_MASQ, 0, 0,
	COMMENT "\"masquerade LOCAL traffic for " NAME
		" external destinations\" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
	NULL},
    {T_EXTERNAL_LOCAL, 0, 0,
	COMMENT "\"route LOCAL traffic for " NAME
		" external destinations\" -m addrtype --src-type LOCAL -j " SVC,
	NULL},
    {T_EXTERNAL_POLICY, 0, 0, "-j " SVC, NULL},
    {T_EXTERNAL_POLICY, 0, CHAIN_SVL, "-j " SVL, NULL},
    {T_ENDPOINT_AFFINE, 0, 0,
	COMMENT "\"" NAME " -> 10.0.0.1:8443\" " RECENT "--rcheck --seconds 10800 --reap" LIST4
		"-j " SEP,
	COMMENT "\"" NAME " -> [fd00::a:1]:8443\" " RECENT "--rcheck --seconds 10800 --reap" LIST6
		"-j " SEP},
    {T_ENDPOINT_DNAT_AFFINE, IPPROTO_TCP, 0,
	"-p tcp " COMMENT "\"" NAME "\" " RECENT "--set" LIST4
	"-m tcp -j DNAT --to-destination 10.0.0.1:8443",
	"-p tcp " COMMENT "\"" NAME "\" " RECENT "--set" LIST6
	"-m tcp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_ENDPOINT_DNAT_AFFINE, IPPROTO_UDP, 0,
	"-p udp " COMMENT "\"" NAME "\" " RECENT "--set" LIST4
	"-m udp -j DNAT --to-destination 10.0.0.1:8443",
	"-p udp " COMMENT "\"" NAME "\" " RECENT "--set" LIST6
	"-m udp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_ENDPOINT_DNAT_AFFINE, IPPROTO_SCTP, 0,
	"-p sctp " COMMENT "\"" NAME "\" " RECENT "--set" LIST4
	"-m sctp -j DNAT --to-destination 10.0.0.1:8443",
	"-p sctp " COMMENT "\"" NAME "\" " RECENT "--set" LIST6
	"-m sctp -j DNAT --to-destination [fd00::a:1]:8443"},
    {T_NO_LOCAL_DROP, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" has no local endpoints\" -m tcp --dport 443 -j DROP",
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" has no local endpoints\" -m tcp --dport 443 -j DROP"},
    {T_EXTERNAL_NO_ENDPOINTS_REJECT, IPPROTO_UDP, 0,
	"-d 10.96.0.1/32 -p udp " COMMENT "\"" NAME
	" has no endpoints\" -m udp --dport 443 -j REJECT --reject-with icmp-port-unreachable",
	"-d fd00:10::1/128 -p udp " COMMENT "\"" NAME
	" has no endpoints\" -m udp --dport 443 -j REJECT --reject-with icmp6-port-unreachable"},
    {T_EXTERNAL_NO_LOCAL_DROP, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" has no local endpoints\" -m tcp --dport 443 -j DROP",
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" has no local endpoints\" -m tcp --dport 443 -j DROP"},
    {T_NODE_PORT_NO_ENDPOINTS_REJECT, IPPROTO_TCP, 0,
	"-p tcp " COMMENT "\"" NAME " has no endpoints\" -m addrtype --dst-type LOCAL -m tcp "
	"--dport 443 -j REJECT --reject-with icmp-port-unreachable",
	"-p tcp " COMMENT "\"" NAME " has no endpoints\" -m addrtype --dst-type LOCAL -m tcp "
	"--dport 443 -j REJECT --reject-with icmp6-port-unreachable"},
    {T_NODE_PORT_NO_LOCAL_DROP, IPPROTO_SCTP, 0,
	"-p sctp " COMMENT "\"" NAME
	" has no local endpoints\" -m addrtype --dst-type LOCAL -m sctp --dport 443 -j DROP",
	"-p sctp " COMMENT "\"" NAME
	" has no local endpoints\" -m addrtype --dst-type LOCAL -m sctp --dport 443 -j DROP"},
    {T_FIREWALL_DROP, IPPROTO_TCP, 0,
	"-d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	" traffic not accepted by its source ranges\" -m tcp --dport 443 -j DROP",
	"-d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	" traffic not accepted by its source ranges\" -m tcp --dport 443 -j DROP"},
    {T_HEALTH_CHECK_ACCEPT, IPPROTO_TCP, 0,
	"-p tcp " COMMENT "\"" NAME " health check node port\" -m tcp --dport 443 -j ACCEPT", NULL},
    {T_PORTAL, IPPROTO_TCP, 0,
	"-s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443",
	"-s fd00:244::/56 -d fd00:10::1/128 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443"},
    {T_PORTAL, IPPROTO_UDP, 0,
	"-s 10.244.0.0/16 -d 10.96.0.1/32 -p udp " COMMENT "\"" NAME
	"\" -m udp --dport 443 -j REDIRECT --to-ports 8443",
	"-s fd00:244::/56 -d fd00:10::1/128 -p udp " COMMENT "\"" NAME
	"\" -m udp --dport 443 -j REDIRECT --to-ports 8443"},
    {T_PORTAL_POD_IF, IPPROTO_TCP, 0,
	"-s 10.244.0.0/16 -d 10.96.0.1/32 -i cni0 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443",
	"-s fd00:244::/56 -d fd00:10::1/128 -i cni0 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443"},
    {T_PORTAL_NODE_PORT, IPPROTO_UDP, 0,
	"-s 10.244.0.0/16 -p udp " COMMENT "\"" NAME
	"\" -m udp --dport 443 -j REDIRECT --to-ports 8443",
	"-s fd00:244::/56 -p udp " COMMENT "\"" NAME
	"\" -m udp --dport 443 -j REDIRECT --to-ports 8443"},
    {T_PORTAL_NODE_PORT_POD_IF, IPPROTO_TCP, 0,
	"-s 10.244.0.0/16 -i cni0 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443",
	"-s fd00:244::/56 -i cni0 -p tcp " COMMENT "\"" NAME
	"\" -m tcp --dport 443 -j REDIRECT --to-ports 8443"},
    {T_RELAY_REJECT, IPPROTO_TCP, 0,
	"-p tcp " COMMENT "\"" NAME
	" is not reached by the port of its relay\" -m conntrack ! --ctstate "
	"RELATED,ESTABLISHED,DNAT -m addrtype --dst-type LOCAL -m tcp --dport 443 -j REJECT "
	"--reject-with icmp-port-unreachable",
	"-p tcp " COMMENT "\"" NAME
	" is not reached by the port of its relay\" -m conntrack ! --ctstate "
	"RELATED,ESTABLISHED,DNAT -m addrtype --dst-type LOCAL -m tcp --dport 443 -j REJECT "
	"--reject-with icmp6-port-unreachable"},
};

static const struct ipt_chain *chains_of(uint8_t family, uint8_t table, size_t *count)
{
	static struct ipt_chain all[CHAIN_KIND_COUNT + 3];

	*count = 0;
	for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++)
		if ((ipt_chain_kinds[k].tables & 1u << table) != 0)
			all[(*count)++] = sample_chain(family, table, k);
	if (table == IPT_NAT) { /* the KUBE-NET- that another jumps to */
		all[*count] = sample_chain(family, table, CHAIN_NET);
		all[(*count)++].hash[0]++;
	}
	return all;
}

/* Reads a table anew and creates all chains. */
static void open_table(struct ipt_handle *t, uint8_t family, uint8_t table)
{
	size_t count;
	const struct ipt_chain *all = chains_of(family, table, &count);

	assert_int_equal(ipt_handle_read(t, policy, family, table), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ipt_chain_create(t, &all[i]), 0);
}

static void commit_table(struct ipt_handle *t)
{
	if (ipt_handle_commit(t) != 0)
		fail_msg("commit: %s", ipt_families[t->family].ops->strerror(errno));
	ipt_handle_close(t);
}

static struct ipt_rule rule_of(const struct expectation *x, uint8_t family)
{
	struct ipt_rule r = rule(family, x->template);

	if (x->proto != 0)
		r.proto = x->proto;
	if (x->target != 0)
		set_target(&r, x->target);
	return r;
}

struct wanted {
	struct ipt_chain chain;
	uint64_t digest;
	bool found;
};

static void find_wanted(void *arg, const struct ipt_chain *c, uint64_t digest)
{
	struct wanted *w = arg;

	if (memcmp(c, &w->chain, sizeof(*c)) == 0) {
		w->found = true;
		assert_int_equal(digest, w->digest);
	}
}

/* One rule alone in its chain: saved text, then the digest as read back from the kernel. */
static void check_one(const struct expectation *x, uint8_t family, uint8_t kind)
{
	static char saved[SAVED_MAX];
	char line[512], name[CHAIN_NAME_LEN];
	const char *text = family == FAMILY_6 && x->v6 != NULL ? x->v6 : x->v4;
	struct ipt_rule r = rule_of(x, family);
	struct wanted w = {.chain = sample_chain(family, ipt_templates[x->template].table, kind)};
	struct ipt_handle t;
	struct ipt_blob b;
	struct siphash s;

	assert_null(ipt_rule_check(&r, &w.chain));
	ipt_entry_encode(&b, &r, &w.chain, &policy->params);
	siphash_init(&s, &policy->key);
	ipt_blob_digest(&s, &b, family);
	w.digest = siphash_final(&s);
	open_table(&t, family, w.chain.table);
	assert_int_equal(ipt_chain_flush(&t, &w.chain), 0);
	assert_int_equal(ipt_rule_append(&t, &w.chain, &r), 0);
	commit_table(&t);

	snprintf(line, sizeof(line), "-A %s %s\n", ipt_chain_name(&w.chain, name), text);
	saved_rules(saved, family, w.chain.table);
	assert_string_equal(saved, line);
	/* iptables makes the same bytes of this text: people can check and delete our rules. */
	snprintf(line, sizeof(line), "ip%stables-legacy -t %s -C %s %s",
	    family == FAMILY_4 ? "" : "6", ipt_table_names[w.chain.table], name, text);
	run(line);
	assert_int_equal(ipt_handle_read(&t, policy, family, w.chain.table), 0);
	ipt_handle_digest(&t, find_wanted, &w);
	assert_true(w.found);
	assert_int_equal(ipt_chain_flush(&t, &w.chain), 0);
	commit_table(&t);
}

static void every_template(uint8_t family)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
		const struct expectation *x = &expectations[i];

		for (uint8_t k = 0; k < CHAIN_KIND_COUNT; k++)
			if ((ipt_templates[x->template].chains & 1u << k) != 0)
				check_one(x, family, k);
		seen |= UINT64_C(1) << x->template;
	}
	/* those of ipvs mode take ipsets: tests/uml */
	assert_true(seen == (UINT64_C(1) << T_IPVS_FIRST) - 1);
}

static void every_template_ipv4(void **state)
{
	(void)state;
	every_template(FAMILY_4);
}

static void every_template_ipv6(void **state)
{
	(void)state;
	every_template(FAMILY_6);
}

static const char filter_hooks[] =
    "-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer "
    "firewall\" "
    "-j KUBE-PROXY-FIREWALL\n"
    "-A INPUT -m comment --comment \"kubernetes health check service ports\" -j KUBE-NODEPORTS\n"
    "-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible "
    "service portals\" -j KUBE-EXTERNAL-SERVICES\n"
    "-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer "
    "firewall\" -j KUBE-PROXY-FIREWALL\n"
    "-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD\n"
    "-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j "
    "KUBE-SERVICES\n"
    "-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible "
    "service portals\" -j KUBE-EXTERNAL-SERVICES\n"
    "-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer "
    "firewall\" -j KUBE-PROXY-FIREWALL\n"
    "-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j "
    "KUBE-SERVICES\n";
static const char nat_hooks[] =
    "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
    "-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n"
    "-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n";

static void set_hooks(uint8_t family, uint8_t table, bool on)
{
	struct ipt_handle t;

	open_table(&t, family, table);
	for (unsigned i = 0; i < IPT_HOOK_LEFTOVERS; i++)
		if (ipt_hooks[i].table == table)
			assert_int_equal(ipt_hook_set(&t, i, on), 0);
	assert_true(t.changed);
	commit_table(&t);
}

static void hooks_on_and_off(void **state)
{
	static char saved[SAVED_MAX];

	(void)state;
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t table = 0; table < IPT_TABLE_COUNT; table++) {
			struct ipt_handle t;

			set_hooks(f, table, true);
			saved_rules(saved, f, table);
			assert_string_equal(saved, table == IPT_NAT ? nat_hooks : filter_hooks);
			assert_int_equal(ipt_handle_read(&t, policy, f, table), 0);
			for (unsigned i = 0; i < IPT_HOOK_LEFTOVERS; i++)
				assert_int_equal(t.hooks >> i & 1, ipt_hooks[i].table == table);
			ipt_handle_close(&t);
			set_hooks(f, table, false);
			saved_rules(saved, f, table);
			assert_string_equal(saved, "");
		}
}

/* What others put between ours stays, in its order, also twice the same rule of ours. */
static void hooks_leave_others_alone(void **state)
{
	static char saved[SAVED_MAX];

	(void)state;
	run("iptables-legacy -t nat -A PREROUTING -s 192.0.2.1 -j ACCEPT");
	set_hooks(FAMILY_4, IPT_NAT, true);
	run("iptables-legacy -t nat -A PREROUTING -m comment --comment 'kubernetes service "
	    "portals' "
	    "-j KUBE-SERVICES");
	run("iptables-legacy -t nat -A PREROUTING -m comment --comment 'kubernetes service portal' "
	    "-j KUBE-SERVICES");
	set_hooks(FAMILY_4, IPT_NAT, false);
	saved_rules(saved, FAMILY_4, IPT_NAT);
	assert_string_equal(saved,
	    "-A PREROUTING -s 192.0.2.1/32 -j ACCEPT\n"
	    "-A PREROUTING -m comment --comment \"kubernetes service portal\" -j "
	    "KUBE-SERVICES\n");
	run("iptables-legacy -t nat -F PREROUTING");
}

/* The longest names and addresses fit a comment. */
static void longest_comment(void **state)
{
	static char saved[SAVED_MAX];
	struct ipt_chain c = chain_of(FAMILY_6, T_ENDPOINT_RANDOM);
	struct ipt_rule r = rule(FAMILY_6, T_ENDPOINT_RANDOM);
	struct ipt_handle t;

	(void)state;
	memset(r.name, 'a', sizeof(r.name) - 1);
	r.name[63] = '/';
	r.name[127] = ':';
	r.to = addr("2001:1111:2222:3333:4444:5555:6666:7777");
	r.to_port = 65535;
	assert_null(ipt_rule_check(&r, &c));
	open_table(&t, FAMILY_6, IPT_NAT);
	assert_int_equal(ipt_rule_append(&t, &c, &r), 0);
	commit_table(&t);
	saved_rules(saved, FAMILY_6, IPT_NAT);
	assert_non_null(strstr(saved, "aaa -> [2001:1111:2222:3333:4444:5555:6666:7777]:65535\""));
	run("ip6tables-legacy -t nat -F " SVC);
}

static int setup(void **state)
{
	(void)state;
	policy = policy_in_namespace(STDERR_FILENO);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_template_ipv4),
	    cmocka_unit_test(every_template_ipv6),
	    cmocka_unit_test(hooks_on_and_off),
	    cmocka_unit_test(hooks_leave_others_alone),
	    cmocka_unit_test(longest_comment),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
