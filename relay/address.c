#include "relay/address.h"

#include <string.h>

void relay_address_set(struct relay_address *a, const struct ip_addr *addr, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (addr->family == FAMILY_4) {
		a->len = sizeof(a->in4);
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons(port);
		memcpy(&a->in4.sin_addr, addr->b, sizeof(a->in4.sin_addr));
	} else {
		a->len = sizeof(a->in6);
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		memcpy(&a->in6.sin6_addr, addr->b, sizeof(a->in6.sin6_addr));
	}
}

void relay_address_get(const struct relay_address *a, struct ip_addr *addr, uint16_t *port)
{
	memset(addr, 0, sizeof(*addr));
	if (a->sa.sa_family == AF_INET) {
		addr->family = FAMILY_4;
		memcpy(addr->b, &a->in4.sin_addr, sizeof(a->in4.sin_addr));
		*port = ntohs(a->in4.sin_port);
	} else {
		addr->family = FAMILY_6;
		memcpy(addr->b, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
		*port = ntohs(a->in6.sin6_port);
	}
}
