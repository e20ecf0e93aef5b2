#include "cleaner/ipvs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/ipvs_item.h"
#include "applier/ipvs_netlink.h"
#include "applier/ipvs_record.h"
#include "common/log.h"
#include "common/netlink.h"
#include "ipc/txn.h"

/* An ipset that only other kube-proxies make; the others are those of applier/ipvs_tables.c. */
static const char *const other_sets[FAMILY_COUNT] = {
    "KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-6-LOAD-BALANCER-SOURCE-IP"};

static struct {
	struct ipvs_record evidence;
	struct ipvs_item *servers; /* a kube-proxy's, as of the last look */
	size_t count, room;
	size_t addresses[FAMILY_COUNT], excluded[FAMILY_COUNT];
	bool failed; /* no memory */
} ipvs;

/* --- set-up --- */

static void open_at(int protocol, int number)
{
	int fd = netlink_open(protocol);

	if (fd < 0)
		fatal(EXIT_FAILED, "netlink: %s", strerror(errno));
	fd_place(fd, number);
}

/* Asking for a family that is not there would have the kernel load ip_vs. */
static bool find_ipvs(void)
{
	struct nl_sock *s;
	int family;

	if (access("/proc/net/ip_vs", F_OK) != 0)
		return false;
	s = nl_socket_alloc();
	family = s != NULL && genl_connect(s) == 0 ? genl_ctrl_resolve(s, IPVS_GENL_NAME) : 0;
	nl_socket_free(s);
	ipvs_genl_family = family > 0 ? (uint16_t)family : 0;
	return ipvs_genl_family != 0;
}

/* As netlink would load ip_set; its old socket option does not. */
static bool find_ipset(void)
{
	struct ip_set_req_version q = {.op = IP_SET_OP_VERSION};
	socklen_t len = sizeof(q);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found = fd >= 0 && getsockopt(fd, SOL_IP, SO_IP_SET, &q, &len) == 0;

	if (fd >= 0)
		close(fd);
	return found;
}

void ipvs_open(struct plan *p)
{
	open_at(NETLINK_GENERIC, APPLIER_FD_IPVS);
	open_at(NETLINK_GENERIC, APPLIER_FD_REALS);
	open_at(NETLINK_NETFILTER, APPLIER_FD_IPSET);
	open_at(NETLINK_ROUTE, APPLIER_FD_ROUTE);
	p->sees_ipvs = find_ipvs();
	p->sees_ipset = find_ipset();
	ipvs_interface = if_nametoindex(IPVS_INTERFACE);
	if (getrandom(&ipvs.evidence.key, sizeof(ipvs.evidence.key), 0) < 0)
		fatal(EXIT_FAILED, "getrandom: %s", strerror(errno));
}

/* --- looking --- */

static bool is_excluded(const struct plan *p, const struct ip_addr *a)
{
	for (uint32_t k = 0; k < p->policy.ipvs_exclude_count; k++)
		if (ip_cidr_contains(&p->policy.ipvs_exclude[k], a))
			return true;
	return false;
}

static void take_evidence(void *arg, const struct ipvs_item *i)
{
	const struct plan *p = arg;

	ipvs_record_evidence(&ipvs.evidence, i);
	if (i->kind == IPVS_ADDRESS) {
		ipvs.addresses[i->family]++;
		ipvs.excluded[i->family] += is_excluded(p, &i->addr);
	}
}

static void take_server(void *arg, const struct ipvs_item *i)
{
	const struct plan *p = arg;

	/* one by a firewall mark has no protocol */
	if (i->proto == 0 || is_excluded(p, &i->addr) || !ipvs_record_claims(&ipvs.evidence, i))
		return;
	if (ipvs.count == ipvs.room) {
		size_t room = ipvs.room == 0 ? 256 : 2 * ipvs.room;
		void *more = room > IPVS_RECORD_MAX
				 ? NULL
				 : realloc(ipvs.servers, room * sizeof(*ipvs.servers));

		if (more == NULL) {
			ipvs.failed = true;
			return;
		}
		ipvs.servers = more;
		ipvs.room = room;
	}
	ipvs.servers[ipvs.count++] = *i;
}

