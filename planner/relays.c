#include "planner/relays.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "planner/memory.h"
#include "planner/names.h"
#include "planner/rules.h"

struct relay_entry {
	SLIST_ENTRY(relay_entry) of_service;
	struct relay_entry *next_unused;
	struct stored_service *service; /* NULL: it is unused */
	uint32_t id;
	bool answered;
	bool wanted;
	uint16_t port; /* 0: not known, or none */
	uint16_t
	    loopback; /* the node port it has on the loopback address; 0: it is redirected to */
	uint8_t proto, family, list;
	uint64_t digest; /* of the endpoints it was told */
	char name[];
};

/* --- entries --- */

static bool same(const struct relay_entry *e, const struct relay_open *o)
{
	return e->proto == o->proto && e->family == o->family && e->loopback == o->port &&
	       (e->list == LIST_LOCAL) == o->local_list && strcmp(e->name, o->name) == 0;
}

static struct relay_entry *find(const struct stored_service *v, const struct relay_open *o)
{
	struct relay_entry *e;

	SLIST_FOREACH (e, &v->relays, of_service)
		if (same(e, o))
			return e;
	return NULL;
}

static void send_frame(struct relays *r)
{
	if (r->send != NULL)
		r->send(r->arg, &r->frame);
}

/* A number that no relay has; RELAYS_MAX: all do. */
static uint32_t free_id(struct relays *r)
{
	/* one behind the other, so that a number seldom means another relay soon */
	for (uint32_t i = 0; i < RELAYS_MAX; i++) {
		uint32_t id = r->ids++ % RELAYS_MAX;

		if (r->by_id[id] == NULL)
			return id;
	}
	return RELAYS_MAX;
}

/* NULL: there are as many as there can be. */
static struct relay_entry *open_relay(struct relays *r, struct stored_service *v)
{
	struct relay_open *o = &r->open;
	const struct relay_ports range = relay_ports_of(r->own->cfg);
	struct relay_entry *e;

	o->id = free_id(r);
	if (o->id == RELAYS_MAX) {
		if (!r->exhausted)
			log_error("%s and others get no relay: %u are open", o->name, RELAYS_MAX);
		r->exhausted = true;
		return NULL;
	}
	e = memory_new(sizeof(*e) + strlen(o->name) + 1);
	strlcpy(e->name, o->name, strlen(o->name) + 1);
	e->service = v;
	e->id = o->id;
	e->loopback = o->port;
	e->proto = o->proto;
	e->family = o->family;
	e->list = o->local_list ? LIST_LOCAL : LIST_CLUSTER;
	r->by_id[e->id] = e;
	SLIST_INSERT_HEAD(&v->relays, e, of_service);
	relay_encode_open(&r->frame, o);
	send_frame(r);
	r->waiting += r->send != NULL;
	if (r->send == NULL)
		e->port = o->port != 0 ? o->port : relay_first_port(&range, o);
	return e;
}

static void forget(struct relays *r, struct relay_entry *e)
{
	r->by_id[e->id] = NULL;
	r->waiting -= !e->answered && r->send != NULL;
	free(e);
}

/* --- endpoints --- */

static int endpoint_cmp(const void *a, const void *b)
{
	return relay_endpoint_cmp(a, b);
}

/* Those chosen that are in LIST, sorted. Returns how many. */
static uint32_t collect(struct relays *r, enum endpoint_list list)
{
	const struct chosen_endpoints *c = &r->chosen;
	uint32_t n = 0;

	r->endpoints = memory_grow(r->endpoints, &r->room, c->count + 1, sizeof(*r->endpoints));
	for (size_t i = 0; i < c->count && n < RELAY_BACKENDS_MAX; i++)
		if (c->e[i].lists & 1u << list)
			r->endpoints[n++] = (struct relay_endpoint){c->e[i].addr, c->e[i].port};
	qsort(r->endpoints, n, sizeof(*r->endpoints), endpoint_cmp);
	return n;
}

static uint64_t digest_of(const struct relays *r, uint32_t count, uint32_t seconds)
{
	struct siphash s;

	siphash_init(&s, &r->own->cfg->key);
	siphash_update(&s, &seconds, sizeof(seconds));
	for (uint32_t i = 0; i < count; i++) {
		siphash_update(&s, &r->endpoints[i].addr, sizeof(r->endpoints[i].addr));
		siphash_update(&s, &r->endpoints[i].port, sizeof(r->endpoints[i].port));
	}
	return siphash_final(&s);
}

/* Tells E's endpoints, if they are others than before. */
static void tell_endpoints(struct relays *r, struct relay_entry *e, uint32_t seconds)
{
	struct relay_backends *b = &r->backends;
	uint32_t count = collect(r, (enum endpoint_list)e->list), done = 0;
	uint64_t digest = digest_of(r, count, seconds);

	if (digest == e->digest)
		return;
	e->digest = digest;
	b->id = e->id;
	b->affinity_seconds = seconds;
	do {
		b->first = done == 0;
		b->count = count - done < RELAY_PART_MAX ? count - done : RELAY_PART_MAX;
		memcpy(b->endpoints, &r->endpoints[done], b->count * sizeof(b->endpoints[0]));
		done += b->count;
		b->last = done == count;
		relay_encode_backends(&r->frame, b);
		send_frame(r);
	} while (done < count);
}

/* --- what a service should have --- */

