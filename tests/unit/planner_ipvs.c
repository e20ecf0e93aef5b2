/* ipvs mode's plan: objects in, items out, into a kernel that takes nothing twice. */
#include "planner_world.h"

#include "planner/ipvs_plan.h"
#include "planner/ipvs_print.h"

/* --- the kernel --- */

static struct {
	struct ipvs_item items[512];
	size_t count;
	char *log; /* what was done: "+" put, "~" changed, "-" deleted, each with a line of text */
	size_t log_len;
	FILE *out;
} k;

static size_t find(const struct ipvs_item *i)
{
	size_t at = 0;

	while (at < k.count && memcmp(&k.items[at], i, IPVS_KEY_LEN) != 0)
		at++;
	return at;
}

static bool is_real_of(const struct ipvs_item *real, const struct ipvs_item *s)
{
	return real->kind == IPVS_REAL && real->family == s->family && real->proto == s->proto &&
	       real->port == s->port && ip_cmp(&real->addr, &s->addr) == 0;
}

static const char *do_item(struct world *w, enum txn_op op, const struct ipvs_item *i)
{
	const size_t at = find(i);
	struct ipvs_item server = *i;

	assert_null(ipvs_item_check(i));
	if (i->kind == IPVS_REAL) {
		server.kind = IPVS_SERVER;
		server.to = (struct ip_addr){0};
		server.to_port = 0;
		assert_true(find(&server) < k.count);
	}
	fputc(op == OP_ITEM_PUT ? '+' : op == OP_ITEM_CHANGE ? '~' : '-', k.out);
	ipvs_print_item(k.out, i, &w->cfg);
	if (op == OP_ITEM_PUT) {
		assert_true(at == k.count && k.count < 512);
		k.items[k.count++] = *i;
	} else if (op == OP_ITEM_CHANGE) {
		assert_true(at < k.count && (ipvs_kinds[i->kind].fields & IPVS_VALUE) != 0);
		assert_int_not_equal(k.items[at].value, i->value);
		k.items[at].value = i->value;
	} else {
		assert_true(at < k.count);
		k.items[at] = k.items[--k.count];
		for (size_t r = 0; i->kind == IPVS_SERVER && r < k.count;)
			if (is_real_of(&k.items[r], i))
				k.items[r] = k.items[--k.count];
			else
				r++;
	}
	if (op == OP_ITEM_DELETE)
		w->deletes++;
	else
		w->puts++;
	return NULL;
}

static void snapshot(struct world *w)
{
	static struct ipvs_snapshot part;

	part.count = 0;
	for (size_t i = 0; i < k.count; i++) {
		part.items[part.count++] = k.items[i];
		if (part.count == 5) {
			assert_null(plan_ipvs_snapshot(w->plan, &part));
			part.count = 0;
		}
	}
	assert_null(plan_ipvs_snapshot(w->plan, &part));
	world_snapshot(w);
}

static void look_again(struct world *w)
{
	plan_forget(w->plan);
	snapshot(w);
}

/* --- the world --- */

static void know_the_node(struct world *w)
{
	struct node_addrs_part addrs = {.first = true, .last = true};
	struct node n = {.zone = "z", .addr_count = 1};

	assert_int_equal(ip_parse(&n.addrs[0], "192.168.0.1"), 0);
	addrs.addrs[addrs.count++] = (struct ip_addr){FAMILY_4, {127, 0, 0, 1}};
	addrs.addrs[addrs.count++] = n.addrs[0];
	plan_node(w->plan, &n);
	assert_null(plan_node_addrs(w->plan, &addrs));
	world_listed(w);
}

/* A proxy that starts on what is in the kernel. */
static struct world *ipvs_world(void)
{
	struct world *w = world_in_mode(MODE_IPVS);

	w->item = do_item;
	w->cfg.cluster_cidr_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.cluster_cidrs[0], "10.1.0.0/16"), 0);
	return w;
}

static void clear_log(void)
{
	if (k.out != NULL)
		fclose(k.out);
	free(k.log);
	k.log = NULL;
	k.out = open_memstream(&k.log, &k.log_len);
	assert_non_null(k.out);
}

static int start(void **state)
{
	struct world *w = ipvs_world();

	k.count = 0;
	clear_log();
	know_the_node(w);
	snapshot(w);
	*state = w;
	return 0;
}

static int end(void **state)
{
	world_free(*state);
	fclose(k.out);
	free(k.log);
	memset(&k, 0, sizeof(k));
	return 0;
}

