/* Elements of nftables mode as the planner keeps them: small, and sorted by what they are found by.
 */
#ifndef PLANNER_ELEMENTS_H
#define PLANNER_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/nft_tables.h"

struct element {
	/* the key */
	uint8_t family;
	uint8_t set; /* enum nft_set_id */
	uint8_t proto;
	uint16_t port;
	uint8_t addr[16];
	uint32_t slot; /* or seconds */
	uint8_t net[16];
	uint8_t bits;
	/* the data */
	bool fresh; /* not data: to be put by the transaction being planned */
	uint16_t to_port;
	uint8_t to[16];
	uint32_t name;	/* a hash of the comment; 0 if there is none */
	uint32_t index; /* not data: which port of the service it is of */
};

struct element_list {
	struct element *e;
	size_t count, room;
};

void elements_clear(struct element_list *l);
/* Adds a copy of E; elements_sort() when all are there. */
void elements_add(struct element_list *l, const struct element *e);
/*
 * By key; of several with one key the first of them stays, and of prefixes those alone that no
 * other of the frontend contains: the kernel wants none that overlap.
 */
void elements_sort(struct element_list *l);

/* Order of keys, and whether two with the same key have the same data. */
int element_cmp(const struct element *a, const struct element *b);
bool element_same(const struct element *a, const struct element *b);
/* The element with KEY's key among COUNT sorted ones, NULL if there is none. */
struct element *elements_find(struct element *e, size_t count, const struct element *key);
/* Index of the first of them that is not before KEY. */
size_t elements_from(const struct element *e, size_t count, const struct element *key);

/* Does E stand for an endpoint that is drawn? */
static inline bool element_draws(const struct element *e)
{
	return e->set >= NFT_ENDPOINTS;
}
/* Are A and B of one frontend: family, address, protocol and port? */
bool element_same_frontend(const struct element *a, const struct element *b);

/* From and to the form that goes over the channel. NAME is the comment. */
void element_to_wire(struct nft_elem *out, const struct element *e, const char *name);
void element_from_wire(struct element *out, const struct nft_elem *e, uint32_t name_hash);

#endif
