#include "applier/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/audit.h"
#include "applier/fds.h"
#include "common/netlink.h"

/* Filter by the protocol alone: net/netfilter/nf_internals.h, which is not exported. */
#define CTA_FILTER_F_CTA_PROTO_NUM (1 << 3)

/* Both tuples alone are no shorter (IPv4: twice 56 bytes behind 20 of headers). */
#define FLOW_BYTES_MIN 128
_Static_assert(NETLINK_BYTES / FLOW_BYTES_MIN <= FLOWS_PART_MAX, "a part holds any read");

void conntrack_open(void)
{
	for (int number = APPLIER_FD_FLOWS; number <= APPLIER_FD_FLOW_DELETE; number++) {
		int fd = netlink_open(NETLINK_NETFILTER);

		if (fd >= 0)
			fd_place(fd, number);
	}
}

/* --- reading the kernel's messages --- */

static const struct nlattr *attr(const struct nlmsghdr *h, uint16_t type)
{
	return netlink_attr(h, sizeof(struct nfgenmsg), type);
}

/* The address and port of these types in a tuple of UDP. */
static bool read_end(const struct nlattr *tuple, uint8_t family, uint16_t ip_type,
    uint16_t port_type, struct ip_addr *addr, uint16_t *port)
{
	const struct nlattr *l4 = netlink_nested(tuple, CTA_TUPLE_PROTO);
	const struct nlattr *l3 = netlink_nested(tuple, CTA_TUPLE_IP);
	const uint8_t *proto = netlink_bytes(netlink_nested(l4, CTA_PROTO_NUM), 1);
	const uint8_t *p = netlink_bytes(netlink_nested(l4, port_type), 2);
	const uint8_t *ip = netlink_bytes(netlink_nested(l3, ip_type), ip_len(family));

	if (proto == NULL || *proto != IPPROTO_UDP || p == NULL || ip == NULL)
		return false;
	*port = (uint16_t)(p[0] << 8 | p[1]);
	return ip_from_bytes(addr, ip, ip_len(family)) == 0;
}

/* Fills F. False for what is no UDP flow of FAMILY, or lacks what it takes to delete exactly it. */
static bool read_flow(struct flow *f, const struct nlmsghdr *h, uint8_t family)
{
	uint16_t dst = family == FAMILY_4 ? CTA_IP_V4_DST : CTA_IP_V6_DST;
	uint16_t src = family == FAMILY_4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;

	return h->nlmsg_len >= FLOW_BYTES_MIN && attr(h, CTA_ID) != NULL &&
	       read_end(attr(h, CTA_TUPLE_ORIG), family, dst, CTA_PROTO_DST_PORT, &f->dst,
		   &f->dst_port) &&
	       read_end(attr(h, CTA_TUPLE_REPLY), family, src, CTA_PROTO_SRC_PORT, &f->src,
		   &f->src_port);
}

/* Reads a part. What the kernel says is wrong ends the pass. */
static void read_part(struct conntrack *ct)
{
	static uint8_t buf[NETLINK_BYTES] __attribute__((aligned(8)));
	ssize_t n = read(APPLIER_FD_FLOWS, buf, sizeof(buf));
	struct nlmsghdr *h = (void *)buf;
	int left = (int)n;

	ct->last = n <= 0;
	if (n < 0)
		ct->so_far.error = errno;
	for (; n > 0 && nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
		const struct nlmsgerr *e = nlmsg_data(h);

		if (h->nlmsg_seq != ct->number)
			continue;
		ct->last |= h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
		if (h->nlmsg_type == NLMSG_ERROR)
			ct->so_far.error = -e->error;
		if (h->nlmsg_type < NLMSG_MIN_TYPE ||
		    !read_flow(&ct->part.flows[ct->part.count], h, ct->family))
			continue;
		ct->messages[ct->part.count++] = h;
		ct->so_far.seen++;
	}
}

/* --- requests --- */

static struct nl_msg *request(uint16_t type, uint16_t flags, const struct conntrack *ct)
{
	const struct nfgenmsg g = {.nfgen_family = ct->family == FAMILY_4 ? AF_INET : AF_INET6};

