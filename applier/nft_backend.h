/*
 * nf_tables: one netlink socket, opened before the lock-down. Transactions, dumps, and what other
 * programs do to our tables meanwhile.
 */
#ifndef APPLIER_NFT_BACKEND_H
#define APPLIER_NFT_BACKEND_H

#include <linux/netlink.h>
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
 * Sends B, which nft_batch_end() has ended, for GENERATION, or for whichever there is if that is 0.
 * 0 if it is done. -1 with errno and, in DETAIL, what the kernel would not do; nothing is done
 * then. ERESTART: the generation is another.
 */
int nft_send(struct nft_batch *b, uint32_t generation, char *detail, size_t size);

/*
 * Asks for the elements of SET in our table of FAMILY and gives each message of the answer to
 * VISIT. 0, or -1 with errno. What is put or deleted meanwhile may be there or not: others' doings
 * are a drift; those in other tables do not matter.
 */
int nft_dump(
    uint8_t family, const char *set, void (*visit)(void *arg, const struct nlmsghdr *h), void *arg);
/*
 * Asks for the one thing of TYPE: NFT_MSG_GETTABLE, our table of FAMILY; NFT_MSG_GETCHAIN or
 * _GETSET, what has NAME in it. -1 with ENOENT if it is not there. One thing's answer is of one
 * moment; a list of them may be interrupted, and lack what it should have, by whoever changes any
 * table.
 */
int nft_get(uint16_t type, uint8_t family, const char *name,
    void (*visit)(void *arg, const struct nlmsghdr *h), void *arg);

/* Reads the notifications that wait. True if another program has changed a table of ours, since the
 * start or nft_drift_seen(). */
bool nft_drift(void);
void nft_drift_seen(void);

#endif
