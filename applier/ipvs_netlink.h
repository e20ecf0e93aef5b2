/* ipvs mode's netlink: a request at a time, on sockets that were opened before the lock-down. */
#ifndef APPLIER_IPVS_NETLINK_H
#define APPLIER_IPVS_NETLINK_H

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdint.h>

#include "applier/ipvs_tables.h"

/* Takes a message of an answer. */
typedef void (*ipvs_visit)(void *arg, const struct nlmsghdr *h);

/*
 * Sends M to the kernel and gives VISIT, if it is not NULL, what comes back. 0, or an errno;
 * ipset's own begin at 4096.
 */
int ipvs_talk(int fd, struct nl_msg *m, ipvs_visit visit, void *arg);

/* The generic netlink family of IPVS, 0 before it is known, and the number of kube-ipvs0. */
extern uint16_t ipvs_genl_family;
extern unsigned ipvs_interface;

/* Each begins the one request with FLAGS (NLM_F_ACK, NLM_F_DUMP): of IPVS, of a set, of an address
 * of kube-ipvs0. */
struct nl_msg *ipvs_begin_genl(uint8_t command, uint16_t flags);
struct nl_msg *ipvs_begin_set(uint8_t command, uint16_t flags, uint8_t family, uint8_t set);
struct nl_msg *ipvs_begin_addr(uint16_t type, uint16_t flags, uint8_t family);

#endif
