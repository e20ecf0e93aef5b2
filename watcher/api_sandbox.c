#include "watcher/api_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Found with strace on Debian 12; names of other architectures' and older libcs' calls besides. */
const struct sandbox_rule api_syscalls[] = {
    /* Sockets: TCP to the apiserver, UDP and TCP to name servers, local addresses by netlink. */
    ALLOW_IF(socket, 0, AF_INET),
    ALLOW_IF(socket, 0, AF_INET6),
    ALLOW_IF2(socket, 0, AF_NETLINK, 2, NETLINK_ROUTE),
    /* libc looks for nscd when it sorts several addresses of a name; it can do without. */
    REFUSE_IF(socket, 0, AF_UNIX, EAFNOSUPPORT),
    ALLOW(connect),
    ALLOW(bind), /* of the netlink socket */
    ALLOW(getsockname),
    ALLOW(getpeername),
    ALLOW_IF2(getsockopt, 1, SOL_SOCKET, 2, SO_ERROR),
    ALLOW_IF2(setsockopt, 1, SOL_SOCKET, 2, SO_KEEPALIVE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_KEEPIDLE),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_KEEPINTVL),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_NODELAY),
    ALLOW_IF2(setsockopt, 1, IPPROTO_TCP, 2, TCP_USER_TIMEOUT),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IP, 2, IP_RECVERR),
    ALLOW_IF2(setsockopt, 1, IPPROTO_IPV6, 2, IPV6_RECVERR),
    ALLOW(read),
    ALLOW(write),
    ALLOW(writev),
    ALLOW(sendto),
    ALLOW(sendmsg),
    ALLOW(sendmmsg),
    ALLOW(recvfrom),
    ALLOW(recvmsg),
    ALLOW_IF(ioctl, 1, FIONREAD),

    /* Waiting. */
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
    ALLOW(poll),
    ALLOW(ppoll),

    /* Credentials, authorities, the resolver's files: to read only. */
    ALLOW_WITHOUT(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC),
    ALLOW(newfstatat),
    ALLOW(fstat),
    ALLOW(lseek),
    ALLOW(pread64),
    ALLOW(readlink), /* realpath(3) */
    ALLOW(inotify_add_watch),
    ALLOW(access),
    ALLOW(faccessat),
    ALLOW_IF(fcntl, 1, F_GETFL),
    ALLOW_IF(fcntl, 1, F_SETFL),
    ALLOW_IF(fcntl, 1, F_GETFD),
    ALLOW_IF(fcntl, 1, F_SETFD),

    /* The resolver's thread. A filter cannot see clone3's flags; libc then takes clone. */
    REFUSE(clone3, ENOSYS),
    ALLOW_WITH(clone, 0, CLONE_THREAD),
    ALLOW_IF(socketpair, 0, AF_UNIX), /* by which it tells that it is done */
    ALLOW_IF(rt_sigaction, 0, 33),    /* SIGSETXID, libc's own, when the first thread is made */
    ALLOW(set_robust_list),
    ALLOW(rseq),
    ALLOW(sched_getaffinity), /* malloc counts the processors for its arenas */
    ALLOW(sysinfo),	      /* qsort asks for the size of the memory */

    /* What OpenSSL and libc ask about us. */
    ALLOW(uname),
    ALLOW(getuid),
    ALLOW(geteuid),
    ALLOW(getgid),
    ALLOW(getegid),
    ALLOW(prlimit64),
};

const size_t api_syscall_count = sizeof(api_syscalls) / sizeof(api_syscalls[0]);

const char *const api_read_paths[] = {
    "/etc", /* resolv.conf, hosts, host.conf, gai.conf, ssl */
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/dev/urandom",
    NULL,
};
