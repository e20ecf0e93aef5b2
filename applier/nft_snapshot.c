#include "applier/nft_snapshot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <string.h>

#include "applier/nft_backend.h"
#include "applier/nft_elem.h"
#include "common/netlink.h"

static const struct nlattr *attr_of(const struct nlmsghdr *h, uint16_t type)
{
	return netlink_attr(h, sizeof(struct nfgenmsg), type);
}

/* --- elements --- */

struct elems {
	struct nft_elem e; /* the one being read; its family and set are all of theirs */
	/* A prefix's first address and the one after its last are two elements. The kernel shows
	   them in the order of addresses, from either end. */
	struct nft_elem open;
	struct ip_addr end;
	bool is_open, has_end;
	bool bad;
	void (*visit)(void *arg, const struct nft_elem *e);
	void *arg;
};

/* OPEN ends before END. */
static void close_prefix(struct elems *d, const struct ip_addr *end)
{
	if (nft_elem_prefix(&d->open, end))
		d->visit(d->arg, &d->open);
	else
		d->bad = true;
	d->is_open = d->has_end = false;
}

static void take_bound(struct elems *d, bool end)
{
	/* an end that is not behind it: nothing is, up to the last address there is */
	if (d->is_open && (!end || ip_cmp(&d->e.net.addr, &d->open.net.addr) <= 0))
		close_prefix(d, NULL);
	if (end) {
		d->end = d->e.net.addr;
		d->has_end = true;
	} else {
		d->open = d->e;
		d->is_open = true;
		d->has_end &= ip_cmp(&d->end, &d->e.net.addr) > 0;
	}
	if (d->is_open && d->has_end)
		close_prefix(d, &d->end);
}

static void take_elem(struct elems *d, const struct nlattr *attr)
{
	bool end;

	if (!nft_elem_decode(&d->e, attr, &end))
		d->bad = true;
	else if (nft_set(d->e.set)->fields == NFT_NET)
		take_bound(d, end);
	else
		d->visit(d->arg, &d->e);
}

static void take_elems(void *arg, const struct nlmsghdr *h)
{
	const struct nlattr *list = attr_of(h, NFTA_SET_ELEM_LIST_ELEMENTS);
	const struct nlattr *attr;
	int left;

	if (list != NULL)
		nla_for_each_nested(attr, list, left) take_elem(arg, attr);
}

int nft_dump_elems(
    uint8_t family, uint8_t set, void (*visit)(void *arg, const struct nft_elem *e), void *arg)
{
	struct elems d = {.e = {.family = family, .set = set}, .visit = visit, .arg = arg};

	if (nft_dump(family, nft_set(set)->name, take_elems, &d) != 0)
		return -1;
	if (d.is_open)
		close_prefix(&d, NULL);
	errno = d.bad ? EINVAL : 0;
	return d.bad ? -1 : 0;
}

/* --- the table: is it one of ours, and whole? --- */

struct table {
	const struct policy *policy;
	uint8_t family;
	bool there, ours;
	uint32_t uses; /* of what was asked for: a table's chains and sets, a chain's rules ... */
};

static void take_uses(struct table *t, const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *uses = attr_of(h, type);

	t->uses = uses != NULL ? ntohl(nla_get_u32(uses)) : 0;
}

static void take_table(void *arg, const struct nlmsghdr *h)
{
	struct table *t = arg;
	const char *comment = t->policy->nft_comment[t->family];
	const size_t len = strlen(comment) + 1;
	const uint8_t *udata = netlink_bytes(attr_of(h, NFTA_TABLE_USERDATA), (uint16_t)(2 + len));

	t->there = true;
	t->ours = udata != NULL && memcmp(udata + 2, comment, len) == 0;
	take_uses(t, h, NFTA_TABLE_USE);
}

static void take_chain(void *arg, const struct nlmsghdr *h)
{
	take_uses(arg, h, NFTA_CHAIN_USE);
}

static void take_timeout(void *arg, const struct nft_elem *e)
{
	uint32_t *timeouts = arg;

	if (e->slot < NFT_AFFINITIES)
		timeouts[e->slot] = e->seconds;
}

/* Is each chain there, and used as often as it should be? And what else is in the table? */
static bool has_chains_and_sets(struct table *t, unsigned affinities)
{
	const uint32_t things = t->uses;
	uint32_t count = 0, uses;
	const char *name;

	while ((name = nft_rules_chain(count, &t->policy->params, affinities, &uses)) != NULL) {
		if (nft_get(NFT_MSG_GETCHAIN, t->family, name, take_chain, t) != 0 ||
		    t->uses != uses)
			return false;
		count++;
	}
	for (unsigned set = 0; set < NFT_SET_COUNT; set++)
		if (nft_get(NFT_MSG_GETSET, t->family, nft_set(set)->name, NULL, NULL) != 0)
			return false;
	return things == count + NFT_SET_COUNT;
}

/* 0, or -1 with errno. */
static int check_table(struct table *t, nft_timeouts timeouts)
{
	unsigned affinities = 0;

	memset(timeouts, 0, sizeof(nft_timeouts));
	if (nft_get(NFT_MSG_GETTABLE, t->family, NULL, take_table, t) != 0)
		return errno == ENOENT ? 0 : -1;
	if (!t->ours)
		return 0;
	if (nft_dump_elems(t->family, NFT_TIMEOUTS, take_timeout, timeouts) != 0)
		t->ours = false;
	for (unsigned i = 0; i < NFT_AFFINITIES; i++)
		affinities += timeouts[i] != 0;
	t->ours = t->ours && has_chains_and_sets(t, affinities);
	return 0;
}

/* --- the parts --- */

struct reading {
	const char *(*send)(void *arg, const struct nft_snapshot *s);
	void *arg;
	const char *why;
	struct nft_snapshot part;
};

static void send_part(struct reading *r, bool last)
{
	r->part.last = last;
	if (r->why == NULL)
		r->why = r->send(r->arg, &r->part);
	r->part.count = 0;
}

static void add_elem(void *arg, const struct nft_elem *e)
{
	struct reading *r = arg;

	if (e->set != NFT_TIMEOUTS && nft_elem_check(e, true) != NULL) {
		r->part.installed[e->family] = false; /* no transaction could take it away */
		return;
	}
	r->part.elems[r->part.count++] = *e;
	if (r->part.count == NFT_SNAPSHOT_PART_MAX)
		send_part(r, false);
}

static int read_family(
    struct reading *r, const struct policy *p, uint8_t family, nft_timeouts timeouts)
{
	struct table t = {.policy = p, .family = family};

	if (check_table(&t, timeouts) != 0)
		return -1;
	r->part.there[family] = t.there;
	r->part.installed[family] = t.ours;
	for (uint8_t set = 0; set < NFT_SET_COUNT && t.ours && r->why == NULL; set++) {
		if (nft_set_dynamic(set) || nft_dump_elems(family, set, add_elem, r) == 0)
			continue;
		if (errno != EINVAL && errno != ENOENT)
			return -1;
		r->part.installed[family] = false;
	}
	return 0;
}

const char *nft_snapshot_read(const struct policy *p, nft_affinities affinities,
    const char *(*send)(void *arg, const struct nft_snapshot *s), void *arg)
{
	static struct reading r; /* too large for a stack */

	r = (struct reading){.send = send, .arg = arg};
	memcpy(r.part.families, p->families, sizeof(r.part.families));
	nft_drift_seen(); /* what comes from now on may be missing in what is read */
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (p->families[f] && read_family(&r, p, (uint8_t)f, affinities[f]) != 0)
			return strerror(errno);
	send_part(&r, true);
	return r.why;
}
