#include "cleaner/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <string.h>
#include <time.h>

#include "cleaner/names.h"
#include "cleaner/nft_talk.h"

#define TABLE_KUBE_PROXY "kube-proxy"

/* Bounds of what a scan remembers; what is beyond them stays. */
#define JUMPS_MAX 64
#define KEPT_MAX  64
#define BASES_MAX 32

/* Other programs may commit between our look and our transaction this often. */
#define TRIES	 30
#define PAUSE_NS (20 * 1000 * 1000)

static const uint8_t nfprotos[FAMILY_COUNT] = {NFPROTO_IPV4, NFPROTO_IPV6};

struct place {
	uint8_t table; /* enum leftovers_table */
	char chain[LEFTOVERS_NAME_MAX];
};

/* What one family holds, and what is to become of it. */
struct scan {
	const struct plan *plan;
	struct tally *tally;
	struct leftovers_row *rows[LEFTOVERS_TABLES];
	uint8_t family, table;
	uint64_t kube_proxy_chains, kube_proxy_rules;
	struct place bases[BASES_MAX]; /* base chains of iptables' tables */
	uint32_t base_count;
	bool drops[LEFTOVERS_HOOKS]; /* the policy of iptables' own INPUT and FORWARD is DROP */
	struct jump {
		struct place from;
		uint64_t handle;
		char target[LEFTOVERS_NAME_MAX];
	} jumps[JUMPS_MAX]; /* from base chains to a kube-proxy's */
	uint32_t jump_count;
	struct place kept[KEPT_MAX]; /* chains of a kube-proxy that others jump to */
	uint32_t kept_count;
	bool full;		       /* one of them has no room left */
	bool accepts[LEFTOVERS_HOOKS]; /* a chain is there that accepts what the policy drops */
	unsigned work;		       /* what a batch would have to do */
	bool emptied;		       /* what stays but empty is so already */
	struct batch batch;
	bool deleting; /* second pass of a batch */
};

/* The number of table NAME, or LEFTOVERS_TABLES. */
static unsigned table_of(const char *name)
{
	unsigned t = 0;

	while (t < LEFTOVERS_TABLES && strcmp(leftovers_tables[t], name) != 0)
		t++;
	return t;
}

static bool is_place(const struct place *p, unsigned table, const char *chain)
{
	return p->table == table && strcmp(p->chain, chain) == 0;
}

static bool is_in(const struct place *list, uint32_t count, unsigned table, const char *chain)
{
	for (uint32_t i = 0; i < count; i++)
		if (is_place(&list[i], table, chain))
			return true;
	return false;
}

static void add_place(struct scan *s, struct place *list, uint32_t *count, uint32_t max,
    unsigned table, const char *chain)
{
	if (is_in(list, *count, table, chain))
		return;
	if (*count == max || strlen(chain) >= LEFTOVERS_NAME_MAX) {
		s->full = true;
		return;
	}
	list[*count].table = (uint8_t)table;
	strlcpy(list[(*count)++].chain, chain, LEFTOVERS_NAME_MAX);
}

/* --- the scan --- */

/* A base chain with a policy of DROP, where it decides about what Services forward. */
static void note_firewall(struct scan *s, const struct nft_chain *c)
{
	struct tally *t = s->tally;
	struct leftovers_firewall *w = &t->firewalls[t->firewall_count];

	if (!c->drops || !c->filter ||
	    (c->hook != NF_INET_LOCAL_IN && c->hook != NF_INET_FORWARD) ||
	    t->firewall_count == LEFTOVERS_FIREWALLS_MAX || !leftovers_name_valid(c->table) ||
	    !leftovers_name_valid(c->name) || t->firewalls_told)
		return;
	*w = (struct leftovers_firewall){
	    .hook = c->hook == NF_INET_FORWARD ? LEFTOVERS_FORWARD : LEFTOVERS_INPUT,
	    .family = c->family == NFPROTO_IPV6	  ? LEFTOVERS_IP6
		      : c->family == NFPROTO_IPV4 ? LEFTOVERS_IP
						  : LEFTOVERS_INET};
	strlcpy(w->table, c->table, sizeof(w->table));
	strlcpy(w->chain, c->name, sizeof(w->chain));
	t->firewall_count++;
}

