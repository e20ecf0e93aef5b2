/*
 * Frames: one msgpack array per datagram, [type, field, ...]. The writer packs into a buffer of
 * fixed size; the reader checks the whole frame against its own counts and lengths, then hands out
 * a typed cursor over the received bytes that must end with nothing left. Nothing is allocated.
 * ipc/PROTOCOL.md tabulates the messages.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

#define FRAME_MAX	(128u * 1024) /* bytes of one datagram */
#define FRAME_DEPTH_MAX 6	      /* arrays within arrays */

/* --- writing --- */

struct frame {
	size_t len;
	bool overflow; /* something did not fit; the frame must not be sent */
	uint8_t buf[FRAME_MAX];
};

/* Starts a message of TYPE with FIELDS further fields (its arity without the type). */
void frame_begin(struct frame *f, unsigned type, uint32_t fields);
void frame_uint(struct frame *f, uint64_t v);
void frame_bool(struct frame *f, bool v);
void frame_str(struct frame *f, const char *s);
void frame_bin(struct frame *f, const void *p, size_t len);
/* An array of N elements, which the caller writes next. */
void frame_array(struct frame *f, uint32_t n);
/* An array whose count is known at its end only. Returns where the count is, for _close(). */
size_t frame_array_open(struct frame *f);
void frame_array_close(struct frame *f, size_t mark, uint32_t n);
void frame_ip(struct frame *f, const struct ip_addr *a);   /* bin of 4 or 16 bytes */
void frame_cidr(struct frame *f, const struct ip_cidr *c); /* [address, bits] */

/* --- reading --- */

/* A position in an array. Reads never fail half-way: an error sticks, and cursor_end() tells. */
struct cursor {
	const uint8_t *next;
	size_t bytes;	   /* from NEXT to the end */
	uint32_t left;	   /* elements */
	const char *error; /* NULL, or what was wrong, in words */
};

/*
 * Checks DATA. On success *TYPE is the message's type and *C stands on its first field; it lives as
 * long as DATA. Returns NULL, or what is wrong with the frame in words.
 */
const char *frame_open(const void *data, size_t len, unsigned *type, struct cursor *c);

/* Each returns the next element; 0, false or "" after an error. */
uint64_t cursor_uint(struct cursor *c, uint64_t max);
bool cursor_bool(struct cursor *c);
/* Copies a string of at most SIZE - 1 bytes without NUL bytes into BUF and ends it. */
void cursor_str(struct cursor *c, char *buf, size_t size);
/* A bin of exactly LEN bytes. */
void cursor_bin(struct cursor *c, void *buf, uint32_t len);
/* Copies a bin of at most SIZE bytes into BUF. Returns how many they are. */
uint32_t cursor_bytes(struct cursor *c, void *buf, uint32_t size);
void cursor_ip(struct cursor *c, struct ip_addr *a);
void cursor_cidr(struct cursor *c, struct ip_cidr *cidr); /* must be canonical */
/* Enters an array of at most MAX elements; after the elements call cursor_leave(). */
struct cursor cursor_array(struct cursor *c, uint32_t max);
/* INNER must be used up; its error becomes C's. */
void cursor_leave(struct cursor *c, const struct cursor *inner);
/* NULL if everything was read and all was well, else the error in words. */
const char *cursor_end(const struct cursor *c);
/* Records an error of the caller's own (a value out of its set); the first error stands. */
void cursor_fail(struct cursor *c, const char *why);

/* --- the bound itself, for the tests and the fuzzer --- */

/* NULL if DATA is exactly one msgpack value whose declared counts fit its bytes, else why not. */
const char *frame_precheck(const uint8_t *data, size_t len);

#endif
