#include "relay/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

struct slot {
	bool used;	/* a result is to come ... */
	struct dial *d; /* ... for this one; NULL: nobody waits for it any more */
};

struct dialer {
	int fd;
	struct slot slots[DIAL_MAX];
	TAILQ_HEAD(, dial) waiting;
	struct frame frame;
	uint8_t buf[128]; /* a result is short */
};

static uint32_t free_slot(const struct dialer *r)
{
	uint32_t i = 0;

	while (i < DIAL_MAX && r->slots[i].used)
		i++;
	return i;
}

/* As many results as may be outstanding have room in the socket, so no request waits for it. */
static void ask(struct dialer *r)
{
	struct dial *d;
	uint32_t slot;

	while ((d = TAILQ_FIRST(&r->waiting)) != NULL && (slot = free_slot(r)) < DIAL_MAX) {
		TAILQ_REMOVE(&r->waiting, d, next);
		r->slots[slot] = (struct slot){true, d};
		d->state = DIAL_ASKED;
		d->request.token = slot;
		dial_encode_request(&r->frame, &d->request);
		if (write(r->fd, r->frame.buf, r->frame.len) < 0 && errno != EPIPE &&
		    errno != ECONNRESET)
			fatal(EXIT_FAILED, "the broker cannot be asked: %s", strerror(errno));
	}
}

void dial_start(struct dialer *r, struct dial *d, uint32_t relay, const struct relay_endpoint *to)
{
	d->request = (struct dial_request){.relay = relay, .to = *to};
	d->state = DIAL_WAITS;
	TAILQ_INSERT_TAIL(&r->waiting, d, next);
	ask(r);
}

void dial_cancel(struct dialer *r, struct dial *d)
{
	if (d->state == DIAL_WAITS)
		TAILQ_REMOVE(&r->waiting, d, next);
	else if (d->state == DIAL_ASKED)
		r->slots[d->request.token].d = NULL;
	d->state = DIAL_IDLE;
}

/* The descriptor that came with M, or -1. */
static int descriptor_of(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* NULL, or how the LEN bytes that came, with FD, break the protocol. */
static const char *take_result(struct dialer *r, size_t len, int fd)
{
	unsigned type;
	struct cursor c;
	uint32_t token;
	int error;
	const char *why = frame_open(r->buf, len, &type, &c);
	struct dial *d;

	if (why == NULL && type != DIAL_RESULT)
		why = "an unknown message type";
	if (why == NULL)
		why = dial_decode_result(&c, &token, &error);
	if (why == NULL && (!r->slots[token].used || (fd < 0) != (error != 0)))
		why = "a result that nobody asked for";
	if (why != NULL)
		return why;
	d = r->slots[token].d;
	r->slots[token] = (struct slot){0};
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	d->state = DIAL_IDLE;
	errno = error;
	d->done(d, fd);
	return NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct dialer *r = arg;

	(void)what;
	for (int i = 0; i < DIAL_MAX; i++) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		struct iovec part = {r->buf, sizeof(r->buf)};
		struct msghdr m = {.msg_iov = &part,
		    .msg_iovlen = 1,
		    .msg_control = control.buf,
		    .msg_controllen = sizeof(control.buf)};
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		const char *why;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			log_debug(1, "the broker is gone; ending");
			exit(EXIT_OK);
		}
		why = take_result(r, (size_t)n, descriptor_of(&m));
		if (why != NULL)
			fatal(EXIT_FAILED, "protocol violation by the broker: %s", why);
	}
	ask(r);
}

struct dialer *dialer_new(struct event_base *base, int fd)
{
	struct dialer *r = calloc(1, sizeof(*r));
	struct event *readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, r);

	if (r == NULL || readable == NULL || event_add(readable, NULL) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		fatal(EXIT_FAILED, "relays: the broker's socket: %s", strerror(errno));
	r->fd = fd;
	TAILQ_INIT(&r->waiting);
	return r;
}
