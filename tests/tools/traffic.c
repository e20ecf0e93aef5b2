/*
 * Requests without a pause through a node, and the servers that answer them, for tests of what
 * happens to traffic while rules are replaced.
 *
 * One process, one thread, sockets in many network namespaces. Commands are lines of standard
 * input:
 *
 *   server NETNS NAME PORT              answers on TCP and UDP, IPv4 and IPv6, with NAME
 *   flow GROUP KIND NETNS ADDRESS PORT  requests from NETNS; KIND is one of:
 *                                       new   a TCP connection per request
 *                                       kept  one TCP connection, kept open
 *                                       udp   UDP from a fresh source port per request
 *                                       port  UDP from one source port
 *   gone GROUP NAME     NAME is no endpoint of the group's Service any more: an answer of it to a
 *                       request that is sent from now on counts as misled (on TCP: if the
 *                       connection is opened from now on)
 *   back GROUP NAME     NAME is an endpoint again
 *   dead GROUP          the group's Service is deleted: any answer counts as misled, no failure
 * counts pause GROUP, resume GROUP report              prints one line of JSON: an object per flow
 *   quit                ends, as the end of standard input does
 *
 * A request that is answered by nobody, refused, reset or cut off is failed; on a connection that
 * had been answered on before, that is a broken connection, which is opened anew. A SYN or request
 * that had to be sent twice is counted as resent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

enum {
	MAX_FLOWS = 256,
	MAX_NAMES = 16,
	MAX_FDS = 4096,
	NAME_SIZE = 16, /* an answer is as long */
	REQUEST_SIZE = 8,
	PERIOD_MS = 30,
	OWN_PORTS = 12000, /* below those that the kernel chooses: ... */
	OWN_RANGES = 60,   /* ... of MAX_FLOWS each */
	TCP_TIMEOUT_MS = 10000,
	UDP_TIMEOUT_MS = 4000, /* nobody sends a datagram twice */
};

enum kind { TCP_NEW, TCP_KEPT, UDP_NEW, UDP_PORT };
static const char *const kinds[] = {"new", "kept", "udp", "port"};

struct flow {
	char group[NAME_SIZE];
	enum kind kind;
	int netns;
	struct sockaddr_in6 to; /* or the smaller sockaddr_in */
	socklen_t to_len;
	char label[160];

	int fd;
	bool waiting; /* for a connection or an answer */
	bool used;    /* this connection has been answered on */
	bool paused, dead;
	uint16_t gone;	  /* bit per name: no endpoint any more */
	uint16_t gone_at; /* what `gone` was when the request, or its connection, began */
	bool dead_at;
	size_t have; /* bytes of the answer */
	char answer[NAME_SIZE];
	int64_t due; /* of the next request, or of the answer */

	uint64_t sent, answered, failed, misled, broken, resent;
	uint64_t silent;	  /* requests in a row without an answer */
	uint64_t last[MAX_NAMES]; /* the number of the last answer of each name */
	char why[200];		  /* of the first failure */
};

enum what { NOTHING, A_FLOW, A_LISTENER, A_CONNECTION, A_UDP_SERVER };
static struct {
	enum what what;
	size_t index; /* of a flow, or of a server's name */
} fds[MAX_FDS];

static struct flow flows[MAX_FLOWS];
static size_t flow_count;
static char names[MAX_NAMES][NAME_SIZE];
static size_t name_count;
static int epoll_fd;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static size_t name_index(const char *name)
{
	size_t i = 0;

	while (i < name_count && strcmp(names[i], name) != 0)
		i++;
	if (i == MAX_NAMES)
		fatal(1, "more than %d names", MAX_NAMES);
	if (i == name_count)
		snprintf(names[name_count++], NAME_SIZE, "%s", name);
	return i;
}

static int open_netns(const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fatal(1, "%s: %s", path, strerror(errno));
	return fd;
}

static int socket_in(int netns, int family, int type)
{
	int fd;

	if (setns(netns, CLONE_NEWNET) != 0)
		fatal(1, "setns: %s", strerror(errno));
	fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || fd >= MAX_FDS)
		fatal(1, "socket: %s", fd < 0 ? strerror(errno) : "too many");
	return fd;
}

static void watch(int fd, enum what what, size_t index, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		fatal(1, "epoll_ctl: %s", strerror(errno));
	fds[fd].what = what;
	fds[fd].index = index;
}