/* Plans and applies; what was done to items must be just WANT. */
static void done(struct world *w, const char *want)
{
	clear_log();
	world_sync(w);
	fflush(k.out);
	assert_string_equal(k.log, want);
}

static void logged(const char *line, bool is)
{
	fflush(k.out);
	if ((strstr(k.log, line) != NULL) != is)
		fail_msg("%s: %s\nin:\n%s", is ? "missing" : "too much", line, k.log);
}

static void web(struct world *w, const char *endpoints)
{
	put_service(w, "default/web", "10.96.0.1", "http:80/tcp");
	put_slice(w, "default/web-1", "web", "http:8080/tcp", endpoints);
}

/* --- tests --- */

static void a_service(void **state)
{
	struct world *w = *state;

	web(w, "10.1.0.1=rl 10.2.0.2=r");
	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .ports = "http:80/tcp/30080",
			 .affinity = 600});
	done(w, "+add KUBE-LOOP-BACK 10.1.0.1,tcp:8080,10.1.0.1\n"
		"+add KUBE-CLUSTER-IP 10.96.0.1,tcp:80\n"
		"+add KUBE-NODE-PORT-TCP 30080\n"
		"+add KUBE-IPVS-IPS 10.96.0.1\n"
		"+# ip address add 10.96.0.1/32 dev kube-ipvs0\n"
		"+-A -t 10.96.0.1:80 -s rr -p 600\n"
		"+-A -t 192.168.0.1:30080 -s rr -p 600\n"
		"+-a -t 10.96.0.1:80 -r 10.1.0.1:8080 -m -w 1\n"
		"+-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 1\n"
		"+-a -t 192.168.0.1:30080 -r 10.1.0.1:8080 -m -w 1\n"
		"+-a -t 192.168.0.1:30080 -r 10.2.0.2:8080 -m -w 1\n");
	store_service_del(plan_store(w->plan), "default", "web");
	done(w, "--A -t 192.168.0.1:30080 -s rr\n"
		"--A -t 10.96.0.1:80 -s rr\n"
		"-# ip address add 10.96.0.1/32 dev kube-ipvs0\n"
		"-add KUBE-IPVS-IPS 10.96.0.1\n"
		"-add KUBE-NODE-PORT-TCP 30080\n"
		"-add KUBE-CLUSTER-IP 10.96.0.1,tcp:80\n"
		"-add KUBE-LOOP-BACK 10.1.0.1,tcp:8080,10.1.0.1\n");
	assert_int_equal(k.count, 0);
}

/* One endpoint's change is one operation; one that goes stays while it has connections. */
static void an_endpoint(void **state)
{
	struct world *w = *state;
	struct ipvs_item *leaving;

	web(w, "10.2.0.1=r");
	world_sync(w);
	web(w, "10.2.0.1=r 10.2.0.2=r");
	done(w, "+-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 1\n");
	assert_int_equal(plan_draining(w->plan), 0);
	web(w, "10.2.0.2=r");
	done(w, "~-a -t 10.96.0.1:80 -r 10.2.0.1:8080 -m -w 0\n");
	assert_int_equal(plan_draining(w->plan), 1);
	web(w, "10.2.0.1=r 10.2.0.2=r"); /* there again */
	done(w, "~-a -t 10.96.0.1:80 -r 10.2.0.1:8080 -m -w 1\n");
	assert_int_equal(plan_draining(w->plan), 0);
	web(w, "10.2.0.2=r");
	world_sync(w);
	for (leaving = k.items; leaving->kind != IPVS_REAL || leaving->value != 0; leaving++)
		continue;
	leaving->value |= IPVS_BUSY;
	look_again(w);
	done(w, "");
	assert_int_equal(plan_draining(w->plan), 1);
	leaving->value = 0;
	look_again(w);
	done(w, "--a -t 10.96.0.1:80 -r 10.2.0.1:8080 -m -w 0\n");
	assert_int_equal(plan_draining(w->plan), 0);
}

/* Its packets are no connections: it goes at once. */
static void an_endpoint_of_udp(void **state)
{
	struct world *w = *state;

	put_service(w, "default/dns", "10.96.0.1", "dns:53/udp");
	put_slice(w, "default/dns-1", "dns", "dns:53/udp", "10.2.0.1=r 10.2.0.2=r");
	world_sync(w);
	put_slice(w, "default/dns-1", "dns", "dns:53/udp", "10.2.0.2=r");
	done(w, "--a -u 10.96.0.1:53 -r 10.2.0.1:53 -m -w 0\n");
}

