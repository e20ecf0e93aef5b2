#include "watcher/addresses.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/tree.h>
#include <unistd.h>

#include "common/log.h"
#include "common/netlink.h"

/* An address may be on several interfaces (fe80::1): it is ours while one has it. */
struct interface_addr {
	RB_ENTRY(interface_addr) by_addr;
	struct ip_addr addr;
	uint32_t interface;
};

static int interface_addr_cmp(const struct interface_addr *a, const struct interface_addr *b)
{
	int n = ip_cmp(&a->addr, &b->addr);

	return n != 0 ? n : (a->interface > b->interface) - (a->interface < b->interface);
}

RB_HEAD(addr_tree, interface_addr);
RB_PROTOTYPE(addr_tree, interface_addr, by_addr, interface_addr_cmp)
RB_GENERATE(addr_tree, interface_addr, by_addr, interface_addr_cmp)

/* For the life of the process. */
static struct {
	int fd;
	struct feed *feed;
	struct addr_tree addrs;
	uint32_t dump;	   /* its number; answers to an earlier one do not count */
	bool dumping;	   /* not all have come */
	bool again;	   /* the list may lack something: it is asked for anew after this one */
	bool changed;	   /* since they were sent */
	unsigned services; /* the interface with the services' addresses, in ipvs mode; 0: none */
} own;

/* --- the list --- */

static void forget(struct interface_addr *a)
{
	RB_REMOVE(addr_tree, &own.addrs, a);
	free(a);
}

static void forget_all(void)
{
	struct interface_addr *a, *next;

	RB_FOREACH_SAFE (a, addr_tree, &own.addrs, next)
		forget(a);
}

static bool same(const struct interface_addr *a, const struct interface_addr *b)
{
	return b != NULL && ip_cmp(&a->addr, &b->addr) == 0;
}

/* Does another interface have it as well? A is in the tree. */
static bool shared(struct interface_addr *a)
{
	return same(a, RB_PREV(addr_tree, , a)) || same(a, RB_NEXT(addr_tree, , a));
}

static void add(const struct interface_addr *key)
{
	struct interface_addr *a = malloc(sizeof(*a));

	if (a == NULL)
		fatal(EXIT_FAILED, "out of memory");
	*a = *key;
	if (RB_INSERT(addr_tree, &own.addrs, a) != NULL) {
		free(a);
		return;
	}
	own.changed |= !shared(a);
}

static void take_away(struct interface_addr *key)
{
	struct interface_addr *a = RB_FIND(addr_tree, &own.addrs, key);

	if (a == NULL)
		return;
	own.changed |= !shared(a);
	forget(a);
}

static void send_all(void)
{
	static struct node_addrs_part part;
	const struct interface_addr *last = NULL;
	struct interface_addr *a;

	part = (struct node_addrs_part){.first = true};
	RB_FOREACH (a, addr_tree, &own.addrs) {
		if (last != NULL && same(a, last))
			continue;
		if (part.count == NODE_ADDRS_PART_MAX) {
			feed_node_addrs(own.feed, &part);
			part.first = false;
			part.count = 0;
		}
		part.addrs[part.count++] = a->addr;
		last = a;
	}
	part.last = true;
	feed_node_addrs(own.feed, &part);
	own.changed = false;
}

/* --- the kernel --- */

static void ask(void)
{
	const struct ifaddrmsg any = {.ifa_family = AF_UNSPEC};
	int error;

	forget_all();
	own.changed = own.dumping = true;
	own.again = false;
	error = netlink_send(
	    own.fd, netlink_request(RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any)), ++own.dump);
	if (error != 0)
		fatal(EXIT_FAILED, "asking for the addresses of this machine: %s", strerror(error));
}

static void on_address(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = nlmsg_data(h);
	const struct nlattr *a;
	struct interface_addr key;

	if (nlmsg_datalen(h) < (int)sizeof(*m))
		return;
	/* On a link with a peer IFA_ADDRESS is the peer's. */
	a = netlink_attr(h, sizeof(*m), IFA_LOCAL);
	if (a == NULL)
		a = netlink_attr(h, sizeof(*m), IFA_ADDRESS);
	memset(&key, 0, sizeof(key));
	if (a == NULL || ip_from_bytes(&key.addr, nla_data(a), (uint32_t)nla_len(a)) != 0)
		return;
	if (own.services != 0 && m->ifa_index == own.services)
		return; /* nothing is there but what the planner asked for */
	key.interface = m->ifa_index;
	if (h->nlmsg_type == RTM_NEWADDR)
		add(&key);
	else
		take_away(&key);
}

/* News and the dump come in the order in which things happened. */
static void on_message(const struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
		on_address(h);
	if (h->nlmsg_flags & NLM_F_DUMP_INTR) /* something changed in the middle of it */
		own.again = true;
	if (h->nlmsg_seq != own.dump ||
	    (h->nlmsg_type != NLMSG_DONE && h->nlmsg_type != NLMSG_ERROR))
		return;
	own.dumping = false;
	if (h->nlmsg_type == NLMSG_ERROR)
		log_warn("the kernel does not list the addresses of this machine");
}

/* Reads what there is. False if news were lost, as more came than the socket holds. */
static bool receive(int fd)
{
	static uint8_t buf[NETLINK_BYTES] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) >= 0) {
		struct nlmsghdr *h = (void *)buf;

		for (int left = (int)n; nlmsg_ok(h, left); h = nlmsg_next(h, &left))
			on_message(h);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		fatal(EXIT_FAILED, "the addresses of this machine: %s", strerror(errno));
	return errno != ENOBUFS;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	for (;;) {
		while (!receive(fd))
			own.again = true;
		if (!own.again || own.dumping)
			break;
		ask();
	}
	if (own.changed && !own.dumping)
		send_all();
}

void addresses_start(struct event_base *base, struct feed *feed, const char *services)
{
	static const int groups[] = {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
	struct event *readable;

	own.feed = feed;
	own.services = services != NULL ? if_nametoindex(services) : 0;
	RB_INIT(&own.addrs);
	own.fd = netlink_open(NETLINK_ROUTE);
	for (int i = 0; i < 2 && own.fd >= 0; i++)
		if (setsockopt(own.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			sizeof(groups[i])) != 0) {
			close(own.fd);
			own.fd = -1;
		}
	if (own.fd < 0) {
		log_warn("the addresses of this machine: %s; UDP flows to node ports are not "
			 "looked at",
		    strerror(errno));
		send_all();
		return;
	}
	ask();
	on_readable(own.fd, 0, NULL);
	readable = event_new(base, own.fd, EV_READ | EV_PERSIST, on_readable, NULL);
	if (readable == NULL || event_add(readable, NULL) != 0)
		fatal(EXIT_FAILED, "out of memory");
}
