#include "relay/balance.h"

#include <stdlib.h>
#include <string.h>

struct balance_client {
	struct balance_client *chain; /* in its slot */
	TAILQ_ENTRY(balance_client) by_use, of_relay;
	struct balance *relay;
	uint64_t used_ms;
	struct ip_addr addr;
	struct relay_endpoint endpoint;
};

void balance_table_init(struct balance_table *t, const struct siphash_key *key)
{
	memset(t, 0, sizeof(*t));
	t->key = *key;
	TAILQ_INIT(&t->by_use);
}

static struct balance_client **slot_of(
    struct balance_table *t, const struct balance *b, const struct ip_addr *addr)
{
	const uintptr_t relay = (uintptr_t)b;
	struct siphash s;

	siphash_init(&s, &t->key);
	siphash_update(&s, &relay, sizeof(relay));
	siphash_update(&s, addr, sizeof(*addr));
	return &t->slots[siphash_final(&s) & (BALANCE_SLOTS - 1)];
}

/* Where the pointer to the client at ADDR is; it is NULL if there is no such client. */
static struct balance_client **find(struct balance *b, const struct ip_addr *addr)
{
	struct balance_client **at = slot_of(b->table, b, addr);

	while (*at != NULL && ((*at)->relay != b || ip_cmp(&(*at)->addr, addr) != 0))
		at = &(*at)->chain;
	return at;
}

static void forget(struct balance_client *c)
{
	struct balance *b = c->relay;
	struct balance_client **at = find(b, &c->addr);

	*at = c->chain;
	TAILQ_REMOVE(&b->table->by_use, c, by_use);
	TAILQ_REMOVE(&b->clients, c, of_relay);
	b->table->count--;
	free(c);
}

void balance_table_clear(struct balance_table *t)
{
	while (!TAILQ_EMPTY(&t->by_use))
		forget(TAILQ_FIRST(&t->by_use));
}

void balance_init(struct balance *b, struct balance_table *t, uint32_t start)
{
	*b = (struct balance){.table = t, .next = start};
	TAILQ_INIT(&b->clients);
}

void balance_clear(struct balance *b)
{
	while (!TAILQ_EMPTY(&b->clients))
		forget(TAILQ_FIRST(&b->clients));
	free(b->endpoints);
	b->endpoints = NULL;
	b->count = 0;
}

static int endpoint_cmp(const void *a, const void *b)
{
	return relay_endpoint_cmp(a, b);
}

bool balance_has(const struct balance *b, const struct relay_endpoint *e)
{
	return b->count > 0 && bsearch(e, b->endpoints, b->count, sizeof(*e), endpoint_cmp) != NULL;
}

void balance_set(
    struct balance *b, struct relay_endpoint *endpoints, uint32_t count, uint32_t seconds)
{
	struct balance_client *c, *next;

	free(b->endpoints);
	b->endpoints = endpoints;
	b->count = count;
	b->affinity_seconds = seconds;
	for (c = TAILQ_FIRST(&b->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, of_relay);
		if (seconds == 0 || !balance_has(b, &c->endpoint))
			forget(c);
	}
}

/* C was used now. */
static void touch(struct balance *b, struct balance_client *c, uint64_t now_ms)
{
	c->used_ms = now_ms;
	TAILQ_REMOVE(&b->table->by_use, c, by_use);
	TAILQ_INSERT_TAIL(&b->table->by_use, c, by_use);
}

/* Without memory the client is one without affinity. */
static void remember(struct balance *b, const struct ip_addr *client, uint64_t now_ms,
    const struct relay_endpoint *e)
{
	struct balance_table *t = b->table;
	struct balance_client **at, *c;

	if (t->count == BALANCE_CLIENTS_MAX)
		forget(TAILQ_FIRST(&t->by_use));
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->relay = b;
	c->addr = *client;
	c->endpoint = *e;
	c->used_ms = now_ms;
	at = find(b, client);
	*at = c;
	TAILQ_INSERT_TAIL(&t->by_use, c, by_use);
	TAILQ_INSERT_TAIL(&b->clients, c, of_relay);
	t->count++;
}

bool balance_choose(struct balance *b, const struct ip_addr *client, bool anew, uint64_t now_ms,
    struct relay_endpoint *e)
{
	struct balance_client *c = NULL;

	if (b->count == 0)
		return false;
	if (b->affinity_seconds > 0)
		c = *find(b, client);
	if (c != NULL && !anew && now_ms - c->used_ms < UINT64_C(1000) * b->affinity_seconds) {
		touch(b, c, now_ms);
		*e = c->endpoint;
		return true;
	}
	b->next %= b->count;
	*e = b->endpoints[b->next++];
	if (c != NULL) {
		touch(b, c, now_ms);
		c->endpoint = *e;
	} else if (b->affinity_seconds > 0) {
		remember(b, client, now_ms, e);
	}
	return true;
}
