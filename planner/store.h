/*
 * The objects the planner knows, in compact form: services, and the slices that hang on them. Keeps
 * what iptables rules depend on and no more, so an object that differs elsewhere is an equal one.
 * Tells what changed by a list of touched services.
 */
#ifndef PLANNER_STORE_H
#define PLANNER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "applier/ipt_tables.h"
#include "ipc/objects.h"

struct stored_port {
	uint16_t port;
	uint16_t node_port; /* 0: none */
	uint32_t name;	    /* where its name stands in the object's strings */
	uint8_t proto;
	uint8_t pad[3];
};

/* By which kind of address a service is reached. */
enum frontend { FRONTEND_CLUSTER, FRONTEND_EXTERNAL, FRONTEND_LOAD_BALANCER, FRONTEND_COUNT };

/* A service's specification: one allocation. Ports sorted by name, protocol. */
struct service_spec {
	uint32_t affinity_seconds; /* 0: no session affinity */
	uint16_t health_check_node_port;
	bool internal_local, external_local;
	uint8_t families; /* of the ClusterIPs asked for: a bit each */
	uint32_t port_count;
	uint32_t ip_counts[FRONTEND_COUNT];
	uint32_t source_range_count;
	/* What these point to lies behind one another, in this order. */
	const struct stored_port *ports;
	const struct ip_addr *ips[FRONTEND_COUNT];
	const struct ip_cidr *source_ranges;
	const char *strings;
	uint32_t content_len; /* of all that */
	uint32_t lost; /* where in it a bit per frontend stands that it may not have; 0: nowhere */
	uint8_t *live; /* per port an enum live_bit per family; the planner's, not compared */
};

/*
 * SPEC's frontends by number: its addresses in the order of kinds, of each the ports, and then the
 * node ports. Of PORT at the address INDEX of KIND; without an address the node port.
 */
static inline uint32_t spec_frontend(
    const struct service_spec *spec, enum frontend kind, uint32_t index, uint32_t port)
{
	for (unsigned k = 0; k < kind; k++)
		index += spec->ip_counts[k];
	return index * spec->port_count + port;
}
static inline uint32_t spec_frontends(const struct service_spec *spec)
{
	return spec_frontend(spec, FRONTEND_COUNT, 0, spec->port_count);
}
/* May SPEC have PORT at the address INDEX of KIND? */
static inline bool spec_has(
    const struct service_spec *spec, enum frontend kind, uint32_t index, uint32_t port)
{
	const uint8_t *lost = (const uint8_t *)(spec + 1) + spec->lost;
	uint32_t bit;

	if (spec->lost == 0)
		return true;
	bit = spec_frontend(spec, kind, index, port);
	return !(lost[bit / 8] >> bit % 8 & 1);
}

/* Shifted by the family. */
enum live_bit {
	LIVE_CLUSTER = 1, /* there are endpoints */
	LIVE_LOCAL = 4,	  /* there are some on this node */
};

/* An endpoint on this node, beyond enum endpoint_flag. */
enum { EP_LOCAL = 32 };

struct stored_endpoint {
	uint8_t addr[16];
	uint32_t zones; /* where its zone hints stand in the strings: "a\0b\0\0"; 0: none */
	uint8_t flags;	/* enum endpoint_flag, EP_LOCAL */
	bool anywhere;	/* its node is not known */
	uint8_t pad[2];
};

struct stored_slice {
	RB_ENTRY(stored_slice) by_name;
	LIST_ENTRY(stored_slice) of_service;
	struct stored_service *service;
	uint32_t seen; /* the list that named it last */
	uint32_t strings_len;
	uint8_t family;
	bool zone_hints; /* some endpoint has them */
	uint32_t port_count, endpoint_count;
	const struct stored_endpoint *endpoints;
	const struct stored_port *ports;
	const char *strings;
	const char *name;
};

/* A chain of a service that is, or is on its way to be, in the kernel. */
struct owned_chain {
	uint64_t digest;
	uint8_t family;
	uint8_t kind; /* CHAIN_FW to CHAIN_SEP */
	uint8_t hash[CHAIN_HASH_LEN];
	uint32_t rules;
};

/* Chains with rules of every service. */
enum shared_chain {
	SHARED_NAT_SERVICES,
	SHARED_NAT_NODEPORTS,
	SHARED_FILTER_SERVICES,
	SHARED_FILTER_EXTERNAL_SERVICES,
	SHARED_FILTER_NODEPORTS,
	SHARED_FILTER_PROXY_FIREWALL,
	/* userspace mode's */
	SHARED_PORTALS_CONTAINER,
	SHARED_PORTALS_HOST,
	SHARED_NODEPORT_CONTAINER,
	SHARED_NODEPORT_HOST,
	SHARED_COUNT
};

struct element;
struct frontend_claim;
struct own_node;
struct relay_entry;
struct ipvs_node;

