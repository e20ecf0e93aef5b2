#include "listener/lockdown.h"

#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/sandbox.h"

#define TCP_SOCKET (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

/* No connect, no open, no exec, no other kind of socket, no address in a send. */
static const struct sandbox_rule rules[] = {
    ALLOW_IF2(socket, 0, AF_INET, 1, TCP_SOCKET), /* a bind that failed is tried again */
    ALLOW_IF2(socket, 0, AF_INET6, 1, TCP_SOCKET),
    ALLOW(bind),
    ALLOW(listen),
    ALLOW(accept4),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_REUSEADDR),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPV6_V6ONLY),
    ALLOW(shutdown),
    ALLOW(close),
    ALLOW(read),
    ALLOW(pread64), /* what this process has used */
    ALLOW(readv),
    ALLOW(write),
    ALLOW(writev),
    ALLOW_IF(ioctl, 1, FIONREAD), /* evbuffer_read() asks how much there is */
    ALLOW(poll),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
};

void listener_lock_down(void)
{
	static const char *const nothing[] = {NULL};

	sandbox_no_new_privs();
	sandbox_landlock(nothing, 1);
	sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]));
}
