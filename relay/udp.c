#include "relay/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "relay/address.h"

#define SLOTS	 4096 /* a power of two */
#define BATCH	 16   /* datagrams taken at once */
#define DATAGRAM 65536
#define HELD_MAX 8 /* datagrams of a flow that wait for its socket */

union pktinfo {
	struct in_pktinfo in4;
	struct in6_pktinfo in6;
};
union control {
	char buf[CMSG_SPACE(sizeof(union pktinfo))];
	struct cmsghdr align;
};

/* What tells one flow from another: the client, and the address of ours that it asked. */
struct flow_key {
	struct relay_flows *relay;
	struct ip_addr client, asked;
	uint16_t port;
	uint8_t zero[4];
};

struct held {
	STAILQ_ENTRY(held) next;
	size_t len;
	char data[];
};

struct relay_flow {
	struct relay_object object; /* the first member */
	struct relay_udp *udp;
	struct relay_fd io; /* connected to the endpoint; -1: the broker has been asked for it */
	struct dial dial;
	STAILQ_HEAD(, held) held; /* until then */
	unsigned held_count;
	int relay_fd;
	struct flow_key key;
	struct relay_endpoint endpoint;
	uint64_t used_ms;
	struct relay_flow *chain; /* in its slot */
	TAILQ_ENTRY(relay_flow) by_use;
	LIST_ENTRY(relay_flow) of_relay;
};

struct relay_udp {
	struct relay_poll *poll;
	struct dialer *dialer;
	struct relay_fds *fds;
	struct siphash_key hash_key;
	uint64_t idle_ms;
	struct event *timer;
	unsigned count;
	TAILQ_HEAD(, relay_flow) by_use; /* the longest idle first */
	struct relay_flow *slots[SLOTS];
	/* scratch */
	struct mmsghdr heads[BATCH];
	struct iovec parts[BATCH];
	struct relay_address from[BATCH];
	union control controls[BATCH];
	char data[BATCH][DATAGRAM];
};

/* --- flows --- */

static struct relay_flow **find(struct relay_udp *u, const struct flow_key *key)
{
	struct relay_flow **at;
	struct siphash s;

