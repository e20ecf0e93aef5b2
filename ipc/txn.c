#include "ipc/txn.h"

#include <string.h>

#include "ipc/ipvs_ops.h"

/* --- writing a transaction --- */

static void open_frame(struct txn_writer *w)
{
	frame_begin(&w->frame, w->type != 0 ? w->type : TXN_OPS, 1);
	w->ops_mark = frame_array_open(&w->frame);
	w->in_frame = 0;
}

static void close_chain(struct txn_writer *w)
{
	if (w->chain_open)
		frame_array_close(&w->frame, w->rules_mark, w->rules);
	w->chain_open = false;
}

static void send_frame(struct txn_writer *w)
{
	close_chain(w);
	frame_array_close(&w->frame, w->ops_mark, w->in_frame);
	if (w->in_frame > 0)
		w->sink(w->arg, &w->frame);
	open_frame(w);
}

/* No operation without its rules, and no rule, has more bytes than this. */
#define PIECE_MAX 512

/* Sends the frame if the next piece might not fit. */
static void make_room(struct txn_writer *w)
{
	bool more = w->chain_open;

	if (w->frame.len + PIECE_MAX <= FRAME_MAX)
		return;
	send_frame(w);
	if (!more)
		return;
	w->in_frame++;
	frame_array(&w->frame, 2);
	frame_uint(&w->frame, OP_CHAIN_MORE);
	w->rules_mark = frame_array_open(&w->frame);
	w->rules = 0;
	w->chain_open = true;
}

void txn_op(struct txn_writer *w, unsigned op, uint32_t fields)
{
	close_chain(w);
	make_room(w);
	w->in_frame++;
	w->ops++;
	frame_array(&w->frame, fields + 1);
	frame_uint(&w->frame, op);
}

static void put_chain(struct frame *f, const struct ipt_chain *c)
{
	frame_uint(f, c->family);
	frame_uint(f, c->table);
	frame_uint(f, c->kind);
	frame_bin(f, c->hash, CHAIN_HASH_LEN);
}

void txn_begin(struct txn_writer *w, txn_sink sink, void *arg, uint64_t generation, uint64_t base)
{
	w->sink = sink;
	w->arg = arg;
	w->generation = generation;
	w->ops = 0;
	w->rules = 0;
	w->chain_open = false;
	frame_begin(&w->frame, TXN_BEGIN, 2);
	frame_uint(&w->frame, generation);
	frame_uint(&w->frame, base);
	sink(arg, &w->frame);
	open_frame(w);
}

void txn_chain_put(struct txn_writer *w, const struct ipt_chain *c)
{
	txn_op(w, OP_CHAIN_PUT, 5);
	put_chain(&w->frame, c);
	w->rules_mark = frame_array_open(&w->frame);
	w->rules = 0;
	w->chain_open = true;
}

static unsigned bits(unsigned v)
{
	return (unsigned)__builtin_popcount(v);
}

/* Fields of a rule on the wire: the template, one per argument, two for an endpoint or a chain. */
static uint32_t rule_fields(uint16_t args)
{
	return 1 + bits(args) + bits(args & (ARG_TO | ARG_TARGET));
}

void txn_rule(struct txn_writer *w, const struct ipt_rule *r)
{
	struct frame *f = &w->frame;
	uint16_t args = ipt_templates[r->template].args;

	make_room(w);
	w->rules++;
	frame_array(f, rule_fields(args));
	frame_uint(f, r->template);
	if (args & ARG_NET)
		frame_cidr(f, &r->net);
	if (args & ARG_DST)
		frame_ip(f, &r->dst);
	if (args & ARG_PROTO)
		frame_uint(f, r->proto);
	if (args & ARG_DPORT)
		frame_uint(f, r->dport);
	if (args & ARG_NAME)
		frame_str(f, r->name);
	if (args & ARG_TO) {
		frame_ip(f, &r->to);
		frame_uint(f, r->to_port);
	}
	if (args & ARG_PROBABILITY)
		frame_uint(f, r->probability);
	if (args & ARG_SECONDS)
		frame_uint(f, r->seconds);
	if (args & ARG_TARGET) {
		frame_uint(f, r->target_kind);
		frame_bin(f, r->target_hash, CHAIN_HASH_LEN);
	}
	if (args & ARG_RELAY)
		frame_uint(f, r->to_port);
}

void txn_chain_delete(struct txn_writer *w, const struct ipt_chain *c)
{
	txn_op(w, OP_CHAIN_DELETE, 4);
	put_chain(&w->frame, c);
}

void txn_hook(struct txn_writer *w, uint8_t family, unsigned number, bool on)
{
	txn_op(w, OP_HOOK, 3);
	frame_uint(&w->frame, family);
	frame_uint(&w->frame, number);
	frame_bool(&w->frame, on);
}

void txn_item(struct txn_writer *w, enum txn_op op, const struct ipvs_item *i)
{
	txn_op(w, op, 1);
	ipvs_encode_item(&w->frame, i);
}