static void see_base_chain(struct scan *s, const struct nft_chain *c)
{
	const unsigned table = table_of(c->table);

	if (table == LEFTOVERS_TABLES)
		return;
	add_place(s, s->bases, &s->base_count, BASES_MAX, table, c->name);
	if (table == LEFTOVERS_FILTER && c->drops && c->hook == NF_INET_FORWARD)
		s->drops[LEFTOVERS_FORWARD] = true;
	if (table == LEFTOVERS_FILTER && c->drops && c->hook == NF_INET_LOCAL_IN)
		s->drops[LEFTOVERS_INPUT] = true;
}

static void see_chain(void *arg, const struct nlmsghdr *h)
{
	struct scan *s = arg;
	struct nft_chain c;
	unsigned table;

	if (!nft_read_chain(h, &c))
		return;
	table = table_of(c.table);
	if (c.base) {
		note_firewall(s, &c);
		see_base_chain(s, &c);
	}
	if (strcmp(c.table, TABLE_KUBE_PROXY) == 0)
		s->kube_proxy_chains++;
	if (c.base || table == LEFTOVERS_TABLES || !name_is_kube_proxys(table, c.name))
		return;
	s->rows[table]->chains++;
	tally_name(s->rows[table], c.name);
	for (unsigned k = 0; k < LEFTOVERS_HOOKS; k++)
		s->accepts[k] |= table == LEFTOVERS_FILTER && name_accepts(k, c.name);
}

static void see_rule(void *arg, const struct nlmsghdr *h)
{
	struct scan *s = arg;
	struct jump *j = &s->jumps[s->jump_count];
	struct nft_rule r;
	bool to_ours;

	if (!nft_read_rule(h, &r))
		return;
	to_ours = r.target[0] != '\0' && name_is_kube_proxys(s->table, r.target);
	if (!is_in(s->bases, s->base_count, s->table, r.chain) &&
	    name_is_kube_proxys(s->table, r.chain)) {
		s->rows[s->table]->rules++;
	} else if (to_ours && is_in(s->bases, s->base_count, s->table, r.chain)) {
		s->rows[s->table]->rules++;
		if (s->jump_count == JUMPS_MAX) {
			s->full = true;
			return;
		}
		*j = (struct jump){.from.table = s->table, .handle = r.handle};
		strlcpy(j->from.chain, r.chain, sizeof(j->from.chain));
		strlcpy(j->target, r.target, sizeof(j->target));
		s->jump_count++;
	} else if (to_ours) {
		add_place(s, s->kept, &s->kept_count, KEPT_MAX, s->table, r.target);
	}
}

static void count_rule(void *arg, const struct nlmsghdr *h)
{
	struct scan *s = arg;
	struct nft_rule r;

	s->kube_proxy_rules += nft_read_rule(h, &r);
}

/* Looks at everything in FAMILY. What the kernel has told of chains in use before stays known. */
static int look(struct scan *s, uint8_t family)
{
	const bool own = s->plan->wheres[LEFTOVERS_NFTABLES];
	const bool chains = s->plan->wheres[LEFTOVERS_NF_TABLES];
	static struct leftovers_row nobody;
	struct leftovers_row *row;
	int error;

	s->family = family;
	s->base_count = s->jump_count = 0;
	memset(s->drops, 0, sizeof(s->drops));
	memset(s->accepts, 0, sizeof(s->accepts));
	s->kube_proxy_chains = s->kube_proxy_rules = 0;
	for (unsigned t = 0; t < LEFTOVERS_TABLES; t++)
		s->rows[t] =
		    chains ? tally_begin(s->tally, LEFTOVERS_NF_TABLES, family, t) : &nobody;
	error = nft_dump_chains(nfprotos[family], see_chain, s);
	for (s->table = 0; chains && s->table < LEFTOVERS_TABLES && error == 0; s->table++)
		if (s->rows[s->table]->chains > 0)
			error = nft_dump_rules(
			    nfprotos[family], leftovers_tables[s->table], see_rule, s);
	if (error != 0 || !own)
		return error;
	row = tally_begin(s->tally, LEFTOVERS_NFTABLES, family, 0);
	if (s->kube_proxy_chains > 0)
		error = nft_dump_rules(nfprotos[family], TABLE_KUBE_PROXY, count_rule, s);
	row->chains = s->kube_proxy_chains;
	row->rules = s->kube_proxy_rules;
	return error;
}

