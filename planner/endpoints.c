#include "planner/endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

/* Beyond enum endpoint_flag and EP_LOCAL. */
enum { ZONE_HINTS = 64, ZONE_HINT_OURS = 128 };

static bool zone_in_set(const char *set, const char *zone)
{
	for (; *set != '\0'; set += strlen(set) + 1)
		if (strcmp(set, zone) == 0)
			return true;
	return false;
}

static uint8_t flags_of(
    const struct stored_slice *s, const struct stored_endpoint *e, const char *zone)
{
	uint8_t flags = e->flags;

	if (e->zones != 0) {
		flags |= ZONE_HINTS;
		if (zone[0] != '\0' && zone_in_set(s->strings + e->zones, zone))
			flags |= ZONE_HINT_OURS;
	}
	return flags;
}

static void append(struct chosen_endpoints *out, const struct stored_slice *s,
    const struct stored_endpoint *e, uint16_t port, const char *zone)
{
	struct chosen_endpoint *c;

	out->e = memory_grow(out->e, &out->room, out->count + 1, sizeof(*out->e));
	c = &out->e[out->count++];
	c->addr.family = s->family;
	memcpy(c->addr.b, e->addr, sizeof(c->addr.b));
	c->anywhere = e->anywhere;
	c->port = port;
	c->flags = flags_of(s, e, zone);
	c->lists = 0;
	names_endpoint(c->text, &c->addr, port);
}

static void collect(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone)
{
	const struct stored_port *want = &v->spec->ports[index];
	const char *name = v->spec->strings + want->name;
	const struct stored_slice *s;

	out->count = 0;
	LIST_FOREACH (s, &v->slices, of_service) {
		if (s->family != family)
			continue;
		for (uint32_t p = 0; p < s->port_count; p++) {
			if (s->ports[p].proto != want->proto ||
			    strcmp(s->strings + s->ports[p].name, name) != 0)
				continue;
			for (uint32_t i = 0; i < s->endpoint_count; i++)
				append(out, s, &s->endpoints[i], s->ports[p].port, zone);
		}
	}
}

/*
 * Of entries for one address and port, the one that says most for it: an endpoint that moves from
 * slice to slice is still ready in one of them. The flags settle the rest, so that the order of
 * the slices does not.
 */
static int rank(uint8_t flags)
{
	int n = 0;

	if (flags & EP_READY)
		n += 4;
	if (!(flags & EP_TERMINATING))
		n += 2;
	if (flags & EP_SERVING)
		n += 1;
	return n;
}

static int chosen_cmp(const void *a, const void *b)
{
	const struct chosen_endpoint *x = a, *y = b;
	int n = strcmp(x->text, y->text);

	if (n != 0)
		return n;
	n = rank(y->flags) - rank(x->flags);
	return n != 0 ? n : y->flags - x->flags;
}

static void unique(struct chosen_endpoints *out)
{
	size_t n = 0;

	for (size_t i = 0; i < out->count; i++)
		if (n == 0 || strcmp(out->e[n - 1].text, out->e[i].text) != 0)
			out->e[n++] = out->e[i];
	out->count = n;
}

/* Lists those whose flags under MASK are all set. Returns how many. */
static size_t list(struct chosen_endpoints *out, enum endpoint_list list, unsigned mask)
{
	size_t n = 0;

	for (size_t i = 0; i < out->count; i++) {
		if ((out->e[i].flags & mask) != mask)
			continue;
		out->e[i].lists |= (uint8_t)(1u << list);
		n++;
	}
	return n;
}

/* Do all ready endpoints have the hints HAVE, and one OURS? Takes the others off the list then. */
static bool narrow(struct chosen_endpoints *out, unsigned have, unsigned ours)
{
	size_t n = 0;

	for (size_t i = 0; i < out->count; i++) {
		if (!(out->e[i].flags & EP_READY))
			continue;
		if (!(out->e[i].flags & have))
			return false;
		n += (out->e[i].flags & ours) != 0;
	}
	for (size_t i = 0; n > 0 && i < out->count; i++)
		if (!(out->e[i].flags & ours))
			out->e[i].lists &= (uint8_t) ~(1u << LIST_CLUSTER);
	return n > 0;
}

