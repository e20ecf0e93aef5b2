#include "applier/ipvs_item.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "applier/fds.h"
#include "common/log.h"
#include "common/netlink.h"
#include "ipc/txn.h"

static const uint16_t domains[FAMILY_COUNT] = {AF_INET, AF_INET6};

/* --- entries of ipsets --- */

static void put_set_ip(struct nl_msg *m, uint16_t type, const struct ip_addr *a)
{
	struct nlattr *nest = nla_nest_start(m, type);

	nla_put(m,
	    (uint16_t)((a->family == FAMILY_4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6) |
		       NLA_F_NET_BYTEORDER),
	    ip_len(a->family), a->b);
	nla_nest_end(m, nest);
}

static int write_entry(unsigned op, const struct ipvs_item *i)
{
	const uint8_t fields = ipvs_kinds[i->kind].fields;
	/* without NLM_F_EXCL: to put what is there, or delete what is not, is no error */
	struct nl_msg *m = ipvs_begin_set(
	    op == OP_ITEM_DELETE ? IPSET_CMD_DEL : IPSET_CMD_ADD, NLM_F_ACK, i->family, i->kind);
	struct nlattr *data = nla_nest_start(m, IPSET_ATTR_DATA);

	if (fields & IPVS_ADDR)
		put_set_ip(m, IPSET_ATTR_IP, &i->addr);
	if (fields & IPVS_PROTO)
		nla_put_u8(m, IPSET_ATTR_PROTO, i->proto);
	if (fields & IPVS_PORT)
		nla_put_u16(m, IPSET_ATTR_PORT | NLA_F_NET_BYTEORDER, htons(i->port));
	if (fields & (IPVS_TO | IPVS_NET))
		put_set_ip(m, IPSET_ATTR_IP2, &i->to);
	if (fields & IPVS_NET)
		nla_put_u8(m, IPSET_ATTR_CIDR2, i->bits);
	nla_nest_end(m, data);
	return ipvs_talk(APPLIER_FD_IPSET, m, NULL, NULL);
}

/* --- virtual servers and real servers --- */

/* What names the virtual server of I. */
static struct nlattr *begin_server(struct nl_msg *m, const struct ipvs_item *i)
{
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);

	nla_put_u16(m, IPVS_SVC_ATTR_AF, domains[i->family]);
	nla_put_u16(m, IPVS_SVC_ATTR_PROTOCOL, i->proto);
	nla_put(m, IPVS_SVC_ATTR_ADDR, sizeof(i->addr.b), i->addr.b);
	nla_put_u16(m, IPVS_SVC_ATTR_PORT, htons(i->port));
	return nest;
}

/* With "mh" the client's port counts, as upstream has it. */
static struct ip_vs_flags server_flags(const struct policy *p, const struct ipvs_item *i)
{
	uint32_t flags = strcmp(p->ipvs_scheduler, "mh") == 0 ? IP_VS_SVC_F_SCHED2 : 0;

	if (i->value > 0)
		flags |= IP_VS_SVC_F_PERSISTENT;
	return (struct ip_vs_flags){flags, ~UINT32_C(0)};
}

/* A client is one address: MASK for IPv4 says so, for IPv6 its length. */
static int write_server(
    const struct policy *p, unsigned op, const struct ipvs_item *i, uint32_t mask)
{
	static const uint8_t commands[] = {[OP_ITEM_PUT] = IPVS_CMD_NEW_SERVICE,
	    [OP_ITEM_CHANGE] = IPVS_CMD_SET_SERVICE,
	    [OP_ITEM_DELETE] = IPVS_CMD_DEL_SERVICE};
	const struct ip_vs_flags flags = server_flags(p, i);
	struct nl_msg *m = ipvs_begin_genl(commands[op], NLM_F_ACK);
	struct nlattr *nest = begin_server(m, i);

	nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, p->ipvs_scheduler);
	nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags);
	nla_put_u32(m, IPVS_SVC_ATTR_TIMEOUT, i->value);
	nla_put_u32(m, IPVS_SVC_ATTR_NETMASK, mask);
	nla_nest_end(m, nest);
	return ipvs_talk(APPLIER_FD_IPVS, m, NULL, NULL);
}

static int write_real(unsigned op, const struct ipvs_item *i)
{
	static const uint8_t commands[] = {[OP_ITEM_PUT] = IPVS_CMD_NEW_DEST,
	    [OP_ITEM_CHANGE] = IPVS_CMD_SET_DEST,
	    [OP_ITEM_DELETE] = IPVS_CMD_DEL_DEST};
	struct nl_msg *m = ipvs_begin_genl(commands[op], NLM_F_ACK);
	struct nlattr *nest = begin_server(m, i);

	nla_nest_end(m, nest);
	nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);
	nla_put(m, IPVS_DEST_ATTR_ADDR, sizeof(i->to.b), i->to.b);
	nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(i->to_port));
	nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
	nla_put_u32(m, IPVS_DEST_ATTR_WEIGHT, i->value);
	nla_put_u32(m, IPVS_DEST_ATTR_U_THRESH, 0);
	nla_put_u32(m, IPVS_DEST_ATTR_L_THRESH, 0);
	nla_nest_end(m, nest);
	return ipvs_talk(APPLIER_FD_IPVS, m, NULL, NULL);
}

