/*
 * What exists in iptables mode: the chains that are ours, the hooks, and every rule that can be
 * made. Compile-time tables; the planner selects from them by number and fills typed arguments.
 * The planner links this file too, to name chains, print rules and digest them: it is data and
 * pure functions, and holds no privilege.
 */
#ifndef APPLIER_IPT_TABLES_H
#define APPLIER_IPT_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "common/node_policy.h"

enum ipt_table { IPT_NAT = 0, IPT_FILTER = 1, IPT_TABLE_COUNT = 2 };

/*
 * Kinds of chain. The order is the rank: a rule may only jump from a lower to a higher kind, or
 * from a KUBE-NET- chain to one whose hash begins with a higher byte; so there is no cycle, and no
 * path is longer than this list and 255.
 */
enum chain_kind {
	CHAIN_CANARY,
	CHAIN_SERVICES,
	CHAIN_EXTERNAL_SERVICES,
	CHAIN_NODEPORTS,
	CHAIN_POSTROUTING,
	CHAIN_FORWARD,
	CHAIN_PROXY_FIREWALL,
	CHAIN_NET, /* KUBE-NET-<hash>: the addresses of KUBE-SERVICES under one prefix */
	CHAIN_FW,  /* KUBE-FW-<hash>: who may reach a load-balancer address */
	CHAIN_EXT, /* KUBE-EXT-<hash>: traffic from outside to a service port */
	CHAIN_SVC, /* KUBE-SVC-<hash>: the cluster-wide endpoints of a service port */
	CHAIN_SVL, /* KUBE-SVL-<hash>: the endpoints on this node */
	CHAIN_SEP, /* KUBE-SEP-<hash>: one endpoint */
	/* ipvs mode's, of which iptables mode has none */
	CHAIN_IPVS_FIRST,
	CHAIN_LOAD_BALANCER = CHAIN_IPVS_FIRST,
	CHAIN_NODE_PORT,
	CHAIN_SOURCE_RANGES_FIREWALL,
	CHAIN_IPVS_FILTER,
	CHAIN_MARK_MASQ,
	/*
	 * Those of other modes, and what other kube-proxies leave, to be deleted. No rule may stand
	 * in or jump to one of these that templates have no bit for.
	 */
	CHAIN_LEFTOVERS,
	CHAIN_XLB = CHAIN_LEFTOVERS, /* KUBE-XLB-<hash>: today's KUBE-SVL-, until 1.23 */
	CHAIN_IPVS_OUT_FILTER,	     /* ipvs mode's */
	CHAIN_PORTALS_CONTAINER,     /* userspace mode's: from PREROUTING to the relays ... */
	CHAIN_PORTALS_HOST,	     /* ... and from OUTPUT */
	CHAIN_NODEPORT_CONTAINER,
	CHAIN_NODEPORT_HOST,
	CHAIN_NODEPORT_NON_LOCAL,
	CHAIN_KIND_COUNT
};

#define CHAIN_HASH_LEN 10 /* 16 base32 characters */
#define CHAIN_NAME_LEN 29 /* XT_EXTENSION_MAXNAMELEN, with the NUL */

struct ipt_chain {
	uint8_t family;		      /* FAMILY_4, FAMILY_6 */
	uint8_t table;		      /* enum ipt_table */
	uint8_t kind;		      /* enum chain_kind */
	uint8_t hash[CHAIN_HASH_LEN]; /* zero for kinds without one */
};

struct ipt_chain_kind {
	const char *name; /* whole, or the prefix before the hash */
	bool hashed;
	uint8_t tables; /* bit per enum ipt_table */
};
extern const struct ipt_chain_kind ipt_chain_kinds[CHAIN_KIND_COUNT];

/* Is C of a kind and table that exist, its hash zero where the kind has none? */
bool ipt_chain_valid(const struct ipt_chain *c);
/* Writes C's name in the kernel into BUF and returns BUF. C must be valid. */
const char *ipt_chain_name(const struct ipt_chain *c, char buf[CHAIN_NAME_LEN]);
/* The reverse: fills kind and hash if NAME is exactly a chain of ours in C's table. */
bool ipt_chain_parse(struct ipt_chain *c, const char *name);

/* --- hooks: jumps from built-in chains, switched on or off by number --- */

struct ipt_hook {
	uint8_t table;
	const char *builtin; /* PREROUTING ... */
	uint8_t kind;	     /* the chain jumped to */
	uint8_t only;	     /* enum hook_only */
	const char *comment;
};
enum hook_only {
	HOOK_ANY,
	HOOK_NEW,   /* connection state NEW */
	HOOK_LOCAL, /* to a local address */
};
#define IPT_HOOK_LEFTOVERS 12 /* from here on: other modes', or what other kube-proxies leave */
#define IPT_HOOK_COUNT	   23
/* In the order in which each is prepended, as upstream does it: the last one ends up first. */
extern const struct ipt_hook ipt_hooks[IPT_HOOK_COUNT];

/* --- templates: every rule there is --- */

