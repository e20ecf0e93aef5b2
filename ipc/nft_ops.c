#include "ipc/nft_ops.h"

#include <string.h>

/* --- elements: the fields of their set, in the order of enum nft_field --- */

#define KEY (NFT_FRONTEND | NFT_SLOT | NFT_NET | NFT_SECONDS) /* but for the kernel's own sets */

static uint32_t field_count(uint16_t fields)
{
	return (uint32_t)__builtin_popcount(fields) + ((fields & NFT_TO) != 0);
}

static void put_elem(struct frame *f, const struct nft_elem *e, uint16_t fields)
{
	frame_uint(f, e->family);
	frame_uint(f, e->set);
	if (fields & NFT_ADDR)
		frame_ip(f, &e->addr);
	if (fields & NFT_PROTO)
		frame_uint(f, e->proto);
	if (fields & NFT_PORT)
		frame_uint(f, e->port);
	if (fields & NFT_SLOT)
		frame_uint(f, e->slot);
	if (fields & NFT_NET)
		frame_cidr(f, &e->net);
	if (fields & NFT_SECONDS)
		frame_uint(f, e->seconds);
	if (fields & NFT_TO) {
		frame_ip(f, &e->to);
		frame_uint(f, e->to_port);
	}
	if (fields & NFT_NAME)
		frame_str(f, e->name);
}

/* Reads what put_elem() wrote of those FIELDS that MASK has. */
static void get_elem(struct cursor *c, struct nft_elem *e, uint16_t mask)
{
	uint16_t fields;

	memset(e, 0, offsetof(struct nft_elem, name) + 1);
	e->family = (uint8_t)cursor_uint(c, FAMILY_COUNT - 1);
	e->set = (uint8_t)cursor_uint(c, NFT_SET_COUNT - 1);
	fields = nft_set(e->set)->fields & mask;
	if (fields & NFT_ADDR)
		cursor_ip(c, &e->addr);
	if (fields & NFT_PROTO)
		e->proto = (uint8_t)cursor_uint(c, UINT8_MAX);
	if (fields & NFT_PORT)
		e->port = (uint16_t)cursor_uint(c, UINT16_MAX);
	if (fields & NFT_SLOT)
		e->slot = (uint32_t)cursor_uint(c, UINT32_MAX);
	if (fields & NFT_NET)
		cursor_cidr(c, &e->net);
	if (fields & NFT_SECONDS)
		e->seconds = (uint32_t)cursor_uint(c, UINT32_MAX);
	if (fields & NFT_TO) {
		cursor_ip(c, &e->to);
		e->to_port = (uint16_t)cursor_uint(c, UINT16_MAX);
	}
	if (fields & NFT_NAME)
		cursor_str(c, e->name, sizeof(e->name));
}

/* --- writing --- */

static void write_elem(
    struct txn_writer *w, enum nft_op op, const struct nft_elem *e, uint16_t mask)
{
	uint16_t fields = nft_set(e->set)->fields & mask;

	txn_op(w, op, 2 + field_count(fields));
	put_elem(&w->frame, e, fields);
}

void nft_write_install(struct txn_writer *w, uint8_t family)
{
	txn_op(w, NFT_OP_INSTALL, 1);
	frame_uint(&w->frame, family);
}

void nft_write_put(struct txn_writer *w, const struct nft_elem *e)
{
	write_elem(w, NFT_OP_PUT, e, UINT16_MAX);
}

void nft_write_delete(struct txn_writer *w, const struct nft_elem *e)
{
	write_elem(w, NFT_OP_DELETE, e, KEY);
}

void nft_write_affinity(struct txn_writer *w, uint8_t family, unsigned number, uint32_t seconds)
{
	txn_op(w, NFT_OP_AFFINITY, 3);
	frame_uint(&w->frame, family);
	frame_uint(&w->frame, number);
	frame_uint(&w->frame, seconds);
}

void nft_write_forget(struct txn_writer *w, const struct nft_elem *e)
{
	write_elem(w, NFT_OP_FORGET, e, NFT_FRONTEND | NFT_TO);
}

