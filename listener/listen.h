/* Listening TCP sockets. */
#ifndef LISTENER_LISTEN_H
#define LISTENER_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ip.h"

/*
 * A non-blocking TCP socket that listens on ADDR:PORT with room for BACKLOG connections. The
 * unspecified address of either family means every address of both, as Go's listener has it (of
 * IPv4 alone on a kernel without IPv6), unless ONE_FAMILY. The socket, or -1 with errno.
 */
int listen_tcp(const struct ip_addr *addr, uint16_t port, bool one_family, int backlog);

/* "10.0.0.1:80", "[::1]:80". */
#define LISTEN_STRLEN (IP_STRLEN + 8)
const char *listen_format(const struct ip_addr *addr, uint16_t port, char buf[LISTEN_STRLEN]);

#endif
