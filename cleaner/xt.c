#include "cleaner/xt.h"

#include <errno.h>
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <string.h>
#include <unistd.h>

#include "applier/ipt_backend.h"
#include "cleaner/names.h"
#include "common/log.h"
#include "ipc/fds.h"

#define TRIES	  10 /* against writers that ignore the lock */
#define NAMES_MAX 256

/* One table, read at one moment. */
struct table {
	const struct plan *plan;
	const struct ipt_family *x;
	struct xtc_handle *h;
	uint32_t info[2];
	uint8_t family, table;
	bool drops[LEFTOVERS_HOOKS];
	struct leftovers_row *row;
	bool changed;
};

static const char *const builtin[LEFTOVERS_HOOKS] = {"INPUT", "FORWARD"};

/* The names are lines of the kernel's file; a file that may not be read says nothing: ask all. */
static void read_names(struct plan *p, unsigned family)
{
	char text[NAMES_MAX] = "\n";
	ssize_t n = read(CLEANER_FD_TABLES + (int)family, text + 1, sizeof(text) - 2);

	for (unsigned t = 0; t < LEFTOVERS_TABLES; t++) {
		char line[16] = "\n";

		strlcat(line, leftovers_tables[t], sizeof(line));
		strlcat(line, "\n", sizeof(line));
		p->legacy[family][t] = n < 0 || strstr(text, line) != NULL;
	}
}

void xt_open(struct plan *p)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (ipt_socket_open(f) == 0)
			read_names(p, f);
	p->policy.lock_fd = CLEANER_FD_LOCK;
}

/* Is there anything in this table that is ours to remove? */
static bool is_wanted(const struct plan *p, unsigned family, unsigned table)
{
	return p->wheres[LEFTOVERS_X_TABLES] && p->legacy[family][table] &&
	       (table == LEFTOVERS_MANGLE || !p->x_tables_canary_only);
}

/* 0, or -1 with errno. table_close() in either case. */
static int table_read(
    struct table *t, const struct plan *p, struct tally *tally, uint8_t family, uint8_t table)
{
	const char *name = leftovers_tables[table];

	*t =
	    (struct table){.plan = p, .x = &ipt_families[family], .family = family, .table = table};
	t->row = tally_begin(tally, LEFTOVERS_X_TABLES, family, table);
	if (ipt_get_info(family, name, t->info) != 0)
		return -1;
	t->h = t->x->ops->init(name);
	if (t->h == NULL)
		return -1;
	for (unsigned k = 0; k < LEFTOVERS_HOOKS && table == LEFTOVERS_FILTER; k++) {
		struct xt_counters counters;
		const char *policy = t->x->ops->get_policy(builtin[k], &counters, t->h);

		t->drops[k] = policy != NULL && strcmp(policy, "DROP") == 0;
	}
	return 0;
}

static void table_close(struct table *t)
{
	if (t->h != NULL)
		t->x->ops->free(t->h);
	t->h = NULL;
}

/* --- counting --- */

static bool is_ours(const struct table *t, const char *chain)
{
	return name_is_kube_proxys(t->table, chain) && !t->x->ops->builtin(chain, t->h);
}

static bool policy_keeps(const struct table *t, const char *from, const char *chain)
{
	for (unsigned k = 0; k < LEFTOVERS_HOOKS; k++)
		if (!t->plan->all && t->drops[k] && name_accepts(k, chain) &&
		    (from == NULL || strcmp(from, builtin[k]) == 0))
			return true;
	return false;
}

static void count_chain(struct table *t, const char *chain)
{
	const bool ours = is_ours(t, chain), hooks = t->x->ops->builtin(chain, t->h) != 0;

	if (ours) {
		t->row->chains++;
		if (policy_keeps(t, NULL, chain))
			tally_stays(t->row, LEFTOVERS_POLICY, chain);
		else
			tally_name(t->row, chain);
	}
	for (const void *e = t->x->first_rule(chain, t->h); e != NULL;
	     e = t->x->next_rule(e, t->h)) {
		const char *target = t->x->get_target(e, t->h);

		if (ours || (hooks && is_ours(t, target)))
			t->row->rules++;
		else if (is_ours(t, target))
			tally_stays(t->row, LEFTOVERS_IN_USE, target);
	}
}

static void count(struct table *t)
{
	const struct xtc_ops *ops = t->x->ops;

	t->row->chains = t->row->rules = t->row->name_count = 0;
	t->row->why = LEFTOVERS_WAITING;
	for (const char *c = ops->first_chain(t->h); c != NULL; c = ops->next_chain(t->h))
		count_chain(t, c);
}

/* Where all that is ours is in iptables-nft, a policy of x_tables drops what is translated. */
static void note_firewalls(const struct table *t, struct tally *tally)
{
	for (unsigned k = 0; k < LEFTOVERS_HOOKS; k++) {
		struct leftovers_firewall *w = &tally->firewalls[tally->firewall_count];

		if (!t->drops[k] || tally->firewall_count == LEFTOVERS_FIREWALLS_MAX)
			continue;
		*w = (struct leftovers_firewall){
		    .family = t->family, .hook = (uint8_t)k, .legacy = true};
		w->kept = !t->plan->all && t->row->chains > 0;
		strlcpy(w->table, "filter", sizeof(w->table));
		strlcpy(w->chain, builtin[k], sizeof(w->chain));
		tally->firewall_count++;
	}
}