/* Arguments, in the order of their bits on the wire. */
enum ipt_arg {
	ARG_NET = 1,	      /* CIDR, of the source or the destination: the template says which */
	ARG_DST = 2,	      /* address of the frontend */
	ARG_PROTO = 4,	      /* 6, 17, 132 */
	ARG_DPORT = 8,	      /* 1..65535 */
	ARG_NAME = 16,	      /* service port name: namespace/name[:port] */
	ARG_TO = 32,	      /* endpoint: address and port (two fields) */
	ARG_PROBABILITY = 64, /* 1..2^31, of 2^31 */
	ARG_SECONDS = 128,    /* of session affinity, 1..86400 */
	ARG_TARGET = 256,     /* chain: kind and hash (two fields) */
	ARG_RELAY = 512,      /* port of a relay, one of the policy's */
};

#define SVCPORT_NAME_LEN 192 /* 63 + "/" + 63 + ":" + 63 and NUL */
/*
 * Is it namespace/name or namespace/name:port, each a DNS label, as the API server has it: what
 * stands in a comment can then neither end a quotation nor look like an option to who parses a
 * saved table?
 */
bool svcport_name_valid(const char *name);

struct ipt_rule {
	uint8_t template; /* index into ipt_templates */
	uint8_t proto;
	uint16_t dport;
	uint16_t to_port; /* the endpoint's, or a relay's */
	uint32_t probability;
	uint32_t seconds;
	struct ip_cidr net;
	struct ip_addr dst;
	struct ip_addr to;
	uint8_t target_kind;
	uint8_t target_hash[CHAIN_HASH_LEN];
	char name[SVCPORT_NAME_LEN];
};

/* Matches a rule consists of, in the order in which they stand in it. */
enum ipt_match {
	/* in the entry itself */
	MATCH_SRC = 1 << 0,	     /* source is in ARG_NET */
	MATCH_NOT_SRC = 1 << 1,	     /* source is not in ARG_NET */
	MATCH_SRC_TO = 1 << 2,	     /* source is the endpoint's address */
	MATCH_DST = 1 << 3,	     /* destination is in ARG_NET */
	MATCH_NOT_LOOPBACK = 1 << 4, /* destination is not 127.0.0.0/8 or ::1 */
	MATCH_LOCALNET = 1 << 5,     /* ... is, and the source is not */
	MATCH_POD_IF = 1 << 6,	     /* came in by the interface of local pods, the policy's */
	MATCH_NOT_POD_IF = 1 << 7,
	/* extensions */
	MATCH_CTSTATE_INVALID = 1 << 8,
	MATCH_CTSTATE_EST = 1 << 9,   /* RELATED,ESTABLISHED */
	MATCH_CTSTATE_DNAT = 1 << 10, /* its destination was translated */
	MATCH_HAIRPIN = 1 << 11,      /* source and destination address are the same */
	MATCH_COMMENT = 1 << 12,
	MATCH_COMMENT_TO = 1 << 13,    /* a comment that ends with the endpoint */
	MATCH_CTSTATE_ALIEN = 1 << 14, /* not RELATED,ESTABLISHED, nor translated */
	MATCH_LOCAL_DST = 1 << 15,     /* addrtype --dst-type LOCAL */
	MATCH_LOCAL_SRC = 1 << 16,     /* addrtype --src-type LOCAL */
	MATCH_MARKED = 1 << 17,	       /* the masquerade bit is set */
	MATCH_UNMARKED = 1 << 18,      /* ... is not set */
	MATCH_STATISTIC = 1 << 19,
	MATCH_RECENT =
	    1 << 20, /* the target's clients of the last ARG_SECONDS, older ones reaped */
	MATCH_RECENT_SET = 1 << 21, /* remember the client as one of this chain's */
	MATCH_PROTO = 1 << 22,	    /* -m tcp, udp, sctp, with --dport if ARG_DPORT */
	MATCH_CTSTATE_NEW = 1 << 23,
	/* what the template's set holds: destination address, protocol and port, then a source */
	MATCH_SET = 1 << 24,
	MATCH_SET_FROM = 1 << 25, /* ... source address, destination port */
};
#define MATCH_SET_NUMBER (1u << 26) /* from this bit on: which set, an enum ipvs_kind */

enum ipt_verdict {
	VERDICT_JUMP,
	VERDICT_GOTO, /* a jump that does not come back */
	VERDICT_DNAT,
	VERDICT_SET_MARK,   /* or the masquerade bit in */
	VERDICT_CLEAR_MARK, /* xor it out */
	VERDICT_MASQUERADE, /* --random-fully */
	VERDICT_REJECT,	    /* icmp port unreachable */
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_RETURN,
	VERDICT_REDIRECT, /* to a local port */
};