	return netlink_request((uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, &g, sizeof(g));
}

/* The kernel filters by family and, from Linux 5.8 on, protocol; read_flow() does both again. */
static int begin_dump(const struct conntrack *ct)
{
	struct nl_msg *m = request(IPCTNL_MSG_CT_GET, NLM_F_DUMP, ct);
	struct nlattr *tuple = nla_nest_start(m, CTA_TUPLE_ORIG), *nest;

	nest = nla_nest_start(m, CTA_TUPLE_PROTO);
	nla_put_u8(m, CTA_PROTO_NUM, IPPROTO_UDP);
	nla_nest_end(m, nest);
	nla_nest_end(m, tuple);
	nest = nla_nest_start(m, CTA_FILTER);
	nla_put_u32(m, CTA_FILTER_ORIG_FLAGS, CTA_FILTER_F_CTA_PROTO_NUM);
	nla_put_u32(m, CTA_FILTER_REPLY_FLAGS, 0);
	nla_nest_end(m, nest);
	return netlink_send(APPLIER_FD_FLOWS, m, ct->number);
}

/*
 * Deletes the flow that FLOW is about, as the kernel itself named it: by the tuple of its answers,
 * which another translation of the same packets would not have, and by its id, of which the other
 * tuple is a part (nf_ct_get_id()). A deletion without a tuple would be of everything: read_flow()
 * has seen one. 0 or errno; ENOENT: it is gone.
 */
static int delete_flow(const struct conntrack *ct, const struct nlmsghdr *flow)
{
	static const uint16_t names[] = {CTA_TUPLE_REPLY, CTA_ZONE, CTA_ID};
	uint8_t buf[NETLINK_REQUEST_MAX] __attribute__((aligned(8)));
	struct nl_msg *m = request(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, ct);
	const struct nlmsghdr *h = (void *)buf;
	const struct nlmsgerr *e = nlmsg_data(h);
	int error;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct nlattr *a = attr(flow, names[i]);

		if (a != NULL && nla_put(m, a->nla_type, nla_len(a), nla_data(a)) != 0)
			return EMSGSIZE;
	}
	error = netlink_send(APPLIER_FD_FLOW_DELETE, m, ct->number);
	if (error != 0)
		return error;
	if (read(APPLIER_FD_FLOW_DELETE, buf, sizeof(buf)) < 0)
		return errno;
	return h->nlmsg_type == NLMSG_ERROR ? -e->error : EPROTO;
}

/* --- the planner's messages --- */

/* Shows the next part, or says that there is none. */
static const char *go_on(struct conntrack *ct, const struct policy *p, struct frame *answer)
{
	const struct flows_end *e = &ct->so_far;

	ct->part.count = 0;
	if (!ct->last)
		read_part(ct);
	if (!ct->last || ct->part.count > 0) {
		flows_encode_part(answer, &ct->part);
		return NULL;
	}
	ct->running = false;
	flows_encode_end(answer, e);
	if (e->deleted > 0)
		audit_write(p, "flows: deleted %llu of %llu IPv%d UDP flows",
		    (unsigned long long)e->deleted, (unsigned long long)e->seen,
		    ct->family == FAMILY_4 ? 4 : 6);
	return NULL;
}

const char *conntrack_request(
    struct conntrack *ct, const struct policy *p, struct cursor *c, struct frame *answer)
{
	uint8_t family;
	const char *why = flows_decode_request(c, &family);

	if (why == NULL && ct->running)
		why = "flows asked for before the end of those asked for last";
	if (why != NULL)
		return why;
	ct->running = true;
	ct->family = family;
	ct->number++;
	ct->so_far = (struct flows_end){.error = begin_dump(ct)};
	ct->last = ct->so_far.error != 0;
	return go_on(ct, p, answer);
}

const char *conntrack_delete(
    struct conntrack *ct, const struct policy *p, struct cursor *c, struct frame *answer)
{
	struct flows_choice choice;
	const char *why = flows_decode_choice(c, &choice);

	if (why == NULL && !ct->running)
		why = "flows that were not shown";
	if (why == NULL && choice.count > 0 && choice.places[choice.count - 1] >= ct->part.count)
		why = "a flow that was not shown";
	for (uint32_t i = 0; why == NULL && i < choice.count; i++) {
		int error = delete_flow(ct, ct->messages[choice.places[i]]);

		ct->so_far.deleted += error == 0;
		if (error != 0 && error != ENOENT)
			ct->so_far.error = error;
	}
	return why != NULL ? why : go_on(ct, p, answer);
}
