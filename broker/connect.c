#include "broker/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "ipc/objects.h"

union socket_address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

static socklen_t set_address(union socket_address *a, const struct relay_endpoint *to)
{
	memset(a, 0, sizeof(*a));
	if (to->addr.family == FAMILY_4) {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons(to->port);
		memcpy(&a->in4.sin_addr, to->addr.b, sizeof(a->in4.sin_addr));
		return sizeof(a->in4);
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(to->port);
	memcpy(&a->in6.sin6_addr, to->addr.b, sizeof(a->in6.sin6_addr));
	return sizeof(a->in6);
}

/* A socket on its way to TO, or -1 with errno. */
static int connect_to(const struct relay_endpoint *to, uint8_t proto)
{
	static const int on = 1, idle_s = 15;
	const bool tcp = proto == PROTO_TCP;
	union socket_address a;
	socklen_t len = set_address(&a, to);
	int fd = socket(
	    a.any.sa_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -1;
	if (tcp) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	}
	if (connect(fd, &a.any, len) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The result of TOKEN: FD, which stays the caller's, or ERROR. */
static void answer(struct connects *b, uint32_t token, int fd, int error)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part;
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

	dial_encode_result(&b->frame, token, error);
	part = (struct iovec){b->frame.buf, b->frame.len};
	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.buf;
		m.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(b->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		fatal(
		    EXIT_FAILED, "a connection cannot be handed to the relay: %s", strerror(errno));
}

const char *connect_request(void *arg, unsigned type, struct cursor *c)
{
	struct connects *b = arg;
	struct dial_request r;
	const char *why = type != DIAL_REQUEST ? "an unknown message type" : NULL;
	uint8_t proto = 0;
	int fd = -1;

	if (why == NULL)
		why = dial_decode_request(c, &r);
	if (why != NULL)
		return why;
	errno = EACCES;
	if (endpoints_allow(b->endpoints, &r, &proto))
		fd = connect_to(&r.to, proto);
	answer(b, r.token, fd, fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
	return NULL;
}