/* Does ipset NAME exist? */
static bool set_exists(uint8_t family, const char *name)
{
	const struct nfgenmsg g = {.nfgen_family = family == FAMILY_6 ? AF_INET6 : AF_INET};
	struct nl_msg *m =
	    netlink_request(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_HEADER, NLM_F_ACK, &g, sizeof(g));

	nla_put_u8(m, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
	nla_put_string(m, IPSET_ATTR_SETNAME, name);
	return ipvs_talk(APPLIER_FD_IPSET, m, NULL, NULL) == 0;
}

/* Calls ACT for the name of each ipset that there is. */
static void each_set(const struct plan *p, uint8_t family, struct leftovers_row *row,
    void (*act)(struct leftovers_row *row, const char *name))
{
	char name[IPVS_SET_NAME_MAX];

	for (uint8_t s = 0; s <= (uint8_t)IPVS_SET_COUNT && p->sees_ipset; s++) {
		if (s < IPVS_SET_COUNT)
			ipvs_set_name(s, family, name);
		else
			strlcpy(name, other_sets[family], sizeof(name));
		if (set_exists(family, name))
			act(row, name);
	}
}

static void count_set(struct leftovers_row *row, const char *name)
{
	row->chains++;
	tally_name(row, name);
}

static void look_at_evidence(const struct plan *p)
{
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		ipvs.addresses[f] = ipvs.excluded[f] = 0;
		for (uint8_t k = 0; k <= (uint8_t)IPVS_ADDRESS; k++) {
			struct ipvs_item of = {.kind = k, .family = f};

			if (k == IPVS_ADDRESS ? ipvs_interface != 0 : p->sees_ipset)
				ipvs_item_dump(
				    &p->policy, &of, take_evidence, (void *)(uintptr_t)p);
		}
	}
}

void ipvs_scan(const struct plan *p, struct tally *t)
{
	struct ipvs_item of = {.kind = IPVS_SERVER};

	if (!p->wheres[LEFTOVERS_IPVS])
		return;
	look_at_evidence(p);
	ipvs.count = 0;
	if (p->sees_ipvs)
		ipvs_item_dump(&p->policy, &of, take_server, (void *)(uintptr_t)p);
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		struct leftovers_row *row = tally_begin(t, LEFTOVERS_IPVS, f, 0);

		/* the interface belongs to the rows of its addresses, or to IPv4's */
		if (ipvs_interface != 0 &&
		    (ipvs.addresses[f] > 0 || (f == FAMILY_4 && ipvs.addresses[FAMILY_6] == 0)))
			count_set(row, IPVS_INTERFACE);
		row->rules = ipvs.addresses[f];
		for (size_t i = 0; i < ipvs.count; i++)
			row->rules += ipvs.servers[i].family == f;
		each_set(p, f, row, count_set);
		if (ipvs.excluded[f] > 0)
			tally_stays(row, LEFTOVERS_EXCLUDED, IPVS_INTERFACE);
	}
}

/* --- removing --- */

struct server {
	const struct plan *plan;
	bool busy;
};

static void quiesce_real(void *arg, const struct ipvs_item *i)
{
	struct server *s = arg;

	s->busy |= (i->value & IPVS_BUSY) != 0;
}

#define REALS_MAX 4096 /* of a virtual server; others get weight 0 at the next look */

static struct ipvs_item reals[REALS_MAX];
static size_t real_count;

static void take_real(void *arg, const struct ipvs_item *i)
{
	quiesce_real(arg, i);
	if ((i->value & ~IPVS_BUSY) != 0 && real_count < REALS_MAX)
		reals[real_count++] = *i;
}

/* Do connections go through the virtual server I? Gives its real servers the weight 0. */
static bool is_busy(const struct plan *p, const struct ipvs_item *i)
{
	struct server s = {.plan = p};
	struct ipvs_item of = *i;

	of.kind = IPVS_REAL;
	of.value = 0;
	real_count = 0;
	ipvs_item_dump(&p->policy, &of, take_real, &s);
	for (size_t k = 0; k < real_count; k++) {
		reals[k].value = 0;
		ipvs_item_write(&p->policy, OP_ITEM_CHANGE, &reals[k]);
	}
	/*
	 * Weight 0 since an earlier look: what was in flight is answered. A flow of datagrams has
	 * no end, and would be answered even after its Service is deleted. Its next packet is new
	 * to the proxy's own rules: with the virtual server the kernel forgets the flow.
	 */
	if (real_count == 0)
		return s.busy && i->proto != IPPROTO_UDP;
	/* one may have come before its weight was 0 */
	of = *i;
	of.kind = IPVS_REAL;
	of.value = 0;
	ipvs_item_dump(&p->policy, &of, quiesce_real, &s);
	return s.busy;
}

/*
 * Deletes the virtual servers that may go. Returns how many stay, for their family, connections or
 * an error.
 */
static size_t delete_servers(const struct plan *p, int *error)
{
	size_t kept = 0;

	for (size_t i = 0; i < ipvs.count; i++) {
		struct ipvs_item item = ipvs.servers[i];

		item.value = 0;
		if (p->families[item.family] && (p->at_once || !is_busy(p, &item))) {
			int e = ipvs_item_write(&p->policy, OP_ITEM_DELETE, &item);

			if (e == 0)
				continue;
			*error = e;
		}
		ipvs.servers[kept++] = ipvs.servers[i];
	}
	return kept;
}

