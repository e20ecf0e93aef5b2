#include "broker/lockdown.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "ipc/fds.h"

#define NO_WAIT (SOCK_NONBLOCK | SOCK_CLOEXEC)

static const struct sandbox_rule rules[] = {
    ALLOW_IF2(socket, 0, AF_INET, 1, SOCK_STREAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET6, 1, SOCK_STREAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET, 1, SOCK_DGRAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET6, 1, SOCK_DGRAM | NO_WAIT),
    ALLOW(connect),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_KEEPALIVE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_NODELAY),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_KEEPIDLE),
    /* the channels; nothing is sent to an endpoint, nor read from one */
    ALLOW_IF(read, 0, BROKER_FD_PLANNER),
    ALLOW_IF(read, 0, BROKER_FD_RELAY),
    ALLOW_IF(read, 0, BROKER_FD_DIAL),
    ALLOW_IF(write, 0, BROKER_FD_PLANNER),
    ALLOW_IF(write, 0, BROKER_FD_RELAY),
    ALLOW_IF(write, 0, STDERR_FILENO),
    ALLOW_IF2(sendmsg, 0, BROKER_FD_DIAL, 2, MSG_DONTWAIT | MSG_NOSIGNAL),
    ALLOW(pread64), /* what this process has used */
    ALLOW(poll),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
};

void broker_lock_down(void)
{
	static const char *const nothing[] = {NULL};

	sandbox_no_new_privs();
	sandbox_landlock(nothing, 1);
	sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]));
}
