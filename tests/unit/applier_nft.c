/* nftables mode's session with the planner: transactions into a real kernel. */
#include "applier/nft_describe.h"
#include "applier/nft_elem.h"
#include "applier/nft_rules.h"
#include "applier/nft_snapshot.h"
#include "nft_fixture.h"
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/wait.h>

/* Which sets the planner can fill. */
static bool fillable(unsigned set)
{
	return !nft_set_dynamic(set) && set != NFT_TIMEOUTS;
}

/* --- snapshots --- */

static char words[256];
static struct nft_snapshot part;
static struct nft_elem seen[4096];
static size_t seen_count;

static void snapshot(void)
{
	struct cursor c;

	seen_count = 0;
	frame_begin(&writer.frame, TXN_SNAPSHOT_REQUEST, 0);
	sink(NULL, &writer.frame);
	if (refusal != NULL)
		fail_msg("%s", refusal);
	do {
		c = answer(NFT_SNAPSHOT);
		assert_null(nft_decode_snapshot(&c, &part));
		for (uint32_t i = 0; i < part.count; i++) {
			assert_true(seen_count < sizeof(seen) / sizeof(seen[0]));
			seen[seen_count++] = part.elems[i];
		}
	} while (!part.last);
}

static bool was_seen(const struct nft_elem *e)
{
	for (size_t i = 0; i < seen_count; i++)
		if (memcmp(&seen[i], e, offsetof(struct nft_elem, name)) == 0 &&
		    strcmp(seen[i].name, e->name) == 0)
			return true;
	return false;
}

/* --- tests --- */

/* applier/rules.nft for one family, as nft prints it. */
static void the_rules_are_the_text(void **state)
{
	(void)state;
	begin();
	install();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		nft_write_affinity(&writer, f, 0, 10800);
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		char command[512];

		snprintf(command, sizeof(command),
		    "sed '/^#/d;%s' applier/rules.nft >/run/want && "
		    "nft list table %s kube-proxy | sed '/^\tcomment/d;/elements/d' >/run/got && "
		    "diff -u /run/want /run/got",
		    f == FAMILY_6 ? "s/\\bip\\b/ip6/g" : "", f == FAMILY_6 ? "ip6" : "ip");
		run(command);
	}
}

static void every_kind_of_element_comes_is_listed_and_goes(void **state)
{
	static char empty[1 << 20];
	const char *list;

	(void)state;
	installed();
	strlcpy(empty, output("nft list ruleset"), sizeof(empty));
	snapshot();
	assert_int_equal(seen_count, 0);
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++)
				put(f, set, seed);
	commit(TXN_OK);
	list = output("nft list ruleset");
	assert_non_null(strstr(list, "10.96.0.3 . tcp . 83 comment \"default/web-3:http\""));
	assert_non_null(strstr(
	    list, "10.96.0.4 . udp . 84 . 0 comment \"default/web-4:http\" : 10.244.0.4 . 8004"));
	assert_non_null(strstr(list, "fd60::5 . sctp . 85 . 65541 comment \"default/web-5:http\" "
				     ": fdf4::5 . 8005"));
	assert_non_null(strstr(list, "10.96.0.3 . tcp . 83 . 10.3.0.0/16"));
	assert_non_null(strstr(list, "elements = { 10.3.0.0/16, 10.4.0.0/16,"));
	assert_non_null(strstr(list, "fd05::/48"));
	snapshot();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		assert_true(part.installed[f] && part.there[f] && part.families[f]);
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++) {
				struct nft_elem e = elem(f, set, seed);

				if (!was_seen(&e))
					fail_msg("family %u: %s", f, nft_set(set)->name);
			}
	}
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = 0; set < NFT_SET_COUNT; set++)
			for (uint8_t seed = 3; fillable(set) && seed < 7; seed++)
				delete (f, set, seed);
	commit(TXN_OK);
	assert_string_equal(output("nft list ruleset"), empty);
}

