#include "relay/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "relay/address.h"
#include "relay/pump.h"

/* As upstream's endpointDialTimeouts (pkg/proxy/userspace/proxysocket.go). */
static const uint64_t patience_ms[] = {250, 500, 1000, 2000};
#define TRIES (sizeof(patience_ms) / sizeof(patience_ms[0]))

enum { CLIENT, SERVER, SIDES };
enum { UP, DOWN };

struct connection {
	struct relay_object object; /* the first member */
	struct relay_tcp *tcp;
	struct pump_end ends[SIDES];
	struct pump pumps[SIDES]; /* UP: from the client, DOWN: to it */
	/* while an endpoint is asked for */
	struct balance *balance; /* NULL: one has answered */
	uint32_t relay;		 /* its id */
	struct dial dial;
	unsigned try;
	uint64_t until_ms;
	TAILQ_ENTRY(connection) next; /* of those with as much patience: by the time it ends */
	struct ip_addr client;
};
TAILQ_HEAD(connections, connection);

struct relay_tcp {
	struct relay_poll *poll;
	struct dialer *dialer;
	struct relay_fds *fds;
	struct pump_pool pool;
	struct {
		struct connections waiting;
		struct event *timer;
	} dials[TRIES];
};

static void connection_close(struct connection *c)
{
	for (int i = 0; i < SIDES; i++)
		pump_close(&c->pumps[i], &c->tcp->pool);
	for (int i = 0; i < SIDES; i++)
		relay_poll_close(c->tcp->poll, &c->ends[i].io);
	relay_fds_give(c->tcp->fds, SIDES);
	relay_poll_free(c->tcp->poll, &c->object);
}

