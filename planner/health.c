#include "planner/health.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

/* Exists while the listener knows it, or is to be told. */
struct health_entry {
	RB_ENTRY(health_entry) by_name;
	STAILQ_ENTRY(health_entry) changed_next;
	bool changed;
	bool told;		  /* the listener has it, perhaps with other numbers */
	struct health_service is; /* port 0: not any more */
};

static int health_entry_cmp(const struct health_entry *a, const struct health_entry *b)
{
	int n = strcmp(a->is.namespace, b->is.namespace);

	return n != 0 ? n : strcmp(a->is.name, b->is.name);
}

RB_PROTOTYPE(health_tree, health_entry, by_name, health_entry_cmp)
RB_GENERATE(health_tree, health_entry, by_name, health_entry_cmp)

void health_init(struct health_index *h)
{
	memset(h, 0, sizeof(*h));
	RB_INIT(&h->services);
	STAILQ_INIT(&h->changed);
}

void health_clear(struct health_index *h)
{
	struct health_entry *e, *next;

	RB_FOREACH_SAFE (e, health_tree, &h->services, next) {
		RB_REMOVE(health_tree, &h->services, e);
		free(e);
	}
	health_init(h);
}

/* --- services --- */

static int addr_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct stored_endpoint *)NULL)->addr));
}

/* The addresses of FAMILY at which V has an endpoint that is ready on this node. */
static uint32_t count_ready(const struct stored_service *v, uint8_t family)
{
	uint8_t(*addrs)[sizeof(((struct stored_endpoint *)NULL)->addr)] = NULL;
	const struct stored_slice *s;
	size_t count = 0, room = 0;
	uint32_t different = 0;

	LIST_FOREACH (s, &v->slices, of_service) {
		if (s->family != family || s->port_count == 0)
			continue;
		for (uint32_t i = 0; i < s->endpoint_count; i++) {
			const struct stored_endpoint *e = &s->endpoints[i];

			if (!(e->flags & EP_READY) || !(e->flags & EP_LOCAL))
				continue;
			addrs = memory_grow(addrs, &room, count + 1, sizeof(*addrs));
			memcpy(addrs[count++], e->addr, sizeof(*addrs));
		}
	}
	if (count > 0)
		qsort(addrs, count, sizeof(*addrs), addr_cmp);
	for (size_t i = 0; i < count; i++)
		different += i == 0 || addr_cmp(addrs[i - 1], addrs[i]) != 0;
	free(addrs);
	return different;
}

static void put_names(struct health_service *s, const struct stored_service *v)
{
	strlcpy(s->namespace, v->namespace, sizeof(s->namespace));
	strlcpy(s->name, v->name, sizeof(s->name));
}

void health_update(struct health_index *h, const struct stored_service *v)
{
	const bool has = v->spec != NULL && v->spec->external_local;
	const uint16_t port = has ? v->spec->health_check_node_port : 0;
	struct health_entry key, *e;
	uint32_t ready = 0;

	if (port == 0 && RB_EMPTY(&h->services))
		return;
	put_names(&key.is, v);
	e = RB_FIND(health_tree, &h->services, &key);
	if (e == NULL && port == 0)
		return;
	if (e == NULL) {
		e = memory_new(sizeof(*e));
		put_names(&e->is, v);
		RB_INSERT(health_tree, &h->services, e);
	}
	for (unsigned f = 0; port != 0 && f < FAMILY_COUNT; f++) {
		const uint32_t n = count_ready(v, (uint8_t)f);

		ready = n > ready ? n : ready;
	}
	if (e->is.port == port && e->is.endpoints == ready)
		return;
	e->is.port = port;
	e->is.endpoints = ready;
	if (!e->changed)
		STAILQ_INSERT_TAIL(&h->changed, e, changed_next);
	e->changed = true;
}

/* --- addresses --- */

void health_addrs_moved(struct health_index *h)
{
	h->addrs_moved = true;
}

/* Can a socket be bound to it without the name of an interface, to be reached from elsewhere? */
static bool can_bind(const struct ip_addr *a)
{
	return a->family == FAMILY_4 || !(a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

static void add_addr(struct health_addrs *to, const struct ip_addr *a)
{
	if (to->count < HEALTH_ADDRS_MAX)
		to->addrs[to->count++] = *a;
}

/* A kernel without a family has no address of it, nor a socket. */
static bool may_have(const struct local_addrs *local, uint8_t family)
{
	for (size_t i = 0; i < local->count; i++)
		if (local->addrs[i].family == family)
			return true;
	return local->count == 0;
}

static void add_family(struct health_addrs *to, const struct own_node *own,
    const struct local_addrs *local, uint8_t family)
{
	const bool primary = own->cfg->mode == MODE_NFTABLES && !own_node_takes_addrs(own);
	const struct ip_addr any = {.family = family};
	struct ip_addr addrs[OWN_NODE_ADDRS_MAX];
	struct ip_cidr in[CONFIG_PREFIXES_MAX];
	uint32_t count;

	if (primary) {
		if (own_node_port_addrs(own, local, family, addrs) > 0)
			add_addr(to, &addrs[0]);
		return;
	}
	count = own_node_nodeports(own, family, in);
	if (count == 0 && may_have(local, family))
		add_addr(to, &any);
	for (size_t i = 0; count > 0 && i < local->count; i++) {
		const struct ip_addr *a = &local->addrs[i];
		bool within = false;

		for (uint32_t k = 0; k < count; k++)
			within |= ip_cidr_contains(&in[k], a);
		if (within && can_bind(a))
			add_addr(to, a);
	}
}

static bool addrs_equal(const struct health_addrs *a, const struct health_addrs *b)
{
	return a->count == b->count &&
	       memcmp(a->addrs, b->addrs, a->count * sizeof(*a->addrs)) == 0;
}

/* --- telling --- */

static void tell_services(struct health_index *h, bool deleted, struct frame *f,
    void (*send)(void *arg, const struct frame *f), void *arg)
{
	struct health_entry *e;

	STAILQ_FOREACH(e, &h->changed, changed_next)
	{
		if ((e->is.port == 0) != deleted || (deleted && !e->told))
			continue;
		if (deleted)
			health_encode_del(f, e->is.namespace, e->is.name);
		else
			health_encode_put(f, &e->is);
		send(arg, f);
		e->told = true;
	}
}

void health_tell(struct health_index *h, const struct own_node *own,
    const struct local_addrs *local, struct frame *f,
    void (*send)(void *arg, const struct frame *f), void *arg)
{
	struct health_addrs addrs = {0};
	struct health_entry *e;

	/* A node without such a Service has nothing to be told. */
	if (h->addrs_moved && !RB_EMPTY(&h->services)) {
		h->addrs_moved = false;
		for (unsigned family = 0; family < FAMILY_COUNT; family++)
			add_family(&addrs, own, local, (uint8_t)family);
		if (!addrs_equal(&addrs, &h->addrs)) {
			h->addrs = addrs;
			health_encode_addrs(f, &addrs);
			send(arg, f);
		}
	}
	tell_services(h, true, f, send, arg);
	tell_services(h, false, f, send, arg);
	while ((e = STAILQ_FIRST(&h->changed)) != NULL) {
		STAILQ_REMOVE_HEAD(&h->changed, changed_next);
		e->changed = false;
		if (e->is.port != 0)
			continue;
		RB_REMOVE(health_tree, &h->services, e);
		free(e);
	}
}
