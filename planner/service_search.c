#include "planner/service_search.h"

#include <stdio.h>
#include <string.h>

#include "common/distance.h"

#define TYPOS_MAX 3 /* letters that may be wrong */

/* A name that may be meant. */
struct nearest {
	const char *asked;
	size_t len, least; /* nearer than LEAST letters */
	const struct stored_service *found;
};

static struct nearest nearest_to(const char *asked)
{
	size_t len = strlen(asked), max = len / 3 + (len < 3);

	return (struct nearest){asked, len, (max < TYPOS_MAX ? max : TYPOS_MAX) + 1, NULL};
}

static void compare(struct nearest *n, const char *name, const struct stored_service *v)
{
	size_t d = n->least > 0 ? distance(name, n->asked, n->len, n->least - 1) : 0;

	if (d >= n->least)
		return;
	n->least = d;
	n->found = v;
}

/* What the Services there are say about those asked for. */
struct search {
	const struct service_filter *filter;
	bool found, has_namespace;
	const struct stored_service *elsewhere; /* of that name, in another namespace */
	struct nearest namespace, name;
	const char *before; /* the namespace of the Service before */
};

static void look_at(struct search *s, const struct stored_service *v)
{
	const struct service_filter *f = s->filter;
	bool here = f->namespace[0] == '\0' || strcmp(f->namespace, v->namespace) == 0;
	bool called = f->name[0] == '\0' || strcmp(f->name, v->name) == 0;

	s->found |= here && called;
	s->has_namespace |= here;
	if (!here && called && f->name[0] != '\0' && s->elsewhere == NULL)
		s->elsewhere = v;
	if (here && !called)
		compare(&s->name, v->name, v);
	if (!here && strcmp(s->before, v->namespace) != 0) /* they are in order */
		compare(&s->namespace, v->namespace, v);
	s->before = v->namespace;
}

static void describe(const struct search *s, char buf[SERVICE_SEARCH_MAX])
{
	const struct service_filter *f = s->filter;
	const struct stored_service *namespace = s->namespace.found, *name = s->name.found;
	size_t n;

	if (!s->has_namespace && f->namespace[0] != '\0')
		n = (size_t)snprintf(buf, SERVICE_SEARCH_MAX,
		    "there is no namespace \"%s\", or no Service in it", f->namespace);
	else if (f->namespace[0] != '\0')
		n = (size_t)snprintf(buf, SERVICE_SEARCH_MAX,
		    "there is no Service \"%s\" in namespace \"%s\"", f->name, f->namespace);
	else
		n = (size_t)snprintf(
		    buf, SERVICE_SEARCH_MAX, "there is no Service \"%s\"", f->name);
	if (s->elsewhere != NULL)
		snprintf(buf + n, SERVICE_SEARCH_MAX - n, "; namespace \"%s\" has a Service \"%s\"",
		    s->elsewhere->namespace, s->elsewhere->name);
	else if (!s->has_namespace && namespace != NULL)
		snprintf(buf + n, SERVICE_SEARCH_MAX - n, "; did you mean namespace \"%s\"?",
		    namespace->namespace);
	else if (name != NULL)
		snprintf(buf + n, SERVICE_SEARCH_MAX - n, "; did you mean \"%s\" in \"%s\"?",
		    name->name, name->namespace);
}

const char *service_search_missing(
    const struct plan_view *view, const struct service_filter *filter, char buf[SERVICE_SEARCH_MAX])
{
	struct search s = {.filter = filter,
	    .namespace = nearest_to(filter->namespace),
	    .name = nearest_to(filter->name),
	    .before = ""};
	struct stored_service *v;

	if (filter->namespace[0] == '\0' && filter->name[0] == '\0')
		return NULL;
	RB_FOREACH (v, service_tree, &view->store->services) {
		if (v->spec != NULL)
			look_at(&s, v);
		if (s.found)
			return NULL;
	}
	describe(&s, buf);
	return buf;
}
