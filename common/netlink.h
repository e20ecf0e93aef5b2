/*
 * Netlink, for the two who use it: the applier and the watcher (addresses). Messages are built and
 * read with libnl-3, which takes no attribute that its message has no room for. They are sent and
 * received with write(2) and read(2), not with libnl's sockets: on a socket that is connected to
 * the kernel these reach nobody else, and a system call filter can tell them by their descriptor.
 */
#ifndef COMMON_NETLINK_H
#define COMMON_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct nl_msg;

/* No message of the kernel is longer: net/netlink/af_netlink.c fills at most this much of a dump.
 */
#define NETLINK_BYTES 32768

/* What netlink_request() has room for. */
#define NETLINK_REQUEST_MAX 1024

/*
 * A netlink socket of PROTOCOL that talks to the kernel alone, with read(2) and write(2): it is
 * connected to it, so that it takes nothing from other processes. Non-blocking: the kernel queues
 * the first answer within write(), and the next part of a dump within read(). -1 with errno.
 */
int netlink_open(int protocol);

/* A message of at most SIZE bytes, for as long as the process lives. fatal() without memory. */
struct nl_msg *netlink_new(size_t size);
/* Begins M anew: a request of TYPE with FLAGS (NLM_F_*), and the LEN bytes of its family's HEADER.
 */
void netlink_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *header, size_t len);
/* ... the process's one small message, which is good until the next call. */
struct nl_msg *netlink_request(uint16_t type, uint16_t flags, const void *header, size_t len);
/* Sends M under NUMBER, by which its answers are known. 0, or an errno. */
int netlink_send(int fd, struct nl_msg *m, uint32_t number);

/* The attribute TYPE of H, whose own header has HEADER bytes; NULL if it has none. */
const struct nlattr *netlink_attr(const struct nlmsghdr *h, size_t header, uint16_t type);
/* ... of those nested in NEST (may be NULL). */
const struct nlattr *netlink_nested(const struct nlattr *nest, uint16_t type);
/* The LEN bytes of A; NULL if A is NULL or has another length. */
const uint8_t *netlink_bytes(const struct nlattr *a, uint16_t len);

#endif