static void forget(int fd)
{
	fds[fd].what = NOTHING;
	close(fd);
}

/* --- servers --- */

static void server_start(const char *netns, const char *name, uint16_t port)
{
	const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const int ns = open_netns(netns), on = 1;

	for (int udp = 0; udp < 2; udp++) {
		int fd = socket_in(ns, AF_INET6, udp ? SOCK_DGRAM : SOCK_STREAM);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0 ||
		    (!udp && listen(fd, 512) != 0))
			fatal(1, "%s: port %u: %s", netns, port, strerror(errno));
		watch(fd, udp ? A_UDP_SERVER : A_LISTENER, name_index(name), EPOLLIN);
	}
	close(ns);
}

static void server_accept(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= MAX_FDS)
			fatal(1, "too many connections");
		watch(fd, A_CONNECTION, fds[listener].index, EPOLLIN);
	}
}

/* Requests have a fixed size and never wait for one another, so one read() has one whole. */
static void server_answer(int fd)
{
	char request[REQUEST_SIZE];
	ssize_t n = read(fd, request, sizeof(request));

	if (n == sizeof(request))
		n = write(fd, names[fds[fd].index], NAME_SIZE);
	else if (n < 0 && errno == EAGAIN)
		return;
	else
		n = 0;
	if (n != NAME_SIZE)
		forget(fd);
}

static void server_answer_udp(int fd)
{
	char request[REQUEST_SIZE];
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);

	while (recvfrom(fd, request, sizeof(request), 0, (struct sockaddr *)&peer, &len) >= 0) {
		if (sendto(fd, names[fds[fd].index], NAME_SIZE, 0, (const struct sockaddr *)&peer,
			len) < 0)
			return;
		len = sizeof(peer);
	}
}

/* --- flows --- */

static bool is_tcp(const struct flow *f)
{
	return f->kind == TCP_NEW || f->kind == TCP_KEPT;
}

static void note_resent(struct flow *f)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (is_tcp(f) && getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	    info.tcpi_total_retrans > 0)
		f->resent++;
}

/* With a reset: no port of a client stays in TIME-WAIT. */
static void flow_close(struct flow *f)
{
	const struct linger l = {.l_onoff = 1};

	if (f->fd < 0)
		return;
	note_resent(f);
	if (is_tcp(f))
		setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	forget(f->fd);
	f->fd = -1;
	f->used = false;
}

static void flow_rest(struct flow *f)
{
	f->waiting = false;
	f->due = now_ms() + PERIOD_MS;
}

static void flow_fail(struct flow *f, const char *what)
{
	f->silent++;
	if (!f->dead) {
		f->failed++;
		f->broken += f->kind == TCP_KEPT && f->used;
		if (f->why[0] == '\0') {
			struct timespec t;
			struct tm tm;

			clock_gettime(CLOCK_REALTIME, &t);
			gmtime_r(&t.tv_sec, &tm);
			snprintf(f->why, sizeof(f->why), "%02d:%02d:%02d.%03d request %llu%s: %s",
			    tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(t.tv_nsec / 1000000),
			    (unsigned long long)f->sent, f->used ? " on an old connection" : "",
			    what);
		}
	}
	flow_close(f);
	flow_rest(f);
}

static void flow_answered(struct flow *f)
{
	size_t who = 0;

	while (who < name_count && memcmp(names[who], f->answer, NAME_SIZE) != 0)
		who++;
	if (who == name_count) {
		flow_fail(f, "an answer of none of the servers");
		return;
	}
	f->answered++;
	f->silent = 0;
	f->used = true;
	f->last[who] = f->answered;
	if (f->dead_at || (f->gone_at & 1u << who) != 0)
		f->misled++;
	f->have = 0;
	if (f->kind == TCP_NEW || f->kind == UDP_NEW)
		flow_close(f);
	flow_rest(f);
}

static void flow_send(struct flow *f)
{
	static const char request[REQUEST_SIZE] = "request";

	if (!is_tcp(f)) {
		f->gone_at = f->gone;
		f->dead_at = f->dead;
	}
	if (write(f->fd, request, sizeof(request)) != sizeof(request))
		flow_fail(f, strerror(errno));
}

/*
 * What stays has a source port that no other flow has: IPVS knows the answers of a server by the
 * client's port alone, so that a second flow from it takes those of the first one. Connections of
 * the program's last run may still wait for their end. After a failure the kernel chooses, for it
 * may remember the packet that nobody answered.
 */