/* --- addresses --- */

static int write_address(unsigned op, const struct ipvs_item *i)
{
	/* NLM_F_EXCL with a deletion means something else */
	struct nl_msg *m =
	    op == OP_ITEM_DELETE
		? ipvs_begin_addr(RTM_DELADDR, NLM_F_ACK, i->family)
		: ipvs_begin_addr(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, i->family);
	int error;

	nla_put(m, IFA_LOCAL, ip_len(i->family), i->addr.b);
	nla_put(m, IFA_ADDRESS, ip_len(i->family), i->addr.b);
	error = ipvs_talk(APPLIER_FD_ROUTE, m, NULL, NULL);
	if (error == ENODEV) /* the watcher, too, knows it by its number */
		fatal(EXIT_FAILED, IPVS_INTERFACE " is gone: ending, as the next start makes it");
	return error;
}

/*
 * A virtual server of IPv6 whose mask has no bits cannot be: the kernel says so after it has looked
 * for the scheduler (ip_vs_add_service()), and says ENOENT if there is none.
 */
bool ipvs_item_scheduler(const struct policy *p)
{
	const struct ipvs_item nobody = {.family = FAMILY_6, .proto = IPPROTO_TCP, .port = 1};

	return write_server(p, OP_ITEM_PUT, &nobody, 0) != ENOENT;
}

int ipvs_item_write(const struct policy *p, unsigned op, const struct ipvs_item *i)
{
	int error;

	if (i->kind < IPVS_SET_COUNT)
		error = write_entry(op, i);
	else if (i->kind == IPVS_SERVER)
		error = write_server(p, op, i, i->family == FAMILY_4 ? UINT32_MAX : 128);
	else
		error = i->kind == IPVS_REAL ? write_real(op, i) : write_address(op, i);
	if (op == OP_ITEM_DELETE && (error == ENOENT || error == ESRCH || error == EADDRNOTAVAIL))
		return 0; /* it is gone already */
	return error;
}

/* --- what is there --- */

struct dump {
	const struct policy *policy;
	struct ipvs_item *i;
	void (*visit)(void *arg, const struct ipvs_item *i);
	void *arg;
};

/* The LEN bytes of attribute TYPE in NEST into OUT, which is left alone without. */
static bool get(const struct nlattr *nest, uint16_t type, void *out, uint16_t len)
{
	const uint8_t *bytes = netlink_bytes(netlink_nested(nest, type), len);

	if (bytes != NULL)
		memcpy(out, bytes, len);
	return bytes != NULL;
}

static uint32_t get_u32(const struct nlattr *nest, uint16_t type)
{
	uint32_t value = 0;

	get(nest, type, &value, sizeof(value));
	return value;
}

static uint16_t get_port(const struct nlattr *nest, uint16_t type)
{
	uint16_t port = 0;

	get(nest, type, &port, sizeof(port));
	return ntohs(port);
}

static void get_set_ip(
    const struct nlattr *entry, uint16_t type, struct ip_addr *a, const struct ipvs_item *i)
{
	a->family = i->family;
	get(netlink_nested(entry, type),
	    i->family == FAMILY_4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6, a->b,
	    ip_len(i->family));
}

static void take_entry(const struct dump *d, const struct nlattr *entry)
{
	const uint8_t fields = ipvs_kinds[d->i->kind].fields;
	struct ipvs_item *i = d->i;

	if (fields & IPVS_ADDR)
		get_set_ip(entry, IPSET_ATTR_IP, &i->addr, i);
	if (fields & IPVS_PROTO)
		get(entry, IPSET_ATTR_PROTO, &i->proto, sizeof(i->proto));
	if (fields & IPVS_PORT)
		i->port = get_port(entry, IPSET_ATTR_PORT);
	if (fields & (IPVS_TO | IPVS_NET))
		get_set_ip(entry, IPSET_ATTR_IP2, &i->to, i);
	if (fields & IPVS_NET)
		get(entry, IPSET_ATTR_CIDR2, &i->bits, sizeof(i->bits));
	d->visit(d->arg, i);
}

static void take_entries(void *arg, const struct nlmsghdr *h)
{
	const struct nlattr *list = netlink_attr(h, sizeof(struct nfgenmsg), IPSET_ATTR_ADT), *a;
	int left;

	if (list != NULL)
		nla_for_each_nested(a, list, left) take_entry(arg, a);
}

