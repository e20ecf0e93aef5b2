#include "planner/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "planner/frontends.h"
#include "planner/memory.h"
#include "planner/names.h"

#define LEVEL_BITS 2
#define CHILDREN   (1u << LEVEL_BITS)
/* What waits to be visited: at each level all children but the one gone into. */
#define STACK_MAX (128 / LEVEL_BITS * (CHILDREN - 1) + CHILDREN)

static int node_cmp(const struct dispatch_node *a, const struct dispatch_node *b)
{
	int n = ip_cmp(&a->net.addr, &b->net.addr);

	return n != 0 ? n : a->net.bits - b->net.bits;
}

RB_GENERATE(dispatch_tree, dispatch_node, by_prefix, node_cmp)

/* --- the tree as it should be --- */

static struct ip_cidr prefix_of(const struct ip_addr *addr, unsigned bits)
{
	struct ip_cidr net = {.addr.family = addr->family, .bits = (uint8_t)bits};

	memcpy(net.addr.b, addr->b, bits / 8);
	if (bits % 8 != 0)
		net.addr.b[bits / 8] = addr->b[bits / 8] & (uint8_t)(0xff00u >> bits % 8);
	return net;
}

/* The prefix of a node that covers S, which is not empty. */
static struct ip_cidr span_net(const struct dispatch *d, struct address_span s)
{
	const struct ip_addr *first = &d->entries.e[s.lo].addr;
	const struct ip_addr *last = &d->entries.e[s.hi - 1].addr;
	unsigned bits = 0, len = ip_bits(first->family);

	while (bits < len && first->b[bits / 8] == last->b[bits / 8])
		bits += 8;
	while (bits < len && ((first->b[bits / 8] ^ last->b[bits / 8]) &
				 0xff00u >> (bits % 8 + LEVEL_BITS) & 0xff) == 0)
		bits += LEVEL_BITS;
	return prefix_of(first, bits);
}

static bool is_leaf(struct address_span s, const struct ip_cidr *net)
{
	return s.hi - s.lo <= DISPATCH_LEAF_MAX || net->bits == ip_bits(net->addr.family);
}

/* The children of the node NET that covers S and is no leaf. Returns how many there are. */
static unsigned children(const struct dispatch *d, struct address_span s, const struct ip_cidr *net,
    struct address_span out[CHILDREN])
{
	unsigned n = 0, at = net->bits / 8, shift = 8 - LEVEL_BITS - net->bits % 8;

	while (s.lo < s.hi) {
		int value = d->entries.e[s.lo].addr.b[at] >> shift;
		struct address_span child = {s.lo, s.hi};

		for (size_t lo = s.lo; lo < child.hi;) {
			size_t mid = lo + (child.hi - lo) / 2;

			if (d->entries.e[mid].addr.b[at] >> shift == value)
				lo = mid + 1;
			else
				child.hi = mid;
		}
		out[n++] = child;
		s.lo = child.hi;
	}
	return n;
}

/* What KUBE-SERVICES jumps to. *NET is the prefix of it all. */
static unsigned root_children(
    const struct dispatch *d, struct ip_cidr *net, struct address_span out[CHILDREN])
{
	struct address_span all = {0, d->entries.count};

	*net = span_net(d, all);
	if (!is_leaf(all, net))
		return children(d, all, net, out);
	out[0] = all; /* a single address */
	return 1;
}

bool dispatch_is_tree(const struct dispatch *d)
{
	return d->entries.count > DISPATCH_FLAT_MAX;
}

/* --- rules --- */

struct ipt_chain dispatch_chain(const struct ip_cidr *net)
{
	struct ipt_chain c = {.family = net->addr.family, .table = IPT_NAT, .kind = CHAIN_NET};

	names_net_hash(c.hash, net);
	return c;
}

static void jumps(const struct dispatch *d, const struct address_span *to, unsigned count,
    enum ipt_template_id t, const struct rule_sink *sink)
{
	for (unsigned i = 0; i < count; i++) {
		struct ipt_rule r;

		memset(&r, 0, sizeof(r));
		r.template = (uint8_t)t;
		r.target_kind = CHAIN_NET;
		r.net = span_net(d, to[i]);
		names_net_hash(r.target_hash, &r.net);
		sink->rule(sink->arg, &r);
	}
}

void dispatch_root_rules(const struct dispatch *d, const struct rule_sink *to)
{
	struct address_span below[CHILDREN];
	struct ip_cidr net;
	unsigned n = root_children(d, &net, below);

	jumps(d, below, n, T_SERVICE_NET, to);
}

void dispatch_net_rules(
    const struct dispatch *d, const struct ip_cidr *net, const struct rule_sink *to)
{
	struct address_span s = addresses_under(&d->entries, net), below[CHILDREN];

	if (is_leaf(s, net)) {
		for (; s.lo < s.hi; s.lo++)
			frontends_nat_services(to, d->entries.e[s.lo].service, net->addr.family,
			    &d->entries.e[s.lo].addr);
		return;
	}
	jumps(d, below, children(d, s, net, below), T_SERVICE_NET_GOTO, to);
}

/* --- what changes --- */

void dispatch_clear(struct dispatch *d)
{
	struct dispatch_node *n, *next;

	RB_FOREACH_SAFE (n, dispatch_tree, &d->known, next) {
		RB_REMOVE(dispatch_tree, &d->known, n);
		free(n);
	}
	d->rules = 0;
	addresses_clear(&d->entries);
	addresses_clear(&d->before);
	addresses_clear(&d->after);
}

