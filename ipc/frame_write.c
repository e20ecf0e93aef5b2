#include <string.h>

#include "ipc/frame.h"
#include "ipc/frame_bytes.h"

#define COUNT_BYTES sizeof(uint32_t) /* of an array 32 */

static void put(struct frame *f, const void *p, size_t len)
{
	if (f->overflow || len > sizeof(f->buf) - f->len) {
		f->overflow = true;
		return;
	}
	if (len > 0) /* P may be NULL then */
		memcpy(f->buf + f->len, p, len);
	f->len += len;
}

/* FIRST, then V as BYTES bytes, the most significant one first. */
static void put_number(struct frame *f, uint8_t first, uint64_t v, unsigned bytes)
{
	uint8_t b[1 + sizeof(v)] = {first};

	for (unsigned i = 0; i < bytes; i++)
		b[1 + i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	put(f, b, 1 + bytes);
}

void frame_begin(struct frame *f, unsigned type, uint32_t fields)
{
	f->len = 0;
	f->overflow = false;
	frame_array(f, fields + 1);
	frame_uint(f, type);
}

void frame_uint(struct frame *f, uint64_t v)
{
	unsigned log = v <= UINT8_MAX ? 0 : v <= UINT16_MAX ? 1 : v <= UINT32_MAX ? 2 : 3;

	if (v <= FIXINT_LAST)
		put_number(f, (uint8_t)v, 0, 0);
	else
		put_number(f, (uint8_t)(UINT_8 + log), v, 1u << log);
}

void frame_bool(struct frame *f, bool v)
{
	put_number(f, v ? TRUE_ : FALSE_, 0, 0);
}

void frame_str(struct frame *f, const char *s)
{
	const size_t len = strlen(s);

	if (len <= FIXSTR_LAST - FIXSTR)
		put_number(f, (uint8_t)(FIXSTR + len), 0, 0);
	else if (len <= UINT8_MAX)
		put_number(f, STR_8, len, 1);
	else if (len <= UINT16_MAX)
		put_number(f, STR_16, len, 2);
	else
		put_number(f, STR_32, len, 4);
	put(f, s, len);
}

void frame_bin(struct frame *f, const void *p, size_t len)
{
	if (len <= UINT8_MAX)
		put_number(f, BIN_8, len, 1);
	else if (len <= UINT16_MAX)
		put_number(f, BIN_16, len, 2);
	else
		put_number(f, BIN_32, len, 4);
	put(f, p, len);
}

void frame_array(struct frame *f, uint32_t n)
{
	if (n < FIXSTR - FIXARRAY)
		put_number(f, (uint8_t)(FIXARRAY + n), 0, 0);
	else if (n <= UINT16_MAX)
		put_number(f, ARRAY_16, n, 2);
	else
		put_number(f, ARRAY_32, n, 4);
}

size_t frame_array_open(struct frame *f)
{
	put_number(f, ARRAY_32, 0, COUNT_BYTES);
	return f->len - COUNT_BYTES;
}

void frame_array_close(struct frame *f, size_t mark, uint32_t n)
{
	for (size_t i = COUNT_BYTES; i-- > 0; n >>= 8)
		f->buf[mark + i] = (uint8_t)n;
}

void frame_ip(struct frame *f, const struct ip_addr *a)
{
	frame_bin(f, a->b, ip_len(a->family));
}

void frame_cidr(struct frame *f, const struct ip_cidr *c)
{
	frame_array(f, 2);
	frame_ip(f, &c->addr);
	frame_uint(f, c->bits);
}
