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
	uint8_t proto;
	uint8_t pad;
	uint32_t name; /* where its name stands in the object's strings */
};

/* A service's specification: one allocation. Ports sorted by name, protocol. */
struct service_spec {
	uint32_t strings_len;
	uint32_t ip_count;
	struct ip_addr ips[FAMILY_COUNT];
	uint32_t port_count;
	const struct stored_port *ports;
	const char *strings;
	uint8_t
	    *live; /* per port a bit per family that has endpoints; the planner's, not compared */
};

struct stored_endpoint {
	uint8_t addr[16];
	uint32_t zones; /* where its zone hints stand in the strings: "a\0b\0\0"; 0: none */
	uint8_t flags;	/* enum endpoint_flag */
	uint8_t pad[3];
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
	uint8_t kind; /* CHAIN_SVC or CHAIN_SEP */
	uint8_t hash[CHAIN_HASH_LEN];
};

/* Exists while there is a specification, a slice, a chain in the kernel, or a change to plan. */
struct stored_service {
	RB_ENTRY(stored_service) by_name;
	SLIST_ENTRY(stored_service) touched_next;
	LIST_HEAD(, stored_slice) slices;
	struct service_spec *spec;  /* NULL: no such service, only slices or leavings */
	struct owned_chain *chains; /* sorted; the planner's */
	uint32_t chain_count;
	uint32_t seen; /* the list that named it last */
	bool touched;
	uint64_t frontends[FAMILY_COUNT]
			  [IPT_TABLE_COUNT]; /* digests of its rules in KUBE-SERVICES */
	const char *namespace;
	const char *name;
};

RB_HEAD(service_tree, stored_service);
RB_HEAD(slice_tree, stored_slice);
RB_PROTOTYPE(service_tree, stored_service, by_name, stored_service_cmp)
RB_PROTOTYPE(slice_tree, stored_slice, by_name, stored_slice_cmp)

struct store {
	struct service_tree services;
	struct slice_tree slices;
	SLIST_HEAD(, stored_service) touched;
	uint32_t list[KIND_SLICE + 1]; /* per kind the number of the list now or last read */
	bool listing[KIND_SLICE + 1];  /* between LIST_BEGIN and LIST_END */
	bool listed[KIND_SLICE + 1];   /* LIST_END came once */
};

void store_init(struct store *s);
void store_clear(struct store *s);

/*
 * A complete list of this kind begins; when it ends, what it did not name is gone. While it runs
 * deletions wait for its end. END returns NULL, or why it breaks the protocol.
 */
void store_list_begin(struct store *s, enum object_kind kind);
const char *store_list_end(struct store *s, enum object_kind kind);

/*
 * Each copies what it keeps. What cannot be programmed (an address or a name that is none, a port
 * given twice) is left out and logged with namespace/name; the rest of the object counts.
 */
void store_service_put(struct store *s, const struct service *in);
void store_service_del(struct store *s, const char *ns, const char *name);
void store_slice_put(struct store *s, const struct slice *in);
void store_slice_del(struct store *s, const char *ns, const char *name);

/* Marks V as one to plan anew. */
void store_touch(struct store *s, struct stored_service *v);
/* Takes one touched service off the list; NULL if there is none. */
struct stored_service *store_take_touched(struct store *s);
/* Frees V if nothing keeps it. V must have been taken off the touched list. */
void store_release(struct store *s, struct stored_service *v);

#endif