/* A prefix that ends with the last address there is, beside one that ends where another begins. */
static void prefixes_are_read_as_they_were_put(void **state)
{
	(void)state;
	installed();
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = NFT_SERVICE_CIDRS; set <= NFT_POD_NETWORKS; set++) {
			if (set == NFT_POD_NETWORKS) /* the others' would be multicast */
				put(f, set, 255);
			put(f, set, 10);
			put(f, set, 11);
			put(f, set, 20);
		}
	commit(TXN_OK);
	snapshot();
	assert_int_equal(seen_count, 14);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (uint8_t set = NFT_SERVICE_CIDRS; set <= NFT_POD_NETWORKS; set++) {
			struct nft_elem e = elem(f, set, 255);

			assert_true(part.installed[f]);
			assert_true(set != NFT_POD_NETWORKS || was_seen(&e));
			e = elem(f, set, 11);
			assert_true(was_seen(&e));
			nft_elem_words(words, sizeof(words), &e);
			assert_non_null(
			    strstr(words, f == FAMILY_6 ? "net=fd0b::/48" : "net=10.11.0.0/16"));
		}
}

/* A transaction that the kernel refuses does nothing, and says what it refused. */
static void what_is_not_as_believed_is_stale(void **state)
{
	struct txn_result r;

	(void)state;
	begin();
	put(FAMILY_4, NFT_SERVICES, 3);
	r = commit(TXN_STALE); /* there is no table */
	assert_int_equal(r.error, ENOENT);
	installed();
	begin();
	put(FAMILY_4, NFT_SERVICES, 3);
	commit(TXN_OK);
	begin();
	put(FAMILY_6, NFT_SERVICES, 4);
	put(FAMILY_4, NFT_SERVICES, 5);
	put(FAMILY_4, NFT_SERVICES, 3);
	r = commit(TXN_STALE);
	assert_int_equal(r.error, EEXIST);
	assert_non_null(strstr(
	    r.detail, "ip element of services: ip services address=10.96.0.3 proto=6 port=83"));
	begin();
	delete (FAMILY_6, NFT_ENDPOINTS + 2, 9);
	r = commit(TXN_STALE);
	assert_int_equal(r.error, ENOENT);
	assert_non_null(strstr(r.detail, "ip6 deletion from endpoints-3: ip6 endpoints-3 "
					 "address=fd60::9 proto=6 port=89 number=65536"));
	snapshot();
	assert_int_equal(seen_count, 1);
	begin();
	commit(TXN_UNCHANGED);
	assert_non_null(strstr(audited(), "put 3 delete 0 other 0; operations "));
}

