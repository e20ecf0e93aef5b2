/* A relay that was taken over: every way out of it, tried behind its real filter.
 */
#include "tests/unit/lockdown.h"

#include "relay/lockdown.h"

static int tcp = -1; /* as it was before the attack */

static void connect_tcp(void)
{
	struct sockaddr_in to = lockdown_target();

	connect(tcp, (struct sockaddr *)&to, sizeof(to));
}
static void connect_udp(void)
{
	struct sockaddr_in to = lockdown_target();
	int fd = socket(AF_INET, SOCK_DGRAM | NO_WAIT, 0);

	connect(fd, (struct sockaddr *)&to, sizeof(to));
}
static void connect_by_fastopen(void)
{
	struct sockaddr_in to = lockdown_target();

	sendto(tcp, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to));
}
static void socket_unix(void)
{
	socket(AF_UNIX, SOCK_STREAM | NO_WAIT, 0);
}
static void socket_netlink(void)
{
	socket(AF_NETLINK, SOCK_RAW | NO_WAIT, 0);
}
static void socket_raw(void)
{
	socket(AF_INET, SOCK_RAW | NO_WAIT, IPPROTO_ICMP);
}
static void socket_blocking(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}
static void set(int level, int option)
{
	static const int on = 1;

	setsockopt(tcp, level, option, &on, sizeof(on));
}
static void set_mark(void)
{
	set(SOL_SOCKET, SO_MARK);
}
static void set_device(void)
{
	set(SOL_SOCKET, SO_BINDTODEVICE);
}
static void set_filter(void)
{
	set(SOL_SOCKET, SO_ATTACH_FILTER);
}
static void set_reuseport(void)
{
	set(SOL_SOCKET, SO_REUSEPORT);
}
static void set_fastopen_connect(void)
{
	set(IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
}
static void set_repair(void)
{
	set(IPPROTO_TCP, TCP_REPAIR);
}
static void set_ulp(void)
{
	set(IPPROTO_TCP, TCP_ULP);
}
static void set_transparent(void)
{
	set(IPPROTO_IP, IP_TRANSPARENT);
}
static void set_tables(void)
{
	set(IPPROTO_IP, 64 /* IPT_SO_SET_REPLACE */);
}
static void get_tables(void)
{
	char info[84];
	socklen_t len = sizeof(info);

	getsockopt(tcp, IPPROTO_IP, 64 /* IPT_SO_GET_INFO */, info, &len);
}
static void open_file(void)
{
	open("/etc/passwd", O_RDONLY);
}
static void execute(void)
{
	execl("/bin/true", "true", (char *)NULL);
}
static void make_process(void)
{
	fork();
}
static void send_signal(void)
{
	kill(getppid(), 0);
}
static void trace(void)
{
	ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}
static void get_error_of_another_level(void)
{
	int value;
	socklen_t len = sizeof(value);

	getsockopt(tcp, IPPROTO_TCP, SO_ERROR, &value, &len);
}
static void get_peer_credentials(void)
{
	char value[64];
	socklen_t len = sizeof(value);

	getsockopt(tcp, SOL_SOCKET, SO_PEERCRED, value, &len);
}
/* A datagram to anybody by a socket that is connected to an endpoint. */
static void send_to_another(void)
{
	struct sockaddr_in to = lockdown_target();

	sendto(tcp, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
}
static void send_message_by_fastopen(void)
{
	struct sockaddr_in to = lockdown_target();
	struct iovec part = {(char[]){'x'}, 1};
	struct msghdr m = {
	    .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &part, .msg_iovlen = 1};

	sendmsg(tcp, &m, MSG_FASTOPEN);
}
static void send_messages(void)
{
	struct mmsghdr m = {0};

	sendmmsg(tcp, &m, 1, MSG_FASTOPEN);
}
static void receive_message(void)
{
	struct msghdr m = {0};

	recvmsg(tcp, &m, MSG_DONTWAIT);
}

static const struct attack attacks[] = {
    {"connect_tcp", connect_tcp},
    {"connect_udp", connect_udp},
    {"connect_by_fastopen", connect_by_fastopen},
    {"socket_unix", socket_unix},
    {"socket_netlink", socket_netlink},
    {"socket_raw", socket_raw},
    {"socket_blocking", socket_blocking},
    {"set_mark", set_mark},
    {"set_device", set_device},
    {"set_filter", set_filter},
    {"set_reuseport", set_reuseport},
    {"set_fastopen_connect", set_fastopen_connect},
    {"set_repair", set_repair},
    {"set_ulp", set_ulp},
    {"set_transparent", set_transparent},
    {"set_tables", set_tables},
    {"get_error_of_another_level", get_error_of_another_level},
    {"get_peer_credentials", get_peer_credentials},
    {"get_tables", get_tables},
    {"send_to_another", send_to_another},
    {"send_message_by_fastopen", send_message_by_fastopen},
    {"send_messages", send_messages},
    {"receive_message", receive_message},
    {"open_file", open_file},
    {"execute", execute},
    {"make_process", make_process},
    {"send_signal", send_signal},
    {"trace", trace},
};
#define COUNT (sizeof(attacks) / sizeof(attacks[0]))

static void attacks_are_killed(void **state)
{
	(void)state;
	lockdown_check(attacks, COUNT);
}

/* What a relay does: it listens, accepts and sends, and answers datagrams. */
static int work(void)
{
	static const int on = 1;
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(here);
	struct msghdr m = {.msg_name = &here, .msg_namelen = len};
	int fd = socket(AF_INET, SOCK_STREAM | NO_WAIT, 0), accepted, udp;

	if (bind(fd, (struct sockaddr *)&here, len) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &len) != 0 ||
	    (connect(tcp, (struct sockaddr *)&here, len) != 0 && errno != EINPROGRESS))
		return 1;
	relay_lock_down();
	accepted = accept4(fd, NULL, NULL, NO_WAIT);
	if (accepted < 0 || send(accepted, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return 2;
	fd = socket(AF_INET6, SOCK_STREAM | NO_WAIT, 0);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return 3;
	udp = socket(AF_INET, SOCK_DGRAM | NO_WAIT, 0);
	if (setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
	    sendmsg(udp, &m, MSG_DONTWAIT | MSG_NOSIGNAL) != 0)
		return 4;
	return 42;
}

static void its_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(lockdown_ends("work"), 42);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(attacks_are_killed),
	    cmocka_unit_test(its_work_goes_on),
	};

	lockdown_self = argv[0];
	/* none of the numbers that the filter knows */
	tcp = fcntl(socket(AF_INET, SOCK_STREAM | NO_WAIT, 0), F_DUPFD, 50);
	if (argc == 2 && strcmp(argv[1], "work") == 0)
		return work();
	if (argc == 2)
		return lockdown_attack(argv[1], attacks, COUNT, relay_lock_down);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