/* A server that goes takes those with it that wait for their connections. */
static void a_server_goes_with_what_drains(void **state)
{
	struct world *w = *state;

	web(w, "10.2.0.1=r");
	world_sync(w);
	web(w, "");
	world_sync(w);
	assert_int_equal(plan_draining(w->plan), 1);
	store_service_del(plan_store(w->plan), "default", "web");
	world_sync(w);
	assert_int_equal(plan_draining(w->plan), 0);
	assert_int_equal(k.count, 0);
	assert_int_equal(plan_items(w->plan), 0);
}

static void a_restart_writes_nothing(void **state)
{
	struct world *w = *state, *again = ipvs_world();

	web(w, "10.1.0.1=rl 10.2.0.2=r");
	world_sync(w);
	know_the_node(again);
	web(again, "10.1.0.1=rl 10.2.0.2=r");
	again->cfg = w->cfg;
	memcpy(again->hooks, w->hooks, sizeof(w->hooks));
	again->chains = w->chains;
	snapshot(again);
	assert_true(plan_ready(again->plan));
	clear_log();
	assert_false(world_sync(again));
	RB_INIT(&again->chains);
	world_free(again);
}

static void add_to_kernel(uint8_t kind, const char *addr, uint16_t port, const char *to)
{
	struct ipvs_item *i = &k.items[k.count++];

	memset(i, 0, sizeof(*i));
	i->kind = kind;
	assert_int_equal(ip_parse(&i->addr, addr), 0);
	i->proto = port != 0 ? PROTO_TCP : 0;
	i->port = port;
	if (to != NULL) {
		assert_int_equal(ip_parse(&i->to, to), 0);
		i->to_port = 1;
		i->value = 1;
	}
}

/* What is at an address of kube-ipvs0, or in an ipset, is ours; anything else is not. */
static void whose_a_server_is(void **state)
{
	struct world *w = *state;

	add_to_kernel(IPVS_ADDRESS, "10.96.0.9", 0, NULL);
	add_to_kernel(IPVS_SERVER, "10.96.0.9", 80, NULL);
	add_to_kernel(IPVS_REAL, "10.96.0.9", 80, "10.2.0.9");
	add_to_kernel(IPVS_EXTERNAL_IP, "192.0.2.8", 80, NULL);
	add_to_kernel(IPVS_SERVER, "192.0.2.8", 80, NULL);
	add_to_kernel(IPVS_SERVER, "192.0.2.7", 80, NULL);
	k.items[k.count - 1].value = IPVS_FOREIGN;
	add_to_kernel(IPVS_REAL, "192.0.2.7", 80, "10.2.0.7");
	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp"});
	put_slice(w, "default/web-1", "web", "http:8080/tcp", "10.2.0.1=r");
	look_again(w);
	clear_log();
	world_sync(w);
	logged("--A -t 10.96.0.9:80", true);
	logged("--A -t 192.0.2.8:80", true);
	logged("-add KUBE-EXTERNAL-IP 192.0.2.8,tcp:80", true);
	logged("+-A -t 10.96.0.1:80", true);
	logged("192.0.2.7:80", false); /* neither it nor one of its real ones is touched ... */
	logged("192.0.2.7/32", false); /* ... and its address is not taken */
	look_again(w);
	done(w, "");
}

/* It came to a frontend before ours did: nothing says any more that it is ours. */
static void foreign_ones_that_came_first(void **state)
{
	struct world *w = *state;

	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp"});
	world_sync(w);
	for (size_t i = 0; i < k.count; i++)
		if (k.items[i].kind == IPVS_SERVER && k.items[i].addr.b[0] == 192)
			k.items[i].value = IPVS_FOREIGN;
	add_to_kernel(IPVS_SERVER, "10.96.0.1", 81, NULL);
	k.items[k.count - 1].value = IPVS_FOREIGN;
	look_again(w);
	clear_log();
	world_sync(w);
	logged("-add KUBE-EXTERNAL-IP 192.0.2.7,tcp:80", true);
	logged("-add KUBE-IPVS-IPS 192.0.2.7", true);
	logged("192.0.2.7/32", true);
	logged("10.96.0.1", false); /* another port of one of ours is not to end that */
	look_again(w);
	done(w, "");
}

static void excluded(void **state)
{
	struct world *w = *state;

	w->cfg.ipvs_exclude_count = 1;
	assert_int_equal(ip_cidr_parse(&w->cfg.ipvs_exclude[0], "192.0.2.0/24"), 0);
	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp"});
	clear_log();
	world_sync(w);
	logged("-A -t 10.96.0.1:80", true);
	logged("192.0.2.7", false);
}