static bool hears_of_drift(void)
{
	struct cursor c;
	static uint8_t buf[FRAME_MAX];
	unsigned type;
	ssize_t n;

	assert_null(session_kernel(session));
	n = recv(planner_fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return false;
	assert_null(frame_open(buf, (size_t)n, &type, &c));
	assert_int_equal(type, NFT_DRIFT);
	assert_null(nft_decode_drift(&c));
	return true;
}

static void what_others_change_in_our_tables_is_told(void **state)
{
	(void)state;
	installed();
	snapshot();
	assert_false(hears_of_drift());
	begin();
	put(FAMILY_4, NFT_SERVICES, 3);
	commit(TXN_OK);
	assert_false(hears_of_drift()); /* that was ourselves */
	run("nft add table ip other; nft add table ip6 kube; nft add set ip other services "
	    "'{ type ipv4_addr; }'; nft add element ip other services '{ 10.0.0.1 }'");
	assert_false(hears_of_drift());
	run("nft add element ip6 kube-proxy cluster-ips '{ fd00::1 }'");
	assert_true(hears_of_drift());
	run("nft add element ip6 kube-proxy cluster-ips '{ fd00::2 }'");
	assert_false(hears_of_drift()); /* not again before a snapshot */
	snapshot();
	assert_int_equal(seen_count, 3);
	assert_false(hears_of_drift());
	run("nft flush set ip kube-proxy services");
	begin();
	put(FAMILY_4, NFT_SERVICES, 4);
	commit(TXN_OK);
	assert_true(hears_of_drift());
}

/* Another program that writes its own tables all the time is in nobody's way. */
static void what_others_change_elsewhere_is_not_told(void **state)
{
	pid_t other;
	int status;

	(void)state;
	installed();
	snapshot();
	other = fork();
	assert_true(other >= 0);
	if (other == 0) {
		execl("/bin/sh", "sh", "-c",
		    "for i in $(seq 60); do nft add table ip other; nft delete table ip other; "
		    "done",
		    NULL);
		_exit(1);
	}
	while (waitpid(other, &status, WNOHANG) == 0) {
		begin();
		put(FAMILY_4, NFT_SERVICES, 3);
		commit(TXN_OK);
		begin();
		delete (FAMILY_4, NFT_SERVICES, 3);
		commit(TXN_OK);
		assert_false(hears_of_drift());
		usleep(3000); /* the quota of a second */
	}
	assert_int_equal(status, 0);
	assert_true(generation > 20);
}

/* A change between the reading of the generation and the sending: nft_send() says so, unless it is
 * told not to care. */
static void nothing_is_done_in_another_generation(void **state)
{
	struct nft_batch *b = nft_backend_batch();
	struct nft_elem e = elem(FAMILY_4, NFT_CLUSTER_IPS, 1);
	char detail[256];
	uint32_t now;

	(void)state;
	installed();
	assert_int_equal(nft_begin(&now, true), 0);
	nft_batch_begin(b);
	nft_batch_elem(b, &e, false);
	nft_batch_end(b);
	run("nft add table ip other");
	assert_int_equal(nft_send(b, now, detail, sizeof(detail)), -1);
	assert_int_equal(errno, ERESTART);
	assert_int_equal(nft_send(b, now + 1, detail, sizeof(detail)), 0);
	assert_int_equal(nft_send(b, now + 2, detail, sizeof(detail)), -1);
	assert_int_equal(errno, EEXIST);
	nft_batch_begin(b);
	nft_batch_elem(b, &e, true);
	nft_batch_elem(b, &e, false);
	nft_batch_end(b);
	run("nft delete table ip other");
	assert_int_equal(nft_send(b, 0, detail, sizeof(detail)), 0);
	nft_end();
	nft_batch_clear(b);
	assert_true(hears_of_drift()); /* it might have been ours */
	assert_non_null(strstr(output("nft list set ip kube-proxy cluster-ips"), "10.96.0.1"));
}

/* Whatever is done to rules, chains, sets or elements: the table is no longer as installed. */
static void a_table_that_is_not_as_installed_is_seen(void **state)
{
	static const char *const changes[] = {
	    "nft add rule ip kube-proxy unserved drop",
	    "nft insert rule ip kube-proxy nat-prerouting accept",
	    "nft flush chain ip kube-proxy choose",
	    "nft add chain ip kube-proxy more",
	    "nft add set ip kube-proxy more '{ type ipv4_addr; }'",
	    ("nft delete set ip kube-proxy affinity-3; "
	     "nft add set ip kube-proxy more '{ type ipv4_addr; }'"),
	    "nft add counter ip kube-proxy more",
	    "nft add element ip kube-proxy pod-networks '{ 10.0.0.1-10.0.0.6 }'",
	    "nft add element ip kube-proxy services '{ 10.0.0.1 . icmp . 1 }'",
	    "nft add element ip kube-proxy affinity-timeouts '{ 1 . 1h }'",
	    "nft delete table ip kube-proxy; nft add table ip kube-proxy",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		installed();
		snapshot();
		assert_true(part.installed[FAMILY_4] && part.installed[FAMILY_6]);
		run(changes[i]);
		snapshot();
		if (part.installed[FAMILY_4] || !part.there[FAMILY_4] || !part.installed[FAMILY_6])
			fail_msg("%s", changes[i]);
	}
	run("nft delete table ip kube-proxy");
	snapshot();
	assert_false(part.there[FAMILY_4] || part.installed[FAMILY_4]);
}

static void time_outs_of_affinity_come_and_go(void **state)
{
	static char first[1 << 16];
	struct nft_elem e = {.family = FAMILY_4, .set = NFT_TIMEOUTS, .slot = 1, .seconds = 600};

	(void)state;
	installed();
	strlcpy(first, output("nft list table ip kube-proxy"), sizeof(first));
	begin();
	nft_write_affinity(&writer, FAMILY_4, 1, 600);
	nft_write_affinity(&writer, FAMILY_4, 2, 5);
	commit(TXN_OK);
	begin();
	nft_write_affinity(&writer, FAMILY_4, 2, 86400);
	commit(TXN_OK);
	assert_non_null(strstr(output("nft list chain ip kube-proxy remember"), "timeout 10m"));
	assert_non_null(strstr(output("nft list chain ip kube-proxy remember"), "timeout 1d"));
	assert_non_null(strstr(output("nft list chain ip kube-proxy affinity"), "@affine-2 dnat"));
	end_session();
	start(state); /* after a restart they are read from the kernel */
	snapshot();
	assert_int_equal(seen_count, 2);
	assert_true(part.installed[FAMILY_4] && was_seen(&e));
	begin();
	nft_write_affinity(&writer, FAMILY_4, 1, 0);
	nft_write_affinity(&writer, FAMILY_4, 2, 0);
	commit(TXN_OK);
	assert_string_equal(output("nft list table ip kube-proxy"), first);
}

/* --- a kernel that lacks something --- */

/* The text of what the kernel says of ATTR of message H of B. */
static const char *described(
    const struct nft_batch *b, const struct nlmsghdr *h, const struct nlattr *attr)
{
	static char text[256];

	nft_describe(
	    b, h->nlmsg_seq, (uint32_t)((const char *)attr - (const char *)h), text, sizeof(text));
	return text;
}

/* Adds the module that TEXT names to LIST. */
static void add_module(char list[512], const char *text)
{
	const char *module = strstr(text, "module nft_");
	char name[64];

	if (module == NULL)
		fail_msg("names no module: '%s'", text);
	snprintf(name, sizeof(name), " %.*s", (int)strcspn(module + 7, ")"), module + 7);
	if (strstr(list, name) == NULL)
		strlcat(list, name, 512);
}

/* Adds to LIST the modules that H, a message of B, is said to need. */
static void add_modules(char list[512], const struct nft_batch *b, const struct nlmsghdr *h)
{
	const unsigned type = h->nlmsg_type & 0xff;
	const int header = sizeof(struct nfgenmsg);
	const struct nlattr *attr, *e;
	int left, left_of_list;

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return;
	nla_for_each_attr(attr, nlmsg_attrdata(h, header), nlmsg_attrlen(h, header), left)
	{
		if (type == NFT_MSG_NEWCHAIN && nla_type(attr) == NFTA_CHAIN_TYPE)
			add_module(list, described(b, h, attr));
		if (type != NFT_MSG_NEWRULE || nla_type(attr) != NFTA_RULE_EXPRESSIONS)
			continue;
		nla_for_each_nested(e, attr, left_of_list) add_module(list, described(b, h, e));
	}
}

/* Whichever expression or chain of the rules were refused. */
static void whatever_a_kernel_lacks_is_named(void **state)
{
	static const char *const modules[] = {
	    " nft_chain_nat nft_chain_filter nft_payload nft_meta nft_lookup nft_immediate nft_ct "
	    "nft_bitwise nft_cmp nft_masq nft_fib_ipv4 nft_numgen nft_nat nft_reject_ipv4 "
	    "nft_dynset",
	    " nft_chain_nat nft_chain_filter nft_payload nft_meta nft_lookup nft_immediate nft_ct "
	    "nft_bitwise nft_cmp nft_masq nft_fib_ipv6 nft_numgen nft_nat nft_reject_ipv6 "
	    "nft_dynset"};
	struct nft_batch *b = nft_backend_batch();

	(void)state;
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct nlmsghdr *h = (void *)b->buf;
		char list[512] = "";
		int len;

		nft_batch_begin(b);
		nft_rules_install(b, f, &policy->params, "x", NULL);
		nft_rules_affinity(b, f, (nft_timeouts){1});
		for (len = (int)b->len; nlmsg_ok(h, len); h = nlmsg_next(h, &len))
			add_modules(list, b, h);
		nft_batch_clear(b);
		assert_string_equal(list, modules[f]);
	}
}