static void flow_bind(const struct flow *f)
{
	struct sockaddr_in6 from = {.sin6_family = f->to.sin6_family};

	if ((f->kind != TCP_KEPT && f->kind != UDP_PORT) || f->silent > 0)
		return;
	for (int k = 0; k < OWN_RANGES; k++) {
		const int range = (getpid() + k) % OWN_RANGES;

		from.sin6_port = htons((uint16_t)(OWN_PORTS + range * MAX_FLOWS + (f - flows)));
		if (bind(f->fd, (const struct sockaddr *)&from, f->to_len) == 0)
			return;
	}
	fatal(1, "no port is free for %s: %s", f->label, strerror(errno));
}

static void flow_begin(struct flow *f)
{
	const bool fresh = f->fd < 0;

	f->sent++;
	f->waiting = true;
	f->have = 0;
	f->due = now_ms() + (is_tcp(f) ? TCP_TIMEOUT_MS : UDP_TIMEOUT_MS);
	if (fresh) {
		f->gone_at = f->gone;
		f->dead_at = f->dead;
		f->fd =
		    socket_in(f->netns, f->to.sin6_family, is_tcp(f) ? SOCK_STREAM : SOCK_DGRAM);
		watch(f->fd, A_FLOW, (size_t)(f - flows), EPOLLIN | (is_tcp(f) ? EPOLLOUT : 0u));
		if (!is_tcp(f)) { /* every ICMP error ends a request */
			const int on = 1;

			if (f->to.sin6_family == AF_INET)
				setsockopt(f->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
			else
				setsockopt(f->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
		}
		flow_bind(f);
		if (connect(f->fd, (const struct sockaddr *)&f->to, f->to_len) != 0 &&
		    errno != EINPROGRESS) {
			flow_fail(f, strerror(errno));
			return;
		}
		if (is_tcp(f))
			return; /* it is sent when the connection is there */
	}
	flow_send(f);
}

static void flow_event(struct flow *f, uint32_t events)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = f->fd};
	int error = 0;
	socklen_t len = sizeof(error);
	ssize_t n;

	getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		flow_fail(f, strerror(error));
		return;
	}
	if ((events & EPOLLOUT) != 0) {
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, f->fd, &e);
		flow_send(f);
		return;
	}
	n = read(f->fd, f->answer + f->have, NAME_SIZE - f->have);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		flow_fail(f, n == 0 ? "connection closed" : strerror(errno));
		return;
	}
	f->have += (size_t)n;
	if (f->have == NAME_SIZE && f->waiting)
		flow_answered(f);
}

static void flow_add(
    const char *group, const char *kind, const char *netns, const char *address, uint16_t port)
{
	struct flow *f = &flows[flow_count];
	struct sockaddr_in *four = (struct sockaddr_in *)&f->to;

	if (flow_count == MAX_FLOWS)
		fatal(1, "more than %d flows", MAX_FLOWS);
	memset(f, 0, sizeof(*f));
	snprintf(f->group, sizeof(f->group), "%s", group);
	snprintf(
	    f->label, sizeof(f->label), "%s from %s to %s port %u", kind, netns, address, port);
	while (strcmp(kinds[f->kind], kind) != 0)
		if (++f->kind > UDP_PORT)
			fatal(1, "flow: unknown kind %s", kind);
	f->netns = open_netns(netns);
	f->fd = -1;
	if (inet_pton(AF_INET6, address, &f->to.sin6_addr) == 1) {
		f->to.sin6_family = AF_INET6;
		f->to.sin6_port = htons(port);
		f->to_len = sizeof(f->to);
	} else if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		f->to_len = sizeof(*four);
	} else {
		fatal(1, "flow: no address: %s", address);
	}
	flow_count++;
	f->due = now_ms() + (int64_t)(flow_count % PERIOD_MS);
}

/* Starts what is due; returns the milliseconds until more is. */
static int flows_tick(void)
{
	static int64_t expected; /* when the last tick wanted this one at the latest */
	int64_t now = now_ms(), next = now + 1000;
	/* While this process did not run, neither did its servers. */
	const int64_t late = expected != 0 && now > expected ? now - expected : 0;

	for (size_t i = 0; i < flow_count; i++) {
		struct flow *f = &flows[i];

		if (f->waiting)
			f->due += late;
		if (f->due <= now && f->waiting)
			flow_fail(f, "no answer");
		else if (f->due <= now && !f->paused)
			flow_begin(f);
		if ((f->waiting || !f->paused) && f->due < next)
			next = f->due;
	}
	now = now_ms();
	expected = next > now ? next : now;
	return (int)(expected - now);
}