static void each_table(
    const struct plan *p, struct tally *tally, void (*act)(struct table *t, struct tally *tally))
{
	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++)
		for (uint8_t n = 0; n < (uint8_t)LEFTOVERS_TABLES; n++) {
			struct table t;

			if (!is_wanted(p, f, n))
				continue;
			if (table_read(&t, p, tally, f, n) == 0)
				act(&t, tally);
			else if (errno != ENOENT)
				log_warn("iptables-legacy, table %s %s: %s", leftovers_families[f],
				    leftovers_tables[n], t.x->ops->strerror(errno));
			table_close(&t);
		}
}

static void scan(struct table *t, struct tally *tally)
{
	count(t);
	note_firewalls(t, tally);
	t->row->why = LEFTOVERS_WAITING;
}

void xt_scan(const struct plan *p, struct tally *t)
{
	each_table(p, t, scan);
}

/* --- removing --- */

/* The jumps of built-in chains to ours go. 0, or -1 with errno; libiptc says 1 for success. */
static int unhook(struct table *t, const char *chain)
{
	const void *e = t->x->first_rule(chain, t->h);

	for (unsigned at = 0; e != NULL;) {
		const char *target = t->x->get_target(e, t->h);

		if (!is_ours(t, target) || policy_keeps(t, chain, target)) {
			e = t->x->next_rule(e, t->h);
			at++;
			continue;
		}
		if (t->x->delete_num_entry(chain, at, t->h) == 0)
			return -1;
		t->changed = true;
		e = t->x->first_rule(chain, t->h);
		for (unsigned i = 0; i < at && e != NULL; i++)
			e = t->x->next_rule(e, t->h);
	}
	return 0;
}

/* Is CHAIN, which is ours, one that another program's rule jumps to for what is in it? */
static bool serves_others(const struct table *t, const char *chain)
{
	const struct xtc_ops *ops = t->x->ops;

	if (!name_serves_others(chain))
		return false;
	for (const char *c = ops->first_chain(t->h); c != NULL; c = ops->next_chain(t->h)) {
		if (is_ours(t, c) || ops->builtin(c, t->h))
			continue;
		for (const void *e = t->x->first_rule(c, t->h); e != NULL;
		     e = t->x->next_rule(e, t->h))
			if (strcmp(t->x->get_target(e, t->h), chain) == 0)
				return true;
	}
	return false;
}

/* First all of ours lose their rules and with them their jumps, then all go that nobody jumps to.
 */
static int empty(struct table *t)
{
	const struct xtc_ops *ops = t->x->ops;
	const bool served = serves_others(t, "KUBE-MARK-MASQ");

	for (const char *c = ops->first_chain(t->h); c != NULL; c = ops->next_chain(t->h)) {
		if (ops->builtin(c, t->h) && unhook(t, c) != 0)
			return -1;
		if (!is_ours(t, c) || policy_keeps(t, NULL, c) ||
		    (served && name_serves_others(c)) || t->x->first_rule(c, t->h) == NULL)
			continue;
		if (ops->flush_entries(c, t->h) == 0)
			return -1;
		t->changed = true;
	}
	return 0;
}

static int delete_chains(struct table *t)
{
	const struct xtc_ops *ops = t->x->ops;
	char name[CHAIN_NAME_LEN + 4];
	unsigned references;

	for (const char *c = ops->first_chain(t->h); c != NULL; c = ops->next_chain(t->h)) {
		if (!is_ours(t, c) || policy_keeps(t, NULL, c) ||
		    !t->x->get_references(&references, c, t->h) || references > 0)
			continue;
		strlcpy(name, c, sizeof(name));
		if (t->x->delete_chain(name, t->h) == 0)
			return -1;
		t->changed = true;
	}
	return 0;
}

static int commit(struct table *t)
{
	uint32_t now[2];

	if (!t->changed)
		return 0;
	if (ipt_get_info(t->family, leftovers_tables[t->table], now) != 0)
		return -1;
	if (memcmp(now, t->info, sizeof(now)) != 0) {
		errno = EAGAIN;
		return -1;
	}
	return t->x->ops->commit(t->h) != 0 ? 0 : -1;
}

static void clean(struct table *t, struct tally *tally)
{
	const struct plan *p = t->plan;
	int tries = 0, error;

	count(t);
	if (t->row->chains + t->row->rules == 0 || !p->families[t->family])
		return;
	do {
		error = empty(t) != 0 || delete_chains(t) != 0 || commit(t) != 0 ? errno : 0;
		table_close(t);
		if (table_read(t, p, tally, t->family, t->table) != 0) {
			t->row->why = LEFTOVERS_REFUSED;
			t->row->error = errno;
			return;
		}
	} while (error == EAGAIN && ++tries < TRIES);
	count(t);
	if (error != 0) {
		t->row->why = error == EAGAIN ? LEFTOVERS_BUSY : LEFTOVERS_REFUSED;
		t->row->error = error == EAGAIN ? 0 : error;
	}
}

void xt_clean(const struct plan *p, struct tally *t)
{
	uint32_t waited;

	if (!p->wheres[LEFTOVERS_X_TABLES])
		return;
	if (ipt_lock(&p->policy, &waited) == 0) {
		each_table(p, t, clean);
		ipt_unlock(&p->policy);
		return;
	}
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (unsigned n = 0; n < LEFTOVERS_TABLES; n++)
			if (t->rows[LEFTOVERS_X_TABLES][f][n].chains > 0)
				t->rows[LEFTOVERS_X_TABLES][f][n].why = LEFTOVERS_BUSY;
}
