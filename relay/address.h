/* Socket addresses of both families, and our own form of them. */
#ifndef RELAY_ADDRESS_H
#define RELAY_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/ip.h"

struct relay_address {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
};

void relay_address_set(struct relay_address *a, const struct ip_addr *addr, uint16_t port);
/* The address in A, whose family the kernel filled in; *PORT is its port. */
void relay_address_get(const struct relay_address *a, struct ip_addr *addr, uint16_t *port);

#endif