void txn_commit(struct txn_writer *w)
{
	send_frame(w);
	frame_begin(&w->frame, TXN_COMMIT, 2);
	frame_uint(&w->frame, w->generation);
	frame_uint(&w->frame, w->ops);
	w->sink(w->arg, &w->frame);
}

/* --- reading one --- */

const char *txn_decode_begin(struct cursor *c, uint64_t *generation, uint64_t *base)
{
	*generation = cursor_uint(c, UINT64_MAX);
	*base = cursor_uint(c, UINT64_MAX);
	return cursor_end(c);
}

const char *txn_decode_commit(struct cursor *c, uint64_t *generation, uint64_t *ops)
{
	*generation = cursor_uint(c, UINT64_MAX);
	*ops = cursor_uint(c, UINT64_MAX);
	return cursor_end(c);
}

/* Reads what put_chain() wrote; a chain that cannot exist is an error. */
static void get_chain(struct cursor *c, struct ipt_chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	chain->family = (uint8_t)cursor_uint(c, FAMILY_COUNT - 1);
	chain->table = (uint8_t)cursor_uint(c, IPT_TABLE_COUNT - 1);
	chain->kind = (uint8_t)cursor_uint(c, CHAIN_KIND_COUNT - 1);
	cursor_bin(c, chain->hash, CHAIN_HASH_LEN);
	if (c->error == NULL && !ipt_chain_valid(chain))
		cursor_fail(c, "a chain that cannot exist");
}

static void get_rule(struct cursor *c, struct ipt_rule *r)
{
	uint16_t args;

	memset(r, 0, offsetof(struct ipt_rule, name));
	r->name[0] = '\0';
	r->template = (uint8_t)cursor_uint(c, IPT_TEMPLATE_COUNT - 1);
	args = ipt_templates[r->template].args;
	if (args & ARG_NET)
		cursor_cidr(c, &r->net);
	if (args & ARG_DST)
		cursor_ip(c, &r->dst);
	if (args & ARG_PROTO)
		r->proto = (uint8_t)cursor_uint(c, UINT8_MAX);
	if (args & ARG_DPORT)
		r->dport = (uint16_t)cursor_uint(c, UINT16_MAX);
	if (args & ARG_NAME)
		cursor_str(c, r->name, sizeof(r->name));
	if (args & ARG_TO) {
		cursor_ip(c, &r->to);
		r->to_port = (uint16_t)cursor_uint(c, UINT16_MAX);
	}
	if (args & ARG_PROBABILITY)
		r->probability = (uint32_t)cursor_uint(c, UINT32_MAX);
	if (args & ARG_SECONDS)
		r->seconds = (uint32_t)cursor_uint(c, UINT32_MAX);
	if (args & ARG_TARGET) {
		r->target_kind = (uint8_t)cursor_uint(c, CHAIN_KIND_COUNT - 1);
		cursor_bin(c, r->target_hash, CHAIN_HASH_LEN);
	}
	if (args & ARG_RELAY)
		r->to_port = (uint16_t)cursor_uint(c, UINT16_MAX);
}

static void visit_rules(struct cursor *op, const struct txn_visitor *v, void *arg)
{
	struct cursor rules = cursor_array(op, FRAME_MAX);
	struct ipt_rule r;

	while (rules.error == NULL && rules.left > 0) {
		struct cursor c = cursor_array(&rules, rule_fields(UINT16_MAX));
		const char *why;

		get_rule(&c, &r);
		cursor_leave(&rules, &c);
		if (rules.error != NULL)
			break;
		why = v->rule != NULL ? v->rule(arg, &r) : NULL;
		if (why != NULL)
			cursor_fail(&rules, why);
	}
	cursor_leave(op, &rules);
}

static void visit_chain(
    struct cursor *op, const char *(*visit)(void *, const struct ipt_chain *), void *arg)
{
	struct ipt_chain chain;
	const char *why;

	get_chain(op, &chain);
	if (op->error != NULL)
		return;
	why = visit != NULL ? visit(arg, &chain) : NULL;
	if (why != NULL)
		cursor_fail(op, why);
}

static void visit_hook(struct cursor *op, const struct txn_visitor *v, void *arg)
{
	uint8_t family = (uint8_t)cursor_uint(op, FAMILY_COUNT - 1);
	unsigned number = (unsigned)cursor_uint(op, IPT_HOOK_COUNT - 1);
	bool on = cursor_bool(op);
	const char *why;

	if (op->error != NULL)
		return;
	why = v->hook != NULL ? v->hook(arg, family, number, on) : NULL;
	if (why != NULL)
		cursor_fail(op, why);
}

static void visit_item(
    struct cursor *op, enum txn_op number, const struct txn_visitor *v, void *arg)
{
	struct ipvs_item i;
	const char *why;

	ipvs_decode_item(op, &i);
	if (op->error != NULL)
		return;
	why = v->item != NULL ? v->item(arg, number, &i) : NULL;
	if (why != NULL)
		cursor_fail(op, why);
}