/* Has the kernel itself refuse an expression, or a chain's type, that no module has. */
static void what_this_kernel_lacks_is_named(void **state)
{
	struct nft_batch *b = nft_backend_batch();
	struct nl_msg *m;
	struct nlattr *list, *one, *hook;
	char detail[256];

	(void)state;
	nft_batch_begin(b);
	nft_rules_install(b, FAMILY_4, &policy->params, "x", NULL);
	m = nft_message_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, FAMILY_4);
	nla_put_string(m, NFTA_RULE_CHAIN, "service");
	list = nla_nest_start(m, NFTA_RULE_EXPRESSIONS);
	one = nla_nest_start(m, NFTA_LIST_ELEM);
	nla_put_string(m, NFTA_EXPR_NAME, "nosuch");
	nla_nest_end(m, one);
	nla_nest_end(m, list);
	nft_message_end(b);
	assert_int_equal(nft_send(b, 0, detail, sizeof(detail)), -1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(detail, "ip rule in service: expression nosuch (module nft_nosuch)");

	nft_batch_begin(b);
	nft_rules_install(b, FAMILY_6, &policy->params, "x", NULL);
	m = nft_message_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, FAMILY_6);
	nla_put_string(m, NFTA_CHAIN_NAME, "more");
	nla_put_string(m, NFTA_CHAIN_TYPE, "nosuch");
	hook = nla_nest_start(m, NFTA_CHAIN_HOOK);
	nla_put_u32(m, NFTA_HOOK_HOOKNUM, 0);
	nla_put_u32(m, NFTA_HOOK_PRIORITY, 0);
	nla_nest_end(m, hook);
	nft_message_end(b);
	assert_int_equal(nft_send(b, 0, detail, sizeof(detail)), -1);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(detail, "ip6 chain more: module nft_chain_nosuch");
	nft_batch_clear(b);
	assert_string_equal(output("nft list ruleset"), "");
}

