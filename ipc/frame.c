#include "ipc/frame.h"

#include <string.h>

#include "ipc/frame_bytes.h"

/* --- one value's head --- */

enum kind { KIND_UINT, KIND_BOOL, KIND_STR, KIND_BIN, KIND_ARRAY };

struct head {
	enum kind kind;
	uint64_t number; /* UINT, BOOL */
	uint32_t body;	 /* STR, BIN: bytes that follow, and are there */
	uint32_t items;	 /* ARRAY: values that follow, each of at least one byte that is there */
};

struct span {
	const uint8_t *p;
	size_t left;
};

/* Takes N bytes as a big-endian number; *OK becomes false if they are not there. */
static uint64_t take(struct span *s, unsigned n, bool *ok)
{
	uint64_t v = 0;

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
 * Takes the head of a value; what it announces is there. Only what the protocol uses: no map,
 * float, ext or negative number. NULL, or what is wrong.
 */
static const char *take_head(struct span *s, struct head *h)
{
	bool ok = true;
	uint8_t b = (uint8_t)take(s, 1, &ok);

	*h = (struct head){.kind = KIND_UINT};
	if (!ok)
		return "truncated";
	if (b <= FIXINT_LAST)
		h->number = b;
	else if (b >= UINT_8 && b <= UINT_64)
		h->number = take(s, 1u << (b - UINT_8), &ok);
	else if (b == FALSE_ || b == TRUE_)
		*h = (struct head){.kind = KIND_BOOL, .number = b == TRUE_};
	else if (b >= FIXSTR && b <= FIXSTR_LAST)
		*h = (struct head){.kind = KIND_STR, .body = b - FIXSTR};
	else if (b >= STR_8 && b <= STR_32)
		*h = (struct head){
		    .kind = KIND_STR, .body = (uint32_t)take(s, 1u << (b - STR_8), &ok)};
	else if (b >= BIN_8 && b <= BIN_32)
		*h = (struct head){
		    .kind = KIND_BIN, .body = (uint32_t)take(s, 1u << (b - BIN_8), &ok)};
	else if (b >= FIXARRAY && b < FIXSTR)
		*h = (struct head){.kind = KIND_ARRAY, .items = b - FIXARRAY};
	else if (b == ARRAY_16 || b == ARRAY_32)
		*h = (struct head){
		    .kind = KIND_ARRAY, .items = (uint32_t)take(s, b == ARRAY_16 ? 2 : 4, &ok)};
	else
		return "a type the protocol does not use";
	if (!ok)
		return "truncated";
	if (h->body > s->left)
		return "a length beyond the end of the frame";
	return h->items > s->left ? "a count beyond the end of the frame" : NULL;
}

/* Takes a whole value with all that is in it. NULL, or what is wrong. */
static const char *take_value(struct span *s)
{
	uint32_t open[FRAME_DEPTH_MAX]; /* elements still to come, per array entered */
	unsigned depth = 0;
	struct head h;
	const char *why;

	do {
		why = take_head(s, &h);
		if (why != NULL)
			return why;
		s->p += h.body;
		s->left -= h.body;
		if (depth > 0)
			open[depth - 1]--;
		if (h.items > 0) {
			if (depth == FRAME_DEPTH_MAX)
				return "nested too deeply";
			open[depth++] = h.items;
		}
		while (depth > 0 && open[depth - 1] == 0)
			depth--;
	} while (depth > 0);
	return NULL;
}

const char *frame_precheck(const uint8_t *data, size_t len)
{
	struct span s = {data, len};
	const char *why = take_value(&s);

	return why != NULL || s.left == 0 ? why : "trailing bytes";
}

/* --- reading --- */

const char *frame_open(const void *data, size_t len, unsigned *type, struct cursor *c)
{
	struct span s = {data, len};
	struct head h;
	const char *why;

	if (len > FRAME_MAX)
		return "longer than a frame may be";
	why = frame_precheck(data, len);
	if (why != NULL)
		return why;
	why = take_head(&s, &h);
	if (why != NULL || h.kind != KIND_ARRAY)
		return "not an array";
	*c = (struct cursor){s.p, s.left, h.items, NULL};
	*type = (unsigned)cursor_uint(c, UINT16_MAX);
	return c->error == NULL ? NULL : "no message type";
}

void cursor_fail(struct cursor *c, const char *why)
{
	if (c->error == NULL)
		c->error = why;
}

/*
 * Takes the next element, with what is in it, if it is of KIND; H is its head, and the return value
 * where its body or its first element begins. NULL after an error.
 */
static const uint8_t *cursor_next(struct cursor *c, enum kind kind, struct head *h)
{
	struct span s = {c->next, c->bytes};
	const uint8_t *body;

	*h = (struct head){0};
	if (c->error == NULL && c->left == 0)
		cursor_fail(c, "too few fields");
	if (c->error == NULL)
		c->error = take_head(&s, h);
	if (c->error == NULL && h->kind != kind)
		cursor_fail(c, "a field of the wrong type");
	if (c->error != NULL) {
		*h = (struct head){0};
		return NULL;
	}
	body = s.p;
	s.p += h->body;
	s.left -= h->body;
	for (uint32_t i = 0; i < h->items; i++)
		take_value(&s); /* it was good as a part of the frame */
	c->left--;
	c->next = s.p;
	c->bytes = s.left;
	return body;
}

uint64_t cursor_uint(struct cursor *c, uint64_t max)
{
	struct head h;

	cursor_next(c, KIND_UINT, &h);
	if (h.number > max) {
		cursor_fail(c, "a number out of range");
		return 0;
	}
	return h.number;
}

bool cursor_bool(struct cursor *c)
{
	struct head h;

	cursor_next(c, KIND_BOOL, &h);
	return h.number != 0;
}

void cursor_str(struct cursor *c, char *buf, size_t size)
{
	struct head h;
	const uint8_t *s = cursor_next(c, KIND_STR, &h);

	buf[0] = '\0';
	if (s == NULL)
		return;
	if (h.body >= size)
		cursor_fail(c, "a string too long");
	else if (memchr(s, '\0', h.body) != NULL)
		cursor_fail(c, "a string with a NUL byte");
	else {
		memcpy(buf, s, h.body);
		buf[h.body] = '\0';
	}
}

void cursor_bin(struct cursor *c, void *buf, uint32_t len)
{
	struct head h;
	const uint8_t *p = cursor_next(c, KIND_BIN, &h);

	memset(buf, 0, len);
	if (p != NULL && h.body != len)
		cursor_fail(c, "bytes of the wrong length");
	else if (p != NULL)
		memcpy(buf, p, len);
}

uint32_t cursor_bytes(struct cursor *c, void *buf, uint32_t size)
{
	struct head h;
	const uint8_t *p = cursor_next(c, KIND_BIN, &h);

	if (p == NULL)
		return 0;
	if (h.body > size) {
		cursor_fail(c, "too many bytes");
		return 0;
	}
	memcpy(buf, p, h.body);
	return h.body;
}

void cursor_ip(struct cursor *c, struct ip_addr *a)
{
	struct head h;
	const uint8_t *p = cursor_next(c, KIND_BIN, &h);

	memset(a, 0, sizeof(*a));
	if (p != NULL && ip_from_bytes(a, p, h.body) != 0)
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
	struct head h;
	const uint8_t *p = cursor_next(c, KIND_ARRAY, &h);

	if (h.items > max)
		cursor_fail(c, "too many elements");
	if (c->error != NULL)
		return (struct cursor){NULL, 0, 0, c->error};
	return (struct cursor){p, (size_t)(c->next - p), h.items, NULL};
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
