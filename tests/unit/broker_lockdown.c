/* A broker that was taken over connects where it likes; every other way out of it, tried behind its
 * real filter.
 */
#include "tests/unit/lockdown.h"

#include "broker/lockdown.h"
#include "ipc/fds.h"

static int tcp = -1; /* as it was before the attack */

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

static void listen_tcp(void)
{
	listen(tcp, 8);
}
static void bind_tcp(void)
{
	struct sockaddr_in here = lockdown_target();

	bind(tcp, (struct sockaddr *)&here, sizeof(here));
}
static void accept_tcp(void)
{
	accept4(tcp, NULL, NULL, NO_WAIT);
}
static void write_to_endpoint(void)
{
	if (write(tcp, "x", 1) < 0)
		return;
}
static void read_from_endpoint(void)
{
	char c;

	if (read(tcp, &c, 1) < 0)
		return;
}
static void receive_from_endpoint(void)
{
	char c;

	recv(tcp, &c, 1, MSG_DONTWAIT);
}
static void splice_endpoints(void)
{
	splice(tcp, NULL, tcp, NULL, 1, 0);
}
static void send_plainly(void)
{
	send(tcp, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
static void get_option(void)
{
	int value;
	socklen_t len = sizeof(value);

	getsockopt(tcp, SOL_SOCKET, SO_ERROR, &value, &len);
}

static const struct attack attacks[] = {
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
    {"get_tables", get_tables},
    {"get_option", get_option},
    {"send_to_another", send_to_another},
    {"send_message_by_fastopen", send_message_by_fastopen},
    {"send_messages", send_messages},
    {"receive_message", receive_message},
    {"listen_tcp", listen_tcp},
    {"bind_tcp", bind_tcp},
    {"accept_tcp", accept_tcp},
    {"write_to_endpoint", write_to_endpoint},
    {"read_from_endpoint", read_from_endpoint},
    {"receive_from_endpoint", receive_from_endpoint},
    {"splice_endpoints", splice_endpoints},
    {"send_plainly", send_plainly},
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

/* What a broker does: it connects, and hands the socket on. */
static int work(void)
{
	static const int on = 1;
	struct sockaddr_in to = lockdown_target();
	struct iovec part = {(char[]){'x'}, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	int sv[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) != 0 ||
	    dup2(sv[0], BROKER_FD_DIAL) != BROKER_FD_DIAL)
		return 1;
	broker_lock_down();
	fd = socket(AF_INET, SOCK_STREAM | NO_WAIT, 0);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return 2;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS &&
	    errno != ECONNREFUSED && errno != ENETUNREACH)
		return 3;
	return sendmsg(BROKER_FD_DIAL, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 42 : 4;
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
		return lockdown_attack(argv[1], attacks, COUNT, broker_lock_down);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
