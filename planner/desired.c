#include "planner/desired.h"

#include <stdlib.h>
#include <string.h>

#include "applier/ipt_entry.h"
#include "common/siphash.h"
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
	free(d->chains);
	d->chains = NULL;
	d->count = d->room = 0;
}

/* --- digests --- */

struct digester {
	struct siphash hash;
	struct ipt_chain chain;
	uint8_t masquerade_bit;
	bool any;
};

static void digest_rule(void *arg, const struct ipt_rule *r)
{
	struct digester *g = arg;
	struct ipt_blob blob;

	ipt_entry_encode(&blob, r, &g->chain, g->masquerade_bit);
	ipt_blob_digest(&g->hash, &blob, g->chain.family);
	g->any = true;
}

static struct rule_sink digest_begin(
    struct digester *g, const struct desired *d, const struct ipt_chain *c)
{
	siphash_init(&g->hash, &d->cfg->key);
	g->chain = *c;
	g->masquerade_bit = d->cfg->masquerade_bit;
	g->any = false;
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

static void add_endpoint(struct desired *d, const struct stored_service *v, uint32_t index,
    const char *name, const struct chosen_endpoint *e)
{
	struct desired_chain *w = add_chain(d, e->addr.family, CHAIN_SEP, index);
	struct ipt_chain chain;
	struct digester g;
	struct rule_sink to;

	w->addr = e->addr;
	w->port = e->port;
	names_sep_hash(w->c.hash, name, v->spec->ports[index].proto, e->text);
	chain = owned_chain_name(&w->c);
	to = digest_begin(&g, d, &chain);
	rules_endpoint(&to, v, index, &e->addr, e->port);
	w->c.digest = siphash_final(&g.hash);
}

static void add_port(
    struct desired *d, const struct stored_service *v, uint32_t index, uint8_t family)
{
	const struct stored_port *port = &v->spec->ports[index];
	char name[SVCPORT_NAME_LEN];
	struct desired_chain *w;
	struct ipt_chain chain;
	struct digester g;
	struct rule_sink to;

	endpoints_choose(&d->chosen, v, index, family, d->zone);
	if (d->chosen.count == 0)
		return;
	v->spec->live[index] |= (uint8_t)(1u << family);
	names_service_port(name, v->namespace, v->name, v->spec->strings + port->name);
	w = add_chain(d, family, CHAIN_SVC, index);
	names_svc_hash(w->c.hash, name, port->proto);
	chain = owned_chain_name(&w->c);
	to = digest_begin(&g, d, &chain);
	rules_service(&to, d->cfg, v, index, family, &d->chosen);
	w->c.digest = siphash_final(&g.hash);
	for (size_t i = 0; i < d->chosen.count; i++)
		add_endpoint(d, v, index, name, &d->chosen.e[i]);
}

void desired_service(struct desired *d, struct stored_service *v)
{
	struct service_spec *spec = v->spec;
	bool has[FAMILY_COUNT] = {false};

	d->count = 0;
	if (spec == NULL)
		return;
	for (uint32_t i = 0; i < spec->ip_count; i++)
		has[spec->ips[i].family] = true;
	memset(spec->live, 0, spec->port_count);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		for (uint32_t i = 0; has[f] && d->families[f] && i < spec->port_count; i++)
			add_port(d, v, i, (uint8_t)f);
	if (d->count > 0)
		qsort(d->chains, d->count, sizeof(*d->chains), desired_chain_cmp);
}

/* --- the content of chains --- */

uint64_t desired_frontends(
    const struct desired *d, const struct stored_service *v, uint8_t family, uint8_t table)
{
	struct ipt_chain c = {.family = family, .table = table, .kind = CHAIN_SERVICES};
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, &c);

	rules_frontends(&to, v, table, family);
	return g.any ? siphash_final(&g.hash) : 0;
}

static void static_rules(
    const struct desired *d, const struct ipt_chain *c, const struct rule_sink *to)
{
	struct stored_service *v;

	if (c->kind == CHAIN_SERVICES)
		RB_FOREACH (v, service_tree, d->services)
			rules_frontends(to, v, c->table, c->family);
	rules_static(to, c);
}

uint64_t desired_static(const struct desired *d, const struct ipt_chain *c)
{
	struct digester g;
	struct rule_sink to = digest_begin(&g, d, c);

	static_rules(d, c, &to);
	return siphash_final(&g.hash);
}

void desired_rules(struct desired *d, const struct change *c, const struct rule_sink *to)
{
	switch (c->chain.kind) {
	case CHAIN_SVC:
		endpoints_choose(&d->chosen, c->service, c->port_index, c->chain.family, d->zone);
		rules_service(to, d->cfg, c->service, c->port_index, c->chain.family, &d->chosen);
		break;
	case CHAIN_SEP:
		rules_endpoint(to, c->service, c->port_index, &c->addr, c->port);
		break;
	default:
		static_rules(d, &c->chain, to);
	}
}
