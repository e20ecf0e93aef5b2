#include "planner/frontend_owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/compact.h"
#include "planner/frontends.h"
#include "planner/memory.h"
#include "planner/own_node.h"

/* That a Service asks for an address. */
struct asked_addr {
	RB_ENTRY(asked_addr) by_addr;
	struct ip_addr addr;
	enum frontend kind;
	uint32_t times; /* it may be there twice */
	struct stored_service *v;
};

/* Of one address ClusterIPs come first. */
static int asked_addr_cmp(const struct asked_addr *a, const struct asked_addr *b)
{
	int n = ip_cmp(&a->addr, &b->addr);

	if (n != 0)
		return n;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->v == b->v)
		return 0;
	n = strcmp(a->v->namespace, b->v->namespace);
	return n != 0 ? n : strcmp(a->v->name, b->v->name);
}

RB_PROTOTYPE(asked_addr_tree, asked_addr, by_addr, asked_addr_cmp)
RB_GENERATE(asked_addr_tree, asked_addr, by_addr, asked_addr_cmp)

/* --- who is to be judged --- */

static void doubt(struct store *s, struct stored_service *v)
{
	if (v->doubtful)
		return;
	v->doubtful = true;
	SLIST_INSERT_HEAD(&s->doubtful, v, doubtful_next);
	store_touch(s, v);
}

static struct asked_addr *find(
    const struct store *s, const struct ip_addr *addr, enum frontend kind, struct stored_service *v)
{
	struct asked_addr key = {.addr = *addr, .kind = kind, .v = v};

	/* RB_FIND takes no constant tree. */
	return RB_FIND(asked_addr_tree, (struct asked_addr_tree *)(uintptr_t)&s->asked, &key);
}

/* The first that asks for ADDR; NULL: nobody does. */
static struct asked_addr *first(const struct store *s, const struct ip_addr *addr)
{
	struct stored_service nobody = {.namespace = "", .name = ""};
	struct asked_addr key = {.addr = *addr, .kind = FRONTEND_CLUSTER, .v = &nobody}, *a;

	a = RB_NFIND(asked_addr_tree, (struct asked_addr_tree *)(uintptr_t)&s->asked, &key);
	return a != NULL && ip_cmp(&a->addr, addr) == 0 ? a : NULL;
}

static void doubt_others(struct store *s, const struct ip_addr *addr)
{
	struct asked_addr *a = first(s, addr);

	for (; a != NULL && ip_cmp(&a->addr, addr) == 0; a = RB_NEXT(asked_addr_tree, &s->asked, a))
		if (a->kind != FRONTEND_CLUSTER)
			doubt(s, a->v);
}

static void note(struct store *s, struct stored_service *v, const struct ip_addr *addr,
    enum frontend kind, bool on)
{
	struct asked_addr *a = find(s, addr, kind, v);

	if (on && a == NULL) {
		a = memory_new(sizeof(*a));
		*a = (struct asked_addr){.addr = *addr, .kind = kind, .v = v};
		RB_INSERT(asked_addr_tree, &s->asked, a);
	}
	if (on) {
		a->times++;
	} else if (a != NULL && --a->times == 0) {
		RB_REMOVE(asked_addr_tree, &s->asked, a);
		free(a);
	}
}

void frontend_owner_note(
    struct store *s, struct stored_service *v, const struct service_spec *spec, bool on)
{
	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++) {
			note(s, v, &spec->ips[k][i], (enum frontend)k, on);
			if (k == FRONTEND_CLUSTER)
				doubt_others(s, &spec->ips[k][i]);
			else if (on)
				doubt(s, v);
		}
}

void frontend_owner_moved(struct store *s)
{
	struct asked_addr *a;

	RB_FOREACH (a, asked_addr_tree, &s->asked)
		if (a->kind != FRONTEND_CLUSTER)
			doubt(s, a->v);
}

/* --- the judgement --- */

static const struct ip_cidr *range_of(const struct store *s, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < s->service_cidr_count; i++)
		if (ip_cidr_contains(&s->service_cidrs[i], addr))
			return &s->service_cidrs[i];
	return NULL;
}