static void visit_op(struct cursor *op, const struct txn_visitor *v, void *arg)
{
	const uint64_t number = cursor_uint(op, UINT8_MAX);

	switch (number) {
	case OP_CHAIN_PUT:
		visit_chain(op, v->chain_put, arg);
		if (op->error == NULL)
			visit_rules(op, v, arg);
		break;
	case OP_CHAIN_MORE:
		visit_rules(op, v, arg);
		break;
	case OP_CHAIN_DELETE:
		visit_chain(op, v->chain_delete, arg);
		break;
	case OP_HOOK:
		visit_hook(op, v, arg);
		break;
	case OP_ITEM_PUT:
	case OP_ITEM_CHANGE:
	case OP_ITEM_DELETE:
		visit_item(op, (enum txn_op)number, v, arg);
		break;
	default:
		cursor_fail(op, "an unknown operation");
	}
}

const char *txn_decode_ops(struct cursor *c, const struct txn_visitor *v, void *arg)
{
	struct cursor ops = cursor_array(c, FRAME_MAX);

	while (ops.error == NULL && ops.left > 0) {
		struct cursor op = cursor_array(&ops, 6);

		visit_op(&op, v, arg);
		cursor_leave(&ops, &op);
	}
	cursor_leave(c, &ops);
	return cursor_end(c);
}

/* --- answers --- */

void txn_encode_snapshot_request(struct frame *f)
{
	frame_begin(f, TXN_SNAPSHOT_REQUEST, 0);
}

void txn_encode_snapshot(struct frame *f, const struct txn_snapshot *s)
{
	frame_begin(f, TXN_SNAPSHOT, 2 + 2 * FAMILY_COUNT);
	for (int i = 0; i < FAMILY_COUNT; i++) {
		frame_bool(f, s->families[i]);
		frame_uint(f, s->hooks[i]);
	}
	frame_array(f, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		frame_array(f, 5);
		put_chain(f, &s->chains[i].chain);
		frame_uint(f, s->chains[i].digest);
	}
	frame_bool(f, s->last);
}

const char *txn_decode_snapshot(struct cursor *c, struct txn_snapshot *s)
{
	struct cursor chains;

	s->count = 0;
	for (int i = 0; i < FAMILY_COUNT; i++) {
		s->families[i] = cursor_bool(c);
		s->hooks[i] = (uint32_t)cursor_uint(c, (1u << IPT_HOOK_COUNT) - 1);
	}
	chains = cursor_array(c, SNAPSHOT_PART_MAX);
	for (uint32_t n = chains.left; chains.error == NULL && s->count < n; s->count++) {
		struct cursor in = cursor_array(&chains, 5);

		get_chain(&in, &s->chains[s->count].chain);
		s->chains[s->count].digest = cursor_uint(&in, UINT64_MAX);
		cursor_leave(&chains, &in);
	}
	cursor_leave(c, &chains);
	s->last = cursor_bool(c);
	return cursor_end(c);
}

void txn_encode_check(struct frame *f, bool deep)
{
	frame_begin(f, TXN_CHECK, 1);
	frame_bool(f, deep);
}

void txn_encode_alive(struct frame *f)
{
	frame_begin(f, TXN_ALIVE, 0);
}

void txn_encode_status(struct frame *f, const struct txn_status *s)
{
	frame_begin(f, TXN_STATUS, 4);
	frame_uint(f, s->phase);
	frame_uint(f, s->source);
	frame_uint(f, s->services);
	frame_uint(f, s->endpoints);
}

const char *txn_decode_status(struct cursor *c, struct txn_status *s)
{
	s->phase = (uint8_t)cursor_uint(c, PHASE_COUNT - 1);
	s->source = (uint8_t)cursor_uint(c, SOURCE_COUNT - 1);
	s->services = (uint32_t)cursor_uint(c, UINT32_MAX);
	s->endpoints = (uint32_t)cursor_uint(c, UINT32_MAX);
	return cursor_end(c);
}

void txn_encode_checked(struct frame *f, bool drift)
{
	frame_begin(f, TXN_CHECKED, 1);
	frame_bool(f, drift);
}

const char *txn_decode_checked(struct cursor *c, bool *drift)
{
	*drift = cursor_bool(c);
	return cursor_end(c);
}

void txn_encode_result(struct frame *f, const struct txn_result *r)
{
	frame_begin(f, TXN_RESULT, 7);
	frame_uint(f, r->generation);
	frame_uint(f, r->code);
	frame_uint(f, (uint32_t)r->error);
	frame_uint(f, r->writes);
	frame_bool(f, r->drift);
	frame_uint(f, r->lock_wait_ms);
	frame_str(f, r->detail);
}

const char *txn_decode_result(struct cursor *c, struct txn_result *r)
{
	r->generation = cursor_uint(c, UINT64_MAX);
	r->code = (uint8_t)cursor_uint(c, TXN_KERNEL);
	r->error = (int32_t)cursor_uint(c, INT32_MAX);
	r->writes = cursor_uint(c, UINT64_MAX);
	r->drift = cursor_bool(c);
	r->lock_wait_ms = (uint32_t)cursor_uint(c, UINT32_MAX);
	cursor_str(c, r->detail, sizeof(r->detail));
	return cursor_end(c);
}
