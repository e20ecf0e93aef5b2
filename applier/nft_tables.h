/*
 * What exists in nftables mode: one table of each family, its sets and maps with the shape of their
 * elements. The rules are constant (nft_rules.c); services and endpoints are elements, and a peer
 * can put and delete elements alone. The planner links this file too: it is data and pure
 * functions.
 */
#ifndef APPLIER_NFT_TABLES_H
#define APPLIER_NFT_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_tables.h" /* SVCPORT_NAME_LEN */
#include "common/ip.h"
#include "common/node_policy.h"

#define NFT_TABLE "kube-proxy"

/*
 * How an endpoint is chosen. A service port with N endpoints, N up to NFT_EXACT_MAX, has one
 * element for each in endpoints-N, whose rule draws a number below N: exactly even. With more it
 * has one for each in draw-M, M the next power of two, whose rules draw a number below M NFT_DRAWS
 * times, and M in all-M, where the numbers from N on stand for endpoints once more. What misses
 * draw-M so often is less than 1/32 of the connections, so no endpoint is off its share by 2 %.
 */
#define NFT_EXACT_MAX	  16
#define NFT_DRAW_FIRST	  5 /* 2^5 */
#define NFT_DRAW_LAST	  13
#define NFT_DRAW_CLASSES  (NFT_DRAW_LAST - NFT_DRAW_FIRST + 1)
#define NFT_DRAWS	  6
#define NFT_ENDPOINTS_MAX (1u << NFT_DRAW_LAST)
/* The endpoints on this node, for the traffic policy Local, are drawn from here on. */
#define NFT_LOCAL_SLOT 65536u

#define NFT_AFFINITIES 8 /* different time-outs of session affinity at a time */

enum nft_set_id {
	NFT_SERVICES,	   /* frontends that lead somewhere */
	NFT_MASQ_ALWAYS,   /* ... and masquerade whoever comes */
	NFT_MASQ_OUTSIDE,  /* ... who is no local pod */
	NFT_LOCAL_POLICY,  /* ... and give outsiders endpoints on this node alone */
	NFT_NO_ENDPOINTS,  /* frontends that reject */
	NFT_FIREWALL,	   /* frontends that only some sources may reach */
	NFT_ALLOWED,	   /* ... which these are */
	NFT_CLUSTER_IPS,   /* their other ports reject */
	NFT_SERVICE_CIDRS, /* what is not allocated of them drops */
	NFT_POD_NETWORKS,  /* where local pods are */
	NFT_HAIRPIN,	   /* endpoints on this node, which may reach themselves */
	NFT_TIMEOUTS,	   /* which time-out the affinity sets of a number are for */
	NFT_AFFINE,	   /* + 0 .. NFT_AFFINITIES - 1: frontends with session affinity */
	NFT_AFFINITY = NFT_AFFINE + NFT_AFFINITIES,    /* + 0 ..: clients; the kernel fills it */
	NFT_ENDPOINTS = NFT_AFFINITY + NFT_AFFINITIES, /* + N - 1 */
	NFT_DRAW = NFT_ENDPOINTS + NFT_EXACT_MAX,      /* + log2 M - NFT_DRAW_FIRST */
	NFT_ALL = NFT_DRAW + NFT_DRAW_CLASSES,	       /* + log2 M - NFT_DRAW_FIRST */
	NFT_SET_COUNT = NFT_ALL + NFT_DRAW_CLASSES
};

/* Parts of an element, in the order in which they stand in it and on the wire. */
enum nft_field {
	NFT_ADDR = 1,	  /* address of a frontend, or of an endpoint on this node */
	NFT_PROTO = 2,	  /* 6, 17, 132 */
	NFT_PORT = 4,	  /* 1..65535 */
	NFT_SLOT = 8,	  /* a number that is drawn, or of an affinity */
	NFT_NET = 16,	  /* prefix: of sources, of pods, of services */
	NFT_SECONDS = 32, /* 1..86400 */
	NFT_TO = 64,	  /* endpoint: address and port, the data of a map */
	NFT_NAME = 128,	  /* service port name: a comment */
	NFT_CLIENT = 256, /* source address; in NFT_AFFINITY alone, before all others */
};
#define NFT_FRONTEND (NFT_ADDR | NFT_PROTO | NFT_PORT)

struct nft_set {
	char name[24];
	uint16_t fields; /* enum nft_field */
	bool twice;	 /* the address stands in it twice: source and destination */
	uint32_t slots; /* numbers below this, or from NFT_LOCAL_SLOT on below it; 0: no NFT_SLOT */
};

/* What set ID (below NFT_SET_COUNT) is. */
const struct nft_set *nft_set(unsigned id);
/* Is SET one that the kernel fills? Nothing can be put into it. */
static inline bool nft_set_dynamic(unsigned id)
{
	return id >= NFT_AFFINITY && id < NFT_ENDPOINTS;
}

struct nft_elem {
	uint8_t family;
	uint8_t set; /* enum nft_set_id */
	uint8_t proto;
	uint16_t port;
	uint16_t to_port;
	uint32_t slot;
	uint32_t seconds;
	struct ip_addr addr;
	struct ip_addr client;
	struct ip_cidr net;
	struct ip_addr to;
	char name[SVCPORT_NAME_LEN];
};

/*
 * NULL if E may be put into its set, or with DELETE taken out of it (only its key counts then),
 * else why not: a set the kernel fills, addresses of another family or that no packet may be sent
 * to, numbers out of range.
 */
const char *nft_elem_check(const struct nft_elem *e, bool delete);
/*
 * NULL if the node's policy allows that E, which passed, is put, or which flag does not. Node ports
 * stand with the node's addresses, which are not known here: a port of their range may be a
 * frontend anywhere.
 */
const char *nft_elem_allowed(const struct nft_elem *e, const struct node_policy *p);

#endif
