/*
 * One direction of a relayed TCP connection: moves what one socket has to another, and its end.
 *
 * No byte of it is kept in this process. A little is looked at (MSG_PEEK), sent, and only what was
 * taken is removed; a lot goes through a pipe by splice(2), which is drawn from a small pool and
 * given back once it is empty. So a reader that is slow fills the kernel's socket buffers, the
 * sender's window closes, and twenty thousand such connections cost us no memory.
 */
#ifndef RELAY_PUMP_H
#define RELAY_PUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/poll.h"

#define PUMP_PIPES_MAX	32
#define PUMP_PIPE_BYTES (256 * 1024)

struct pump_pipe;

/* The pipes, and a buffer for all. */
struct pump_pool {
	struct pump_pipe *idle;
	unsigned made;
	bool unpiped; /* none can be made: it has been said */
	char buf[64 * 1024];
};

/* A socket that is read from and written to; as edge-triggered events tell. */
struct pump_end {
	struct relay_fd io;
	bool readable, writable;
	bool hung_up; /* the peer sends no more: what can be read ends with its end */
};

struct pump {
	struct pump_end *from, *to;
	struct pump_pipe *pipe; /* NULL: none */
	size_t held;		/* bytes in it */
	bool bulk;		/* so much came last that a pipe is worth it */
	bool done;		/* FROM's end was passed on */
};

enum pump_result {
	PUMP_WAITS,   /* for an event */
	PUMP_GOES_ON, /* has had its turn: is to be run again after others */
	PUMP_DONE,
	PUMP_BROKEN, /* one of the peers broke off */
};

/* Takes EVENTS of epoll over into E. */
void pump_note(struct pump_end *e, uint32_t events);
/* Moves what can be moved. */
enum pump_result pump_run(struct pump *p, struct pump_pool *pool);
/* Gives up what P holds. */
void pump_close(struct pump *p, struct pump_pool *pool);

#endif