static void take_server(void *arg, const struct nlmsghdr *h)
{
	const struct dump *d = arg;
	const struct nlattr *s = netlink_attr(h, GENL_HDRLEN, IPVS_CMD_ATTR_SERVICE);
	const struct nlattr *name = netlink_nested(s, IPVS_SVC_ATTR_SCHED_NAME);
	struct ip_vs_flags flags = {0, 0};
	struct ipvs_item *i = d->i;
	uint16_t domain = 0, proto = 0;

	get(s, IPVS_SVC_ATTR_AF, &domain, sizeof(domain));
	get(s, IPVS_SVC_ATTR_PROTOCOL, &proto, sizeof(proto)); /* one of a mark has none */
	*i = (struct ipvs_item){.kind = IPVS_SERVER,
	    .family = domain == AF_INET6,
	    .proto = (uint8_t)proto,
	    .port = get_port(s, IPVS_SVC_ATTR_PORT),
	    .addr.family = domain == AF_INET6};
	get(s, IPVS_SVC_ATTR_ADDR, i->addr.b, sizeof(i->addr.b));
	if (i->family == FAMILY_4)
		memset(i->addr.b + 4, 0, sizeof(i->addr.b) - 4);
	get(s, IPVS_SVC_ATTR_FLAGS, &flags, sizeof(flags));
	if (flags.flags & IP_VS_SVC_F_PERSISTENT)
		i->value = get_u32(s, IPVS_SVC_ATTR_TIMEOUT);
	if (name == NULL || strcmp(nla_get_string(name), d->policy->ipvs_scheduler) != 0 ||
	    (flags.flags & ~(uint32_t)IP_VS_SVC_F_HASHED) != server_flags(d->policy, i).flags)
		i->value |= IPVS_OTHER;
	d->visit(d->arg, i);
}

static void take_real(void *arg, const struct nlmsghdr *h)
{
	const struct dump *d = arg;
	const struct nlattr *s = netlink_attr(h, GENL_HDRLEN, IPVS_CMD_ATTR_DEST);
	struct ipvs_item *i = d->i;

	i->to.family = i->family;
	get(s, IPVS_DEST_ATTR_ADDR, i->to.b, sizeof(i->to.b));
	if (i->family == FAMILY_4)
		memset(i->to.b + 4, 0, sizeof(i->to.b) - 4);
	i->to_port = get_port(s, IPVS_DEST_ATTR_PORT);
	i->value = get_u32(s, IPVS_DEST_ATTR_WEIGHT);
	if (i->value > 1 || (get_u32(s, IPVS_DEST_ATTR_FWD_METHOD) & IP_VS_CONN_F_FWD_MASK) != 0)
		i->value = IPVS_OTHER;
	if (get_u32(s, IPVS_DEST_ATTR_ACTIVE_CONNS) + get_u32(s, IPVS_DEST_ATTR_INACT_CONNS) > 0)
		i->value |= IPVS_BUSY;
	d->visit(d->arg, i);
}

static void take_address(void *arg, const struct nlmsghdr *h)
{
	const struct dump *d = arg;
	const struct ifaddrmsg *m = nlmsg_data(h);
	const struct nlattr *a = netlink_attr(h, sizeof(*m), IFA_ADDRESS);
	const uint8_t *bytes = netlink_bytes(a, ip_len(d->i->family));

	if (bytes == NULL || m->ifa_index != ipvs_interface ||
	    m->ifa_prefixlen != ip_bits(d->i->family))
		return;
	d->i->addr.family = d->i->family;
	memcpy(d->i->addr.b, bytes, ip_len(d->i->family));
	d->visit(d->arg, d->i);
}

int ipvs_item_dump(const struct policy *p, struct ipvs_item *i,
    void (*visit)(void *arg, const struct ipvs_item *i), void *arg)
{
	struct dump d = {p, i, visit, arg};
	struct nl_msg *m;

	if (i->kind >= IPVS_SERVER && ipvs_genl_family == 0)
		return ENOENT; /* the cleaner, on a kernel without IPVS */
	if (i->kind < IPVS_SET_COUNT) {
		m = ipvs_begin_set(IPSET_CMD_LIST, NLM_F_DUMP, i->family, i->kind);
		return ipvs_talk(APPLIER_FD_IPSET, m, take_entries, &d);
	}
	if (i->kind == IPVS_ADDRESS) {
		m = ipvs_begin_addr(RTM_GETADDR, NLM_F_DUMP, i->family);
		return ipvs_talk(APPLIER_FD_ROUTE, m, take_address, &d);
	}
	if (i->kind == IPVS_SERVER) {
		m = ipvs_begin_genl(IPVS_CMD_GET_SERVICE, NLM_F_DUMP);
		return ipvs_talk(APPLIER_FD_IPVS, m, take_server, &d);
	}
	m = ipvs_begin_genl(IPVS_CMD_GET_DEST, NLM_F_DUMP);
	nla_nest_end(m, begin_server(m, i));
	return ipvs_talk(APPLIER_FD_REALS, m, take_real, &d);
}