/* The relay that r->open describes, for the endpoints chosen last. */
static void want(struct relays *r, struct stored_service *v, enum endpoint_list list, uint16_t port)
{
	struct relay_entry *e;

	r->open.local_list = list == LIST_LOCAL;
	r->open.port = port;
	e = find(v, &r->open);
	if (e == NULL)
		e = open_relay(r, v);
	if (e == NULL)
		return;
	e->wanted = true;
	tell_endpoints(r, e, v->spec->affinity_seconds);
}

static void update_port(struct relays *r, struct stored_service *v, uint32_t index, uint8_t family)
{
	const struct service_spec *spec = v->spec;
	const struct stored_port *p = &spec->ports[index];
	const struct config *cfg = r->own->cfg;
	unsigned chains;

	if (p->proto != PROTO_TCP && p->proto != PROTO_UDP)
		return;
	endpoints_choose(&r->chosen, v, index, family, r->zone);
	r->open.proto = p->proto;
	r->open.family = family;
	names_service_port(r->open.name, v->namespace, v->name, spec->strings + p->name);
	if (cfg->mode != MODE_USERSPACE) {
		/* in iptables mode IPv4's is the kernel's: nodeports_rules() */
		if (p->node_port != 0 && r->chosen.in_list[LIST_CLUSTER] > 0 &&
		    (cfg->mode != MODE_IPTABLES || family != FAMILY_4))
			want(r, v, LIST_CLUSTER, p->node_port);
		return;
	}
	chains = rules_chains_for(spec, index, family, r->chosen.in_list[LIST_CLUSTER] > 0,
	    r->chosen.in_list[LIST_LOCAL] > 0);
	if (chains & 1u << CHAIN_SVC)
		want(r, v, LIST_CLUSTER, 0);
	if (chains & 1u << CHAIN_SVL)
		want(r, v, LIST_LOCAL, 0);
}

void relays_update(struct relays *r, struct stored_service *v, const bool families[FAMILY_COUNT])
{
	struct relay_entry *e, *next;

	for (unsigned f = 0; v->spec != NULL && f < FAMILY_COUNT; f++)
		for (uint32_t i = 0; families[f] && i < v->spec->port_count; i++)
			if (rules_has_family(v->spec, (uint8_t)f))
				update_port(r, v, i, (uint8_t)f);
	SLIST_FOREACH_SAFE(e, &v->relays, of_service, next)
	{
		if (!e->wanted) {
			SLIST_REMOVE(&v->relays, e, relay_entry, of_service);
			e->service = NULL;
			e->next_unused = r->unused;
			r->unused = e;
		}
		e->wanted = false;
	}
}

void relays_close_unused(struct relays *r)
{
	struct relay_entry *e;

	while ((e = r->unused) != NULL) {
		r->unused = e->next_unused;
		relay_encode_close(&r->frame, e->id);
		send_frame(r);
		forget(r, e);
	}
}

void relays_forget(struct relays *r, struct stored_service *v)
{
	struct relay_entry *e;

	while ((e = SLIST_FIRST(&v->relays)) != NULL) {
		SLIST_REMOVE_HEAD(&v->relays, of_service);
		forget(r, e);
	}
}

void relays_clear(struct relays *r)
{
	for (uint32_t i = 0; i < RELAYS_MAX; i++)
		free(r->by_id[i]);
	endpoints_clear(&r->chosen);
	free(r->endpoints);
}

/* --- what the relay process says --- */

const char *relays_answer(struct relays *r, struct cursor *c, struct stored_service **moved)
{
	const struct relay_ports range = relay_ports_of(r->own->cfg);
	uint32_t id;
	uint16_t port;
	const char *why = relay_decode_port(c, &id, &port);
	struct relay_entry *e;

	*moved = NULL;
	if (why != NULL)
		return why;
	e = r->by_id[id];
	if (e == NULL) /* closed before its answer came; its number is not given again soon */
		return NULL;
	if (e->loopback != 0 && port != 0 && port != e->loopback)
		return "a relay at another port than it was asked to have";
	if (e->loopback == 0 && port != 0 && (port < range.low || port > range.high))
		return "a relay at a port that is none of this mode's";
	r->waiting -= !e->answered;
	e->answered = true;
	if (e->port != port)
		*moved = e->service;
	e->port = port;
	return NULL;
}

uint16_t relays_port(
    const struct stored_service *v, uint32_t index, uint8_t family, enum endpoint_list list)
{
	const struct stored_port *p = &v->spec->ports[index];
	struct relay_open o = {
	    .proto = p->proto, .family = family, .local_list = list == LIST_LOCAL};
	const struct relay_entry *e;

	names_service_port(o.name, v->namespace, v->name, v->spec->strings + p->name);
	e = find(v, &o);
	return e != NULL ? e->port : 0;
}

struct stored_service *relays_on_loopback(
    struct store *s, uint8_t family, uint8_t proto, uint16_t port, uint32_t *index)
{
	struct stored_service *v;
	const struct relay_entry *e;

	RB_FOREACH (v, service_tree, &s->services)
		SLIST_FOREACH (e, &v->relays, of_service)
			for (uint32_t i = 0;
			     e->port == port && e->loopback == port && e->family == family &&
			     e->proto == proto && v->spec != NULL && i < v->spec->port_count;
			     i++)
				if (v->spec->ports[i].node_port == port &&
				    v->spec->ports[i].proto == proto) {
					*index = i;
					return v;
				}
	return NULL;
}
