/* The desired state: the chains a service should have, what stands in a chain, and its digest. */
#ifndef PLANNER_DESIRED_H
#define PLANNER_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "applier/ipt_entry.h"
#include "ipc/config.h"
#include "planner/changes.h"
#include "planner/dispatch.h"
#include "planner/endpoints.h"
#include "planner/rules.h"
#include "planner/store.h"

/* A chain a service should have, and what it is made of. */
struct desired_chain {
	struct owned_chain c;
	uint32_t port_index;
	uint16_t port; /* the endpoint's */
	struct ip_addr addr;
};

struct desired {
	struct ipt_params params; /* the applier's policy has the same */
	struct service_tree *services;
	struct dispatch dispatch[FAMILY_COUNT]; /* the addresses in nat KUBE-SERVICES */
	char zone[NAME_MAX_LABEL];		/* our node's, "" if unknown */
	struct own_node own;
	bool families[FAMILY_COUNT]; /* programmed at all */
	bool compact;		     /* the layout: rules_endpoint_chains() */
	/* The chains of the service looked at last, sorted by owned_chain_cmp(). */
	struct desired_chain *chains;
	size_t count, room;
	size_t endpoints;		/* that are used by it */
	struct chosen_endpoints chosen; /* scratch */
};

void desired_clear(struct desired *d);

/* Fills D->chains with what V should have, and which endpoints its ports have (spec->live). */
void desired_service(struct desired *d, struct stored_service *v);
/* The digest of V's rules in a shared chain; 0 if it has none. After desired_service(). */
uint64_t desired_shared(const struct desired *d, const struct stored_service *v,
    enum shared_chain kind, uint8_t family);
/*
 * The digest of a chain whose kind has no hash, and how many rules it has (RULES may be NULL); of a
 * shared one after every desired_service() and dispatch_update().
 */
uint64_t desired_static(const struct desired *d, const struct ipt_chain *c, uint32_t *rules);
/* The same of the KUBE-NET- chain for NET. */
uint64_t desired_net(const struct desired *d, const struct ip_cidr *net, uint32_t *rules);

/* Gives TO the rules of the chain that C puts. */
void desired_rules(struct desired *d, const struct change *c, const struct rule_sink *to);

/* Order of a service's chains: family, kind, hash. */
int owned_chain_cmp(const struct owned_chain *a, const struct owned_chain *b);
struct ipt_chain owned_chain_name(const struct owned_chain *o);

#endif