/* --- what a planner must not do --- */

/* The frame written last is refused, for the reason WHY; the kernel has not seen it. */
static void refused(const char *why)
{
	txn_commit(&writer);
	if (refusal == NULL || strstr(refusal, why) == NULL)
		fail_msg("'%s', not '%s'", refusal != NULL ? refusal : "done", why);
	assert_non_null(strstr(audited(), why));
	assert_string_equal(output("nft list ruleset"), "");
}

static void refused_elem(const struct nft_elem *e, bool del, const char *why)
{
	void *state = NULL;

	end_session();
	start(&state);
	begin();
	nft_write_install(&writer, FAMILY_4);
	if (del)
		nft_write_delete(&writer, e);
	else
		nft_write_put(&writer, e);
	refused(why);
}

static void elements_that_must_not_be_are_refused(void **state)
{
	struct nft_elem e;

	(void)state;
	begin();
	nft_write_install(&writer, FAMILY_4);
	e = elem(FAMILY_4, NFT_AFFINITY, 1);
	txn_op(&writer, NFT_OP_PUT, 7);
	frame_uint(&writer.frame, e.family);
	frame_uint(&writer.frame, e.set);
	frame_ip(&writer.frame, &e.addr);
	frame_uint(&writer.frame, e.proto);
	frame_uint(&writer.frame, e.port);
	frame_ip(&writer.frame, &e.to);
	frame_uint(&writer.frame, e.to_port);
	refused("not the planner's to fill");
	e = (struct nft_elem){.set = NFT_TIMEOUTS, .slot = 1, .seconds = 1};
	refused_elem(&e, false, "not the planner's to fill");
	e = elem(FAMILY_4, NFT_ENDPOINTS, 1);
	e.to = (struct ip_addr){.b = {127, 0, 0, 1}};
	refused_elem(&e, false, "an endpoint of the other family, or no plain unicast address");
	e.to = address(FAMILY_6, 1, 1);
	refused_elem(&e, false, "an endpoint of the other family");
	e = elem(FAMILY_4, NFT_SERVICES, 1);
	e.addr = (struct ip_addr){.b = {127, 0, 0, 1}};
	refused_elem(&e, false, "an address of the other family");
	e = elem(FAMILY_4, NFT_SERVICES, 1);
	strlcpy(e.name, "default/web\" }; flush ruleset", sizeof(e.name));
	refused_elem(&e, false, "a name that is not namespace/name");
	e = elem(FAMILY_4, NFT_SERVICES, 1);
	e.port = 0;
	refused_elem(&e, true, "a port 0");
	e = elem(FAMILY_4, NFT_ENDPOINTS + 2, 1);
	e.slot = 3;
	refused_elem(&e, false, "a number that is never drawn");
}

