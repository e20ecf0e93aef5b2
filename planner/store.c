#include "planner/store.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/compact.h"
#include "planner/frontend_owner.h"
#include "planner/memory.h"
#include "planner/own_node.h"

static int stored_service_cmp(const struct stored_service *a, const struct stored_service *b)
{
	int n = strcmp(a->namespace, b->namespace);

	return n != 0 ? n : strcmp(a->name, b->name);
}

static int stored_slice_cmp(const struct stored_slice *a, const struct stored_slice *b)
{
	int n = strcmp(a->service->namespace, b->service->namespace);

	return n != 0 ? n : strcmp(a->name, b->name);
}

RB_GENERATE(service_tree, stored_service, by_name, stored_service_cmp)
RB_GENERATE(slice_tree, stored_slice, by_name, stored_slice_cmp)

void store_init(struct store *s, const char *node_name)
{
	memset(s, 0, sizeof(*s));
	s->node_name = node_name;
	RB_INIT(&s->services);
	RB_INIT(&s->slices);
	SLIST_INIT(&s->touched);
	SLIST_INIT(&s->doubtful);
	RB_INIT(&s->claims);
}

void store_touch(struct store *s, struct stored_service *v)
{
	if (v->touched)
		return;
	v->touched = true;
	SLIST_INSERT_HEAD(&s->touched, v, touched_next);
}

/* ... because of an object of this kind. */
static void touch_by(struct store *s, struct stored_service *v, enum object_kind kind)
{
	s->changed[kind] += !(v->changed & 1u << kind);
	v->changed |= (uint8_t)(1u << kind);
	store_touch(s, v);
}

struct stored_service *store_take_touched(struct store *s)
{
	struct stored_service *v = SLIST_FIRST(&s->touched);

	if (v == NULL)
		return NULL;
	SLIST_REMOVE_HEAD(&s->touched, touched_next);
	v->touched = false;
	for (unsigned k = KIND_SERVICE; k <= KIND_SLICE; k++)
		s->changed[k] -= v->changed >> k & 1;
	v->changed = 0;
	return v;
}

static struct stored_service *find_service(struct store *s, const char *ns, const char *name)
{
	struct stored_service key = {.namespace = ns, .name = name};

	return RB_FIND(service_tree, &s->services, &key);
}

/* Finds the service or makes one without a specification. */
static struct stored_service *need_service(struct store *s, const char *ns, const char *name)
{
	struct stored_service *v = find_service(s, ns, name);
	size_t ns_len = strlen(ns) + 1, name_len = strlen(name) + 1;
	char *text;

	if (v != NULL)
		return v;
	v = memory_new(sizeof(*v) + ns_len + name_len);
	text = (char *)(v + 1);
	memcpy(text, ns, ns_len);
	memcpy(text + ns_len, name, name_len);
	v->namespace = text;
	v->name = text + ns_len;
	LIST_INIT(&v->slices);
	RB_INSERT(service_tree, &s->services, v);
	return v;
}

/* What V asks for; NULL: there is no such service. */
static const struct service_spec *asked_by(const struct stored_service *v)
{
	return v->asked != NULL ? v->asked : v->spec;
}

/* The present one is the one planned last unless there is one already. */
static void replace_spec(struct stored_service *v, struct service_spec *spec)
{
	if (v->was == NULL)
		v->was = v->spec;
	else
		free(v->spec);
	v->spec = spec;
}

static bool same_identity(const struct stored_service *v, const struct service *in)
{
	return v->created == in->created && memcmp(v->uid, in->uid, sizeof(v->uid)) == 0;
}

static void identify(struct stored_service *v, const struct service *in)
{
	v->created = in->created;
	memcpy(v->uid, in->uid, sizeof(v->uid));
}

/* V, which is IN now, asks for what SPEC has, or NULL, both: for nothing. */
static void ask(
    struct store *s, struct stored_service *v, const struct service *in, struct service_spec *spec)
{
	if (asked_by(v) != NULL)
		frontend_owner_unlist(s, v);
	free(v->asked);
	v->asked = NULL;
	s->refused -= v->refused;
	v->refused = 0;
	replace_spec(v, spec);
	if (spec != NULL) {
		identify(v, in);
		frontend_owner_list(s, v, spec, true);
	}
	touch_by(s, v, KIND_SERVICE);
}

/* V is another service of the same name, or one that tells more of itself. */
static void identify_anew(struct store *s, struct stored_service *v, const struct service *in)
{
	frontend_owner_unlist(s, v);
	identify(v, in);
	frontend_owner_list(s, v, asked_by(v), false);
}

void store_respecify(struct store *s, struct stored_service *v, struct service_spec *spec)
{
	replace_spec(v, spec);
	touch_by(s, v, KIND_SERVICE);
}

void store_planned(struct stored_service *v)
{
	free(v->was);
	v->was = NULL;
}

void store_release(struct store *s, struct stored_service *v)
{
	if (v->spec != NULL || !LIST_EMPTY(&v->slices) || v->chain_count > 0 || v->elem_count > 0 ||
	    !SLIST_EMPTY(&v->relays) || v->item_count > 0 || v->touched || v->doubtful)
		return;
	RB_REMOVE(service_tree, &s->services, v);
	free(v->was);
	free(v->chains);
	free(v->elems);
	free(v->items);
	free(v);
}

