#include "listener/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(const struct sockaddr *sa, socklen_t len, bool both_families, int backlog)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, v6only = !both_families, saved;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (sa->sa_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0) &&
	    bind(fd, sa, len) == 0 && listen(fd, backlog) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int listen_tcp(const struct ip_addr *addr, uint16_t port, bool one_family, int backlog)
{
	static const uint8_t unspecified[16];
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool any = !one_family && memcmp(addr->b, unspecified, sizeof(unspecified)) == 0;
	int fd;

	if (addr->family == FAMILY_6 || any) {
		memcpy(&in6.sin6_addr, addr->b, sizeof(in6.sin6_addr));
		fd = listen_on((const struct sockaddr *)&in6, sizeof(in6), any, backlog);
		/* A kernel without IPv6 has no such socket, or no address to bind it to. */
		if (!any || fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
			return fd;
	}
	memcpy(&in4.sin_addr, addr->b, sizeof(in4.sin_addr));
	return listen_on((const struct sockaddr *)&in4, sizeof(in4), false, backlog);
}

const char *listen_format(const struct ip_addr *addr, uint16_t port, char buf[LISTEN_STRLEN])
{
	char text[IP_STRLEN];

	ip_format(addr, text);
	snprintf(buf, LISTEN_STRLEN, addr->family == FAMILY_6 ? "[%s]:%u" : "%s:%u", text, port);
	return buf;
}