enum ipt_template_id {
	/* nat, KUBE-SERVICES and KUBE-NODEPORTS: frontends */
	T_CLUSTER_IP,
	T_EXTERNAL_IP,
	T_LOAD_BALANCER_IP,
	T_LOCALNET_RETURN,
	T_NODEPORTS_LAST,
	T_NODEPORTS_ANY, /* ... on loopback as well */
	T_NODEPORTS_IN,	 /* ... on addresses of a prefix */
	T_SERVICE_NET,
	T_SERVICE_NET_GOTO,
	T_NODE_PORT,
	/* KUBE-FW-: source ranges */
	T_SOURCE_RANGE,
	/* KUBE-EXT- */
	T_EXTERNAL_MASQ,
	T_EXTERNAL_POD,
	T_EXTERNAL_POD_IF,
	T_EXTERNAL_LOCAL_MASQ,
	T_EXTERNAL_LOCAL,
	T_EXTERNAL_POLICY,
	/* KUBE-SVC-, KUBE-SVL- */
	T_CLUSTER_IP_MASQ_OUTSIDE,
	T_CLUSTER_IP_MASQ_OUTSIDE_IF,
	T_CLUSTER_IP_MASQ_ALL,
	T_ENDPOINT_AFFINE,
	T_ENDPOINT_RANDOM,
	T_ENDPOINT_LAST,
	/* ... in large clusters, without a KUBE-SEP- */
	T_DNAT_RANDOM,
	T_DNAT_LAST,
	/* KUBE-SEP- */
	T_HAIRPIN_MARK,
	T_ENDPOINT_DNAT,
	T_ENDPOINT_DNAT_AFFINE,
	/* constant chains */
	T_MARK_MASQ,
	T_POSTROUTING_HAIRPIN,
	T_POSTROUTING_UNMARKED,
	T_POSTROUTING_CLEAR,
	T_POSTROUTING_MASQUERADE,
	/* filter: what has no endpoints, or may not come */
	T_NO_ENDPOINTS_REJECT,
	T_NO_LOCAL_DROP,
	T_EXTERNAL_NO_ENDPOINTS_REJECT,
	T_EXTERNAL_NO_LOCAL_DROP,
	T_NODE_PORT_NO_ENDPOINTS_REJECT,
	T_NODE_PORT_NO_LOCAL_DROP,
	T_FIREWALL_RETURN,
	T_FIREWALL_DROP,
	T_LOCALNET_DROP,
	T_HEALTH_CHECK_ACCEPT,
	T_FORWARD_INVALID,
	T_FORWARD_MARKED,
	T_FORWARD_ESTABLISHED,
	/* userspace mode: what is taken to the relays, and what may not go there by itself */
	T_PORTAL,
	T_PORTAL_POD_IF,
	T_PORTAL_NODE_PORT,
	T_PORTAL_NODE_PORT_POD_IF,
	T_RELAY_REJECT,
	/* ipvs mode: which of its ipsets leads where */
	T_IPVS_FIRST,
	T_IPVS_LOAD_BALANCER = T_IPVS_FIRST,
	T_IPVS_MASQ_ALL,
	T_IPVS_MASQ_OUTSIDE,
	T_IPVS_MASQ_OUTSIDE_IF,
	T_IPVS_MASQ_SELF,
	T_IPVS_EXTERNAL_IP,
	T_IPVS_EXTERNAL_LOCAL,
	T_IPVS_SERVED,
	T_IPVS_NODE_PORTS,
	T_IPVS_BALANCER_LOCAL_MASQ,
	T_IPVS_BALANCER_LOCAL,
	T_IPVS_BALANCER_MASQ,
	T_IPVS_NODE_PORT_LOCAL_MASQ,
	T_IPVS_NODE_PORT_LOCAL,
	T_IPVS_NODE_PORT_MASQ,
	T_IPVS_LOOP_BACK,
	T_IPVS_FIREWALL,
	T_IPVS_SOURCE_CIDR,
	T_IPVS_FIREWALL_DROP,
	T_IPVS_HEALTH_CHECK,
	T_IPVS_KNOWN_CLUSTER_IP,
	T_IPVS_KNOWN_EXTERNAL_IP,
	T_IPVS_KNOWN_EXTERNAL_LOCAL,
	T_IPVS_KNOWN_BALANCER,
	T_IPVS_UNKNOWN_REJECT,
	IPT_TEMPLATE_COUNT
};

struct ipt_template {
	const char *name;
	uint8_t table;
	uint32_t chains;  /* bit per chain_kind it may stand in */
	uint16_t args;	  /* enum ipt_arg */
	uint32_t matches; /* enum ipt_match */
	uint8_t verdict;  /* enum ipt_verdict */
	uint32_t targets; /* bit per chain_kind it may jump to (fixed if no ARG_TARGET: one bit) */
	const char *comment; /* %: the name; without one, ARG_NAME stands before it; NULL: none */
};
extern const struct ipt_template ipt_templates[IPT_TEMPLATE_COUNT];

/*
 * NULL if R is a rule that may stand in chain C, its arguments in their sets (family of addresses
 * that of C, endpoint addresses unicast, name of the API's characters, ...), else why not.
 */
const char *ipt_rule_check(const struct ipt_rule *r, const struct ipt_chain *c);
/* NULL if the node's policy allows R, a rule that passed, or which flag does not. */
const char *ipt_rule_allowed(const struct ipt_rule *r, const struct node_policy *p);

#endif
