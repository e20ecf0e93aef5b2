/* ipvs mode's netlink: a request at a time, on sockets that were opened before the lock-down. */
#ifndef APPLIER_IPVS_NETLINK_H
#define APPLIER_IPVS_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stdint.h>

#include "applier/ipvs_tables.h"

/* Room for any request, and aligned for one. */
struct ipvs_request {
	_Alignas(struct nlmsghdr) uint8_t bytes[1024];
};

/* Takes a message of an answer. */
typedef void (*ipvs_visit)(void *arg, const struct nlmsghdr *h);

/*
 * Sends H with FLAGS (NLM_F_ACK, NLM_F_DUMP) to the kernel and gives VISIT, if it is not NULL, what
 * comes back. 0, or an errno; ipset's own begin at 4096.
 */
int ipvs_talk(int fd, struct nlmsghdr *h, uint16_t flags, ipvs_visit visit, void *arg);

/* The generic netlink family of IPVS, 0 before it is known, and the number of kube-ipvs0. */
extern uint16_t ipvs_genl_family;
extern unsigned ipvs_interface;

/* Each begins a message in R. */
struct nlmsghdr *ipvs_begin_genl(struct ipvs_request *r, uint16_t family, uint8_t command);
struct nlmsghdr *ipvs_begin_set(
    struct ipvs_request *r, uint8_t command, uint8_t family, uint8_t set);
struct nlmsghdr *ipvs_begin_addr(struct ipvs_request *r, uint16_t type, uint8_t family);

#endif
