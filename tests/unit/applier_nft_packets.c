/*
 * nftables mode's rules with real packets: the node connects to its own services, whose endpoints
 * are on its own addresses.
 */
#include <arpa/inet.h>
#include <poll.h>

#include "applier/nft_snapshot.h"
#include "nft_fixture.h"

#define ENDPOINTS 40

static int listeners[FAMILY_COUNT][ENDPOINTS];

static socklen_t fill(struct sockaddr_storage *ss, const struct ip_addr *a, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == FAMILY_4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->b, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, 16);
	return sizeof(*in6);
}

/* Endpoint I: 10.244.0.I or fdf4::I, port 8080. */
static struct ip_addr endpoint(uint8_t family, unsigned i)
{
	return address(family, 244, (uint8_t)(i + 1));
}

static void open_listeners(void)
{
	run("ip link set lo up");
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		for (unsigned i = 0; i < ENDPOINTS; i++) {
			struct ip_addr a = endpoint(f, i);
			struct sockaddr_storage ss;
			char command[128], text[IP_STRLEN];
			socklen_t len = fill(&ss, &a, 8080);

			snprintf(command, sizeof(command), "ip addr add %s/%u dev lo%s",
			    ip_format(&a, text), ip_bits(f), f == FAMILY_6 ? " nodad" : "");
			run(command);
			listeners[f][i] = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
			assert_int_equal(bind(listeners[f][i], (struct sockaddr *)&ss, len), 0);
			assert_int_equal(listen(listeners[f][i], 64), 0);
		}
	/* service addresses are routed to where nobody is */
	run("ip link add kp0 type veth peer name kp1 && ip link set kp0 up && ip link set kp1 up "
	    "&& "
	    "ip addr add 192.0.2.1/24 dev kp0 && ip addr add fd02::1/64 dev kp0 nodad && "
	    "ip route add 10.96.0.0/16 dev kp0 && ip -6 route add fd60::/16 dev kp0");
	/* ... but for one that is the node's own */
	run("ip addr add 10.96.0.3/32 dev lo && ip addr add fd60::3/128 dev lo nodad");
}

/*
 * Connects to A's port 80, from FROM unless that is NULL. The endpoint that answers, or -1 with
 * errno: who is rejected hears of it with the second packet, after a second. MASQUERADED: the
 * endpoint sees another source.
 */
static int reach_from(const struct ip_addr *a, const struct ip_addr *from, bool *masqueraded)
{
	struct sockaddr_storage to, self, peer;
	int fd = socket(a->family == FAMILY_4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int found = -1, error = ETIMEDOUT;
	socklen_t len, size = sizeof(error);
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	assert_true(fd >= 0);
	if (from != NULL) {
		len = fill(&self, from, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&self, len), 0);
	}
	len = fill(&to, a, 80);
	if (connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
		error = errno;
	else if (poll(&p, 1, 1500) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	for (int i = 0; i < ENDPOINTS && error == 0 && found < 0; i++) {
		memset(&peer, 0, sizeof(peer));
		len = sizeof(peer);
		int in = accept(listeners[a->family][i], (struct sockaddr *)&peer, &len);

		if (in < 0)
			continue;
		found = i;
		close(in);
		memset(&self, 0, sizeof(self));
		len = sizeof(self);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &len), 0);
		*masqueraded = memcmp(&self, &peer, len) != 0;
	}
	close(fd);
	errno = error;
	return found;
}

static int reach(const struct ip_addr *a)
{
	bool masqueraded;

	return reach_from(a, NULL, &masqueraded);
}

/* --- services --- */

static struct ip_addr service(uint8_t family)
{
	return address(family, 96, 1);
}

static struct nft_elem of_service(uint8_t family, unsigned set)
{
	struct nft_elem e = {.family = family,
	    .set = (uint8_t)set,
	    .addr = service(family),
	    .proto = IPPROTO_TCP,
	    .port = 80,
	    .to_port = 8080,
	    .name = "default/web"};

	e.client = e.to = e.addr;
	return e;
}

static void is(uint8_t family, unsigned set)
{
	struct nft_elem e = of_service(family, set);

	nft_write_put(&writer, &e);
}

static void has(uint8_t family, unsigned set, uint32_t slot, unsigned to)
{
	struct nft_elem e = of_service(family, set);

	e.slot = slot;
	e.to = endpoint(family, to);
	nft_write_put(&writer, &e);
}

static void one_of(uint8_t family, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		has(family, NFT_ENDPOINTS + count - 1, i, i);
}

/* Begins a transaction that makes the tables. */
static void begin_new(void)
{
	begin();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		nft_write_install(&writer, f);
}

/* Connections that each endpoint gets of N. */
static void count(uint8_t family, int n, int counts[ENDPOINTS])
{
	struct ip_addr a = service(family);

	memset(counts, 0, ENDPOINTS * sizeof(counts[0]));
	for (int i = 0; i < n; i++) {
		int found = reach(&a);

		assert_true(found >= 0);
		counts[found]++;
	}
}

