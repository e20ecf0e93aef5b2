/* watcher -> planner: the API's objects, reduced to what a service proxy needs. */
#ifndef IPC_OBJECTS_H
#define IPC_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"
#include "ipc/frame.h"

enum object_message {
	OBJ_LIST_BEGIN = 1, /* [kind]: a complete list of this kind follows as PUTs ... */
	OBJ_LIST_END,	    /* [kind]: ... and ends: what was not put since BEGIN is gone */
	OBJ_SERVICE_PUT,
	OBJ_SERVICE_DEL, /* [namespace, name] */
	OBJ_SLICE_PUT,	 /* in parts if it is long */
	OBJ_SLICE_DEL,	 /* [namespace, name] */
	OBJ_NODE_PUT,
	OBJ_NODE_DEL,	   /* [] : the own Node does not exist (any more) */
	OBJ_NODE_ADDRS,	   /* every address of this machine, in parts if there are many */
	OBJ_SERVICE_CIDRS, /* [[cidr]]: all of them; none was sent: the server has no such thing */
};

enum object_kind { KIND_SERVICE = 1, KIND_SLICE };

/* IANA protocol numbers. */
enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_SCTP = 132 };

#define NAME_MAX_LABEL	   64  /* DNS label and NUL: namespace, service, port name */
#define NAME_MAX_SUBDOMAIN 254 /* DNS subdomain and NUL: slice, node, zone */

/* Bounds that keep every message within a frame; the watcher names the object that exceeds one. */
#define SERVICE_PORTS_MAX   1000
#define SERVICE_IPS_MAX	    256	 /* external, load-balancer addresses, source ranges: of each */
#define SLICE_PORTS_MAX	    100	 /* the API's own limit */
#define SLICE_ENDPOINTS_MAX 1000 /* the API's own limit */
#define ZONE_HINTS_MAX	    8	 /* the API's own limit */
#define SERVICE_CIDRS_MAX   256
#define SERVICE_UID_LEN	    16

struct service_port {
	char name[NAME_MAX_LABEL]; /* "" if unnamed */
	uint8_t proto;
	uint16_t port;
	uint16_t node_port; /* 0: none */
};

struct service {
	char namespace[NAME_MAX_LABEL];
	char name[NAME_MAX_LABEL];
	uint32_t cluster_ip_count;
	struct ip_addr cluster_ips[FAMILY_COUNT];
	uint32_t port_count;
	struct service_port *ports;
	uint32_t external_ip_count;
	struct ip_addr *external_ips;
	uint32_t lb_ip_count; /* status.loadBalancer.ingress[].ip with ipMode absent or VIP */
	struct ip_addr *lb_ips;
	uint32_t source_range_count;
	struct ip_cidr *source_ranges;
	uint32_t affinity_seconds; /* 0: no session affinity */
	bool internal_local;	   /* internalTrafficPolicy: Local */
	bool external_local;	   /* externalTrafficPolicy: Local */
	uint16_t health_check_node_port;
	/* Of two that ask for one frontend the one created first has it, and then by UID. */
	uint64_t created;	      /* seconds since the epoch; 0: not known */
	uint8_t uid[SERVICE_UID_LEN]; /* a UUID; else what its text begins with; zeros: none */
};

enum endpoint_flag {
	EP_READY = 1, /* the watcher has applied the defaults of unset conditions */
	EP_SERVING = 2,
	EP_TERMINATING = 4,
	EP_NODE_HINTS = 8,	/* carries hints.forNodes ... */
	EP_NODE_HINT_OURS = 16, /* ... and our node is among them */
};

struct endpoint {
	struct ip_addr addr;
	uint8_t flags;
	char node[NAME_MAX_SUBDOMAIN]; /* "" if unset */
	uint32_t zone_hint_count;
	char zone_hints[ZONE_HINTS_MAX][NAME_MAX_LABEL];
};

struct slice_port {
	char name[NAME_MAX_LABEL];
	uint8_t proto;
	uint16_t port;
};

struct slice {
	char namespace[NAME_MAX_LABEL];
	char name[NAME_MAX_SUBDOMAIN];
	char service[NAME_MAX_LABEL];
	uint8_t family;
	uint32_t port_count;
	struct slice_port *ports;
	uint32_t endpoint_count;
	struct endpoint *endpoints;
	uint64_t caused_ms; /* when what it changed for happened, since the epoch; 0: not known */
	/* On the wire only: a slice that does not fit a frame comes in parts, PART 0 first. */
	uint32_t part;
	bool last_part;
};

struct node {
	char name[NAME_MAX_SUBDOMAIN];
	char zone[NAME_MAX_LABEL]; /* "" if unset */
	uint32_t addr_count;
	struct ip_addr addrs[16];
	uint32_t pod_cidr_count;
	struct ip_cidr pod_cidrs[FAMILY_COUNT];
	bool deleting; /* deletionTimestamp, or the cluster autoscaler's taint */
};

/* The machine's own addresses, whatever its Node says; sorted, each once. FIRST: of a new list. */
#define NODE_ADDRS_PART_MAX 4096
struct node_addrs_part {
	bool first, last;
	uint32_t count;
	struct ip_addr addrs[NODE_ADDRS_PART_MAX];
};

/* Frees what the pointers own, not the struct itself. Safe on a zeroed struct. */
void service_clear(struct service *s);
void slice_clear(struct slice *s);

void objects_encode_list(struct frame *f, enum object_message begin_or_end, enum object_kind k);
void objects_encode_service(struct frame *f, const struct service *s);
void objects_encode_del(struct frame *f, enum object_message del, const char *ns, const char *name);
/*
 * Encodes the part of S that begins at endpoint FIRST. Returns the endpoint at which the next part
 * begins; equal to endpoint_count when this was the last one.
 */
uint32_t objects_encode_slice(
    struct frame *f, const struct slice *s, uint32_t first, uint32_t part);
void objects_encode_node(struct frame *f, const struct node *n);
void objects_encode_node_del(struct frame *f);
void objects_encode_node_addrs(struct frame *f, const struct node_addrs_part *p);
void objects_encode_service_cidrs(struct frame *f, const struct ip_cidr *cidrs, uint32_t n);

/*
 * Each decodes the fields of one message: NULL, or how it breaks the protocol. What a decoder
 * allocates belongs to the caller, also after an error: service_clear(), slice_clear().
 */
const char *objects_decode_list(struct cursor *c, enum object_kind *k);
const char *objects_decode_service(struct cursor *c, struct service *s);
const char *objects_decode_del(
    struct cursor *c, char ns[NAME_MAX_LABEL], char name[NAME_MAX_SUBDOMAIN]);
const char *objects_decode_slice(struct cursor *c, struct slice *s);
const char *objects_decode_node(struct cursor *c, struct node *n);
const char *objects_decode_node_addrs(struct cursor *c, struct node_addrs_part *p);
/* *CIDRS is the caller's to free(), also after an error. */
const char *objects_decode_service_cidrs(struct cursor *c, struct ip_cidr **cidrs, uint32_t *n);

#endif