	siphash_init(&s, &u->hash_key);
	siphash_update(&s, key, sizeof(*key));
	at = &u->slots[siphash_final(&s) & (SLOTS - 1)];
	while (*at != NULL && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->chain;
	return at;
}

static void drop_held(struct relay_flow *f)
{
	struct held *h;

	while ((h = STAILQ_FIRST(&f->held)) != NULL) {
		STAILQ_REMOVE_HEAD(&f->held, next);
		free(h);
	}
	f->held_count = 0;
}

static void flow_close(struct relay_flow *f)
{
	struct relay_udp *u = f->udp;
	struct relay_flow **at = find(u, &f->key);

	*at = f->chain;
	TAILQ_REMOVE(&u->by_use, f, by_use);
	LIST_REMOVE(f, of_relay);
	u->count--;
	dial_cancel(u->dialer, &f->dial);
	drop_held(f);
	relay_poll_close(u->poll, &f->io);
	relay_fds_give(u->fds, 1);
	relay_poll_free(u->poll, &f->object);
}

static void touch(struct relay_flow *f)
{
	f->used_ms = relay_poll_now(f->udp->poll);
	TAILQ_REMOVE(&f->udp->by_use, f, by_use);
	TAILQ_INSERT_TAIL(&f->udp->by_use, f, by_use);
}

static void start_timer(struct relay_udp *u)
{
	const struct relay_flow *first = TAILQ_FIRST(&u->by_use);
	uint64_t now = relay_poll_now(u->poll), end, ms;
	struct timeval tv;

	if (first == NULL)
		return;
	end = first->used_ms + u->idle_ms;
	ms = end > now ? end - now : 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	event_add(u->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relay_udp *u = arg;
	uint64_t now = relay_poll_now(u->poll);
	struct relay_flow *f;

	(void)fd;
	(void)what;
	while ((f = TAILQ_FIRST(&u->by_use)) != NULL && now - f->used_ms >= u->idle_ms)
		flow_close(f);
	start_timer(u);
}

/* --- answers --- */

static void set_source(struct msghdr *m, union control *control, const struct ip_addr *a)
{
	bool v4 = a->family == FAMILY_4;
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	m->msg_control = control->buf;
	m->msg_controllen =
	    v4 ? CMSG_SPACE(sizeof(struct in_pktinfo)) : CMSG_SPACE(sizeof(struct in6_pktinfo));
	c = CMSG_FIRSTHDR(m);
	if (v4) {
		struct in_pktinfo info = {0};

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(&info.ipi_spec_dst, a->b, sizeof(info.ipi_spec_dst));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {0};

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(&info.ipi6_addr, a->b, sizeof(info.ipi6_addr));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

/* To the client, as if from where it asked. A datagram that cannot be sent is lost, as on a wire.
 */
static void answer(struct relay_flow *f, size_t len)
{
	struct relay_udp *u = f->udp;
	struct relay_address to;
	union control control;
	struct iovec part = {u->data[0], len};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

	relay_address_set(&to, &f->key.client, f->key.port);
	m.msg_name = &to.sa;
	m.msg_namelen = to.len;
	set_source(&m, &control, &f->key.asked);
	sendmsg(f->relay_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_answer(struct relay_fd *io, uint32_t events)
{
	struct relay_flow *f = (void *)((char *)io - offsetof(struct relay_flow, io));

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(io->fd, f->udp->data[0], DATAGRAM, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) { /* refused: the client's next datagram begins a flow to another */
			flow_close(f);
			return;
		}
		answer(f, (size_t)n);
	}
	touch(f);
}

/* --- what clients send --- */

/* A descriptor for one flow more: the longest idle one's if there is no other. */
static bool make_room(struct relay_udp *u)
{
	if (u->count == RELAY_FLOWS_MAX)
		flow_close(TAILQ_FIRST(&u->by_use));
	if (relay_fds_take(u->fds, 1))
		return true;
	if (TAILQ_EMPTY(&u->by_use))
		return false;
	flow_close(TAILQ_FIRST(&u->by_use));
	return relay_fds_take(u->fds, 1);
}

/* To the endpoint; a datagram that cannot be sent is lost. False: F is closed, as in on_answer().
 */
static bool send_on(struct relay_flow *f, const void *data, size_t len)
{
	if (send(f->io.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ECONNREFUSED)
		return true;
	flow_close(f);
	return false;
}

static void hold(struct relay_flow *f, const void *data, size_t len)
{
	struct held *h = f->held_count < HELD_MAX ? malloc(sizeof(*h) + len) : NULL;

	if (h == NULL)
		return;
	h->len = len;
	memcpy(h->data, data, len);
	STAILQ_INSERT_TAIL(&f->held, h, next);
	f->held_count++;
}

/* The broker has answered. */
static void dialed(struct dial *d, int fd)
{
	struct relay_flow *f = (void *)((char *)d - offsetof(struct relay_flow, dial));
	const struct held *h;

	f->io.fd = fd;
	if (fd < 0 || relay_poll_add(f->udp->poll, &f->io, EPOLLIN) != 0) {
		flow_close(f);
		return;
	}
	STAILQ_FOREACH(h, &f->held, next)
	if (!send_on(f, h->data, h->len))
		return;
	drop_held(f);
}

/* NULL: the datagram is lost. */
static struct relay_flow *flow_new(struct relay_udp *u, const struct flow_key *key, int relay_fd,
    uint32_t relay, struct balance *b)
{
	struct relay_endpoint e;
	struct relay_flow *f, **at;

	if (!balance_choose(b, &key->client, false, relay_poll_now(u->poll), &e) || !make_room(u))
		return NULL;
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		relay_fds_give(u->fds, 1);
		return NULL;
	}
	f->io = (struct relay_fd){.fd = -1, .ready = on_answer};
	f->dial.done = dialed;
	STAILQ_INIT(&f->held);
	f->udp = u;
	f->relay_fd = relay_fd;
	f->key = *key;
	f->endpoint = e;
	at = find(u, key);
	*at = f;
	TAILQ_INSERT_TAIL(&u->by_use, f, by_use);
	LIST_INSERT_HEAD(key->relay, f, of_relay);
	u->count++;
	touch(f);
	if (!event_pending(u->timer, EV_TIMEOUT, NULL))
		start_timer(u);
	dial_start(u->dialer, &f->dial, relay, &e);
	return f;
}

/* Which of our addresses it came to. */
static bool asked_address(struct msghdr *m, struct ip_addr *a)
{
	memset(a, 0, sizeof(*a));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			a->family = FAMILY_4;
			memcpy(a->b, &info.ipi_addr, sizeof(info.ipi_addr));
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			a->family = FAMILY_6;
			memcpy(a->b, &info.ipi6_addr, sizeof(info.ipi6_addr));
			return true;
		}
	}
	return false;
}

static void pass_on(struct relay_udp *u, int i, int relay_fd, uint32_t relay, struct balance *b,
    struct relay_flows *flows)
{
	struct flow_key key;
	struct relay_flow *f;

	memset(&key, 0, sizeof(key)); /* it is compared as memory */
	key.relay = flows;
	relay_address_get(&u->from[i], &key.client, &key.port);
	if (!asked_address(&u->heads[i].msg_hdr, &key.asked))
		return;
	f = *find(u, &key);
	if (f == NULL)
		f = flow_new(u, &key, relay_fd, relay, b);
	if (f == NULL)
		return;
	touch(f);
	if (f->io.fd < 0)
		hold(f, u->data[i], u->heads[i].msg_len);
	else
		send_on(f, u->data[i], u->heads[i].msg_len);
}

void relay_udp_receive(
    struct relay_udp *u, int fd, uint32_t relay, struct balance *b, struct relay_flows *flows)
{
	int n;

	for (int i = 0; i < BATCH; i++) {
		u->parts[i] = (struct iovec){u->data[i], DATAGRAM};
		u->heads[i].msg_hdr = (struct msghdr){.msg_name = &u->from[i].sa,
		    .msg_namelen = sizeof(u->from[i].in6),
		    .msg_iov = &u->parts[i],
		    .msg_iovlen = 1,
		    .msg_control = u->controls[i].buf,
		    .msg_controllen = sizeof(u->controls[i].buf)};
	}
	n = recvmmsg(fd, u->heads, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		pass_on(u, i, fd, relay, b, flows);
}

/* --- the outside --- */

int relay_udp_prepare(int fd, uint8_t family)
{
	static const int on = 1;

	if (family == FAMILY_4)
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

void relay_udp_prune(struct relay_udp *u, struct relay_flows *flows, const struct balance *b)
{
	struct relay_flow *f, *next;

	(void)u;
	for (f = LIST_FIRST(flows); f != NULL; f = next) {
		next = LIST_NEXT(f, of_relay);
		if (b == NULL || !balance_has(b, &f->endpoint))
			flow_close(f);
	}
}

struct relay_udp *relay_udp_new(struct event_base *base, struct relay_poll *poll,
    struct dialer *dialer, struct relay_fds *fds, const struct siphash_key *key, uint64_t idle_ms)
{
	struct relay_udp *u = calloc(1, sizeof(*u));

	if (u == NULL || (u->timer = evtimer_new(base, on_timer, u)) == NULL)
		fatal(EXIT_FAILED, "relays: out of memory");
	u->poll = poll;
	u->dialer = dialer;
	u->fds = fds;
	u->hash_key = *key;
	u->idle_ms = idle_ms;
	TAILQ_INIT(&u->by_use);
	return u;
}