static const struct node_policy *policy_of(const struct store *s)
{
	static const struct node_policy any;

	return s->own != NULL ? &s->own->cfg->policy : &any;
}

void store_service_put(struct store *s, const struct service *in)
{
	struct stored_service *v = need_service(s, in->namespace, in->name);
	struct service_spec *spec = compact_service(in, policy_of(s));

	v->seen = s->list[KIND_SERVICE];
	if (v->spec != NULL && compact_service_equal(asked_by(v), spec)) {
		free(spec);
		if (!same_identity(v, in))
			identify_anew(s, v, in);
		return;
	}
	compact_service_explain(in, spec, policy_of(s));
	s->specs += v->spec == NULL;
	ask(s, v, in, spec);
}

static void remove_spec(struct store *s, struct stored_service *v)
{
	s->specs--; /* callers know that there is one */
	ask(s, v, NULL, NULL);
}

void store_service_del(struct store *s, const char *ns, const char *name)
{
	struct stored_service *v = find_service(s, ns, name);

	if (v == NULL || v->spec == NULL)
		return;
	if (s->listing[KIND_SERVICE])
		v->seen = s->list[KIND_SERVICE] - 1;
	else
		remove_spec(s, v);
}

static struct stored_slice *find_slice(struct store *s, const char *ns, const char *name)
{
	struct stored_service service = {.namespace = ns};
	struct stored_slice key = {.service = &service, .name = name};

	return RB_FIND(slice_tree, &s->slices, &key);
}

static void remove_slice(struct store *s, struct stored_slice *e)
{
	RB_REMOVE(slice_tree, &s->slices, e);
	LIST_REMOVE(e, of_service);
	s->endpoints -= e->endpoint_count;
	touch_by(s, e->service, KIND_SLICE);
	free(e);
}

bool store_slice_put(struct store *s, const struct slice *in)
{
	struct stored_slice *old = find_slice(s, in->namespace, in->name);
	struct stored_slice *e = compact_slice(in, s->node_name, policy_of(s));

	if (old != NULL && strcmp(old->service->name, in->service) == 0 &&
	    compact_slice_equal(old, e)) {
		old->seen = s->list[KIND_SLICE];
		free(e);
		return false;
	}
	compact_slice_explain(in, policy_of(s));
	if (old != NULL)
		remove_slice(s, old);
	e->service = need_service(s, in->namespace, in->service);
	e->seen = s->list[KIND_SLICE];
	s->endpoints += e->endpoint_count;
	RB_INSERT(slice_tree, &s->slices, e);
	LIST_INSERT_HEAD(&e->service->slices, e, of_service);
	touch_by(s, e->service, KIND_SLICE);
	return true;
}

void store_slice_del(struct store *s, const char *ns, const char *name)
{
	struct stored_slice *e = find_slice(s, ns, name);

	if (e == NULL)
		return;
	if (s->listing[KIND_SLICE])
		e->seen = s->list[KIND_SLICE] - 1;
	else
		remove_slice(s, e);
}

void store_list_begin(struct store *s, enum object_kind kind)
{
	s->list[kind]++;
	s->listing[kind] = true;
}

static void sweep_services(struct store *s)
{
	struct stored_service *v;

	/* A service without a specification and slices stays until the planner releases it. */
	RB_FOREACH (v, service_tree, &s->services)
		if (v->spec != NULL && v->seen != s->list[KIND_SERVICE])
			remove_spec(s, v);
}

static void sweep_slices(struct store *s)
{
	struct stored_slice *e, *next;

	RB_FOREACH_SAFE (e, slice_tree, &s->slices, next)
		if (e->seen != s->list[KIND_SLICE])
			remove_slice(s, e);
}

const char *store_list_end(struct store *s, enum object_kind kind)
{
	if (!s->listing[kind])
		return "the end of a list that never began";
	s->listing[kind] = false;
	s->listed[kind] = true;
	if (kind == KIND_SERVICE)
		sweep_services(s);
	else
		sweep_slices(s);
	return NULL;
}

void store_service_cidrs(struct store *s, const struct ip_cidr *cidrs, uint32_t n)
{
	char text[CIDR_STRLEN];
	const char *why;

	free(s->service_cidrs);
	s->service_cidrs = memory_new((n + 1) * sizeof(*cidrs));
	s->service_cidr_count = 0;
	for (uint32_t i = 0; i < n; i++)
		/* What has no Service in it is dropped: the applier refuses the same. */
		if ((why = node_policy_drop(policy_of(s), &cidrs[i])) == NULL)
			s->service_cidrs[s->service_cidr_count++] = cidrs[i];
		else
			log_error(
			    "ServiceCIDR %s is ignored: %s", ip_cidr_format(&cidrs[i], text), why);
	frontend_owner_moved(s);
}

void store_clear(struct store *s)
{
	struct stored_service *v, *next;

	s->list[KIND_SLICE]++;
	sweep_slices(s);
	RB_FOREACH_SAFE (v, service_tree, &s->services, next) {
		RB_REMOVE(service_tree, &s->services, v);
		free(v->spec);
		free(v->was);
		free(v->asked);
		free(v->chains);
		free(v->elems);
		free(v->items);
		free(v->claims);
		free(v);
	}
	free(s->service_cidrs);
	store_init(s, s->node_name);
}