/* Others come by no endpoint: dropped. Pods do from the node's, and the node. */
static void no_local_endpoint(void **state)
{
	struct world *w = *state;

	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp",
			 .internal_local = true,
			 .external_local = true});
	put_slice(w, "default/web-1", "web", "http:8080/tcp", "10.2.0.1=r");
	clear_log();
	world_sync(w);
	logged("+add KUBE-LOAD-BALANCER-FW 10.96.0.1,tcp:80\n", true);
	logged("+add KUBE-LOAD-BALANCER-FW 192.0.2.7,tcp:80\n", true);
	logged("SOURCE-CIDR 10.96.0.1", false);
	logged("+add KUBE-LOAD-BALANCER-SOURCE-CIDR 192.0.2.7,tcp:80,10.1.0.0/16\n", true);
	logged("-a -t 10.96.0.1:80", false);
	logged("+-a -t 192.0.2.7:80 -r 10.2.0.1:8080", true);
	put_slice(w, "default/web-1", "web", "http:8080/tcp", "10.1.0.1=rl 10.2.0.1=r");
	clear_log();
	world_sync(w);
	logged("-add KUBE-LOAD-BALANCER-FW 192.0.2.7,tcp:80\n", true);
	logged("+-a -t 192.0.2.7:80 -r 10.1.0.1:8080 -m -w 1\n", true);
	logged("~-a -t 192.0.2.7:80 -r 10.2.0.1:8080 -m -w 0\n", true);
	logged("+-a -t 10.96.0.1:80 -r 10.1.0.1:8080", true);
}

static void source_ranges(void **state)
{
	struct world *w = *state;

	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .balancer = "192.0.2.7",
			 .ranges = "198.51.100.0/24 192.168.0.0/16",
			 .ports = "http:80/tcp"});
	put_slice(w, "default/web-1", "web", "http:8080/tcp", "10.2.0.1=r");
	clear_log();
	world_sync(w);
	logged("+add KUBE-LOAD-BALANCER 192.0.2.7,tcp:80\n", true);
	logged("+add KUBE-LOAD-BALANCER-FW 192.0.2.7,tcp:80\n", true);
	logged("SOURCE-CIDR 192.0.2.7,tcp:80,198.51.100.0/24\n", true);
	/* a range contains the node, whose own packets come from the address */
	logged("SOURCE-CIDR 192.0.2.7,tcp:80,192.0.2.7/32\n", true);
	logged("FW 10.96.0.1", false);
}

