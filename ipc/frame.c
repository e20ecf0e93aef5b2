#include "ipc/frame.h"

#include <string.h>

/* --- writing --- */

static int frame_put(void *data, const char *p, size_t len)
{
	struct frame *f = data;

	if (f->overflow || len > sizeof(f->buf) - f->len) {
		f->overflow = true;
		return -1;
	}
	if (len > 0) /* P may be NULL then */
		memcpy(f->buf + f->len, p, len);
	f->len += len;
	return 0;
}

void frame_begin(struct frame *f, unsigned type, uint32_t fields)
{
	f->len = 0;
	f->overflow = false;
	msgpack_packer_init(&f->pk, f, frame_put);
	frame_array(f, fields + 1);
	frame_uint(f, type);
}

void frame_uint(struct frame *f, uint64_t v)
{
	msgpack_pack_uint64(&f->pk, v);
}

void frame_bool(struct frame *f, bool v)
{
	if (v)
		msgpack_pack_true(&f->pk);
	else
		msgpack_pack_false(&f->pk);
}

void frame_str(struct frame *f, const char *s)
{
	msgpack_pack_str_with_body(&f->pk, s, strlen(s));
}

void frame_bin(struct frame *f, const void *p, size_t len)
{
	msgpack_pack_bin_with_body(&f->pk, p, len);
}

void frame_array(struct frame *f, uint32_t n)
{
	msgpack_pack_array(&f->pk, n);
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

/* --- the bound --- */

struct span {
	const uint8_t *p;
	size_t left;
};

/* Takes N bytes as a big-endian number; *OK becomes false if they are not there. */
static uint32_t take(struct span *s, unsigned n, bool *ok)
{
	uint32_t v = 0;

	if (s->left < n) {
		*ok = false;
		return 0;
	}
	s->left -= n;
	while (n-- > 0)
		v = v << 8 | *s->p++;
	return v;
}

/*
 * One value's head. *BODY gets the bytes that follow as payload, *ITEMS the number of values that
 * follow as elements. Only what the protocol uses: no map, float, ext or negative number.
 */
static const char *head(struct span *s, uint32_t *body, uint32_t *items)
{
	bool ok = true;
	uint8_t b = (uint8_t)take(s, 1, &ok);

	*body = *items = 0;
	if (!ok)
		return "truncated";
	if (b <= 0x7f || b == 0xc2 || b == 0xc3) /* fixint, false, true */
		return NULL;
	if (b >= 0xa0 && b <= 0xbf) /* fixstr */
		*body = b & 0x1f;
	else if (b >= 0x90 && b <= 0x9f) /* fixarray */
		*items = b & 0x0f;
	else if (b == 0xc4 || b == 0xd9) /* bin 8, str 8 */
		*body = take(s, 1, &ok);
	else if (b == 0xc5 || b == 0xda)
		*body = take(s, 2, &ok);
	else if (b == 0xc6 || b == 0xdb)
		*body = take(s, 4, &ok);
	else if (b >= 0xcc && b <= 0xcf) /* uint 8, 16, 32, 64 */
		*body = 1u << (b - 0xcc);
	else if (b == 0xdc)
		*items = take(s, 2, &ok);
	else if (b == 0xdd)
		*items = take(s, 4, &ok);
	else
		return "a type the protocol does not use";
	return ok ? NULL : "truncated";
}

const char *frame_precheck(const uint8_t *data, size_t len)
{
	struct span s = {data, len};
	uint32_t open[FRAME_DEPTH_MAX]; /* elements still to come, per array entered */
	unsigned depth = 0;
	uint32_t body, items;
	const char *why;

	do {
		why = head(&s, &body, &items);
		if (why != NULL)
			return why;
		if (body > s.left)
			return "a length beyond the end of the frame";
		s.p += body;
		s.left -= body;
		if (items > s.left) /* an element has at least one byte */
			return "a count beyond the end of the frame";
		if (depth > 0)
			open[depth - 1]--;
		if (items > 0) {
			if (depth == FRAME_DEPTH_MAX)
				return "nested too deeply";
			open[depth++] = items;
		}
		while (depth > 0 && open[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	return s.left == 0 ? NULL : "trailing bytes";
}

/* --- reading --- */

const char *frame_open(
    struct frame_reader *r, const void *data, size_t len, unsigned *type, struct cursor *c)
{
	const char *why;
	size_t off = 0;

	if (len > FRAME_MAX)
		return "longer than a frame may be";
	why = frame_precheck(data, len);
	if (why != NULL)
		return why;
	msgpack_unpacked_init(&r->unpacked);
	if (msgpack_unpack_next(&r->unpacked, data, len, &off) != MSGPACK_UNPACK_SUCCESS) {
		msgpack_unpacked_destroy(&r->unpacked);
		return "msgpack cannot unpack it";
	}
	if (r->unpacked.data.type != MSGPACK_OBJECT_ARRAY) {
		msgpack_unpacked_destroy(&r->unpacked);
		return "not an array";
	}
	*c = (struct cursor){r->unpacked.data.via.array.ptr, r->unpacked.data.via.array.size, NULL};
	*type = (unsigned)cursor_uint(c, UINT16_MAX);
	if (c->error != NULL) {
		msgpack_unpacked_destroy(&r->unpacked);
		return "no message type";
	}
	return NULL;
}

void frame_close(struct frame_reader *r)
{
	msgpack_unpacked_destroy(&r->unpacked);
}

void cursor_fail(struct cursor *c, const char *why)
{
	if (c->error == NULL)
		c->error = why;
}

static const msgpack_object *cursor_next(struct cursor *c, msgpack_object_type type)
{
	if (c->error != NULL)
		return NULL;
	if (c->left == 0) {
		cursor_fail(c, "too few fields");
		return NULL;
	}
	if (c->next->type != type) {
		cursor_fail(c, "a field of the wrong type");
		return NULL;
	}
	c->left--;
	return c->next++;
}

uint64_t cursor_uint(struct cursor *c, uint64_t max)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_POSITIVE_INTEGER);

	if (o == NULL)
		return 0;
	if (o->via.u64 > max) {
		cursor_fail(c, "a number out of range");
		return 0;
	}
	return o->via.u64;
}

bool cursor_bool(struct cursor *c)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_BOOLEAN);

	return o != NULL && o->via.boolean;
}

