/*
 * Whose an address is. A ClusterIP is its Service's with all its ports, the ranges that ClusterIPs
 * come from are for them alone, and the pods' network is the pods': a Service that asks for one of
 * these as an external or load-balancer IP does not get it, whoever came first. It keeps its other
 * addresses, and gets this one as soon as it is free. In every mode, as what is refused is left out
 * of the specification that modes plan.
 */
#ifndef PLANNER_FRONTEND_OWNER_H
#define PLANNER_FRONTEND_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

#include "common/ip.h"
#include "planner/store.h"

/* Notes what SPEC, which is or was V's, asks for (ON) or does not any more. Who may lose or get an
 * address by it is to be judged. */
void frontend_owner_note(
    struct store *s, struct stored_service *v, const struct service_spec *spec, bool on);
/* The ranges of ClusterIPs, or the pods' network, are others now. */
void frontend_owner_moved(struct store *s);
/*
 * Judges whoever waits for it, before anything is planned: a Service's specification becomes what
 * it may have of what it asks for. What is left out is logged.
 */
void frontend_owner_settle(struct store *s);

#define FRONTEND_OWNER_WHY_MAX 256
/*
 * NULL if a Service can have ADDR as an address of KIND, or why not: in words, in TEXT. Of whom the
 * address is asked does not matter: a ClusterIP of its own is no other address of a Service either.
 */
const char *frontend_owner_refusal(const struct store *s, enum frontend kind,
    const struct ip_addr *addr, char text[FRONTEND_OWNER_WHY_MAX]);

/* Frees the index. */
void frontend_owner_clear(struct store *s);

#endif
