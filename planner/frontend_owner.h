/*
 * Whose a frontend is: an address, protocol and port that several services may ask for. In every
 * mode, whatever order the services come in, and everywhere in the cluster alike:
 *
 * 1. A ClusterIP is its service's with all its ports. The ranges that ClusterIPs come from are for
 *    them alone.
 * 2. An address of the node is its node ports' first.
 * 3. The pods' network is the pods'.
 * 4. Of the rest a node port comes before a load-balancer IP, and that before an external IP; of
 *    two of a kind the one of the service that was created first, then by UID, then by name.
 *
 * What a service does not get is left out of the specification that modes plan. It keeps the
 * others, and gets this one as soon as it is free.
 */
#ifndef PLANNER_FRONTEND_OWNER_H
#define PLANNER_FRONTEND_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "planner/frontend_judge.h"
#include "planner/store.h"

/*
 * V asks for what is in SPEC from now on, or for nothing. Who may win or lose by it is to be
 * judged; V as well if its specification is ANEW. Its creation and UID stay the same in between.
 */
void frontend_owner_list(
    struct store *s, struct stored_service *v, const struct service_spec *spec, bool anew);
void frontend_owner_unlist(struct store *s, struct stored_service *v);
/* What decides about all services is another now: ranges, the pods' network, the Node. */
void frontend_owner_moved(struct store *s);
/* Addresses may be the node's, or not any more: any of them, or ADDR. */
void frontend_owner_addrs_moved(struct store *s);
void frontend_owner_addr_moved(struct store *s, const struct ip_addr *addr);
/*
 * Judges whoever waits for it, before anything is planned: a service's specification becomes what
 * it may have of what it asks for. What is left out is logged.
 */
void frontend_owner_settle(struct store *s);

/* Who has PORT at ADDR, and as which KIND of frontend; NULL: nobody. */
struct stored_service *frontend_owner_of(const struct store *s, const struct ip_addr *addr,
    uint8_t proto, uint16_t port, enum frontend *kind);
/* Who has ADDR as its ClusterIP; NULL: nobody. */
struct stored_service *frontend_owner_of_cluster_ip(
    const struct store *s, const struct ip_addr *addr);
/* FN is called with each that asks for PORT at ADDR in vain, and why. */
void frontend_owner_losers(const struct store *s, const struct ip_addr *addr, uint8_t proto,
    uint16_t port, void (*fn)(void *arg, const struct frontend_asked *a, const char *why),
    void *arg);

#endif