/* --- what becomes of a chain --- */

enum fate { REMOVED, EMPTIED, KEPT_FOR_OTHERS, KEPT_FOR_POLICY };

static enum fate fate_of(const struct scan *s, unsigned table, const char *chain)
{
	for (unsigned h = 0; h < LEFTOVERS_HOOKS; h++)
		if (!s->plan->all && table == LEFTOVERS_FILTER && s->drops[h] &&
		    name_accepts(h, chain))
			return KEPT_FOR_POLICY;
	if (!is_in(s->kept, s->kept_count, table, chain))
		return REMOVED;
	return name_serves_others(chain) ? KEPT_FOR_OTHERS : EMPTIED;
}

/* Does the jump keep a chain of use that a policy of DROP needs? */
static bool jump_stays(const struct scan *s, const struct jump *j)
{
	static const char *const builtin[LEFTOVERS_HOOKS] = {"INPUT", "FORWARD"};

	for (unsigned h = 0; h < LEFTOVERS_HOOKS; h++)
		if (strcmp(j->from.chain, builtin[h]) == 0 && s->drops[h] && !s->plan->all &&
		    j->from.table == LEFTOVERS_FILTER && name_accepts(h, j->target))
			return true;
	return false;
}

/* Called for each chain twice: first all are emptied, then all are deleted. */
static void plan_chain(void *arg, const struct nlmsghdr *h)
{
	struct scan *s = arg;
	struct nft_chain c;
	unsigned table;
	enum fate fate;

	if (!s->plan->wheres[LEFTOVERS_NF_TABLES] || !nft_read_chain(h, &c) || c.base)
		return;
	table = table_of(c.table);
	if (table == LEFTOVERS_TABLES || !name_is_kube_proxys(table, c.name))
		return;
	fate = fate_of(s, table, c.name);
	if (!s->deleting && (fate == REMOVED || fate == EMPTIED))
		batch_flush_chain(&s->batch, c.table, c.name);
	if (s->deleting && fate == REMOVED)
		batch_delete_chain(&s->batch, c.table, c.name);
}

/* Makes the family's batch for GENERATION. 0, or an errno. */
static int make_batch(struct scan *s, uint32_t generation)
{
	int error;

	batch_begin(&s->batch, nfprotos[s->family], generation);
	for (uint32_t i = 0; i < s->jump_count; i++)
		if (!jump_stays(s, &s->jumps[i]))
			batch_delete_rule(&s->batch, leftovers_tables[s->jumps[i].from.table],
			    s->jumps[i].from.chain, s->jumps[i].handle);
	s->deleting = false;
	error = nft_dump_chains(nfprotos[s->family], plan_chain, s);
	s->deleting = true;
	if (error == 0)
		error = nft_dump_chains(nfprotos[s->family], plan_chain, s);
	if (error == 0 && s->kube_proxy_chains > 0 && s->plan->wheres[LEFTOVERS_NFTABLES])
		batch_delete_table(&s->batch, TABLE_KUBE_PROXY);
	return error;
}

/* --- what is left --- */

static void tell_chain(void *arg, const struct nlmsghdr *h)
{
	struct scan *s = arg;
	struct nft_chain c;
	unsigned table;
	enum fate fate;

	if (!s->plan->wheres[LEFTOVERS_NF_TABLES] || !nft_read_chain(h, &c) || c.base)
		return;
	table = table_of(c.table);
	if (table == LEFTOVERS_TABLES || !name_is_kube_proxys(table, c.name))
		return;
	fate = fate_of(s, table, c.name);
	s->work += fate == REMOVED || (fate == EMPTIED && !s->emptied);
	if (fate == KEPT_FOR_POLICY && s->rows[table]->why != LEFTOVERS_IN_USE)
		tally_stays(s->rows[table], LEFTOVERS_POLICY, c.name);
	else if (fate != REMOVED)
		tally_stays(s->rows[table], LEFTOVERS_IN_USE, c.name);
}

