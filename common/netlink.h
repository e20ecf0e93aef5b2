/* Netlink, for the two who use it: the applier (flows) and the watcher (addresses). */
#ifndef COMMON_NETLINK_H
#define COMMON_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/* No message of the kernel is longer: net/netlink/af_netlink.c fills at most this much of a dump.
 */
#define NETLINK_BYTES 32768

/*
 * A netlink socket of PROTOCOL that talks to the kernel alone, with read(2) and write(2): it is
 * connected to it, so that it takes nothing from other processes. Non-blocking: the kernel queues
 * the first answer within write(), and the next part of a dump within read(). -1 with errno.
 */
int netlink_open(int protocol);

/* The attribute TYPE of H, whose own header has HEADER bytes; NULL if it has none. */
const struct nlattr *netlink_attr(const struct nlmsghdr *h, size_t header, uint16_t type);
/* ... of those nested in NEST (may be NULL). */
const struct nlattr *netlink_nested(const struct nlattr *nest, uint16_t type);
/* The LEN bytes of A; NULL if A is NULL or has another length. */
const uint8_t *netlink_bytes(const struct nlattr *a, uint16_t len);

#endif
