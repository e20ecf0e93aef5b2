#include "common/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* The attribute TYPE among those from A to END. */
static const struct nlattr *find(const struct nlattr *a, const void *end, uint16_t type)
{
	for (; mnl_attr_ok(a, (int)((const char *)end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

const struct nlattr *netlink_attr(const struct nlmsghdr *h, size_t header, uint16_t type)
{
	return find(mnl_nlmsg_get_payload_offset(h, header), mnl_nlmsg_get_payload_tail(h), type);
}

const struct nlattr *netlink_nested(const struct nlattr *nest, uint16_t type)
{
	const char *payload = nest != NULL ? mnl_attr_get_payload(nest) : NULL;

	if (payload == NULL)
		return NULL;
	return find((const void *)payload, payload + mnl_attr_get_payload_len(nest), type);
}

const uint8_t *netlink_bytes(const struct nlattr *a, uint16_t len)
{
	return a != NULL && mnl_attr_get_payload_len(a) == len ? mnl_attr_get_payload(a) : NULL;
}
