/*
 * nf_tables: one netlink socket, opened before the lock-down. Transactions, dumps, and what other
 * programs do to our tables meanwhile.
 */
#ifndef APPLIER_NFT_BACKEND_H
#define APPLIER_NFT_BACKEND_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "applier/nft_batch.h"
#include "applier/policy.h"

/*
 * Opens the socket at APPLIER_FD_NFT, tries in each family whether the kernel takes the rules, and
 * fills P->families and what the tables will say of themselves. fatal() if neither family is there.
 */
void nft_backend_open(struct policy *p);

/* Room for one transaction, for whoever is making one. */
struct nft_batch *nft_backend_batch(void);

/*
 * Around a transaction. nft_begin() returns the generation that it must be made for. The kernel
 * tells of our own changes too, one by one: for a LARGE transaction that is stopped until
 * nft_end(), which takes anything that others did meanwhile for a change of our tables. -1 with
 * errno.
 */
int nft_begin(uint32_t *generation, bool large);
void nft_end(void);
/*
 * Sends B, which nft_batch_end() has ended, for GENERATION. 0 if it is done. -1 with errno and, in
 * DETAIL, what the kernel would not do; nothing is done then. ERESTART: the generation is another.
 */
int nft_send(struct nft_batch *b, uint32_t generation, char *detail, size_t size);

/*
 * Asks for everything of TYPE (NFT_MSG_GETCHAIN ...) in our table of FAMILY, or in its SET unless
 * that is NULL, and gives each message of the answer to VISIT. 0, or -1 with errno.
 */
int nft_dump(uint16_t type, uint8_t family, const char *set,
    void (*visit)(void *arg, const struct nlmsghdr *h), void *arg);
/* The same for the one table itself: ENOENT if it is not there. */
int nft_get_table(uint8_t family, void (*visit)(void *arg, const struct nlmsghdr *h), void *arg);

/* Reads the notifications that wait. True if another program has changed a table of ours, since the
 * start or nft_drift_seen(). */
bool nft_drift(void);
void nft_drift_seen(void);

#endif
