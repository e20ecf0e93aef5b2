#include "relay/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/objects.h"
#include "relay/address.h"
#include "relay/udp.h"

#define BACKLOG 4096

/* What accepted connections inherit, and a socket of one family alone. */
static int set_options(int fd, const struct relay_open *o)
{
	static const int on = 1, idle_s = 15;

	if (o->family == FAMILY_6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return -1;
	if (o->proto == PROTO_UDP)
		return relay_udp_prepare(fd, o->family);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		return -1;
	return setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

/* Is it one that another program may have, so that the next is worth a try? */
static bool only_this_port(int error)
{
	return error == EADDRINUSE || error == EACCES;
}

static int listen_at(const struct relay_open *o, const struct ip_addr *addr, uint16_t port)
{
	const bool tcp = o->proto == PROTO_TCP;
	struct relay_address sa;
	int fd, error;

	relay_address_set(&sa, addr, port);
	fd = socket(
	    sa.sa.sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (set_options(fd, o) == 0 && bind(fd, &sa.sa, sa.len) == 0 &&
	    (!tcp || listen(fd, BACKLOG) == 0))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static uint8_t *byte_of(struct relay_taken *taken, const struct relay_open *o, uint16_t port)
{
	return &taken->ports[o->proto == PROTO_UDP][o->family][port / 8];
}

int relay_listen(struct relay_taken *taken, const struct relay_ports *range,
    const struct relay_open *o, uint16_t *port)
{
	static const struct ip_addr any[FAMILY_COUNT] = {
	    {.family = FAMILY_4}, {.family = FAMILY_6}};
	static const struct ip_addr loopback[FAMILY_COUNT] = {
	    {FAMILY_4, {127, 0, 0, 1}}, {FAMILY_6, {[15] = 1}}};
	const uint32_t count = (uint32_t)range->high - range->low + 1;
	const uint32_t first = range->low > 0 ? relay_first_port(range, o) - range->low : 0;
	int fd = -1;

	*port = o->port;
	if (o->port != 0)
		return listen_at(o, &loopback[o->family], o->port);
	errno = EADDRINUSE;
	for (uint32_t i = 0; range->low > 0 && i < count && only_this_port(errno); i++) {
		*port = (uint16_t)(range->low + (first + i) % count);
		if (*byte_of(taken, o, *port) & 1u << *port % 8)
			continue;
		fd = listen_at(o, &any[o->family], *port);
		if (fd >= 0) {
			*byte_of(taken, o, *port) |= (uint8_t)(1u << *port % 8);
			return fd;
		}
	}
	return -1;
}

void relay_listen_end(struct relay_taken *taken, const struct relay_open *o, uint16_t port)
{
	if (o->port == 0)
		*byte_of(taken, o, port) &= (uint8_t) ~(1u << port % 8);
}
