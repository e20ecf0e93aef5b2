#include "planner/frontend_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/port_list.h"
#include "planner/compact.h"
#include "planner/compact_lost.h"
#include "planner/frontend_index.h"
#include "planner/frontends.h"
#include "planner/memory.h"
#include "planner/names.h"
#include "planner/nodeports.h"

/* What V asks for. */
static const struct service_spec *asked_by(const struct stored_service *v)
{
	return v->asked != NULL ? v->asked : v->spec;
}

bool frontend_has_family(const struct stored_service *v, uint8_t family)
{
	return asked_by(v) != NULL && asked_by(v)->families >> family & 1;
}

/* Before the machine's addresses are known those of its Node stand for them. */
bool frontend_on_node(const struct store *s, const struct ip_addr *addr)
{
	const struct own_node *own = s->own;

	if (own == NULL || own->local == NULL)
		return false;
	for (uint32_t i = 0; own->local->count == 0 && i < own->addr_count; i++)
		if (ip_cmp(&own->addrs[i], addr) == 0)
			return true;
	return node_is_local(own->local, addr);
}

bool frontend_answers_node_ports(const struct store *s, const struct ip_addr *addr)
{
	return s->own != NULL && s->own->local != NULL &&
	       nodeports_at(s->own, addr, frontend_on_node(s, addr));
}

/* --- who has it --- */

static bool is_outside(enum frontend kind)
{
	return kind == FRONTEND_EXTERNAL || kind == FRONTEND_LOAD_BALANCER;
}

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

/* The claim that A's port would be the node port of; NULL: there is none. */
static const struct frontend_claim *node_port_at(
    const struct store *s, const struct frontend_asked *a)
{
	const struct frontend_key key = frontend_key_node_port(a->proto, a->port);
	const struct frontend_claim *c = frontend_index_best(s, &key);

	if (c == NULL || !frontend_has_family(c->v, a->addr->family) ||
	    !frontend_answers_node_ports(s, a->addr))
		return NULL;
	return c;
}

/* Who comes before A; NULL: nobody. */
static const struct frontend_claim *winner(const struct store *s, const struct frontend_asked *a)
{
	struct frontend_key key = a->kind == FRONTEND_COUNT
				      ? frontend_key_node_port(a->proto, a->port)
				      : frontend_key_address(a->addr);
	const struct frontend_claim *c = NULL;

	if (is_outside(a->kind)) {
		key.proto = a->proto;
		key.port = a->port;
		c = node_port_at(s, a);
	}
	if (c == NULL)
		c = frontend_index_best(s, &key);
	return c == NULL || (c->v == a->v && c->kind == a->kind) ? NULL : c;
}

/* Why C, which is another's, comes before A. */
static const char *why_first(const struct frontend_claim *c, const struct frontend_asked *a)
{
	if (c->kind != a->kind)
		return "and that comes first";
	if (c->v->created != a->v->created)
		return "and was created first";
	if (memcmp(c->v->uid, a->v->uid, sizeof(c->v->uid)) != 0)
		return "and is first by UID, both being created in one second";
	return "and is first by name, both having no UID";
}

/* A's address as a whole: not NULL if it is no service's external or load-balancer IP. */
static const char *refuse_address(
    const struct store *s, const struct frontend_asked *a, char text[FRONTEND_WHY_MAX])
{
	const struct frontend_key key = frontend_key_address(a->addr);
	const struct frontend_claim *c = frontend_index_best(s, &key);
	const struct ip_cidr *net;
	char cidr[CIDR_STRLEN];

	if (a->kind == FRONTEND_EXTERNAL && s->own != NULL && s->own->cfg->no_external_ips)
		return "the feature gate AllowServiceExternalIPs is false";
	if (c != NULL) {
		snprintf(text, FRONTEND_WHY_MAX, "it is the ClusterIP of %s/%s", c->v->namespace,
		    c->v->name);
		return text;
	}
	net = range_of(s, a->addr);
	if (net != NULL) {
		snprintf(text, FRONTEND_WHY_MAX, "it is in %s, where ClusterIPs come from",
		    ip_cidr_format(net, cidr));
		return text;
	}
	net = s->own != NULL ? pods_of(s->own, a->addr) : NULL;
	if (net == NULL)
		return NULL;
	snprintf(
	    text, FRONTEND_WHY_MAX, "it is in the pods' network %s", ip_cidr_format(net, cidr));
	return text;
}

static bool is_reserved(const struct store *s, const struct frontend_asked *a)
{
	return s->own != NULL && port_list_has(s->own->cfg->reserved_node_ports, a->port) &&
	       frontend_on_node(s, a->addr);
}

