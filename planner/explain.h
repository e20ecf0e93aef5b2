/*
 * What happens to the first packet of a connection, step by step, and why. The answer is found by
 * sending the packet through what the plan has made: in iptables mode through the very rules, in
 * nftables mode through the elements, in ipvs mode through both, so that nothing is decided here a
 * second time. Reads only.
 */
#ifndef PLANNER_EXPLAIN_H
#define PLANNER_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/query.h"
#include "planner/plan_view.h"
#include "planner/report.h"

enum explain_verdict {
	EXPLAIN_PASSES, /* no rule of the proxy's is about it */
	EXPLAIN_TRANSLATED,
	EXPLAIN_REJECTED,
	EXPLAIN_DROPPED,
	EXPLAIN_ACCEPTED, /* let past the node's own firewall */
};

struct explain_endpoint {
	struct ip_addr addr;
	uint16_t port;
	bool marked, masqueraded;
	double share;  /* of new clients */
	char rule[80]; /* where it stands */
	char by[64];   /* the rule that masquerades, if it is one */
};

/* A packet on its way; what it has met is written into a report as it goes. */
struct explain {
	const struct plan_view *view;
	const struct query_packet *packet;
	struct report *out;
	bool from_node;			/* the source is an address of the machine */
	bool pod;			/* came in by an interface of local pods ... */
	bool pod_guess;			/* ... which nobody said: */
	bool guessed;			/* what was found goes by the guess */
	char service[SVCPORT_NAME_LEN]; /* the service port it was for; "" if none's */
	enum explain_verdict verdict;
	bool marked;		   /* to be masqueraded */
	uint32_t affinity_seconds; /* 0: none */
	const char *chooses;	   /* what an endpoint is chosen by; NULL: by chance */
	bool no_shares;		   /* ... which gives none a share that is known */
	struct explain_endpoint *endpoints;
	size_t count, room;
};

/* Writes the answer into OUT, where an object is open. */
void explain_packet(
    const struct plan_view *view, const struct query_packet *packet, struct report *out);

/* --- for the modes --- */

/* Each sends X's packet through what its mode has. */
void explain_iptables(struct explain *x);
void explain_nftables(struct explain *x);
void explain_ipvs(struct explain *x);

/*
 * ipvs mode: whose the destination of P is, *INDEX the port and *KIND the address's kind, which is
 * FRONTEND_COUNT for a node port; NULL: no service's.
 */
const struct stored_service *explain_ipvs_owner(const struct plan_view *view,
    const struct query_packet *p, uint32_t *index, enum frontend *kind);

/* Is A an address of the machine, or in ipvs mode one of kube-ipvs0? */
bool explain_is_local(const struct plan_view *view, const struct ip_addr *a);
/* Did X's packet come in by an interface of local pods? Notes that it was asked. */
bool explain_from_pod_interface(struct explain *x);
/* Writes a step: WHY it matters, WHERE it stands, what stands there. */
void explain_step(struct explain *x, const char *why, const char *where, const char *what);
/* Adds an endpoint that may be chosen. */
struct explain_endpoint *explain_add(
    struct explain *x, const struct ip_addr *addr, uint16_t port, double share);
/* Makes one of those that were added several times. They are sorted then. */
void explain_merge(struct explain *x);

#endif
