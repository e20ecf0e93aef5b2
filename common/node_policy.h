/*
 * What this node allows, whoever asks for it: which ports may be node ports, which addresses
 * frontends, and which endpoints. Flags say it, once; the planner leaves out what it does not
 * allow, object by object, and the applier refuses it, so that neither the apiserver nor a planner
 * that was taken over goes beyond it. Pure.
 */
#ifndef COMMON_NODE_POLICY_H
#define COMMON_NODE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

#define NODE_POLICY_PREFIXES_MAX 32

struct node_prefixes {
	uint32_t count;
	struct ip_cidr nets[NODE_POLICY_PREFIXES_MAX];
};

struct node_policy {
	uint16_t node_port_low, node_port_high; /* both 0: any port */
	struct node_prefixes frontends;		/* none: any address */
	struct node_prefixes endpoints;		/* none: any address */
	struct node_prefixes denied_endpoints;	/* ... but these */
};

/* Each is NULL if P allows it, or says which flag does not. */

/* PORT is to be a node port, or a health check node port. */
const char *node_policy_port(const struct node_policy *p, uint16_t port);
/* A is to be a ClusterIP, an external IP or a load-balancer IP. */
const char *node_policy_frontend(const struct node_policy *p, const struct ip_addr *a);
/* Packets are to be sent on to A. */
const char *node_policy_endpoint(const struct node_policy *p, const struct ip_addr *a);
/*
 * All of NET, a ServiceCIDR, is to be dropped but for what Services have of it. Never what is wider
 * than /8 (IPv4) or /48 (IPv6), or begins with an address that is no plain unicast one.
 */
const char *node_policy_drop(const struct node_policy *p, const struct ip_cidr *net);

#define NODE_POLICY_TEXT_MAX 6144 /* bytes, with the NUL */
/* P in words, into BUF, which it returns. */
const char *node_policy_text(const struct node_policy *p, char buf[NODE_POLICY_TEXT_MAX]);

#endif