/* Exists while there is a specification, a slice, a chain in the kernel, or a change to plan. */
struct stored_service {
	RB_ENTRY(stored_service) by_name;
	SLIST_ENTRY(stored_service) touched_next, doubtful_next;
	LIST_HEAD(, stored_slice) slices;
	struct service_spec *spec;  /* NULL: no such service, only slices or leavings */
	struct service_spec *was;   /* the one planned last, if it is another; NULL: none */
	struct service_spec *asked; /* with addresses it may not have; NULL: there are none */
	struct owned_chain *chains; /* sorted; the planner's */
	uint32_t chain_count;
	uint32_t claim_count;
	struct frontend_claim *claims;	  /* what it asks for (planner/frontend_index.h) */
	struct udp_service *udp;	  /* the planner's (planner/udp.h); NULL: no UDP port */
	SLIST_HEAD(, relay_entry) relays; /* the planner's (planner/relays.h) */
	uint32_t refused;		  /* frontends that are */
	/* nftables mode's: what was written, sorted */
	uint32_t elem_count;
	struct element *elems;
	/* ipvs mode's: what it wants; one may be there twice */
	struct ipvs_node **items;
	uint32_t item_count;
	uint32_t seen;	   /* the list that named it last */
	uint8_t affinity;  /* the number of its time-out and one; 0: none */
	bool contends;	   /* another service has an element or time-out it asks for */
	bool told;	   /* ... which the log knows */
	bool seen_by_plan; /* in the transaction being planned */
	bool touched;
	bool doubtful;	  /* to be judged (planner/frontend_owner.h) */
	uint8_t changed;  /* since it was planned last: a bit per enum object_kind */
	uint64_t created; /* seconds since the epoch; 0: not known */
	uint8_t uid[SERVICE_UID_LEN];
	/* Digests of its rules in the shared chains; 0: none. */
	uint64_t shared[FAMILY_COUNT][SHARED_COUNT];
	const char *namespace;
	const char *name;
};

RB_HEAD(service_tree, stored_service);
RB_HEAD(slice_tree, stored_slice);
RB_PROTOTYPE(service_tree, stored_service, by_name, stored_service_cmp)
RB_PROTOTYPE(slice_tree, stored_slice, by_name, stored_slice_cmp)

RB_HEAD(frontend_tree, frontend_claim);

struct store {
	struct service_tree services;
	struct slice_tree slices;
	SLIST_HEAD(, stored_service) touched, doubtful;
	struct frontend_tree claims;	/* what all services ask for */
	size_t claims_on_node;		/* external and load-balancer IPs that are the node's */
	const struct own_node *own;	/* its addresses, where pods are; NULL: not known */
	size_t refused;			/* frontends asked for and not to be had */
	uint32_t list[KIND_SLICE + 1];	/* per kind the number of the list now or last read */
	bool listing[KIND_SLICE + 1];	/* between LIST_BEGIN and LIST_END */
	bool listed[KIND_SLICE + 1];	/* LIST_END came once */
	size_t specs;			/* services that exist */
	size_t endpoints;		/* of all slices */
	size_t changed[KIND_SLICE + 1]; /* services that wait to be planned since such a change */
	const char *node_name;		/* our own: EP_LOCAL */
	struct ip_cidr *service_cidrs;	/* that ClusterIPs are taken from; NULL: nothing is known */
	uint32_t service_cidr_count;
};

/* NODE_NAME must outlive the store. */
void store_init(struct store *s, const char *node_name);
void store_clear(struct store *s);

/*
 * A complete list of this kind begins; when it ends, what it did not name is gone. While it runs
 * deletions wait for its end. END returns NULL, or why it breaks the protocol.
 */
void store_list_begin(struct store *s, enum object_kind kind);
const char *store_list_end(struct store *s, enum object_kind kind);

/*
 * Each copies what it keeps. What cannot be programmed (an address or a name that is none, a port
 * given twice) is left out and logged with namespace/name; the rest of the object counts. Creation
 * and UID alone are no change, unless somebody asks for the same.
 */
void store_service_put(struct store *s, const struct service *in);
void store_service_del(struct store *s, const char *ns, const char *name);
/* True if it is not as it was. */
bool store_slice_put(struct store *s, const struct slice *in);
void store_slice_del(struct store *s, const char *ns, const char *name);

/* These are now all the ranges that ClusterIPs are taken from. */
void store_service_cidrs(struct store *s, const struct ip_cidr *cidrs, uint32_t n);

/* SPEC, which the store frees, is V's from now on: it asks for the same as before. */
void store_respecify(struct store *s, struct stored_service *v, struct service_spec *spec);
/* Marks V as one to plan anew. */
void store_touch(struct store *s, struct stored_service *v);
/* Takes one touched service off the list; NULL if there is none. */
struct stored_service *store_take_touched(struct store *s);
/* V is planned: what it was before is of no interest any more. */
void store_planned(struct stored_service *v);
/* Frees V if nothing keeps it. V must have been taken off the touched list. */
void store_release(struct store *s, struct stored_service *v);

#endif