/* Looks at FAMILY, counts the work, and says of what stays by its fate why. */
static int look_again(struct scan *s, uint8_t family)
{
	int error = look(s, family);

	s->work = s->kube_proxy_chains > 0 && s->plan->wheres[LEFTOVERS_NFTABLES];
	for (uint32_t i = 0; i < s->jump_count; i++)
		s->work += !jump_stays(s, &s->jumps[i]);
	return error == 0 ? nft_dump_chains(nfprotos[family], tell_chain, s) : error;
}

/* Of iptables' own chains in FAMILY that drop: will what accepts there be kept? */
static void note_kept(struct scan *s, uint8_t family)
{
	for (uint32_t i = 0; i < s->tally->firewall_count; i++) {
		struct leftovers_firewall *w = &s->tally->firewalls[i];

		/* LEFTOVERS_IP and _IP6 are FAMILY_4 and _6 */
		if (w->family == family && strcmp(w->table, "filter") == 0)
			w->kept = (!s->plan->all || !s->plan->wheres[LEFTOVERS_NF_TABLES]) &&
				  s->drops[w->hook] && s->accepts[w->hook];
	}
}

static void give_up(struct scan *s, int error)
{
	const enum leftovers_why why =
	    error == ERESTART || error == EAGAIN ? LEFTOVERS_BUSY : LEFTOVERS_REFUSED;
	struct leftovers_row *own = &s->tally->rows[LEFTOVERS_NFTABLES][s->family][0];

	for (unsigned t = 0; t < LEFTOVERS_TABLES; t++) {
		struct leftovers_row *row = &s->tally->rows[LEFTOVERS_NF_TABLES][s->family][t];

		if (row->chains > 0 && row->why == LEFTOVERS_WAITING) {
			row->why = (uint8_t)why;
			row->error = why == LEFTOVERS_REFUSED ? error : 0;
		}
	}
	if (own->chains > 0) {
		own->why = (uint8_t)why;
		own->error = why == LEFTOVERS_REFUSED ? error : 0;
	}
}

static int clean_once(struct scan *s, uint8_t family, bool any_generation)
{
	char table[NFT_READ_NAME_MAX] = "", chain[NFT_READ_NAME_MAX] = "";
	uint32_t generation = 0;
	int error = nft_get_generation(&generation);

	if (error == 0)
		error = look_again(s, family);
	if (error != 0 || s->work == 0)
		return error;
	/*
	 * With programs that commit all the time the generation is never the one that was looked
	 * at. Rules have handles that are never used again, and the chains are a kube-proxy's
	 * whatever has come into them.
	 */
	error = make_batch(s, any_generation ? 0 : generation);
	if (error == 0)
		error = batch_send(&s->batch, table, chain);
	if (error == 0) {
		s->emptied = true;
		return EAGAIN; /* once more, to see that it is so */
	}
	if (chain[0] == '\0')
		return error;
	add_place(s, s->kept, &s->kept_count, KEPT_MAX, table_of(table), chain);
	return s->full ? error : EAGAIN;
}

static void clean_family(struct scan *s, uint8_t family)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int error = ERESTART;

	s->kept_count = 0;
	for (int i = 0; i < TRIES + KEPT_MAX; i++) {
		error = clean_once(s, family, i >= TRIES);
		if (error == ERESTART || error == ENOENT) /* others wrote; so did their numbers */
			nanosleep(&pause, NULL);
		else if (error != EAGAIN)
			break;
	}
	if (error != 0)
		give_up(s, error == ENOENT ? ERESTART : error);
	batch_free(&s->batch);
}

int nft_scan(const struct plan *p, struct tally *t)
{
	static struct scan s; /* too large for a stack */
	static struct leftovers_row nobody;
	int error = 0;

	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT && error == 0; f++) {
		s = (struct scan){.plan = p, .tally = t};
		error = look(&s, f);
		note_kept(&s, f);
	}
	if (error == 0) { /* other firewalls: in the family of both */
		s = (struct scan){.plan = p, .tally = t};
		for (unsigned i = 0; i < LEFTOVERS_TABLES; i++)
			s.rows[i] = &nobody;
		error = nft_dump_chains(NFPROTO_INET, see_chain, &s);
	}
	return error;
}

void nft_clean(const struct plan *p, struct tally *t)
{
	static struct scan s;

	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		s = (struct scan){.plan = p, .tally = t, .family = f};
		if (p->families[f])
			clean_family(&s, f);
	}
}
