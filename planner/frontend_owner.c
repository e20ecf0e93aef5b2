#include "planner/frontend_owner.h"

#include "planner/frontend_index.h"
#include "planner/own_node.h"

/* --- who is to be judged --- */

static void doubt(struct store *s, struct stored_service *v)
{
	if (v->doubtful)
		return;
	v->doubtful = true;
	SLIST_INSERT_HEAD(&s->doubtful, v, doubtful_next);
	store_touch(s, v);
}

static void contested(struct store *s, struct frontend_claim *c)
{
	doubt(s, c->v);
}

/* Is it by an address that may be refused whoever else asks for it? */
static bool from_outside(const struct frontend_claim *c)
{
	return c->kind == FRONTEND_EXTERNAL || c->kind == FRONTEND_LOAD_BALANCER;
}

static void set_on_node(struct store *s, struct frontend_claim *c, bool on)
{
	s->claims_on_node += (size_t)on - c->on_node;
	c->on_node = on;
}

/* Notes whether C's address is the node's. Returns whether that is news. */
static bool locate(struct store *s, struct frontend_claim *c)
{
	const bool was = c->on_node;

	if (from_outside(c))
		set_on_node(s, c, frontend_on_node(s, &c->key.addr));
	return c->on_node != was;
}

static void doubt_at(struct store *s, struct frontend_claim *c)
{
	for (; c != NULL; c = frontend_index_next(s, c))
		doubt(s, c->v);
}

/* The node port of C comes or goes: who has the same port at an address of the node? */
static void doubt_on_node(struct store *s, const struct frontend_claim *c)
{
	struct frontend_key key = c->key;
	const struct own_node *own = s->own;

	if (s->claims_on_node == 0)
		return;
	for (size_t i = 0; i < own->local->count; i++) {
		key.addr = own->local->addrs[i];
		doubt_at(s, frontend_index_best(s, &key));
	}
	for (uint32_t i = 0; i < own->addr_count; i++) {
		key.addr = own->addrs[i];
		doubt_at(s, frontend_index_best(s, &key));
	}
}

/* What C's coming or going may change for others by its kind. */
static void doubt_others(struct store *s, const struct frontend_claim *c)
{
	struct frontend_claim *other;

	if (c->kind == FRONTEND_COUNT)
		doubt_on_node(s, c);
	if (c->kind != FRONTEND_CLUSTER)
		return;
	for (other = frontend_index_at(s, &c->key.addr); other != NULL;
	     other = frontend_index_next_at(s, other))
		if (from_outside(other))
			doubt(s, other->v);
}

void frontend_owner_list(
    struct store *s, struct stored_service *v, const struct service_spec *spec, bool anew)
{
	frontend_index_list(s, v, spec, contested);
	for (uint32_t i = 0; i < v->claim_count; i++) {
		struct frontend_claim *c = &v->claims[i];

		locate(s, c);
		if (anew && from_outside(c))
			doubt(s, v);
		doubt_others(s, c);
	}
}

void frontend_owner_unlist(struct store *s, struct stored_service *v)
{
	for (uint32_t i = 0; i < v->claim_count; i++) {
		set_on_node(s, &v->claims[i], false);
		doubt_others(s, &v->claims[i]);
	}
	frontend_index_unlist(s, v, contested);
}

/* EVERY: those whose address is as it was, too. */
static void doubt_all(struct store *s, bool every)
{
	struct stored_service *v;

	RB_FOREACH (v, service_tree, &s->services)
		for (uint32_t i = 0; i < v->claim_count; i++)
			if (locate(s, &v->claims[i]) || (every && from_outside(&v->claims[i])))
				doubt(s, v);
}

void frontend_owner_moved(struct store *s)
{
	doubt_all(s, true);
}

void frontend_owner_addrs_moved(struct store *s)
{
	doubt_all(s, false);
}

void frontend_owner_addr_moved(struct store *s, const struct ip_addr *addr)
{
	struct frontend_claim *c = frontend_index_at(s, addr);

	for (; c != NULL; c = frontend_index_next_at(s, c))
		if (locate(s, c))
			doubt(s, c->v);
}

void frontend_owner_settle(struct store *s)
{
	struct stored_service *v;

	while ((v = SLIST_FIRST(&s->doubtful)) != NULL) {
		SLIST_REMOVE_HEAD(&s->doubtful, doubtful_next);
		v->doubtful = false;
		frontend_judge(s, v);
	}
}

/* --- whose it is --- */

static bool has_port(const struct stored_service *v, uint8_t proto, uint16_t port)
{
	for (uint32_t i = 0; v->spec != NULL && i < v->spec->port_count; i++)
		if (v->spec->ports[i].proto == proto && v->spec->ports[i].port == port)
			return true;
	return false;
}

/* Where claims for PORT at ADDR are: of a ClusterIP, of the address and port, of a node port. */
enum { AT_CLUSTER_IP, AT_ADDRESS, AT_NODE_PORT, AT_COUNT };

static struct frontend_claim *best_at(
    const struct store *s, unsigned where, const struct ip_addr *addr, uint8_t proto, uint16_t port)
{
	struct frontend_key key = frontend_key_address(addr);

	if (where == AT_NODE_PORT) {
		if (!frontend_answers_node_ports(s, addr))
			return NULL;
		key = frontend_key_node_port(proto, port);
	} else if (where == AT_ADDRESS) {
		key.proto = proto;
		key.port = port;
	}
	return frontend_index_best(s, &key);
}

/* That C asks for PORT at ADDR. */
static struct frontend_asked asked(
    const struct frontend_claim *c, const struct ip_addr *addr, uint8_t proto, uint16_t port)
{
	return (struct frontend_asked){c->v, (enum frontend)c->kind, addr, proto, port};
}

struct stored_service *frontend_owner_of(const struct store *s, const struct ip_addr *addr,
    uint8_t proto, uint16_t port, enum frontend *kind)
{
	char text[FRONTEND_WHY_MAX];

	for (unsigned where = 0; proto != 0 && where < AT_COUNT; where++) {
		struct frontend_claim *c = best_at(s, where, addr, proto, port);
		struct frontend_asked a;

		if (c == NULL || (where == AT_CLUSTER_IP && !has_port(c->v, proto, port)))
			continue;
		if (where == AT_NODE_PORT && !frontend_has_family(c->v, addr->family))
			continue;
		a = asked(c, addr, proto, port);
		if (frontend_refusal(s, &a, text) != NULL)
			continue;
		*kind = a.kind;
		return c->v;
	}
	return NULL;
}

struct stored_service *frontend_owner_of_cluster_ip(
    const struct store *s, const struct ip_addr *addr)
{
	const struct frontend_key key = frontend_key_address(addr);
	const struct frontend_claim *c = frontend_index_best(s, &key);

	return c != NULL ? c->v : NULL;
}

void frontend_owner_losers(const struct store *s, const struct ip_addr *addr, uint8_t proto,
    uint16_t port, void (*fn)(void *arg, const struct frontend_asked *a, const char *why),
    void *arg)
{
	char text[FRONTEND_WHY_MAX];

	for (unsigned where = 0; where < AT_COUNT; where++) {
		struct frontend_claim *c = best_at(s, where, addr, proto, port);

		for (; c != NULL; c = frontend_index_next(s, c)) {
			const struct frontend_asked a = asked(c, addr, proto, port);
			const char *why = frontend_refusal(s, &a, text);

			if (why != NULL && (where != AT_CLUSTER_IP || has_port(c->v, proto, port)))
				fn(arg, &a, why);
		}
	}
}
