/*
 * What exists in ipvs mode: entries of our ipsets, virtual servers, their real servers, and the
 * addresses of kube-ipvs0. All are items: a kind and just the fields that the kind has. The planner
 * links this file too, to choose and print them: it is data and pure functions.
 */
#ifndef APPLIER_IPVS_TABLES_H
#define APPLIER_IPVS_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/node_policy.h"

#define IPVS_INTERFACE "kube-ipvs0"

/* In the order in which items are put; they are deleted in the reverse. */
enum ipvs_kind {
	/* entries of ipsets */
	IPVS_LOOP_BACK, /* endpoints of this node, which may reach themselves */
	IPVS_CLUSTER_IP,
	IPVS_EXTERNAL_IP,
	IPVS_EXTERNAL_IP_LOCAL, /* of the policy Local */
	IPVS_LOAD_BALANCER,
	IPVS_LOAD_BALANCER_LOCAL,
	IPVS_SOURCE_CIDR, /* who may reach what is in the next */
	IPVS_FIREWALL,
	IPVS_NODE_PORT, /* of TCP, UDP and SCTP */
	IPVS_NODE_PORT_LOCAL = IPVS_NODE_PORT + 3,
	IPVS_HEALTH_CHECK = IPVS_NODE_PORT_LOCAL + 3,
	IPVS_IPS, /* every address of kube-ipvs0 */
	IPVS_SET_COUNT,
	/* ... and what is no ipset's */
	IPVS_ADDRESS = IPVS_SET_COUNT,
	IPVS_SERVER,
	IPVS_REAL,
	IPVS_KIND_COUNT
};

/* Fields, in the order of their bits on the wire. */
enum ipvs_field {
	IPVS_ADDR = 1,
	IPVS_PROTO = 2, /* 6, 17, 132 */
	IPVS_PORT = 4,
	IPVS_TO = 8, /* an endpoint's address */
	IPVS_TO_PORT = 16,
	IPVS_NET = 32,	   /* a prefix of sources */
	IPVS_SECONDS = 64, /* of session affinity, 0: none */
	IPVS_WEIGHT = 128, /* 0: no new connections */
};
#define IPVS_VALUE (IPVS_SECONDS | IPVS_WEIGHT) /* what is no part of the key */

struct ipvs_kind_info {
	const char *name; /* an ipset's, behind KUBE- or KUBE-6- */
	const char *type; /* ... and type */
	uint8_t fields;	  /* enum ipvs_field */
};
extern const struct ipvs_kind_info ipvs_kinds[IPVS_KIND_COUNT];

/*
 * Fields that a kind has not are zero, so that the key compares as memory; in this order those of
 * an address, and of a virtual server its real ones, stand together.
 */
struct ipvs_item {
	uint8_t kind; /* enum ipvs_kind */
	uint8_t family;
	struct ip_addr addr;
	uint8_t proto;
	uint8_t bits; /* of the prefix whose address is TO */
	uint8_t pad;
	uint16_t port;
	struct ip_addr to;
	uint8_t pad2;
	uint16_t to_port;
	/* The key ends here. */
	uint32_t value; /* with IPVS_FOREIGN, IPVS_BUSY, IPVS_OTHER in what the kernel has */
};
#define IPVS_KEY_LEN offsetof(struct ipvs_item, value)

/* What a snapshot says of an item beyond its seconds or its weight. */
#define IPVS_FOREIGN 0x20000000u /* another program's virtual server, which must stay as it is */
#define IPVS_BUSY    0x40000000u /* there are connections to this real server */
#define IPVS_OTHER   0x80000000u /* something of it is not as we make it */

/* The name of set KIND of FAMILY into BUF, which it returns. */
#define IPVS_SET_NAME_MAX 32 /* IPSET_MAXNAMELEN, with the NUL */
const char *ipvs_set_name(uint8_t kind, uint8_t family, char buf[IPVS_SET_NAME_MAX]);

/* The key of KIND, whose fields but for a prefix are OF's. */
struct ipvs_item ipvs_item_key(enum ipvs_kind kind, const struct ipvs_item *of);

/* NULL if I's fields are in their sets, else why not. */
const char *ipvs_item_check(const struct ipvs_item *i);
/*
 * NULL if the node's policy allows that I, which passed, is put or changed, or which flag does not.
 * Node ports are virtual servers of the node's addresses, which are not known here: a port of their
 * range may be one anywhere.
 */
const char *ipvs_item_allowed(const struct ipvs_item *i, const struct node_policy *p);

/* I in words, into BUF (SIZE bytes; cut if it does not fit), which it returns. */
const char *ipvs_item_text(char *buf, size_t size, const struct ipvs_item *i);

#endif
