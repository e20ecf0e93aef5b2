#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/log.h"

struct queued {
	STAILQ_ENTRY(queued) next;
	size_t len;
	uint8_t data[];
};

struct channel {
	int fd;
	const char *peer;
	channel_handler handler;
	void *arg;
	struct event *readable, *writable;
	STAILQ_HEAD(, queued) queue;
	size_t queue_bytes;
	size_t len;		    /* of the message in BUF */
	uint8_t buf[FRAME_MAX + 1]; /* one more, so that a longer datagram shows */
};

static _Noreturn void hung_up(const struct channel *ch)
{
	log_debug(1, "%s is gone; ending", ch->peer);
	exit(EXIT_OK);
}

static void receive(struct channel *ch, size_t len)
{
	struct cursor c;
	unsigned type = 0;
	const char *why = frame_open(ch->buf, len, &type, &c);

	ch->len = len;
	if (why == NULL)
		why = ch->handler(ch->arg, type, &c);
	if (why != NULL)
		fatal(EXIT_FAILED, "protocol violation by %s: message type %u of %zu bytes: %s",
		    ch->peer, type, len, why);
}

/* Frames handled per wake-up, so that timers and other channels get their turn. */
#define BURST 64

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = read(fd, ch->buf, sizeof(ch->buf));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) /* a peer never sends an empty datagram: this is its end */
			hung_up(ch);
		receive(ch, (size_t)n);
	}
}

/* Returns 1 when the peer took it, 0 when it cannot at the moment. */
static int write_now(struct channel *ch, const void *data, size_t len)
{
	ssize_t n;

	do
		n = write(ch->fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		hung_up(ch);
	fatal(EXIT_FAILED, "cannot send %zu bytes to %s: %s", len, ch->peer,
	    n < 0 ? strerror(errno) : "cut short");
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;
	struct queued *q;

	(void)fd;
	(void)what;
	while ((q = STAILQ_FIRST(&ch->queue)) != NULL) {
		if (!write_now(ch, q->data, q->len))
			return;
		STAILQ_REMOVE_HEAD(&ch->queue, next);
		ch->queue_bytes -= q->len;
		free(q);
	}
	event_del(ch->writable);
}

struct channel *channel_new(
    struct event_base *base, int fd, const char *peer, channel_handler handler, void *arg)
{
	struct channel *ch = calloc(1, sizeof(*ch));

	if (ch == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		fatal(EXIT_FAILED, "channel to %s on descriptor %d: %s", peer, fd, strerror(errno));
	ch->fd = fd;
	ch->peer = peer;
	ch->handler = handler;
	ch->arg = arg;
	STAILQ_INIT(&ch->queue);
	ch->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ch);
	ch->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, ch);
	if (ch->readable == NULL || ch->writable == NULL || event_add(ch->readable, NULL) != 0)
		fatal(EXIT_FAILED, "channel to %s: out of memory", peer);
	return ch;
}

static void refuse_overflow(const struct channel *ch, const struct frame *f)
{
	if (f->overflow)
		fatal(EXIT_FAILED, "a message to %s does not fit a frame", ch->peer);
}

static void send_wait(struct channel *ch, const void *data, size_t len)
{
	struct pollfd p = {.fd = ch->fd, .events = POLLOUT};

	while (!write_now(ch, data, len))
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			fatal(EXIT_FAILED, "poll: %s", strerror(errno));
}

static void send_or_queue(struct channel *ch, const void *data, size_t len)
{
	struct queued *q;

	if (STAILQ_EMPTY(&ch->queue) && write_now(ch, data, len))
		return;
	if (ch->queue_bytes + len > CHANNEL_QUEUE_MAX)
		fatal(EXIT_FAILED, "%s has not read for %zu bytes", ch->peer, ch->queue_bytes);
	q = malloc(sizeof(*q) + len);
	if (q == NULL)
		fatal(EXIT_FAILED, "out of memory");
	q->len = len;
	memcpy(q->data, data, len);
	STAILQ_INSERT_TAIL(&ch->queue, q, next);
	ch->queue_bytes += len;
	event_add(ch->writable, NULL);
}

void channel_send_wait(struct channel *ch, const struct frame *f)
{
	refuse_overflow(ch, f);
	send_wait(ch, f->buf, f->len);
}

void channel_send(struct channel *ch, const struct frame *f)
{
	refuse_overflow(ch, f);
	send_or_queue(ch, f->buf, f->len);
}

void channel_pass_wait(struct channel *ch, const struct channel *from)
{
	send_wait(ch, from->buf, from->len);
}

void channel_pass(struct channel *ch, const struct channel *from)
{
	send_or_queue(ch, from->buf, from->len);
}

static size_t ask_bytes(const struct channel *ch, unsigned long what)
{
	int n;

	return ioctl(ch->fd, what, &n) == 0 && n > 0 ? (size_t)n : 0;
}

size_t channel_unread(const struct channel *ch)
{
	return ask_bytes(ch, FIONREAD);
}

size_t channel_unsent(const struct channel *ch)
{
	return ch->queue_bytes + ask_bytes(ch, TIOCOUTQ);
}
