#include "planner/desired.h"

#include <stdlib.h>
#include <string.h>

#include "applier/ipt_entry.h"
#include "common/siphash.h"
#include "planner/frontends.h"
#include "planner/ipvs_rules.h"
#include "planner/memory.h"

int owned_chain_cmp(const struct owned_chain *a, const struct owned_chain *b)
{
	if (a->family != b->family)
		return a->family - b->family;
	if (a->kind != b->kind)
		return a->kind - b->kind;
	return memcmp(a->hash, b->hash, sizeof(a->hash));
}

static int desired_chain_cmp(const void *a, const void *b)
{
	const struct desired_chain *x = a, *y = b;

	return owned_chain_cmp(&x->c, &y->c);
}

struct ipt_chain owned_chain_name(const struct owned_chain *o)
{
	struct ipt_chain c = {.family = o->family, .table = IPT_NAT, .kind = o->kind};

	memcpy(c.hash, o->hash, sizeof(c.hash));
	return c;
}

void desired_clear(struct desired *d)
{
	endpoints_clear(&d->chosen);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		dispatch_clear(&d->dispatch[f]);
	free(d->chains);
	d->chains = NULL;
	d->count = d->room = 0;
}

/* --- digests --- */

struct digester {
	struct siphash hash;
	struct ipt_chain chain;
	struct ipt_params params;
	uint32_t rules;
};

static void digest_rule(void *arg, const struct ipt_rule *r)
{
	struct digester *g = arg;
	struct ipt_blob blob;

	ipt_entry_encode(&blob, r, &g->chain, &g->params);
	ipt_blob_digest(&g->hash, &blob, g->chain.family);
	g->rules++;
}

static struct rule_sink digest_begin(
    struct digester *g, const struct desired *d, const struct ipt_chain *c)
{
	siphash_init(&g->hash, &d->own.cfg->key);
	g->chain = *c;
	g->params = d->params;
	g->rules = 0;
	return (struct rule_sink){digest_rule, g};
}

/* --- the chains of a service --- */

static struct desired_chain *add_chain(
    struct desired *d, uint8_t family, uint8_t kind, uint32_t index)
{
	struct desired_chain *w;

	d->chains = memory_grow(d->chains, &d->room, d->count + 1, sizeof(*d->chains));
	w = &d->chains[d->count++];
	memset(w, 0, sizeof(*w));
	w->c.family = family;
	w->c.kind = kind;
	w->port_index = index;
	return w;
}

/* What stands in W, a chain of V. A service's chain goes by the endpoints chosen last. */
static void chain_rules(const struct desired *d, const struct stored_service *v,
    const struct desired_chain *w, const struct rule_sink *to)
{
	struct rules_port p = {&d->own, v, w->port_index, w->c.family, d->compact};

	switch (w->c.kind) {
	case CHAIN_FW:
		rules_firewall(to, &p);
		break;
	case CHAIN_EXT:
		rules_external(to, &p);
		break;
	case CHAIN_SVC:
		rules_service(to, &p, LIST_CLUSTER, &d->chosen);
		break;
	case CHAIN_SVL:
		rules_service(to, &p, LIST_LOCAL, &d->chosen);
		break;
	case CHAIN_SEP:
		rules_endpoint(to, &p, &w->addr, w->port);
		break;
	}
}

static void digest_chain(
    const struct desired *d, const struct stored_service *v, struct desired_chain *w)
{
	struct ipt_chain chain = owned_chain_name(&w->c);
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, &chain);

	chain_rules(d, v, w, &to);
	w->c.digest = siphash_final(&g.hash);
	w->c.rules = g.rules;
}

static void add_port_chain(
    struct desired *d, const struct stored_service *v, uint32_t index, uint8_t family, uint8_t kind)
{
	const struct stored_port *port = &v->spec->ports[index];
	struct desired_chain *w = add_chain(d, family, kind, index);
	char name[SVCPORT_NAME_LEN];

	names_service_port(name, v->namespace, v->name, v->spec->strings + port->name);
	names_svc_hash(w->c.hash, name, port->proto);
	digest_chain(d, v, w);
}

static void add_endpoint(struct desired *d, const struct stored_service *v, uint32_t index,
    const struct chosen_endpoint *e)
{
	const struct stored_port *port = &v->spec->ports[index];
	struct desired_chain *w = add_chain(d, e->addr.family, CHAIN_SEP, index);
	char name[SVCPORT_NAME_LEN];

	w->addr = e->addr;
	w->port = e->port;
	names_service_port(name, v->namespace, v->name, v->spec->strings + port->name);
	names_sep_hash(w->c.hash, name, port->proto, e->text);
	digest_chain(d, v, w);
}

