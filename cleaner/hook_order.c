#include "cleaner/hook_order.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleaner/nft_talk.h"

#define CHAINS_MAX 128
#define PLACE_MAX  (2 * LEFTOVERS_NAME_MAX + 32)

/* The priorities of x_tables are those of iptables-nft, too. */
static const struct {
	const char *title;
	uint32_t number;
	bool nat;
	int32_t x_tables, nftables; /* ours: applier/nft_rules.c */
} hooks[HOOK_ORDER_HOOKS] = {
    {"prerouting, nat", NF_INET_PRE_ROUTING, true, NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_DST},
    {"output, nat", NF_INET_LOCAL_OUT, true, NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_DST},
    {"input, filter", NF_INET_LOCAL_IN, false, NF_IP_PRI_FILTER, -110},
    {"forward, filter", NF_INET_FORWARD, false, NF_IP_PRI_FILTER, -110},
    {"postrouting, nat", NF_INET_POST_ROUTING, true, NF_IP_PRI_NAT_SRC, NF_IP_PRI_NAT_SRC},
};

struct entry {
	unsigned hook;
	int32_t priority;
	bool ours;
	char name[PLACE_MAX];
};

static struct entry list[CHAINS_MAX];
static size_t count;
static bool nftables; /* the mode */

static int32_t own_priority(unsigned hook)
{
	return nftables ? hooks[hook].nftables : hooks[hook].x_tables;
}

static struct entry *add(unsigned hook, int32_t priority)
{
	struct entry *e = &list[count];

	count += count < CHAINS_MAX - 1; /* the last one stands for all that have no room */
	*e = (struct entry){.hook = hook, .priority = priority};
	return e;
}

/* Names that would change a terminal are not shown. */
static const char *shown(const char *name)
{
	return leftovers_name_valid(name) ? name : "(unprintable)";
}

static void take_chain(void *arg, const struct nlmsghdr *h)
{
	const uint8_t *family = arg; /* enum leftovers_family */
	struct nft_chain c;

	if (!nft_read_chain(h, &c) || !c.base || !(c.nat || c.filter) ||
	    (nftables && *family != LEFTOVERS_INET && strcmp(c.table, "kube-proxy") == 0))
		return; /* the last: ours, or to be */
	for (unsigned k = 0; k < HOOK_ORDER_HOOKS; k++)
		if (c.hook == hooks[k].number && c.nat == hooks[k].nat)
			snprintf(add(k, c.priority)->name, PLACE_MAX, "%s %.47s %.47s",
			    leftovers_families[*family], shown(c.table), shown(c.name));
}

/* By priority; ours first among equals, whose order the kernel does not tell. */
static int compare(const void *one, const void *two)
{
	const struct entry *a = one, *b = two;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return (int)b->ours - (int)a->ours;
}

int hook_order_scan(const struct plan *p)
{
	static const uint8_t nfprotos[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET};
	int error = 0;

	nftables = p->policy.mode == MODE_NFTABLES;
	for (unsigned k = 0; k < HOOK_ORDER_HOOKS; k++) {
		const unsigned table = hooks[k].nat ? LEFTOVERS_NAT : LEFTOVERS_FILTER;
		struct entry *ours = add(k, own_priority(k));

		ours->ours = true;
		strlcpy(ours->name, "ours", PLACE_MAX);
		for (unsigned f = 0; nftables && f < FAMILY_COUNT; f++)
			if (p->legacy[f][table])
				snprintf(add(k, hooks[k].x_tables)->name, PLACE_MAX,
				    "iptables-legacy %s %s", leftovers_families[f],
				    leftovers_tables[table]);
	}
	for (uint8_t f = 0; p->sees_nf_tables && f < (uint8_t)LEFTOVERS_FAMILIES && error == 0; f++)
		error = nft_dump_chains(nfprotos[f], take_chain, &f);
	qsort(list, count, sizeof(list[0]), compare);
	return error;
}

bool hook_order_write(unsigned hook, char buf[HOOK_ORDER_TEXT_MAX])
{
	bool before = false, equal = false;
	const char *separator = ":";

	strlcpy(buf, hooks[hook].title, HOOK_ORDER_TEXT_MAX);
	for (const struct entry *e = list; e < list + count; e++) {
		const size_t n = strlen(buf);

		if (e->hook != hook)
			continue;
		snprintf(buf + n, HOOK_ORDER_TEXT_MAX - n, "%s %s (%d)", separator, e->name,
		    e->priority);
		separator = ",";
		before |= hooks[hook].nat && e->priority < own_priority(hook);
		equal |= !e->ours && e->priority == own_priority(hook);
	}
	if (equal)
		strlcat(buf, "; at the same priority the chain that was made last is called first",
		    HOOK_ORDER_TEXT_MAX);
	if (before)
		strlcat(buf,
		    "; a connection that a chain before ours translates is not translated by ours",
		    HOOK_ORDER_TEXT_MAX);
	return before;
}