/* The pods' network that has ADDR in it: of the cluster, or of this node. */
static const struct ip_cidr *pods_of(const struct own_node *own, const struct ip_addr *addr)
{
	const struct config *cfg = own->cfg;

	for (uint32_t i = 0; i < cfg->cluster_cidr_count; i++)
		if (ip_cidr_contains(&cfg->cluster_cidrs[i], addr))
			return &cfg->cluster_cidrs[i];
	if (own->has_pods[addr->family] && ip_cidr_contains(&own->pods[addr->family], addr))
		return &own->pods[addr->family];
	return NULL;
}

const char *frontend_owner_refusal(const struct store *s, enum frontend kind,
    const struct ip_addr *addr, char text[FRONTEND_OWNER_WHY_MAX])
{
	const struct asked_addr *a = kind != FRONTEND_CLUSTER ? first(s, addr) : NULL;
	const struct ip_cidr *net;
	char cidr[CIDR_STRLEN];

	if (kind == FRONTEND_CLUSTER)
		return NULL;
	if (kind == FRONTEND_EXTERNAL && s->own != NULL && s->own->cfg->no_external_ips)
		return "the feature gate AllowServiceExternalIPs is false";
	if (a != NULL && a->kind == FRONTEND_CLUSTER) {
		snprintf(text, FRONTEND_OWNER_WHY_MAX, "it is the ClusterIP of %s/%s",
		    a->v->namespace, a->v->name);
		return text;
	}
	net = range_of(s, addr);
	if (net != NULL) {
		snprintf(text, FRONTEND_OWNER_WHY_MAX, "it is in %s, where ClusterIPs come from",
		    ip_cidr_format(net, cidr));
		return text;
	}
	net = s->own != NULL ? pods_of(s->own, addr) : NULL;
	if (net == NULL)
		return NULL;
	snprintf(text, FRONTEND_OWNER_WHY_MAX, "it is in the pods' network %s",
	    ip_cidr_format(net, cidr));
	return text;
}

static void tell(const struct store *s, const struct stored_service *v)
{
	char ip[IP_STRLEN], text[FRONTEND_OWNER_WHY_MAX];
	const struct service_spec *spec = v->asked;

	for (unsigned k = FRONTEND_EXTERNAL; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++) {
			const struct ip_addr *a = &spec->ips[k][i];
			const char *why = frontend_owner_refusal(s, (enum frontend)k, a, text);

			if (why != NULL)
				log_warn("service %s/%s: %s %s is refused: %s", v->namespace,
				    v->name, frontends_kind_name((enum frontend)k),
				    ip_format(a, ip), why);
		}
}

/* How many of SPEC's addresses are refused: marked in REFUSED, by kind. */
static uint32_t judge_addresses(const struct store *s, const struct service_spec *spec,
    bool refused[FRONTEND_COUNT][SERVICE_IPS_MAX])
{
	char text[FRONTEND_OWNER_WHY_MAX];
	uint32_t n = 0;

	for (unsigned k = FRONTEND_EXTERNAL; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++) {
			refused[k][i] = frontend_owner_refusal(
					    s, (enum frontend)k, &spec->ips[k][i], text) != NULL;
			n += refused[k][i];
		}
	return n;
}

static void judge(struct store *s, struct stored_service *v)
{
	bool refused[FRONTEND_COUNT][SERVICE_IPS_MAX] = {{false}};
	const struct service_spec *all = v->asked != NULL ? v->asked : v->spec;
	struct service_spec *spec;
	uint32_t n;

	if (all == NULL)
		return;
	n = judge_addresses(s, all, refused);
	s->refused = s->refused - v->refused + n;
	v->refused = n;
	if (n == 0 && v->asked == NULL)
		return;
	spec = compact_service_without(all, refused);
	if (compact_service_equal(spec, v->spec)) {
		free(spec);
		return;
	}
	if (n == 0) {
		free(v->asked);
		v->asked = NULL;
	} else {
		if (v->asked == NULL)
			v->asked = compact_service_without(all, NULL);
		tell(s, v);
	}
	store_respecify(s, v, spec);
}

void frontend_owner_settle(struct store *s)
{
	struct stored_service *v;

	while ((v = SLIST_FIRST(&s->doubtful)) != NULL) {
		SLIST_REMOVE_HEAD(&s->doubtful, doubtful_next);
		v->doubtful = false;
		judge(s, v);
	}
}

void frontend_owner_clear(struct store *s)
{
	struct asked_addr *a, *next;

	RB_FOREACH_SAFE (a, asked_addr_tree, &s->asked, next) {
		RB_REMOVE(asked_addr_tree, &s->asked, a);
		free(a);
	}
}
