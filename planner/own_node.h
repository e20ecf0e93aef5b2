/*
 * What of its own node the rules go by: its addresses, where its pods are, where its node ports
 * answer. From CONFIG and the Node. Pure.
 */
#ifndef PLANNER_OWN_NODE_H
#define PLANNER_OWN_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "ipc/config.h"
#include "ipc/objects.h"
#include "planner/local.h"

/* Start zeroed but for CFG and LOCAL. */
struct own_node {
	const struct config *cfg;
	const struct local_addrs *local; /* the machine's own, in modes whose rules list them */
	uint32_t addr_count;
	struct ip_addr addrs[16];
	/*
	 * Once known they are replaced and not forgotten: a Node that is gone, or comes without
	 * them, moves neither pods nor node ports.
	 */
	bool has_primary[FAMILY_COUNT], has_pods[FAMILY_COUNT];
	struct ip_addr primary[FAMILY_COUNT]; /* the Node's first address */
	struct ip_cidr pods[FAMILY_COUNT];    /* of the Node's podCIDRs */
};

/* What a Node changed; the first three as far as the configuration makes it count. */
enum own_node_change {
	OWN_NODE_ADDRS = 1,
	OWN_NODE_PODS = 2,	/* own_node_pods() */
	OWN_NODE_NODEPORTS = 4, /* own_node_nodeports() */
	OWN_NODE_POD_CIDRS = 8, /* PODS, whether or not own_node_pods() goes by them */
};

/* The Node as it is now; NULL when it does not exist. Returns a bit per enum own_node_change. */
unsigned own_node_put(struct own_node *o, const struct node *n);

/* What the Node has to have before rules can be made, and has not: in words, or NULL. */
const char *own_node_missing(const struct own_node *o);

/* Are pods told by the interface their packets come in by (CONFIG's pod_interface)? */
bool own_node_pods_by_interface(const struct own_node *o);
/* The prefix that tells pods of FAMILY; NULL: none does. */
const struct ip_cidr *own_node_pods(const struct own_node *o, uint8_t family);

/* How many addresses of the node can have node ports in nftables mode. */
#define OWN_NODE_ADDRS_MAX 64
/*
 * The addresses of FAMILY that answer on node ports in nftables mode, where each has an element:
 * the primary one unless prefixes are configured. Returns how many.
 */
uint32_t own_node_port_addrs(const struct own_node *o, const struct local_addrs *local,
    uint8_t family, struct ip_addr out[OWN_NODE_ADDRS_MAX]);
/* Do these go by the machine's addresses (LOCAL), not by the Node? */
bool own_node_takes_addrs(const struct own_node *o);

/*
 * The prefixes in which the node's addresses of FAMILY answer on node ports, into OUT. Returns how
 * many; 0: all do. That is also so where only prefixes of the other family are configured.
 */
uint32_t own_node_nodeports(
    const struct own_node *o, uint8_t family, struct ip_cidr out[CONFIG_PREFIXES_MAX]);

#endif