const char *frontend_refusal(
    const struct store *s, const struct frontend_asked *a, char text[FRONTEND_WHY_MAX])
{
	const char *why = is_outside(a->kind) ? refuse_address(s, a, text) : NULL;
	const struct frontend_claim *c;

	if (why != NULL)
		return why;
	if (is_outside(a->kind) && is_reserved(s, a))
		return "the node needs this port of its addresses itself (--reserved-node-ports)";
	if (a->kind != FRONTEND_COUNT && !frontend_has_family(a->v, a->addr->family))
		return NULL;
	c = winner(s, a);
	if (c == NULL)
		return NULL;
	snprintf(text, FRONTEND_WHY_MAX, "%s/%s has it as its %s, %s", c->v->namespace, c->v->name,
	    frontends_kind_name((enum frontend)c->kind), why_first(c, a));
	return text;
}

/* --- a service --- */

struct judgement {
	const struct store *store;
	const struct stored_service *v;
	const struct service_spec *spec; /* what V asks for */
	uint8_t *lost;			 /* a bit per frontend */
	uint32_t count;			 /* of those */
	uint32_t lines;			 /* in the log */
};

/* Each port that J's service asks for, by each of its addresses, and each node port. */
static void each_frontend(struct judgement *j,
    void (*fn)(struct judgement *j, const struct frontend_asked *a, uint32_t number))
{
	const struct service_spec *spec = j->spec;

	for (unsigned k = 0; k <= FRONTEND_COUNT; k++) {
		const bool node_port = k == FRONTEND_COUNT;
		const uint32_t count = node_port ? 1 : spec->ip_counts[k];

		for (uint32_t i = 0; i < count * spec->port_count; i++) {
			const struct stored_port *p = &spec->ports[i % spec->port_count];
			const struct frontend_asked a = {j->v, (enum frontend)k,
			    node_port ? NULL : &spec->ips[k][i / spec->port_count], p->proto,
			    node_port ? p->node_port : p->port};

			if (a.port != 0)
				fn(j, &a, spec_frontend(spec, a.kind, 0, i));
		}
	}
}

static void judge_one(struct judgement *j, const struct frontend_asked *a, uint32_t number)
{
	char text[FRONTEND_WHY_MAX];

	if (frontend_refusal(j->store, a, text) == NULL)
		return;
	j->lost[number / 8] |= (uint8_t)(1u << number % 8);
	j->count++;
}

/* Of one service. */
#define LINES_MAX 16

static void log_one(struct judgement *j, const struct frontend_asked *a, uint32_t number)
{
	char ip[IP_STRLEN] = "", port[32] = "", text[FRONTEND_WHY_MAX];
	const char *why = frontend_refusal(j->store, a, text);
	const bool whole = a->kind == FRONTEND_CLUSTER ||
			   (is_outside(a->kind) && refuse_address(j->store, a, text) != NULL);

	if (why == NULL || (whole && number % j->spec->port_count != 0) || j->lines++ >= LINES_MAX)
		return;
	if (a->addr != NULL)
		ip_format(a->addr, ip);
	if (!whole)
		snprintf(port, sizeof(port), "%s%u/%s", a->addr != NULL ? " port " : "", a->port,
		    names_proto(a->proto));
	log_warn("service %s/%s: %s %s%s is refused: %s", j->v->namespace, j->v->name,
	    frontends_kind_name(a->kind), ip, port, why);
}

static void log_refused(struct judgement *j)
{
	each_frontend(j, log_one);
	if (j->lines > LINES_MAX)
		log_warn("service %s/%s: %u more of its frontends are refused", j->v->namespace,
		    j->v->name, j->lines - LINES_MAX);
}

/* J has been judged: what V asks for is kept beside what it has, as long as these differ. */
static void keep_asked(struct stored_service *v, const struct judgement *j)
{
	if (j->count > 0 && v->asked == NULL)
		v->asked = compact_service_without(j->spec, NULL);
	if (j->count > 0)
		return;
	free(v->asked);
	v->asked = NULL;
}

void frontend_judge(struct store *s, struct stored_service *v)
{
	struct judgement j = {.store = s, .v = v, .spec = asked_by(v)};
	struct service_spec *spec = NULL;

	if (j.spec == NULL)
		return;
	j.lost = memory_new(spec_frontends(j.spec) / 8 + 1);
	each_frontend(&j, judge_one);
	s->refused = s->refused - v->refused + j.count;
	v->refused = j.count;
	if (j.count > 0 || v->asked != NULL)
		spec = compact_service_without(j.spec, j.lost);
	free(j.lost);
	if (spec == NULL)
		return;
	if (compact_service_equal(spec, v->spec)) {
		free(spec);
		return;
	}
	if (j.count > 0)
		log_refused(&j);
	else
		log_info("service %s/%s: none of its frontends is refused any more", v->namespace,
		    v->name);
	keep_asked(v, &j);
	store_respecify(s, v, spec);
}