/* --- tests --- */

static void every_endpoint_gets_its_share(void **state)
{
	int counts[ENDPOINTS];

	(void)state;
	begin_new();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		is(f, NFT_SERVICES);
		one_of(f, 3);
	}
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		count(f, 300, counts);
		for (int i = 0; i < 3; i++) /* 100, six standard deviations of 8 */
			assert_in_range(counts[i], 52, 148);
	}
}

/* 40 endpoints: draw-64, and all-64 for the one connection of 66,000 that six draws miss. */
static void many_endpoints_are_drawn(void **state)
{
	int counts[ENDPOINTS];

	(void)state;
	begin_new();
	is(FAMILY_4, NFT_SERVICES);
	is(FAMILY_6, NFT_SERVICES);
	for (unsigned i = 0; i < ENDPOINTS; i++) {
		has(FAMILY_4, NFT_DRAW + 1, i, i);
		has(FAMILY_4, NFT_ALL + 1, i, i);
	}
	for (unsigned i = 0; i < 64; i++) /* IPv6 never draws: the last rule alone */
		has(FAMILY_6, NFT_ALL + 1, i, i % ENDPOINTS);
	for (unsigned i = ENDPOINTS; i < 64; i++)
		has(FAMILY_4, NFT_ALL + 1, i, i % ENDPOINTS);
	commit(TXN_OK);
	count(FAMILY_4, 800, counts);
	for (int i = 0; i < ENDPOINTS; i++) /* 20, seven standard deviations of 4.4 */
		assert_in_range(counts[i], 1, 51);
	count(FAMILY_6, 100, counts);
}

static void count_client(void *arg, const struct nft_elem *e)
{
	(void)e;
	++*(int *)arg;
}

static int clients(uint8_t family)
{
	int n = 0;

	assert_int_equal(nft_dump_elems(family, NFT_AFFINITY + 2, count_client, &n), 0);
	return n;
}

/* Affinity follows the endpoint that was chosen first; what is forgotten is chosen anew. */
static void clients_stay_until_they_are_forgotten(void **state)
{
	struct nft_elem gone;

	(void)state;
	begin_new();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		nft_write_affinity(&writer, f, 2, 600);
		is(f, NFT_SERVICES);
		is(f, NFT_AFFINE + 2);
		one_of(f, 16);
	}
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct ip_addr a = service(f);
		bool masqueraded;
		int first = reach(&a), others = 0;

		assert_true(first >= 0);
		for (int i = 0; i < 20; i++)
			assert_int_equal(reach(&a), first);
		for (unsigned i = 0; i < 12; i++) {
			struct ip_addr from = endpoint(f, 20 + i);

			others += reach_from(&a, &from, &masqueraded) != first;
		}
		assert_true(others > 0); /* by client */
		assert_int_equal(clients(f), 13);
		begin();
		gone = of_service(f, NFT_AFFINITY + 2);
		gone.to = endpoint(f, (unsigned)first);
		nft_write_forget(&writer, &gone);
		commit(TXN_UNCHANGED);
		assert_int_equal(clients(f), others); /* just its clients, and all of them */
	}
}

static void without_endpoints_the_client_is_told(void **state)
{
	(void)state;
	begin_new();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++)
		is(f, NFT_NO_ENDPOINTS);
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct ip_addr a = service(f);

		assert_int_equal(reach(&a), -1);
		assert_int_equal(errno, ECONNREFUSED);
	}
}

/* Source ranges: before whether there is an endpoint. */
static void who_is_not_allowed_is_dropped(void **state)
{
	(void)state;
	begin_new();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct nft_elem e = of_service(f, NFT_ALLOWED);

		e.net = (struct ip_cidr){endpoint(f, 4), ip_bits(f)};
		nft_write_put(&writer, &e);
		is(f, NFT_FIREWALL);
		if (f == FAMILY_4) {
			is(f, NFT_SERVICES);
			one_of(f, 2);
		} else {
			is(f, NFT_NO_ENDPOINTS);
		}
	}
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct ip_addr a = service(f), in = endpoint(f, 4), out = endpoint(f, 5);
		bool masqueraded;

		assert_int_equal(reach_from(&a, &out, &masqueraded), -1);
		assert_int_equal(errno, ETIMEDOUT);
		if (f == FAMILY_4) {
			assert_true(reach_from(&a, &in, &masqueraded) >= 0);
		} else {
			assert_int_equal(reach_from(&a, &in, &masqueraded), -1);
			assert_int_equal(errno, ECONNREFUSED);
		}
	}
}