static void reset_on_close(int fd)
{
	static const struct linger now = {.l_onoff = 1};

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* As if the two were connected directly: who is cut off is told so by a reset. */
static void connection_break(struct connection *c)
{
	for (int i = 0; i < SIDES; i++)
		reset_on_close(c->ends[i].io.fd);
	connection_close(c);
}

static void run(struct connection *c)
{
	enum pump_result up = pump_run(&c->pumps[UP], &c->tcp->pool);
	enum pump_result down = pump_run(&c->pumps[DOWN], &c->tcp->pool);

	if (up == PUMP_BROKEN || down == PUMP_BROKEN)
		connection_break(c);
	else if (up == PUMP_DONE && down == PUMP_DONE)
		connection_close(c);
	else if (up == PUMP_GOES_ON || down == PUMP_GOES_ON)
		relay_poll_again(c->tcp->poll, &c->ends[CLIENT].io);
}

/* --- finding an endpoint that answers --- */

static void dial(struct connection *c);

static void stop_waiting(struct connection *c)
{
	TAILQ_REMOVE(&c->tcp->dials[c->try].waiting, c, next);
}

/* The endpoint did not answer. */
static void dial_next(struct connection *c)
{
	stop_waiting(c);
	dial_cancel(c->tcp->dialer, &c->dial);
	relay_poll_close(c->tcp->poll, &c->ends[SERVER].io);
	c->try++;
	dial(c);
}

/* The broker has answered: the connection is on its way. */
static void dialed(struct dial *d, int fd)
{
	struct connection *c = (void *)((char *)d - offsetof(struct connection, dial));

	if (fd < 0) {
		dial_next(c);
		return;
	}
	c->ends[SERVER].io.fd = fd;
	if (relay_poll_add(
		c->tcp->poll, &c->ends[SERVER].io, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == 0)
		return;
	stop_waiting(c);
	connection_break(c);
}

static void connected(struct connection *c)
{
	const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

	stop_waiting(c);
	c->balance = NULL;
	if (relay_poll_add(c->tcp->poll, &c->ends[CLIENT].io, events) != 0) {
		connection_break(c);
		return;
	}
	for (int i = 0; i < SIDES; i++)
		c->ends[i].readable = c->ends[i].writable = true;
	run(c);
}

static void on_client(struct relay_fd *f, uint32_t events)
{
	struct connection *c = (void *)((char *)f - offsetof(struct connection, ends[CLIENT].io));

	pump_note(&c->ends[CLIENT], events);
	run(c);
}

static void on_server(struct relay_fd *f, uint32_t events)
{
	struct connection *c = (void *)((char *)f - offsetof(struct connection, ends[SERVER].io));
	int error = 0;
	socklen_t len = sizeof(error);

	pump_note(&c->ends[SERVER], events);
	if (c->balance == NULL) {
		run(c);
		return;
	}
	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
		return;
	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
		dial_next(c);
	else
		connected(c);
}

static void start_timer(struct relay_tcp *t, unsigned try)
{
	const struct connection *first = TAILQ_FIRST(&t->dials[try].waiting);
	uint64_t now = relay_poll_now(t->poll), ms;
	struct timeval tv;

	if (first == NULL)
		return;
	ms = first->until_ms > now ? first->until_ms - now : 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	event_add(t->dials[try].timer, &tv);
}

static void wait_for_answer(struct connection *c)
{
	struct relay_tcp *t = c->tcp;

	c->until_ms = relay_poll_now(t->poll) + patience_ms[c->try];
	TAILQ_INSERT_TAIL(&t->dials[c->try].waiting, c, next);
	if (!event_pending(t->dials[c->try].timer, EV_TIMEOUT, NULL))
		start_timer(t, c->try);
}

/* Asks the next endpoint, the try that C stands at. */
static void dial(struct connection *c)
{
	struct relay_tcp *t = c->tcp;
	struct relay_endpoint e;

	if (c->try == TRIES ||
	    !balance_choose(c->balance, &c->client, c->try > 0, relay_poll_now(t->poll), &e)) {
		connection_break(c);
		return;
	}
	wait_for_answer(c);
	dial_start(t->dialer, &c->dial, c->relay, &e);
}

/* Nobody has answered for as long as one may take. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct relay_tcp *t = arg;
	uint64_t now = relay_poll_now(t->poll);
	struct connection *c;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < TRIES; i++) {
		while ((c = TAILQ_FIRST(&t->dials[i].waiting)) != NULL && c->until_ms <= now)
			dial_next(c);
		start_timer(t, i);
	}
}

/* --- the outside --- */

struct relay_tcp *relay_tcp_new(
    struct event_base *base, struct relay_poll *poll, struct dialer *dialer, struct relay_fds *fds)
{
	struct relay_tcp *t = calloc(1, sizeof(*t));

	if (t == NULL)
		fatal(EXIT_FAILED, "relays: out of memory");
	t->poll = poll;
	t->dialer = dialer;
	t->fds = fds;
	for (unsigned i = 0; i < TRIES; i++) {
		TAILQ_INIT(&t->dials[i].waiting);
		t->dials[i].timer = evtimer_new(base, on_timer, t);
		if (t->dials[i].timer == NULL)
			fatal(EXIT_FAILED, "relays: out of memory");
	}
	return t;
}

static void refuse(struct relay_tcp *t, int fd)
{
	if (!t->fds->told)
		log_warn("relays: no descriptor is left for a connection; clients are reset until "
			 "there are some (the limit on open files: LimitNOFILE= of systemd)");
	t->fds->told = true;
	reset_on_close(fd);
	close(fd);
}

void relay_tcp_accepted(
    struct relay_tcp *t, int fd, uint32_t relay, struct balance *b, const struct ip_addr *client)
{
	struct connection *c;

	if (!relay_fds_take(t->fds, SIDES)) {
		refuse(t, fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		relay_fds_give(t->fds, SIDES);
		reset_on_close(fd);
		close(fd);
		return;
	}
	c->tcp = t;
	c->balance = b;
	c->relay = relay;
	c->dial.done = dialed;
	c->client = *client;
	c->ends[CLIENT].io = (struct relay_fd){.fd = fd, .ready = on_client};
	c->ends[SERVER].io = (struct relay_fd){.fd = -1, .ready = on_server};
	for (int i = 0; i < SIDES; i++) {
		c->pumps[i].from = &c->ends[i];
		c->pumps[i].to = &c->ends[SIDES - 1 - i];
	}
	dial(c);
}

void relay_tcp_forget(struct relay_tcp *t, const struct balance *b)
{
	struct connection *c, *next;

	for (unsigned i = 0; i < TRIES; i++)
		for (c = TAILQ_FIRST(&t->dials[i].waiting); c != NULL; c = next) {
			next = TAILQ_NEXT(c, next);
			if (c->balance != b)
				continue;
			stop_waiting(c);
			dial_cancel(t->dialer, &c->dial);
			connection_break(c);
		}
}
