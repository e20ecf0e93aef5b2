#include <msgpack/pack.h>
#include <string.h>

#include "ipc/frame.h"
#include "ipc/frame_bytes.h"

#define COUNT_BYTES sizeof(uint32_t) /* of an array 32 */

static int put(void *data, const char *p, size_t len)
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

/* It holds nothing but where PUT writes to. */
static msgpack_packer packer(struct frame *f)
{
	return (msgpack_packer){.data = f, .callback = put};
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
	msgpack_packer pk = packer(f);

	msgpack_pack_uint64(&pk, v);
}

void frame_bool(struct frame *f, bool v)
{
	msgpack_packer pk = packer(f);

	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void frame_str(struct frame *f, const char *s)
{
	msgpack_packer pk = packer(f);

	msgpack_pack_str_with_body(&pk, s, strlen(s));
}

void frame_bin(struct frame *f, const void *p, size_t len)
{
	msgpack_packer pk = packer(f);

	msgpack_pack_bin_with_body(&pk, p, len);
}

void frame_array(struct frame *f, uint32_t n)
{
	msgpack_packer pk = packer(f);

	msgpack_pack_array(&pk, n);
}

size_t frame_array_open(struct frame *f)
{
	put(f, (const char[]){(char)ARRAY_32, 0, 0, 0, 0}, 1 + COUNT_BYTES);
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
