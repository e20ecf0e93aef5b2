#include "applier/ipt_snapshot.h"

#include <string.h>

#include "applier/ipt_backend.h"

struct reading {
	struct txn_snapshot part;
	const char *(*send)(void *arg, const struct txn_snapshot *part);
	void *arg;
	const char *why; /* a part of it could not be sent */
};

static void send_part(struct reading *r, bool last)
{
	r->part.last = last;
	if (r->why == NULL)
		r->why = r->send(r->arg, &r->part);
	r->part.count = 0;
}

static void add_chain(void *arg, const struct ipt_chain *c, uint64_t digest)
{
	struct reading *r = arg;

	r->part.chains[r->part.count++] = (struct txn_chain_digest){*c, digest};
	if (r->part.count == SNAPSHOT_PART_MAX)
		send_part(r, false);
}

/* A handle just read has this DIGEST. */
static void know(struct ipt_known *k, const struct ipt_handle *t, uint64_t digest)
{
	*k = (struct ipt_known){true, {t->info[0], t->info[1]}, digest};
}

const char *ipt_snapshot_read(const struct policy *p, struct ipt_known known[IPT_TABLES],
    const char *(*send)(void *arg, const struct txn_snapshot *part), void *arg, char *detail,
    size_t size)
{
	static struct reading r; /* too large for a stack */
	struct ipt_handle tables[IPT_TABLES] = {0};
	unsigned wanted = 0;
	uint32_t waited_ms;
	bool locked;

	r = (struct reading){.send = send, .arg = arg};
	memcpy(r.part.families, p->families, sizeof(r.part.families));
	for (size_t i = 0; i < IPT_TABLES; i++)
		wanted |= p->families[i / IPT_TABLE_COUNT] ? 1u << i : 0;
	locked = ipt_lock(p, &waited_ms) == 0; /* if not: each table is read at one moment anyway */
	if (ipt_tables_read(tables, p, wanted, detail, size) != 0)
		r.why = "a table cannot be read";
	if (locked)
		ipt_unlock(p);
	for (size_t i = 0; i < IPT_TABLES; i++)
		r.part.hooks[tables[i].family] |= tables[i].hooks;
	for (size_t i = 0; i < IPT_TABLES && r.why == NULL; i++)
		if (tables[i].h != NULL)
			know(&known[i], &tables[i], ipt_handle_digest(&tables[i], add_chain, &r));
	send_part(&r, true);
	ipt_tables_close(tables);
	return r.why;
}

static bool differs(const struct policy *p, struct ipt_known *k, size_t i, bool deep)
{
	const uint8_t family = (uint8_t)(i / IPT_TABLE_COUNT);
	const uint8_t table = (uint8_t)(IPT_TABLE_COUNT - 1 - i % IPT_TABLE_COUNT);
	struct ipt_handle t = {0};
	uint64_t digest;
	uint32_t now[2];

	if (!deep && k->valid && ipt_get_info(family, ipt_table_names[table], now) == 0 &&
	    memcmp(now, k->info, sizeof(now)) == 0)
		return false;
	if (!k->valid || ipt_handle_read(&t, p, family, table) != 0)
		return true;
	digest = ipt_handle_digest(&t, NULL, NULL);
	if (digest == k->digest)
		know(k, &t, digest); /* others' rules changed, not ours */
	ipt_handle_close(&t);
	return digest != k->digest;
}

bool ipt_drift(const struct policy *p, struct ipt_known known[IPT_TABLES], bool deep)
{
	bool drift = false;

	for (size_t i = 0; i < IPT_TABLES; i++)
		if (p->families[i / IPT_TABLE_COUNT])
			drift |= differs(p, &known[i], i, deep);
	return drift;
}
