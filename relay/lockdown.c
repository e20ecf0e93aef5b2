#include "relay/lockdown.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/sandbox.h"
#include "ipc/fds.h"

#define NO_WAIT	   (SOCK_NONBLOCK | SOCK_CLOEXEC)
#define MSG_ANSWER (MSG_DONTWAIT | MSG_NOSIGNAL)

static const struct sandbox_rule rules[] = {
    ALLOW_IF2(socket, 0, AF_INET, 1, SOCK_STREAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET6, 1, SOCK_STREAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET, 1, SOCK_DGRAM | NO_WAIT),
    ALLOW_IF2(socket, 0, AF_INET6, 1, SOCK_DGRAM | NO_WAIT),
    ALLOW(bind),
    ALLOW(listen),
    ALLOW(accept4),
    ALLOW(shutdown),
    ALLOW_IF2(getsockopt, 1, SOL_SOCKET, 2, SO_ERROR),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_REUSEADDR),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_KEEPALIVE),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_LINGER),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_NODELAY),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_KEEPIDLE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IP, 2, IP_PKTINFO),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPV6_RECVPKTINFO),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPV6_V6ONLY),
    ALLOW(read),
    ALLOW(pread64), /* what this process has used */
    ALLOW(write),
    ALLOW(recvfrom),
    ALLOW(recvmmsg),
    ALLOW_IF(recvmsg, 0, RELAY_FD_DIAL), /* connections that the broker made */
    /* to an address only as an answer (sendmsg), and no connection by MSG_FASTOPEN */
    ALLOW_IF2(sendto, 3, MSG_ANSWER, 4, 0),
    ALLOW_IF(sendmsg, 2, MSG_ANSWER),
    ALLOW(splice),
    ALLOW_IF(pipe2, 1, O_NONBLOCK | O_CLOEXEC),
    ALLOW_IF(fcntl, 1, F_SETPIPE_SZ),
    ALLOW_IF(ioctl, 1, FIONREAD),
    ALLOW(poll),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
};

void relay_lock_down(void)
{
	static const char *const nothing[] = {NULL};

	sandbox_no_new_privs();
	sandbox_landlock(nothing, 1);
	sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]));
}
