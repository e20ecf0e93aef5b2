#include "common/netlink.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

int netlink_open(int protocol)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int error;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct nl_msg *netlink_new(size_t size)
{
	struct nl_msg *m = nlmsg_alloc_size(size);

	if (m == NULL)
		fatal(EXIT_FAILED, "%zu bytes for netlink: %s", size, strerror(ENOMEM));
	return m;
}

void netlink_begin(struct nl_msg *m, uint16_t type, uint16_t flags, const void *header, size_t len)
{
	struct nlmsghdr *h = nlmsg_hdr(m);

	h->nlmsg_len = NLMSG_HDRLEN;
	nlmsg_put(m, 0, 0, type, (int)len, NLM_F_REQUEST | flags);
	memcpy(nlmsg_data(h), header, len);
}

struct nl_msg *netlink_request(uint16_t type, uint16_t flags, const void *header, size_t len)
{
	static struct nl_msg *m;

	if (m == NULL)
		m = netlink_new(NETLINK_REQUEST_MAX);
	netlink_begin(m, type, flags, header, len);
	return m;
}

int netlink_send(int fd, struct nl_msg *m, uint32_t number)
{
	struct nlmsghdr *h = nlmsg_hdr(m);

	h->nlmsg_seq = number;
	return write(fd, h, h->nlmsg_len) < 0 ? errno : 0;
}

const struct nlattr *netlink_attr(const struct nlmsghdr *h, size_t header, uint16_t type)
{
	return nlmsg_datalen(h) < (int)header
		   ? NULL
		   : nla_find(nlmsg_attrdata(h, (int)header), nlmsg_attrlen(h, (int)header), type);
}

const struct nlattr *netlink_nested(const struct nlattr *nest, uint16_t type)
{
	return nest == NULL ? NULL : nla_find(nla_data(nest), nla_len(nest), type);
}

const uint8_t *netlink_bytes(const struct nlattr *a, uint16_t len)
{
	return a != NULL && nla_len(a) == len ? nla_data(a) : NULL;
}
