/*
 * Who of a relay's endpoints is next: round robin, and with session affinity the one that a
 * client's address had last. Pure: the caller passes the time in.
 */
#ifndef RELAY_BALANCE_H
#define RELAY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/ip.h"
#include "common/siphash.h"
#include "ipc/relay.h"

/* Clients remembered, of all relays together: the one that was quiet for longest makes room. */
#define BALANCE_CLIENTS_MAX 65536

#define BALANCE_SLOTS 16384 /* a power of two */

struct balance_client;
TAILQ_HEAD(balance_clients, balance_client);

/* What all relays share: the table of clients. */
struct balance_table {
	struct siphash_key key; /* strangers choose what is in the table */
	struct balance_client *slots[BALANCE_SLOTS];
	size_t count;
	struct balance_clients by_use; /* of all relays, the longest unused first */
};

void balance_table_init(struct balance_table *t, const struct siphash_key *key);
void balance_table_clear(struct balance_table *t);

/* One relay's. */
struct balance {
	struct balance_table *table;
	struct relay_endpoint *endpoints;
	uint32_t count;
	uint32_t next;
	uint32_t affinity_seconds; /* 0: none */
	struct balance_clients clients;
};

/* START, any number, says who is first: relays on many nodes should not all begin with the same. */
void balance_init(struct balance *b, struct balance_table *t, uint32_t start);
void balance_clear(struct balance *b);
/*
 * These are now the endpoints, COUNT of them, sorted by relay_endpoint_cmp(); takes over ENDPOINTS
 * (malloc'd). A client whose endpoint is not among them has none any more; nor has
 * any if SECONDS of affinity are 0.
 */
void balance_set(
    struct balance *b, struct relay_endpoint *endpoints, uint32_t count, uint32_t seconds);
/* Is E one of them? */
bool balance_has(const struct balance *b, const struct relay_endpoint *e);
/*
 * The endpoint for CLIENT, into *E. With ANEW its old one did not answer: the next is taken. False
 * if there is none.
 */
bool balance_choose(struct balance *b, const struct ip_addr *client, bool anew, uint64_t now_ms,
    struct relay_endpoint *e);

#endif
