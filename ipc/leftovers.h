/*
 * cleaner -> planner: what of other modes and other kube-proxies is in the kernel, and which
 * firewall will drop what Services translate. The planner answers nothing but one byte, once its
 * rules are programmed. Everything is a number or a name of a bounded set of characters.
 */
#ifndef IPC_LEFTOVERS_H
#define IPC_LEFTOVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/frame.h"

/*
 * planner -> cleaner: the only byte there is, in a datagram of its own. Its low bits, at least one,
 * are the families that are programmed: 'Q' IPv4, 'R' IPv6, 'S' both.
 */
#define LEFTOVERS_PROGRAMMED 'P'

enum leftovers_message {
	LEFTOVERS_ROW = 1,  /* [where, family, table, why, errno, chains, rules, [name]] */
	LEFTOVERS_FIREWALL, /* [family, hook, table, chain, legacy, kept]: a base chain that drops
			     */
	LEFTOVERS_DONE,	    /* []: nothing else comes; the cleaner ends */
};

enum leftovers_where {
	LEFTOVERS_NF_TABLES, /* of iptables-nft */
	LEFTOVERS_X_TABLES,  /* of iptables-legacy */
	LEFTOVERS_IPVS,	     /* kube-ipvs0, virtual servers, ipsets */
	LEFTOVERS_NFTABLES,  /* tables kube-proxy */
	LEFTOVERS_WHERES
};
/* Their names, in the log and for --cleanup-keep; a NULL ends them. */
extern const char *const leftovers_wheres[LEFTOVERS_WHERES + 1];

/* Of iptables; 0 for what has no tables. */
enum leftovers_table { LEFTOVERS_NAT, LEFTOVERS_FILTER, LEFTOVERS_MANGLE, LEFTOVERS_TABLES };
extern const char *const leftovers_tables[LEFTOVERS_TABLES];

/* Why it is there still. */
enum leftovers_why {
	LEFTOVERS_WAITING,     /* the planner has not programmed its rules yet */
	LEFTOVERS_POLICY,      /* a policy of DROP: what these chains accept would be dropped */
	LEFTOVERS_IN_USE,      /* rules of another program jump to it */
	LEFTOVERS_CONNECTIONS, /* connections go through it */
	LEFTOVERS_EXCLUDED,    /* --ipvs-exclude-cidrs */
	LEFTOVERS_BUSY,	       /* other programs wrote, or held the lock: tried again later */
	LEFTOVERS_REFUSED,     /* the kernel refused: errno */
	LEFTOVERS_FAMILY,      /* nothing of ours replaces it */
	LEFTOVERS_WHYS
};
/* In words. */
extern const char *const leftovers_whys[LEFTOVERS_WHYS];

#define LEFTOVERS_NAMES	   4  /* examples */
#define LEFTOVERS_NAME_MAX 48 /* bytes, with the NUL */

/*
 * What is in one place now; the one before of the same place counts no more. chains and rules both
 * 0: nothing is left. For ipvs, chains are ipsets and the interface, rules are virtual servers.
 */
struct leftovers_row {
	uint8_t where;	/* enum leftovers_where */
	uint8_t family; /* FAMILY_4, FAMILY_6 */
	uint8_t table;	/* enum leftovers_table */
	uint8_t why;	/* enum leftovers_why */
	int32_t error;	/* errno */
	uint64_t chains, rules;
	uint32_t name_count;
	char names[LEFTOVERS_NAMES][LEFTOVERS_NAME_MAX];
};

enum leftovers_hook { LEFTOVERS_INPUT, LEFTOVERS_FORWARD, LEFTOVERS_HOOKS };
extern const char *const leftovers_hooks[LEFTOVERS_HOOKS];
enum leftovers_family { LEFTOVERS_IP, LEFTOVERS_IP6, LEFTOVERS_INET, LEFTOVERS_FAMILIES };
extern const char *const leftovers_families[LEFTOVERS_FAMILIES];

/* A base chain of the filter hooks with a policy of DROP, which is not among our own rules. */
struct leftovers_firewall {
	uint8_t family; /* enum leftovers_family */
	uint8_t hook;	/* enum leftovers_hook */
	bool legacy;	/* x_tables */
	bool kept;	/* chains of a kube-proxy stay there, which accept Services' traffic */
	char table[LEFTOVERS_NAME_MAX];
	char chain[LEFTOVERS_NAME_MAX];
};
#define LEFTOVERS_FIREWALLS_MAX 8

/* Is NAME one to show: of letters, digits and what iptables and Kubernetes put between them? */
bool leftovers_name_valid(const char *name);

/* The byte that says that FAMILIES are programmed. */
uint8_t leftovers_encode_programmed(const bool families[FAMILY_COUNT]);
/* False if BYTE is no such byte. */
bool leftovers_decode_programmed(uint8_t byte, bool families[FAMILY_COUNT]);

void leftovers_encode_row(struct frame *f, const struct leftovers_row *r);
void leftovers_encode_firewall(struct frame *f, const struct leftovers_firewall *w);
void leftovers_encode_done(struct frame *f);

/* NULL, or how it breaks the protocol. */
const char *leftovers_decode_row(struct cursor *c, struct leftovers_row *r);
const char *leftovers_decode_firewall(struct cursor *c, struct leftovers_firewall *w);

/* --- words that the cleaner's log, /diff and /explain share --- */

#define LEFTOVERS_TEXT_MAX 512

/* Where ROW is ("iptables-nft, table ip nat") into BUF, which it returns. */
const char *leftovers_place(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_row *r);
/* What is there: numbers and names. */
const char *leftovers_content(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_row *r);
/* What W drops, and the command that lets Services' traffic pass. */
const char *leftovers_advice(char buf[LEFTOVERS_TEXT_MAX], const struct leftovers_firewall *w);

#endif