/* --- reading --- */

static const char *visit_elem(struct cursor *op, uint16_t mask,
    const char *(*visit)(void *, const struct nft_elem *), void *arg)
{
	struct nft_elem e;

	get_elem(op, &e, mask);
	return op->error != NULL ? NULL : visit(arg, &e);
}

static const char *visit_family(struct cursor *op, const char *(*visit)(void *, uint8_t), void *arg)
{
	uint8_t family = (uint8_t)cursor_uint(op, FAMILY_COUNT - 1);

	return op->error != NULL ? NULL : visit(arg, family);
}

static const char *visit_affinity(struct cursor *op, const struct nft_visitor *v, void *arg)
{
	uint8_t family = (uint8_t)cursor_uint(op, FAMILY_COUNT - 1);
	unsigned number = (unsigned)cursor_uint(op, NFT_AFFINITIES - 1);
	uint32_t seconds = (uint32_t)cursor_uint(op, 86400);

	return op->error != NULL ? NULL : v->affinity(arg, family, number, seconds);
}

static const char *visit_op(struct cursor *op, const struct nft_visitor *v, void *arg)
{
	switch (cursor_uint(op, UINT8_MAX)) {
	case NFT_OP_INSTALL:
		return visit_family(op, v->install, arg);
	case NFT_OP_PUT:
		return visit_elem(op, UINT16_MAX, v->put, arg);
	case NFT_OP_DELETE:
		return visit_elem(op, KEY, v->remove_elem, arg);
	case NFT_OP_AFFINITY:
		return visit_affinity(op, v, arg);
	case NFT_OP_FORGET:
		return visit_elem(op, NFT_FRONTEND | NFT_TO, v->forget, arg);
	default:
		return "an unknown operation";
	}
}

const char *nft_decode_ops(struct cursor *c, const struct nft_visitor *v, void *arg)
{
	struct cursor ops = cursor_array(c, FRAME_MAX);

	while (ops.error == NULL && ops.left > 0) {
		struct cursor op = cursor_array(&ops, 12);
		const char *why = visit_op(&op, v, arg);

		if (why != NULL)
			cursor_fail(&op, why);
		cursor_leave(&ops, &op);
	}
	cursor_leave(c, &ops);
	return cursor_end(c);
}

/* --- answers --- */

void nft_encode_snapshot(struct frame *f, const struct nft_snapshot *s)
{
	frame_begin(f, NFT_SNAPSHOT, 2 + 3 * FAMILY_COUNT);
	for (int i = 0; i < FAMILY_COUNT; i++) {
		frame_bool(f, s->families[i]);
		frame_bool(f, s->installed[i]);
		frame_bool(f, s->there[i]);
	}
	frame_array(f, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		uint16_t fields = nft_set(s->elems[i].set)->fields;

		frame_array(f, 2 + field_count(fields));
		put_elem(f, &s->elems[i], fields);
	}
	frame_bool(f, s->last);
}

const char *nft_decode_snapshot(struct cursor *c, struct nft_snapshot *s)
{
	struct cursor elems;

	for (int i = 0; i < FAMILY_COUNT; i++) {
		s->families[i] = cursor_bool(c);
		s->installed[i] = cursor_bool(c);
		s->there[i] = cursor_bool(c);
	}
	elems = cursor_array(c, NFT_SNAPSHOT_PART_MAX);
	s->count = 0;
	while (elems.error == NULL && elems.left > 0) {
		struct cursor e = cursor_array(&elems, 12);

		get_elem(&e, &s->elems[s->count++], UINT16_MAX);
		cursor_leave(&elems, &e);
	}
	cursor_leave(c, &elems);
	s->last = cursor_bool(c);
	return cursor_end(c);
}

void nft_encode_drift(struct frame *f)
{
	frame_begin(f, NFT_DRIFT, 0);
}

const char *nft_decode_drift(struct cursor *c)
{
	return cursor_end(c);
}