static void add_port(
    struct desired *d, const struct stored_service *v, uint32_t index, uint8_t family)
{
	const bool relayed = d->own.cfg->mode == MODE_USERSPACE; /* the listener chooses */
	const struct chosen_endpoints *e = &d->chosen;
	unsigned chains, used = 0;

	endpoints_choose(&d->chosen, v, index, family, d->zone);
	chains = rules_chains(v->spec, index, family);
	for (unsigned kind = CHAIN_FW; kind <= CHAIN_SVL; kind++)
		if (!relayed && chains & 1u << kind)
			add_port_chain(d, v, index, family, (uint8_t)kind);
	if (chains & 1u << CHAIN_SVC)
		used |= 1u << LIST_CLUSTER;
	if (chains & 1u << CHAIN_SVL)
		used |= 1u << LIST_LOCAL;
	for (size_t i = 0; i < e->count; i++) {
		if (!(e->e[i].lists & used))
			continue;
		d->endpoints++;
		if (!relayed && rules_endpoint_chains(v->spec, d->compact))
			add_endpoint(d, v, index, &e->e[i]);
	}
}

void desired_service(struct desired *d, struct stored_service *v)
{
	struct service_spec *spec = v->spec;

	d->count = d->endpoints = 0;
	if (spec == NULL)
		return;
	memset(spec->live, 0, spec->port_count);
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		if (!d->families[f] || !rules_has_family(spec, (uint8_t)f))
			continue;
		for (uint32_t i = 0; i < spec->port_count; i++)
			add_port(d, v, i, (uint8_t)f);
	}
	if (d->count > 0)
		qsort(d->chains, d->count, sizeof(*d->chains), desired_chain_cmp);
}

/* --- the content of chains --- */

uint64_t desired_shared(
    const struct desired *d, const struct stored_service *v, enum shared_chain kind, uint8_t family)
{
	struct ipt_chain c = frontends_chain(kind, family);
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, &c);

	frontends_rules(&to, &d->own, v, kind, family);
	return g.rules > 0 ? siphash_final(&g.hash) : 0;
}

static void static_rules(
    const struct desired *d, const struct ipt_chain *c, const struct rule_sink *to)
{
	enum shared_chain kind = frontends_shared(c);
	const struct dispatch *tree = &d->dispatch[c->family];
	struct stored_service *v;

	if (d->own.cfg->mode == MODE_IPVS) {
		ipvs_rules(to, c, &d->own);
		return;
	}
	rules_static_first(to, c, &d->own);
	if (kind == SHARED_NAT_SERVICES && dispatch_is_tree(tree))
		dispatch_root_rules(tree, to);
	else if (kind < SHARED_COUNT)
		RB_FOREACH (v, service_tree, d->services)
			frontends_rules(to, &d->own, v, kind, c->family);
	rules_static(to, c, &d->own, d->compact);
}

uint64_t desired_static(const struct desired *d, const struct ipt_chain *c, uint32_t *rules)
{
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, c);

	static_rules(d, c, &to);
	if (rules != NULL)
		*rules = g.rules;
	return siphash_final(&g.hash);
}

static void net_rules(
    const struct desired *d, const struct ip_cidr *net, const struct rule_sink *to)
{
	dispatch_net_rules(&d->dispatch[net->addr.family], net, to);
}

uint64_t desired_net(const struct desired *d, const struct ip_cidr *net, uint32_t *rules)
{
	struct ipt_chain c = dispatch_chain(net);
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, &c);

	net_rules(d, net, &to);
	*rules = g.rules;
	return siphash_final(&g.hash);
}

void desired_rules(struct desired *d, const struct change *c, const struct rule_sink *to)
{
	struct desired_chain w = {
	    .c = {.family = c->chain.family, .kind = c->chain.kind},
	    .port_index = c->port_index,
	    .port = c->port,
	    .addr = c->addr,
	};

	if (w.c.kind == CHAIN_NET) {
		net_rules(d, &(struct ip_cidr){c->addr, c->bits}, to);
		return;
	}
	if (c->service == NULL) {
		static_rules(d, &c->chain, to);
		return;
	}
	if (w.c.kind == CHAIN_SVC || w.c.kind == CHAIN_SVL)
		endpoints_choose(&d->chosen, c->service, c->port_index, w.c.family, d->zone);
	chain_rules(d, c->service, &w, to);
}