struct addresses {
	const struct plan *plan;
	struct ipvs_record served; /* addresses at which a virtual server is left */
	struct ipvs_item *list;
	size_t count, room;
};

static void take_address(void *arg, const struct ipvs_item *i)
{
	struct addresses *a = arg;

	if (is_excluded(a->plan, &i->addr) || ipvs_record_has(&a->served, IPVS_ADDRESS, i))
		return;
	if (a->count == a->room) {
		size_t room = a->room == 0 ? 256 : 2 * a->room;
		void *more = realloc(a->list, room * sizeof(*a->list));

		if (more == NULL)
			return;
		a->list = more;
		a->room = room;
	}
	a->list[a->count++] = *i;
}

/* Those of kube-ipvs0 at which no virtual server is left. */
static void delete_addresses(const struct plan *p, uint8_t family)
{
	struct ipvs_item of = {.kind = IPVS_ADDRESS, .family = family};
	struct addresses a = {.plan = p, .served.key = ipvs.evidence.key};

	for (size_t i = 0; i < ipvs.count; i++)
		if (!ipvs_record_put(&a.served, IPVS_ADDRESS, &ipvs.servers[i]))
			ipvs.failed = true;
	if (ipvs_interface == 0 || ipvs.failed || !p->families[family])
		return;
	ipvs_item_dump(&p->policy, &of, take_address, &a);
	for (size_t i = 0; i < a.count; i++)
		ipvs_item_write(&p->policy, OP_ITEM_DELETE, &a.list[i]);
	free(a.list);
	ipvs_record_clear(&a.served);
}

static int delete_interface(void)
{
	const struct ifinfomsg any = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ipvs_interface};
	struct nl_msg *m = netlink_request(RTM_DELLINK, NLM_F_ACK, &any, sizeof(any));
	int error = ipvs_talk(APPLIER_FD_ROUTE, m, NULL, NULL);

	if (error == 0 || error == ENODEV)
		ipvs_interface = 0;
	return error == ENODEV ? 0 : error;
}

static void delete_set(struct leftovers_row *row, const char *name)
{
	const struct nfgenmsg g = {.nfgen_family = row->family == FAMILY_6 ? AF_INET6 : AF_INET};
	struct nl_msg *m =
	    netlink_request(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_DESTROY, NLM_F_ACK, &g, sizeof(g));
	int error;

	nla_put_u8(m, IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL_MIN);
	nla_put_string(m, IPSET_ATTR_SETNAME, name);
	error = ipvs_talk(APPLIER_FD_IPSET, m, NULL, NULL);
	if (error == 0 || error == ENOENT)
		return;
	tally_stays(row, error == IPSET_ERR_BUSY ? LEFTOVERS_IN_USE : LEFTOVERS_REFUSED, name);
	row->error = error == IPSET_ERR_BUSY ? 0 : error;
}

/* Which of the rows that scan() has counted anew stay, and why. */
static void tell(struct tally *t, const struct leftovers_row stays[FAMILY_COUNT], int error)
{
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		struct leftovers_row *row = &t->rows[LEFTOVERS_IPVS][f][0];
		size_t servers = 0;

		for (size_t i = 0; i < ipvs.count; i++)
			servers += ipvs.servers[i].family == f;
		if (row->chains + row->rules == 0)
			continue;
		/* without servers of its own, it waits for those of the other family at kube-ipvs0
		 */
		if (error != 0) {
			row->why = LEFTOVERS_REFUSED;
			row->error = error;
		} else if (servers > 0 ||
			   (stays[f].why == LEFTOVERS_WAITING && row->why == LEFTOVERS_WAITING)) {
			row->why = LEFTOVERS_CONNECTIONS;
		} else if (stays[f].why != LEFTOVERS_WAITING) {
			row->why = stays[f].why;
			row->error = stays[f].error;
			row->name_count = stays[f].name_count;
			memcpy(row->names, stays[f].names, sizeof(row->names));
		}
	}
}

void ipvs_clean(const struct plan *p, struct tally *t)
{
	struct leftovers_row stays[FAMILY_COUNT] = {{.family = FAMILY_4}, {.family = FAMILY_6}};
	bool busy = false, shared = false;
	int error = 0;

	if (!p->wheres[LEFTOVERS_IPVS])
		return;
	ipvs.count = delete_servers(p, &error);
	for (size_t i = 0; i < ipvs.count; i++)
		busy |= p->families[ipvs.servers[i].family];
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		delete_addresses(p, f);
		shared |= ipvs.excluded[f] > 0 || (!p->families[f] && ipvs.addresses[f] > 0);
		if (!busy && p->families[f])
			each_set(p, f, &stays[f], delete_set);
	}
	if (!busy && !shared && ipvs_interface != 0)
		error = delete_interface();
	ipvs_scan(p, t);
	tell(t, stays, error);
}