static void operations_out_of_place_are_refused(void **state)
{
	struct ipt_chain c = {.kind = CHAIN_SERVICES};
	struct nft_elem e = elem(FAMILY_4, NFT_SERVICES, 1);

	begin();
	put(FAMILY_4, NFT_SERVICES, 1);
	nft_write_install(&writer, FAMILY_4);
	refused("a table made after other operations on it");
	end_session();
	start(state);
	begin();
	nft_write_install(&writer, FAMILY_6);
	nft_write_install(&writer, FAMILY_6);
	refused("a table made after other operations on it");
	end_session();
	start(state);
	begin();
	nft_write_forget(&writer, &e);
	refused("clients of a set that has none");
	end_session();
	start(state); /* iptables mode's operations do not exist */
	writer.type = 0;
	txn_begin(&writer, sink, NULL, ++generation, base);
	txn_chain_put(&writer, &c);
	refused("an unknown message");
	end_session();
	start(state);
	frame_begin(&writer.frame, TXN_CHECK, 1);
	frame_bool(&writer.frame, true);
	sink(NULL, &writer.frame);
	assert_string_equal(refusal, "an unknown message");
}

/* --- size --- */

static double since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* Element I of 20,000 services of three endpoints, 100,000 elements in all. */
static struct nft_elem one_of_many(unsigned i)
{
	static const uint8_t sets[] = {NFT_SERVICES, NFT_MASQ_OUTSIDE, NFT_ENDPOINTS + 2,
	    NFT_ENDPOINTS + 2, NFT_ENDPOINTS + 2};
	unsigned service = i / 5;
	struct nft_elem e = elem(FAMILY_4, sets[i % 5], 1);

	e.addr = (struct ip_addr){.b = {10, 96, (uint8_t)(service >> 8), (uint8_t)(service | 1)}};
	e.port = (uint16_t)(1 + service % 2);
	e.slot = i % 5 >= 2 ? i % 5 - 2 : 0;
	return e;
}

static void count_elem(void *arg, const struct nft_elem *e)
{
	(void)e;
	++*(unsigned *)arg;
}

/* How long it takes is told; "make bench" has limits. */
static void a_hundred_thousand_elements(void **state)
{
	const unsigned count = 100000;
	struct timespec then;
	double put_s, one_s, read_s;
	struct nft_elem one;
	unsigned read = 0;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &then);
	begin();
	install();
	for (unsigned i = 0; i < count; i++) {
		struct nft_elem e = one_of_many(i);

		nft_write_put(&writer, &e);
	}
	commit(TXN_OK);
	put_s = since(&then);
	one = one_of_many(2);
	clock_gettime(CLOCK_MONOTONIC, &then);
	begin();
	nft_write_delete(&writer, &one);
	nft_write_put(&writer, &one);
	commit(TXN_OK);
	one_s = since(&then);
	clock_gettime(CLOCK_MONOTONIC, &then);
	assert_int_equal(nft_dump_elems(FAMILY_4, NFT_ENDPOINTS + 2, count_elem, &read), 0);
	read_s = since(&then);
	assert_int_equal(read, count / 5 * 3);
	print_message(
	    "%u elements installed in %.0f ms, one replaced in %.0f us, %u read in %.0f ms\n",
	    count, put_s * 1e3, one_s * 1e6, read, read_s * 1e3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_rules_are_the_text),
	    TEST(every_kind_of_element_comes_is_listed_and_goes),
	    TEST(prefixes_are_read_as_they_were_put),
	    TEST(what_is_not_as_believed_is_stale),
	    TEST(what_others_change_in_our_tables_is_told),
	    TEST(what_others_change_elsewhere_is_not_told),
	    TEST(nothing_is_done_in_another_generation),
	    TEST(a_table_that_is_not_as_installed_is_seen),
	    TEST(time_outs_of_affinity_come_and_go),
	    TEST(whatever_a_kernel_lacks_is_named),
	    TEST(what_this_kernel_lacks_is_named),
	    TEST(elements_that_must_not_be_are_refused),
	    TEST(operations_out_of_place_are_refused),
	    TEST(a_hundred_thousand_elements),
	};

	open_policy("cni0", false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
