/*
 * KUBE-SERVICES of a large cluster, so that a connection's first packet does not pass a rule per
 * service: a tree of KUBE-NET- chains by destination prefix. It is a function of the addresses
 * alone, whatever way they came about, so that a restarted planner finds the kernel as it should
 * be; a change costs the way to the addresses concerned. One struct per family. Pure.
 *
 * A node covers all addresses under its prefix, which is the longest that they share, of an even
 * number of bits. It has a child for each value of the next two bits that occurs, or, when it is a
 * leaf, the rules of its few addresses. The root is KUBE-SERVICES itself: it jumps, and all below
 * go on without coming back, so that what no rule takes returns there, to the node ports.
 */
#ifndef PLANNER_DISPATCH_H
#define PLANNER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/ip.h"
#include "planner/addresses.h"
#include "planner/rules.h"
#include "planner/store.h"

/* Up to so many addresses KUBE-SERVICES is the flat list that operators know. */
#define DISPATCH_FLAT_MAX 250
/* Up to so many stand in one chain; those of one address always do. */
#define DISPATCH_LEAF_MAX 4

/* A KUBE-NET- chain that is, or is on its way to be, in the kernel. */
struct dispatch_node {
	RB_ENTRY(dispatch_node) by_prefix;
	uint64_t digest;
	uint32_t turn; /* the update that saw it last */
	uint32_t rules;
	struct ip_cidr net;
};
RB_HEAD(dispatch_tree, dispatch_node);
RB_PROTOTYPE(dispatch_tree, dispatch_node, by_prefix, node_cmp)

struct dispatch {
	struct address_list entries;	   /* sorted */
	struct address_list before, after; /* what changes; see below */
	struct dispatch_tree known;	   /* as the last update left it */
	uint32_t turn;
	size_t rules; /* of all KUBE-NET- chains */
};

/* Frees what D holds; as if there were no service. Safe on a zeroed struct. */
void dispatch_clear(struct dispatch *d);

/*
 * The rules of service V changed: it may have had some for SPEC's addresses of FAMILY (SPEC may be
 * NULL, and is not kept) ...
 */
void dispatch_before(struct dispatch *d, const struct stored_service *v,
    const struct service_spec *spec, uint8_t family);
/* ... and has those that frontends_nat_services() gives now. V must live until dispatch_update().
 */
void dispatch_after(struct dispatch *d, const struct stored_service *v, uint8_t family);

/*
 * Whom an update asks for the digest of a chain and its number of rules, and tells which chains to
 * put and delete.
 */
struct dispatch_visitor {
	uint64_t (*digest)(void *arg, const struct ip_cidr *net, uint32_t *rules);
	void (*put)(void *arg, const struct ip_cidr *net, uint64_t digest, bool fresh);
	void (*gone)(void *arg, const struct ip_cidr *net);
	void *arg;
};

/* Takes over what changed, and looks at the chains that it concerns. */
void dispatch_update(struct dispatch *d, const struct dispatch_visitor *v);

/* Is KUBE-SERVICES the root of a tree? After dispatch_update(), as what follows. */
bool dispatch_is_tree(const struct dispatch *d);
/* The root's rules: what stands in KUBE-SERVICES in place of the services' own. */
void dispatch_root_rules(const struct dispatch *d, const struct rule_sink *to);
/* The rules of the chain for NET, which is a node of the tree. */
void dispatch_net_rules(
    const struct dispatch *d, const struct ip_cidr *net, const struct rule_sink *to);

/* The chain for a prefix. */
struct ipt_chain dispatch_chain(const struct ip_cidr *net);

#endif