static void other_ports_and_free_addresses(void **state)
{
	(void)state;
	run("nft 'add table inet watch; add counter inet watch left; add chain inet watch out { "
	    "type "
	    "filter hook postrouting priority 0; }; add rule inet watch out ip daddr 10.96.0.4 "
	    "counter "
	    "name left; add rule inet watch out ip6 daddr fd60::4 counter name left'");
	begin_new();
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct nft_elem ip = {
		    .family = f, .set = NFT_CLUSTER_IPS, .addr = address(f, 96, 2)};
		struct nft_elem net = {.family = f,
		    .set = NFT_SERVICE_CIDRS,
		    .net = {address(f, 96, 0), f == FAMILY_6 ? 112 : 16}};

		is(f, NFT_SERVICES);
		one_of(f, 1);
		nft_write_put(&writer, &ip);
		nft_write_put(&writer, &net);
	}
	commit(TXN_OK);
	for (uint8_t f = 0; f < FAMILY_COUNT; f++) {
		struct ip_addr a = service(f), other = address(f, 96, 2), own = address(f, 96, 3),
			       none = address(f, 96, 4);

		assert_int_equal(reach(&a), 0);
		assert_int_equal(reach(&other), -1);
		assert_int_equal(errno, ECONNREFUSED);
		assert_int_equal(reach(&none), -1);
		assert_int_equal(errno, ETIMEDOUT);
		assert_int_equal(reach(&own), -1); /* the node itself says that nobody listens */
		assert_int_equal(errno, ECONNREFUSED);
	}
	/* what was sent to nobody did not leave */
	assert_non_null(strstr(output("nft list counter inet watch left"), "packets 0 bytes 0"));
	run("nft delete table inet watch");
}

/*
 * Policy Local: pods reach all endpoints as they are, the node itself all, masqueraded; those on
 * this node are for the others. Here everything comes from the node: pods are those in
 * pod-networks.
 */
static void a_policy_is_for_outsiders(void **state)
{
	bool masqueraded;
	struct nft_elem pods = {.set = NFT_POD_NETWORKS, .net = {address(FAMILY_4, 244, 8), 29}};
	struct ip_addr a = service(FAMILY_4), pod = endpoint(FAMILY_4, 9),
		       node = endpoint(FAMILY_4, 20);

	(void)state;
	begin_new();
	is(FAMILY_4, NFT_SERVICES);
	is(FAMILY_4, NFT_LOCAL_POLICY);
	nft_write_put(&writer, &pods);
	has(FAMILY_4, NFT_ENDPOINTS, 0, 3);
	has(FAMILY_4, NFT_ENDPOINTS, NFT_LOCAL_SLOT, 4);
	commit(TXN_OK);
	assert_int_equal(reach_from(&a, &pod, &masqueraded), 3);
	assert_false(masqueraded);
	assert_int_equal(reach_from(&a, &node, &masqueraded), 3);
	assert_true(masqueraded);
}

/* Pods are let through as they are, all others are masqueraded, or all are. */
static void masquerade_is_for_whom_it_should(void **state)
{
	bool masqueraded;
	struct nft_elem pods = {.set = NFT_POD_NETWORKS, .net = {address(FAMILY_4, 244, 8), 29}};
	struct nft_elem hairpin = {.set = NFT_HAIRPIN, .addr = endpoint(FAMILY_4, 9)};
	struct ip_addr a = service(FAMILY_4), pod = endpoint(FAMILY_4, 9),
		       node = endpoint(FAMILY_4, 20);

	(void)state;
	begin_new();
	is(FAMILY_4, NFT_SERVICES);
	is(FAMILY_4, NFT_MASQ_OUTSIDE);
	nft_write_put(&writer, &pods);
	has(FAMILY_4, NFT_ENDPOINTS, 0, 9);
	commit(TXN_OK);
	assert_int_equal(reach_from(&a, &node, &masqueraded), 9);
	assert_true(masqueraded);
	assert_int_equal(reach_from(&a, &pod, &masqueraded), 9);
	assert_false(masqueraded);
	begin(); /* that was a pod reaching itself: */
	nft_write_put(&writer, &hairpin);
	commit(TXN_OK);
	assert_int_equal(reach_from(&a, &pod, &masqueraded), 9);
	assert_true(masqueraded);
	begin();
	nft_write_delete(&writer, &hairpin);
	is(FAMILY_4, NFT_MASQ_ALWAYS);
	commit(TXN_OK);
	assert_int_equal(reach_from(&a, &pod, &masqueraded), 9);
	assert_true(masqueraded);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(every_endpoint_gets_its_share),
	    TEST(many_endpoints_are_drawn),
	    TEST(clients_stay_until_they_are_forgotten),
	    TEST(without_endpoints_the_client_is_told),
	    TEST(who_is_not_allowed_is_dropped),
	    TEST(other_ports_and_free_addresses),
	    TEST(a_policy_is_for_outsiders),
	    TEST(masquerade_is_for_whom_it_should),
	};

	open_policy("", false);
	open_listeners();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
