#include "applier/ipvs_record.h"

#include <netinet/in.h>
#include <stdlib.h>

/* Never 0. Its low bit says nothing. */
static uint64_t digest(const struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of)
{
	const struct ipvs_item key = ipvs_item_key(kind, of);
	struct siphash s;

	siphash_init(&s, &t->key);
	siphash_update(&s, &key, IPVS_KEY_LEN);
	return siphash_final(&s) | 1;
}

static size_t home(const struct ipvs_record *t, uint64_t d)
{
	return d >> 1 & (t->size - 1);
}

/* Where D is, or would be. */
static size_t find(const struct ipvs_record *t, uint64_t d)
{
	size_t i = home(t, d);

	while (t->slots[i] != 0 && t->slots[i] != d)
		i = (i + 1) & (t->size - 1);
	return i;
}

static bool grow(struct ipvs_record *t)
{
	struct ipvs_record to = *t;

	to.size = t->size == 0 ? 1024 : 2 * t->size;
	to.slots = to.size > IPVS_RECORD_MAX ? NULL : calloc(to.size, sizeof(*to.slots));
	if (to.slots == NULL)
		return false;
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i] != 0)
			to.slots[find(&to, t->slots[i])] = t->slots[i];
	free(t->slots);
	t->slots = to.slots;
	t->size = to.size;
	return true;
}

bool ipvs_record_has(const struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of)
{
	return t->used > 0 && t->slots[find(t, digest(t, kind, of))] != 0;
}

bool ipvs_record_put(struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of)
{
	const uint64_t d = digest(t, kind, of);
	size_t i;

	if (2 * t->used >= t->size && !grow(t))
		return false;
	i = find(t, d);
	t->used += t->slots[i] == 0;
	t->slots[i] = d;
	return true;
}

/* What stands behind a slot that becomes free moves up, unless it would pass its home. */
void ipvs_record_drop(struct ipvs_record *t, uint8_t kind, const struct ipvs_item *of)
{
	const size_t mask = t->size - 1;
	size_t hole, i;

	if (!ipvs_record_has(t, kind, of))
		return;
	hole = i = find(t, digest(t, kind, of));
	while (t->slots[i = (i + 1) & mask] != 0)
		if (((i - home(t, t->slots[i])) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	t->slots[hole] = 0;
	t->used--;
}

void ipvs_record_clear(struct ipvs_record *t)
{
	free(t->slots);
	*t = (struct ipvs_record){.key = t->key};
}

void ipvs_record_evidence(struct ipvs_record *t, const struct ipvs_item *i)
{
	/* an entry of these sets is of a frontend, which another interface's address may have */
	if (i->kind >= IPVS_CLUSTER_IP && i->kind < IPVS_SERVER)
		ipvs_record_put(t, i->kind < IPVS_NODE_PORT ? IPVS_SERVER : i->kind, i);
}

bool ipvs_record_claims(const struct ipvs_record *t, const struct ipvs_item *i)
{
	const uint8_t port =
	    (uint8_t)(IPVS_NODE_PORT + (i->proto == IPPROTO_UDP) + 2 * (i->proto == IPPROTO_SCTP));

	return i->kind == IPVS_SERVER &&
	       (ipvs_record_has(t, IPVS_SERVER, i) || ipvs_record_has(t, IPVS_ADDRESS, i) ||
		   ipvs_record_has(t, IPVS_IPS, i) || ipvs_record_has(t, port, i));
}
