#include "relay/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define TURN_BYTES (1024 * 1024) /* then others have theirs */

struct pump_pipe {
	struct pump_pipe *next;
	int fds[2];
};

/* --- pipes --- */

/* NULL: there is none to have; a buffer does it then. */
static struct pump_pipe *pipe_take(struct pump_pool *pool)
{
	struct pump_pipe *p = pool->idle;

	if (p != NULL) {
		pool->idle = p->next;
		return p;
	}
	if (pool->made == PUMP_PIPES_MAX || pool->unpiped)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p == NULL || pipe2(p->fds, O_NONBLOCK | O_CLOEXEC) != 0) {
		log_warn("relays: no pipe for large transfers: %s; they take more of the processor",
		    strerror(errno));
		pool->unpiped = true;
		free(p);
		return NULL;
	}
	/* The kernel may refuse; then the pipe is smaller. */
	fcntl(p->fds[0], F_SETPIPE_SZ, PUMP_PIPE_BYTES);
	pool->made++;
	return p;
}

static void pipe_drop(struct pump *p, struct pump_pool *pool)
{
	if (p->pipe == NULL)
		return;
	if (p->held == 0) {
		p->pipe->next = pool->idle;
		pool->idle = p->pipe;
	} else { /* what is in it is nobody's any more */
		close(p->pipe->fds[0]);
		close(p->pipe->fds[1]);
		free(p->pipe);
		pool->made--;
	}
	p->pipe = NULL;
	p->held = 0;
}

void pump_close(struct pump *p, struct pump_pool *pool)
{
	pipe_drop(p, pool);
}

/* --- moving --- */

void pump_note(struct pump_end *e, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		e->readable = true;
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
		e->writable = true;
	if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0)
		e->hung_up = true;
}

/* Is N, what a call returned, no result? If the socket cannot at the moment *READY becomes false.
 */
static bool nothing_done(ssize_t n, bool *ready)
{
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		return false;
	if (errno == EAGAIN)
		*ready = false;
	return true;
}

/* FROM has no more to say. */
static enum pump_result pass_end_on(struct pump *p)
{
	p->done = true;
	/* a peer that is gone already has no use for it */
	return shutdown(p->to->io.fd, SHUT_WR) == 0 || errno == ENOTCONN ? PUMP_DONE : PUMP_BROKEN;
}

/* What the pipe holds goes on. */
static enum pump_result drain(struct pump *p, struct pump_pool *pool)
{
	ssize_t n = splice(
	    p->pipe->fds[0], NULL, p->to->io.fd, NULL, p->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (nothing_done(n, &p->to->writable))
		return PUMP_GOES_ON;
	if (n <= 0)
		return PUMP_BROKEN;
	p->held -= (size_t)n;
	if (p->held == 0)
		pipe_drop(p, pool);
	return PUMP_GOES_ON;
}

/* Fills the pipe, which is empty. */
static enum pump_result fill(struct pump *p, struct pump_pool *pool, size_t *moved)
{
	ssize_t n = splice(p->from->io.fd, NULL, p->pipe->fds[1], NULL, PUMP_PIPE_BYTES,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n <= 0)
		pipe_drop(p, pool);
	if (nothing_done(n, &p->from->readable))
		return PUMP_GOES_ON;
	if (n < 0)
		return PUMP_BROKEN;
	if (n == 0)
		return pass_end_on(p);
	p->held = (size_t)n;
	p->bulk = (size_t)n >= sizeof(pool->buf) / 4;
	*moved += (size_t)n;
	return PUMP_GOES_ON;
}

/* Looks at what is there, sends it, removes what was taken. */
static enum pump_result copy(struct pump *p, struct pump_pool *pool, size_t *moved)
{
	ssize_t n = recv(p->from->io.fd, pool->buf, sizeof(pool->buf), MSG_PEEK | MSG_DONTWAIT);
	ssize_t sent;

	if (nothing_done(n, &p->from->readable))
		return PUMP_GOES_ON;
	if (n < 0)
		return PUMP_BROKEN;
	if (n == 0)
		return pass_end_on(p);
	sent = send(p->to->io.fd, pool->buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (nothing_done(sent, &p->to->writable))
		return PUMP_GOES_ON;
	if (sent <= 0 || recv(p->from->io.fd, NULL, (size_t)sent, MSG_TRUNC | MSG_DONTWAIT) != sent)
		return PUMP_BROKEN;
	*moved += (size_t)sent;
	if (sent < n)
		p->to->writable = false;
	p->bulk = n == (ssize_t)sizeof(pool->buf);
	/* More would have filled the buffer; what came meanwhile is an event. */
	if (sent == n && !p->bulk && !p->from->hung_up)
		p->from->readable = false;
	return PUMP_GOES_ON;
}

enum pump_result pump_run(struct pump *p, struct pump_pool *pool)
{
	enum pump_result r = PUMP_GOES_ON;
	size_t moved = 0;

	if (p->done)
		return PUMP_DONE;
	while (r == PUMP_GOES_ON && moved < TURN_BYTES) {
		if (!p->to->writable || (p->held == 0 && !p->from->readable))
			return PUMP_WAITS;
		if (p->held > 0) {
			r = drain(p, pool);
			continue;
		}
		if (p->bulk && p->pipe == NULL)
			p->pipe = pipe_take(pool);
		if (p->pipe != NULL)
			r = fill(p, pool, &moved);
		else
			r = copy(p, pool, &moved);
	}
	return r;
}
