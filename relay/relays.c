#include "relay/relays.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "ipc/objects.h"
#include "ipc/relay_list.h"
#include "relay/address.h"
#include "relay/balance.h"
#include "relay/descriptors.h"
#include "relay/listen.h"
#include "relay/poll.h"
#include "relay/pump.h"
#include "relay/tcp.h"
#include "relay/udp.h"

#define RETRY_SECONDS 5
#define ACCEPT_BATCH  64

struct relay {
	struct relay_object object; /* the first member */
	struct relays *all;
	struct relay_open what;
	struct relay_fd io; /* -1: it listens nowhere ... */
	bool paused;	    /* ... or does, but nobody is accepted */
	uint16_t port;
	struct balance balance;
	struct relay_flows flows;
	LIST_ENTRY(relay) next; /* of those that listen nowhere, or are paused */
};

struct relays {
	struct channel *planner;
	struct relay_poll *poll;
	struct relay_fds fds;
	struct relay_tcp *tcp;
	struct relay_udp *udp;
	const struct node_policy *policy; /* no endpoint is outside it, whatever the planner says */
	struct relay_ports range;
	struct relay_taken taken;
	struct balance_table clients;
	struct event *retry;
	LIST_HEAD(, relay) deaf;
	int told[FAMILY_COUNT]; /* why one listens nowhere, as the log knows */
	struct relay *by_id[RELAYS_MAX];
	/* a list of endpoints on its way */
	struct relay_list coming;
	/* scratch */
	struct relay_open open;
	struct relay_backends backends;
	struct frame frame;
};

/* --- listening --- */

static void start_retry(struct relays *r)
{
	const struct timeval again = {RETRY_SECONDS, 0};

	if (!event_pending(r->retry, EV_TIMEOUT, NULL) && event_add(r->retry, &again) != 0)
		fatal(EXIT_FAILED, "relays: out of memory for a timer");
}

/* Out of descriptors or memory: a pause, or the same event would come at once. */
static void pause_relay(struct relay *l)
{
	log_warn("relays: accept for %s: %s; pausing %d s", l->what.name, strerror(errno),
	    RETRY_SECONDS);
	relay_poll_remove(l->all->poll, &l->io);
	l->paused = true;
	LIST_INSERT_HEAD(&l->all->deaf, l, next);
	start_retry(l->all);
}

static void on_connection(struct relay_fd *io, uint32_t events)
{
	struct relay *l = (void *)((char *)io - offsetof(struct relay, io));

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct relay_address from = {.len = sizeof(from.in6)};
		struct ip_addr client;
		uint16_t port;
		int fd = accept4(io->fd, &from.sa, &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			pause_relay(l);
			return;
		}
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0) /* the client was gone before */
			continue;
		relay_address_get(&from, &client, &port);
		relay_tcp_accepted(l->all->tcp, fd, l->what.id, &l->balance, &client);
	}
}

static void on_datagram(struct relay_fd *io, uint32_t events)
{
	struct relay *l = (void *)((char *)io - offsetof(struct relay, io));

	(void)events; /* level-triggered: what is left comes again */
	relay_udp_receive(l->all->udp, io->fd, l->what.id, &l->balance, &l->flows);
}

/* Said once, as long as the reason is the same. */
static void tell(struct relay *l)
{
	int error = errno;

	if (l->what.port == 0 && error == l->all->told[l->what.family])
		return;
	if (l->what.port == 0)
		l->all->told[l->what.family] = error;
	if (l->what.port != 0)
		log_warn("relays: node port %u of %s does not answer on the %s loopback address: "
			 "%s; trying again every %d s",
		    l->what.port, l->what.name, l->what.family == FAMILY_4 ? "IPv4" : "IPv6",
		    strerror(error), RETRY_SECONDS);
	else
		log_error("relays: no port of %u to %u (--proxy-port-range) for %s, %s: %s; trying "
			  "again every %d s",
		    l->all->range.low, l->all->range.high, l->what.name,
		    l->what.family == FAMILY_4 ? "IPv4" : "IPv6", strerror(error), RETRY_SECONDS);
}

/* Listens. False, with errno, if it cannot now. */
static bool start(struct relay *l)
{
	struct relays *r = l->all;

	if (!relay_fds_take(&r->fds, 1)) {
		errno = EMFILE;
		return false;
	}
	l->io.fd = relay_listen(&r->taken, &r->range, &l->what, &l->port);
	if (l->io.fd >= 0 && relay_poll_add(r->poll, &l->io, EPOLLIN) == 0)
		return true;
	if (l->io.fd >= 0) {
		relay_listen_end(&r->taken, &l->what, l->port);
		relay_poll_close(r->poll, &l->io);
	}
	relay_fds_give(&r->fds, 1);
	return false;
}