/* The bytes of a string without copying; *LEN <= MAX. Not NUL-terminated. */
static const char *cursor_str_view(struct cursor *c, uint32_t max, uint32_t *len)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_STR);

	*len = 0;
	if (o == NULL)
		return "";
	if (o->via.str.size > max) {
		cursor_fail(c, "a string too long");
		return "";
	}
	*len = o->via.str.size;
	return *len > 0 ? o->via.str.ptr : ""; /* msgpack-c has NULL for the empty string */
}

void cursor_str(struct cursor *c, char *buf, size_t size)
{
	uint32_t len;
	const char *s = cursor_str_view(c, (uint32_t)size - 1, &len);

	if (memchr(s, '\0', len) != NULL) {
		cursor_fail(c, "a string with a NUL byte");
		len = 0;
	}
	memcpy(buf, s, len);
	buf[len] = '\0';
}

void cursor_bin(struct cursor *c, void *buf, uint32_t len)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_BIN);

	memset(buf, 0, len);
	if (o == NULL)
		return;
	if (o->via.bin.size != len)
		cursor_fail(c, "bytes of the wrong length");
	else if (len > 0)
		memcpy(buf, o->via.bin.ptr, len);
}

uint32_t cursor_bytes(struct cursor *c, void *buf, uint32_t size)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_BIN);

	if (o == NULL)
		return 0;
	if (o->via.bin.size > size) {
		cursor_fail(c, "too many bytes");
		return 0;
	}
	if (o->via.bin.size > 0)
		memcpy(buf, o->via.bin.ptr, o->via.bin.size);
	return o->via.bin.size;
}

void cursor_ip(struct cursor *c, struct ip_addr *a)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_BIN);

	memset(a, 0, sizeof(*a));
	if (o != NULL && ip_from_bytes(a, o->via.bin.ptr, o->via.bin.size) != 0)
		cursor_fail(c, "an address that is not 4 or 16 bytes");
}

void cursor_cidr(struct cursor *c, struct ip_cidr *cidr)
{
	struct cursor in = cursor_array(c, 2);

	cursor_ip(&in, &cidr->addr);
	cidr->bits = (uint8_t)cursor_uint(&in, 128);
	if (in.error == NULL && !ip_cidr_is_canonical(cidr))
		cursor_fail(&in, "a prefix with host bits set");
	cursor_leave(c, &in);
}

struct cursor cursor_array(struct cursor *c, uint32_t max)
{
	const msgpack_object *o = cursor_next(c, MSGPACK_OBJECT_ARRAY);

	if (o != NULL && o->via.array.size > max)
		cursor_fail(c, "too many elements");
	if (c->error != NULL)
		return (struct cursor){NULL, 0, c->error};
	return (struct cursor){o->via.array.ptr, o->via.array.size, NULL};
}

void cursor_leave(struct cursor *c, const struct cursor *inner)
{
	const char *why = cursor_end(inner);

	if (why != NULL)
		cursor_fail(c, why);
}

const char *cursor_end(const struct cursor *c)
{
	if (c->error != NULL)
		return c->error;
	return c->left == 0 ? NULL : "too many fields";
}