/* --- commands --- */

static void report(void)
{
	for (size_t i = 0; i < flow_count; i++) {
		const struct flow *f = &flows[i];

		printf("%s{\"group\":\"%s\",\"kind\":\"%s\",\"label\":\"%s\",\"sent\":%llu,"
		       "\"answered\":%llu,\"failed\":%llu,\"misled\":%llu,\"broken\":%llu,"
		       "\"resent\":%llu,\"silent\":%llu,\"why\":\"%s\",\"last\":{",
		    i == 0 ? "[" : ",", f->group, kinds[f->kind], f->label,
		    (unsigned long long)f->sent, (unsigned long long)f->answered,
		    (unsigned long long)f->failed, (unsigned long long)f->misled,
		    (unsigned long long)f->broken, (unsigned long long)f->resent,
		    (unsigned long long)f->silent, f->why);
		for (size_t n = 0; n < name_count; n++)
			printf("%s\"%s\":%llu", n == 0 ? "" : ",", names[n],
			    (unsigned long long)f->last[n]);
		printf("}}");
	}
	printf("%s]\n", flow_count == 0 ? "[" : "");
	fflush(stdout);
}

static void set_group(const char *verb, const char *group, const char *name)
{
	for (size_t i = 0; i < flow_count; i++) {
		struct flow *f = &flows[i];

		if (strcmp(f->group, group) != 0)
			continue;
		if (strcmp(verb, "gone") == 0)
			f->gone |= (uint16_t)(1u << name_index(name));
		else if (strcmp(verb, "back") == 0)
			f->gone &= (uint16_t) ~(1u << name_index(name));
		else if (strcmp(verb, "dead") == 0)
			f->dead = true;
		else if (strcmp(verb, "forget") == 0)
			f->why[0] = '\0';
		else if (strcmp(verb, "live") == 0)
			f->dead = false;
		else
			f->paused = strcmp(verb, "pause") == 0;
	}
}

/* False at the end. */
static bool command(char *line)
{
	char *word[6] = {NULL}, *state = NULL;
	size_t n = 0;

	for (char *w = strtok_r(line, " \n", &state); w != NULL && n < 6;
	     w = strtok_r(NULL, " \n", &state))
		word[n++] = w;
	if (n == 4 && strcmp(word[0], "server") == 0)
		server_start(word[1], word[2], (uint16_t)atoi(word[3]));
	else if (n == 6 && strcmp(word[0], "flow") == 0)
		flow_add(word[1], word[2], word[3], word[4], (uint16_t)atoi(word[5]));
	else if (n == 1 && strcmp(word[0], "report") == 0)
		report();
	else if (n == 1 && strcmp(word[0], "quit") == 0)
		return false;
	else if (n == 2 || n == 3)
		set_group(word[0], word[1], n == 3 ? word[2] : "");
	else
		fatal(1, "unknown command %s", n > 0 ? word[0] : "");
	return true;
}

/* Reads what is there; returns false at the end of it. */
static bool commands(void)
{
	static char buffer[65536];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, buffer + have, sizeof(buffer) - 1 - have);
	char *line = buffer, *end;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	have += (size_t)n;
	buffer[have] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		if (!command(line))
			return false;
		line = end + 1;
	}
	have = strlen(line);
	memmove(buffer, line, have);
	return true;
}

int main(void)
{
	struct epoll_event events[64];

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	watch(STDIN_FILENO, NOTHING, 0, EPOLLIN);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 64, flows_tick());

		for (int i = 0; i < n; i++) {
			const int fd = events[i].data.fd;

			if (fd == STDIN_FILENO) {
				if (!commands())
					return 0;
			} else if (fds[fd].what == A_FLOW) {
				flow_event(&flows[fds[fd].index], events[i].events);
			} else if (fds[fd].what == A_LISTENER) {
				server_accept(fd);
			} else if (fds[fd].what == A_CONNECTION) {
				server_answer(fd);
			} else if (fds[fd].what == A_UDP_SERVER) {
				server_answer_udp(fd);
			}
		}
	}
}
