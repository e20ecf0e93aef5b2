/*
 * What a service may have of the frontends that it asks for, by the rules in frontend_owner.h. Goes
 * by the index of claims, the ranges of ClusterIPs and the own node.
 */
#ifndef PLANNER_FRONTEND_JUDGE_H
#define PLANNER_FRONTEND_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"
#include "planner/store.h"

#define FRONTEND_WHY_MAX 256
/* That a service asks for a port by an address; of KIND FRONTEND_COUNT for a node port, by none. */
struct frontend_asked {
	const struct stored_service *v;
	enum frontend kind;
	const struct ip_addr *addr;
	uint8_t proto;
	uint16_t port;
};
/* NULL if V has what it asks for, or why not: in words, in TEXT. */
const char *frontend_refusal(
    const struct store *s, const struct frontend_asked *a, char text[FRONTEND_WHY_MAX]);

/* Gives V the specification that it may have, and logs what is left out of it. */
void frontend_judge(struct store *s, struct stored_service *v);

/* Is ADDR an address of the node? */
bool frontend_on_node(const struct store *s, const struct ip_addr *addr);
/* ... that answers on node ports? */
bool frontend_answers_node_ports(const struct store *s, const struct ip_addr *addr);
/* Does V ask for a ClusterIP of FAMILY? Without it has no other frontend of FAMILY either. */
bool frontend_has_family(const struct stored_service *v, uint8_t family);

#endif