static void fill_lists(struct chosen_endpoints *out)
{
	if (list(out, LIST_CLUSTER, EP_READY) == 0)
		list(out, LIST_CLUSTER, EP_SERVING | EP_TERMINATING);
	else if (narrow(out, EP_NODE_HINTS, EP_NODE_HINT_OURS))
		out->topology = TOPOLOGY_NODE;
	else if (narrow(out, ZONE_HINTS, ZONE_HINT_OURS))
		out->topology = TOPOLOGY_ZONE;
	if (list(out, LIST_LOCAL, EP_LOCAL | EP_READY) == 0)
		list(out, LIST_LOCAL, EP_LOCAL | EP_SERVING | EP_TERMINATING);
}

static void count_listed(struct chosen_endpoints *out)
{
	for (size_t i = 0; i < out->count; i++)
		for (unsigned k = 0; k < LIST_COUNT; k++)
			out->in_list[k] += (out->e[i].lists & 1u << k) != 0;
}

/* Leaves what is in a list. */
static void keep_listed(struct chosen_endpoints *out)
{
	size_t n = 0;

	for (size_t i = 0; i < out->count; i++)
		if (out->e[i].lists != 0)
			out->e[n++] = out->e[i];
	out->count = n;
}

void endpoints_judge(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone)
{
	memset(out->in_list, 0, sizeof(out->in_list));
	out->topology = TOPOLOGY_NONE;
	collect(out, v, index, family, zone);
	if (out->count == 0)
		return;
	qsort(out->e, out->count, sizeof(*out->e), chosen_cmp);
	unique(out);
	fill_lists(out);
	count_listed(out);
}

void endpoints_choose(struct chosen_endpoints *out, const struct stored_service *v, uint32_t index,
    uint8_t family, const char *zone)
{
	uint8_t *live = &v->spec->live[index];

	endpoints_judge(out, v, index, family, zone);
	keep_listed(out);
	*live &= (uint8_t) ~((LIVE_CLUSTER | LIVE_LOCAL) << family);
	if (out->in_list[LIST_CLUSTER] > 0)
		*live |= (uint8_t)(LIVE_CLUSTER << family);
	if (out->in_list[LIST_LOCAL] > 0)
		*live |= (uint8_t)(LIVE_LOCAL << family);
}

const char *endpoints_why(
    const struct chosen_endpoints *all, const struct chosen_endpoint *e, enum endpoint_list list)
{
	if (e->lists & 1u << list)
		return e->flags & EP_READY ? "ready" : "terminating and serving, as none is ready";
	if (list == LIST_LOCAL && !(e->flags & EP_LOCAL))
		return "not on this node";
	if (e->flags & EP_READY) /* only topology takes a ready one off a list */
		return all->topology == TOPOLOGY_NODE ? "its hints are for other nodes"
						      : "its hints are for other zones";
	if ((e->flags & EP_TERMINATING) && (e->flags & EP_SERVING))
		return "terminating, and others are ready";
	return e->flags & EP_TERMINATING ? "terminating and not serving" : "not ready";
}

void endpoints_serving(
    struct chosen_endpoints *out, const struct stored_service *v, uint32_t index, uint8_t family)
{
	size_t n = 0;

	memset(out->in_list, 0, sizeof(out->in_list));
	collect(out, v, index, family, "");
	for (size_t i = 0; i < out->count; i++)
		if (out->e[i].flags & (EP_READY | EP_SERVING))
			out->e[n++] = out->e[i];
	out->count = n;
	if (n > 0)
		qsort(out->e, n, sizeof(*out->e), chosen_cmp);
	unique(out);
}

void endpoints_clear(struct chosen_endpoints *out)
{
	free(out->e);
	memset(out, 0, sizeof(*out));
}