void dispatch_before(struct dispatch *d, const struct stored_service *v,
    const struct service_spec *spec, uint8_t family)
{
	for (unsigned k = 0; spec != NULL && k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			if (spec->ips[k][i].family == family)
				addresses_add(&d->before, v, &spec->ips[k][i]);
}

struct adder {
	struct address_list *to;
	const struct stored_service *service;
};

static void add_address(void *arg, const struct ipt_rule *r)
{
	const struct adder *a = arg;

	addresses_add(a->to, a->service, &r->dst);
}

void dispatch_after(struct dispatch *d, const struct stored_service *v, uint8_t family)
{
	struct adder a = {&d->after, v};
	struct rule_sink to = {add_address, &a};

	frontends_nat_services(&to, v, family, NULL);
}

/* Is there an address under NET whose rules changed? */
static bool concerns(const struct dispatch *d, const struct ip_cidr *net)
{
	struct address_span before = addresses_under(&d->before, net),
			    after = addresses_under(&d->after, net);

	return before.lo < before.hi || after.lo < after.hi;
}

static struct dispatch_node *find_node(struct dispatch *d, const struct ip_cidr *net)
{
	struct dispatch_node key = {.net = *net};

	return RB_FIND(dispatch_tree, &d->known, &key);
}

static void forget(struct dispatch *d, struct dispatch_node *n, const struct dispatch_visitor *v)
{
	RB_REMOVE(dispatch_tree, &d->known, n);
	v->gone(v->arg, &n->net);
	d->rules -= n->rules;
	free(n);
}

/* N was a node with children and is a leaf. */
static void forget_below(
    struct dispatch *d, struct dispatch_node *n, const struct dispatch_visitor *v)
{
	struct dispatch_node *below = RB_NEXT(dispatch_tree, &d->known, n), *next;

	for (; below != NULL && ip_cidr_contains(&n->net, &below->net.addr); below = next) {
		next = RB_NEXT(dispatch_tree, &d->known, below);
		forget(d, below, v);
	}
}

/*
 * Chains that this update did not come by although it should have: an address that they owe their
 * place to has gone. (One that comes takes no node's place.)
 */
static void forget_unseen(struct dispatch *d, const struct dispatch_visitor *v)
{
	const struct address_list *changed = &d->before;

	for (size_t i = 0; i < changed->count; i++)
		for (unsigned bits = 0; bits <= ip_bits(changed->e[i].addr.family);
		     bits += LEVEL_BITS) {
			struct ip_cidr net = prefix_of(&changed->e[i].addr, bits);
			struct dispatch_node *n = find_node(d, &net);

			if (n != NULL && n->turn != d->turn)
				forget(d, n, v);
		}
}

/* Brings what is known of the chain for NET up to date. */
static struct dispatch_node *see(
    struct dispatch *d, const struct ip_cidr *net, const struct dispatch_visitor *v)
{
	struct dispatch_node *n = find_node(d, net);
	uint32_t rules;
	uint64_t digest = v->digest(v->arg, net, &rules);
	bool fresh = n == NULL;

	if (fresh) {
		n = memory_new(sizeof(*n));
		n->net = *net;
		RB_INSERT(dispatch_tree, &d->known, n);
	}
	if (fresh || n->digest != digest)
		v->put(v->arg, net, digest, fresh);
	d->rules += (size_t)rules - n->rules;
	n->rules = rules;
	n->digest = digest;
	n->turn = d->turn;
	return n;
}

/*
 * From the root down, past what is known and not concerned. That is as it was: it depends on the
 * addresses under its prefix only, and whichever others there are, it is on their way.
 */
static void walk(struct dispatch *d, const struct dispatch_visitor *v)
{
	struct address_span stack[STACK_MAX];
	struct dispatch_node *n;
	struct ip_cidr net;
	unsigned depth = root_children(d, &net, stack);

	while (depth > 0) {
		struct address_span s = stack[--depth];

		net = span_net(d, s);
		if (find_node(d, &net) != NULL && !concerns(d, &net))
			continue;
		n = see(d, &net, v);
		if (is_leaf(s, &net))
			forget_below(d, n, v);
		else
			depth += children(d, s, &net, stack + depth);
	}
}

/* A node that became the root has no chain of its own any more. */
static void forget_root(struct dispatch *d, const struct dispatch_visitor *v)
{
	struct address_span all = {0, d->entries.count};
	struct ip_cidr net = span_net(d, all);
	struct dispatch_node *n = find_node(d, &net);

	if (n != NULL && !is_leaf(all, &net))
		forget(d, n, v);
}

void dispatch_update(struct dispatch *d, const struct dispatch_visitor *v)
{
	struct dispatch_node *n, *next;

	addresses_sort(&d->before);
	addresses_sort(&d->after);
	addresses_remove(&d->entries, &d->before, &d->after);
	addresses_insert(&d->entries, &d->after);
	d->turn++;
	if (dispatch_is_tree(d)) {
		bool began = RB_EMPTY(&d->known);

		forget_root(d, v);
		walk(d, v);
		if (!began)
			forget_unseen(d, v);
	} else {
		RB_FOREACH_SAFE (n, dispatch_tree, &d->known, next)
			forget(d, n, v);
	}
	addresses_clear(&d->before);
	addresses_clear(&d->after);
}