static void answer(struct relay *l)
{
	relay_encode_port(&l->all->frame, l->what.id, l->io.fd >= 0 ? l->port : 0);
	channel_send(l->all->planner, &l->all->frame);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct relays *r = arg;
	struct relay *l, *next;

	(void)fd;
	(void)what;
	for (l = LIST_FIRST(&r->deaf); l != NULL; l = next) {
		next = LIST_NEXT(l, next);
		if (l->paused ? relay_poll_add(r->poll, &l->io, EPOLLIN) != 0 : !start(l))
			continue;
		LIST_REMOVE(l, next);
		if (!l->paused)
			answer(l);
		l->paused = false;
	}
	if (!LIST_EMPTY(&r->deaf))
		start_retry(r);
}

/* --- what the planner says --- */

static const char *on_open(struct relays *r, struct cursor *c)
{
	const char *why = relay_decode_open(c, &r->open);
	struct relay *l;

	if (why == NULL && r->by_id[r->open.id] != NULL)
		why = "a relay that is open already";
	if (why == NULL && r->open.port == 0 && r->range.low == 0)
		why = "a relay that this mode does not redirect to";
	if (why != NULL)
		return why;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		fatal(EXIT_FAILED, "relays: out of memory");
	l->all = r;
	l->what = r->open;
	l->io = (struct relay_fd){
	    .fd = -1, .ready = l->what.proto == PROTO_TCP ? on_connection : on_datagram};
	LIST_INIT(&l->flows);
	balance_init(&l->balance, &r->clients, l->what.id * UINT32_C(2654435761));
	r->by_id[l->what.id] = l;
	if (!start(l)) {
		tell(l);
		LIST_INSERT_HEAD(&r->deaf, l, next);
		start_retry(r);
	}
	answer(l);
	return NULL;
}

static const char *on_close(struct relays *r, struct cursor *c)
{
	uint32_t id;
	const char *why = relay_decode_close(c, &id);
	struct relay *l;

	if (why == NULL && (r->by_id[id] == NULL || (r->coming.open && r->coming.id == id)))
		why = "the end of a relay that is not open";
	if (why != NULL)
		return why;
	l = r->by_id[id];
	r->by_id[id] = NULL;
	relay_tcp_forget(r->tcp, &l->balance);
	relay_udp_prune(r->udp, &l->flows, NULL);
	balance_clear(&l->balance);
	if (l->io.fd < 0 || l->paused)
		LIST_REMOVE(l, next);
	if (l->io.fd >= 0) {
		relay_listen_end(&r->taken, &l->what, l->port);
		relay_fds_give(&r->fds, 1);
	}
	relay_poll_close(r->poll, &l->io);
	relay_poll_free(r->poll, &l->object);
	return NULL;
}

static const char *on_backends(struct relays *r, struct cursor *c)
{
	struct relay_backends *b = &r->backends;
	const char *why = relay_decode_backends(c, b);
	struct relay *l;

	if (why == NULL)
		why = relay_backends_allowed(b, r->policy);
	if (why == NULL && r->by_id[b->id] == NULL)
		why = "endpoints of a relay that is not open";
	if (why == NULL)
		why = relay_list_add(&r->coming, b);
	if (why != NULL || !b->last)
		return why;
	l = r->by_id[b->id];
	balance_set(&l->balance, r->coming.endpoints, r->coming.count, b->affinity_seconds);
	relay_udp_prune(r->udp, &l->flows, &l->balance);
	r->coming = (struct relay_list){0};
	return NULL;
}

const char *relays_message(struct relays *r, unsigned type, struct cursor *c)
{
	switch (type) {
	case RELAY_PROXY_PORT_OPEN:
		return on_open(r, c);
	case RELAY_BACKENDS:
		return on_backends(r, c);
	case RELAY_PROXY_PORT_CLOSE:
		return on_close(r, c);
	default:
		return "an unknown message type";
	}
}

/* --- set-up --- */

struct relays *relays_new(struct event_base *base, const struct config *cfg,
    struct channel *planner, int dial, unsigned fds)
{
	struct relays *r = calloc(1, sizeof(*r));
	struct dialer *dialer = dialer_new(base, dial);

	if (r == NULL || (r->retry = evtimer_new(base, on_retry, r)) == NULL)
		fatal(EXIT_FAILED, "relays: out of memory");
	balance_table_init(&r->clients, &cfg->key);
	r->planner = planner;
	r->policy = &cfg->policy;
	r->range = relay_ports_of(cfg);
	r->fds.left = fds > 2 * PUMP_PIPES_MAX ? fds - 2 * PUMP_PIPES_MAX : 0;
	log_info("relays: up to %u connections at a time (LimitNOFILE=)", r->fds.left / 2);
	LIST_INIT(&r->deaf);
	r->poll = relay_poll_new(base);
	r->tcp = relay_tcp_new(base, r->poll, dialer, &r->fds);
	r->udp = relay_udp_new(base, r->poll, dialer, &r->fds, &cfg->key, cfg->udp_idle_ms);
	return r;
}