static void services_that_share(void **state)
{
	struct world *w = *state;

	put_words(w, &(struct words){.name = "default/b",
			 .ips = "10.96.0.2",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp dns:53/tcp"});
	put_slice(w, "default/b-1", "b", "http:8080/tcp dns:53/tcp", "10.2.0.2=r");
	world_sync(w);
	/* one that comes first in the alphabet takes the port, and the address stays */
	put_words(w, &(struct words){.name = "default/a",
			 .ips = "10.96.0.1",
			 .external = "192.0.2.7",
			 .ports = "http:80/tcp"});
	put_slice(w, "default/a-1", "a", "http:8080/tcp", "10.2.0.1=r");
	clear_log();
	world_sync(w);
	logged("+-a -t 192.0.2.7:80 -r 10.2.0.1:8080 -m -w 1\n", true);
	logged("~-a -t 192.0.2.7:80 -r 10.2.0.2:8080 -m -w 0\n", true);
	logged("192.0.2.7/32", false);
	store_service_del(plan_store(w->plan), "default", "a");
	clear_log();
	world_sync(w);
	logged("-a -t 192.0.2.7:80 -r 10.2.0.2:8080 -m -w 1\n", true);
	logged("192.0.2.7/32", false);
	logged("-add KUBE-EXTERNAL-IP 192.0.2.7,tcp:80", false);
	store_service_del(plan_store(w->plan), "default", "b");
	clear_log();
	world_sync(w);
	logged("-# ip address add 192.0.2.7/32 dev kube-ipvs0\n", true);
}

/* What else listens at an address of the node's is not to be refused. */
static void an_address_of_the_node(void **state)
{
	struct world *w = *state;

	put_words(w, &(struct words){.name = "default/web",
			 .ips = "10.96.0.1",
			 .external = "192.168.0.1",
			 .ports = "http:80/tcp"});
	clear_log();
	world_sync(w);
	logged("+-A -t 192.168.0.1:80 -s rr\n", true);
	logged("192.168.0.1/32", false);
	logged("KUBE-IPVS-IPS 192.168.0.1", false);
	look_again(w);
	done(w, "");
}

static void another_scheduler(void **state)
{
	struct world *w = *state;

	web(w, "10.2.0.1=r");
	world_sync(w);
	for (size_t i = 0; i < k.count; i++)
		if (k.items[i].kind == IPVS_SERVER)
			k.items[i].value |= IPVS_OTHER;
	look_again(w);
	done(w, "~-A -t 10.96.0.1:80 -s rr\n");
}

static const char *note_kind(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	unsigned *kinds = arg;

	assert_int_equal(op, OP_ITEM_DELETE);
	*kinds |= 1u << i->kind;
	return NULL;
}

/* Another mode's chain, which translates. */
static const struct ipt_chain other = {.table = IPT_NAT, .kind = CHAIN_SVC, .hash = {1}};

/* Gives the first half: virtual servers, and no chain. */
static void first_half(struct world *w)
{
	kernel_put(w, &other);
	look_again(w);
	web(w, "10.1.0.1=rl");
	clear_log();
	assert_true(world_sync(w));
	logged("+-a -t 10.96.0.1:80 -r 10.1.0.1:8080 -m -w 1", true);
	assert_true(plan_half_done(w->plan) && plan_waiting(w->plan));
	assert_string_equal(w->put, "");
	assert_int_equal(w->deletes + w->hook_ops, 0);
}

static void second_half(struct world *w)
{
	clear_log();
	assert_true(world_sync(w));
	fflush(k.out);
	assert_string_equal(k.log, "");
	assert_false(plan_half_done(w->plan) || plan_waiting(w->plan));
	assert_null(kernel_find(w, &other));
	assert_true(w->hook_ops > 0);
}

static void after_another_mode(void **state)
{
	struct world *w = *state;

	first_half(w);
	second_half(w);
	assert_int_equal(w->counts.services, 1);
	assert_int_equal(w->counts.endpoints, 1);
	kernel_put(w, &other); /* it comes back when IPVS translates */
	look_again(w);
	assert_true(world_sync(w));
	assert_false(plan_half_done(w->plan));
	assert_null(kernel_find(w, &other));
}

/* What the kernel refused is planned anew from its first half on. */
static void a_half_that_failed(void **state)
{
	struct world *w = *state;

	first_half(w);
	look_again(w);
	assert_false(world_sync(w)); /* the virtual servers are there */
	assert_true(plan_half_done(w->plan));
	second_half(w);
}

/* Everything goes, but for the addresses: those do with their interface. */
static void a_clean_up(void **state)
{
	static const struct txn_visitor visitor = {.item = note_kind};
	static const bool families[FAMILY_COUNT] = {true, true};
	static struct ipvs_snapshot all;
	struct store nobody;
	struct udp_index none = {0};
	struct plan_counts n = {0};
	struct ipvs_plan p;
	unsigned kinds = 0;

	(void)state;
	add_to_kernel(IPVS_ADDRESS, "10.96.0.9", 0, NULL);
	add_to_kernel(IPVS_CLUSTER_IP, "10.96.0.9", 80, NULL);
	add_to_kernel(IPVS_SERVER, "10.96.0.9", 80, NULL);
	add_to_kernel(IPVS_REAL, "10.96.0.9", 80, "10.2.0.9");
	all.count = (uint32_t)k.count;
	memcpy(all.items, k.items, k.count * sizeof(k.items[0]));
	store_init(&nobody, "n");
	ipvs_plan_init(&p, &nobody, NULL, "", &none);
	p.ends = true;
	ipvs_plan_snapshot(&p, &all);
	ipvs_plan_known(&p, families);
	ipvs_plan_sync(&p, true, &visitor, &kinds, &n);
	assert_int_equal(kinds, 1u << IPVS_CLUSTER_IP | 1u << IPVS_SERVER);
	assert_int_equal(n.deletes, 3);
	assert_int_equal(p.items.count, 0);
	ipvs_plan_clear(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
	    TEST(a_service),
	    TEST(an_endpoint),
	    TEST(an_endpoint_of_udp),
	    TEST(a_server_goes_with_what_drains),
	    TEST(a_restart_writes_nothing),
	    TEST(whose_a_server_is),
	    TEST(foreign_ones_that_came_first),
	    TEST(excluded),
	    TEST(no_local_endpoint),
	    TEST(source_ranges),
	    TEST(services_that_share),
	    TEST(an_address_of_the_node),
	    TEST(another_scheduler),
	    TEST(after_another_mode),
	    TEST(a_half_that_failed),
	    TEST(a_clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
