#include "planner/feed.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"
#include "planner/store.h"

void feed_init(struct feed *f, struct plan *plan, struct stats *stats)
{
	memset(f, 0, sizeof(*f));
	f->plan = plan;
	f->stats = stats;
}

void feed_clear(struct feed *f)
{
	slice_clear(&f->slice);
	f->in_slice = false;
}

static const char *on_list_begin(struct feed *f, struct cursor *c)
{
	enum object_kind kind;
	const char *why = objects_decode_list(c, &kind);

	if (why == NULL)
		store_list_begin(plan_store(f->plan), kind);
	return why;
}

static const char *on_list_end(struct feed *f, struct cursor *c)
{
	enum object_kind kind;
	const char *why = objects_decode_list(c, &kind);

	return why != NULL ? why : store_list_end(plan_store(f->plan), kind);
}

static const char *on_service_put(struct feed *f, struct cursor *c)
{
	struct service s;
	const char *why = objects_decode_service(c, &s);

	if (why == NULL) {
		store_service_put(plan_store(f->plan), &s);
		stats_service(f->stats);
	}
	service_clear(&s);
	return why;
}

static const char *on_service_del(struct feed *f, struct cursor *c)
{
	char ns[NAME_MAX_LABEL], name[NAME_MAX_SUBDOMAIN];
	const char *why = objects_decode_del(c, ns, name);

	if (why == NULL) {
		store_service_del(plan_store(f->plan), ns, name);
		stats_service(f->stats);
	}
	return why;
}

/* Appends PART's endpoints to the slice that is coming. */
static const char *join(struct slice *to, const struct slice *part)
{
	size_t room = to->endpoint_count;

	if (strcmp(to->namespace, part->namespace) != 0 || strcmp(to->name, part->name) != 0 ||
	    part->part != to->part + 1)
		return "a part that does not follow the one before";
	if (part->endpoint_count > SLICE_ENDPOINTS_MAX - to->endpoint_count)
		return "a slice with too many endpoints";
	to->endpoints = memory_grow(to->endpoints, &room,
	    (size_t)to->endpoint_count + part->endpoint_count, sizeof(*to->endpoints));
	if (part->endpoint_count > 0)
		memcpy(to->endpoints + to->endpoint_count, part->endpoints,
		    part->endpoint_count * sizeof(*to->endpoints));
	to->endpoint_count += part->endpoint_count;
	to->part = part->part;
	return NULL;
}

static const char *on_slice_put(struct feed *f, struct cursor *c)
{
	struct slice part;
	const char *why = objects_decode_slice(c, &part);

	if (why == NULL && !f->in_slice && part.part != 0)
		why = "a part without the first one";
	if (why != NULL) {
		slice_clear(&part);
		return why;
	}
	if (f->in_slice) {
		why = join(&f->slice, &part);
		f->slice.last_part = part.last_part;
		slice_clear(&part);
	} else {
		f->slice = part;
		f->in_slice = true;
	}
	if (why == NULL && f->slice.last_part) {
		bool changed = store_slice_put(plan_store(f->plan), &f->slice);

		stats_slice(f->stats, changed ? &f->slice : NULL);
		feed_clear(f);
	}
	return why;
}

static const char *on_slice_del(struct feed *f, struct cursor *c)
{
	char ns[NAME_MAX_LABEL], name[NAME_MAX_SUBDOMAIN];
	const char *why = objects_decode_del(c, ns, name);

	if (why == NULL) {
		store_slice_del(plan_store(f->plan), ns, name);
		stats_slice(f->stats, NULL);
	}
	return why;
}

static const char *on_node_put(struct feed *f, struct cursor *c)
{
	struct node n;
	const char *why = objects_decode_node(c, &n);

	if (why != NULL)
		return why;
	f->node_told = true;
	plan_node(f->plan, &n);
	f->node = n.deleting ? NODE_INELIGIBLE : NODE_ELIGIBLE;
	return NULL;
}

static const char *on_node_del(struct feed *f, struct cursor *c)
{
	f->node_told = true;
	plan_node(f->plan, NULL);
	/* One that was never there is a node not registered yet, or another name: no reason to be
	 * taken out of service. */
	if (f->node != NODE_UNKNOWN)
		f->node = NODE_INELIGIBLE;
	return cursor_end(c);
}

static const char *on_node_addrs(struct feed *f, struct cursor *c)
{
	static struct node_addrs_part part;
	const char *why = objects_decode_node_addrs(c, &part);

	return why != NULL ? why : plan_node_addrs(f->plan, &part);
}

static const char *on_service_cidrs(struct feed *f, struct cursor *c)
{
	struct ip_cidr *cidrs;
	uint32_t n;
	const char *why = objects_decode_service_cidrs(c, &cidrs, &n);

	if (why == NULL)
		plan_service_cidrs(f->plan, cidrs, n);
	free(cidrs);
	return why;
}

static const char *on_stats(struct feed *f, struct cursor *c)
{
	return stats_watcher(f->stats, c);
}

static const char *(*const handlers[])(struct feed *, struct cursor *) = {
    [OBJ_LIST_BEGIN] = on_list_begin,
    [OBJ_LIST_END] = on_list_end,
    [OBJ_SERVICE_PUT] = on_service_put,
    [OBJ_SERVICE_DEL] = on_service_del,
    [OBJ_SLICE_PUT] = on_slice_put,
    [OBJ_SLICE_DEL] = on_slice_del,
    [OBJ_NODE_PUT] = on_node_put,
    [OBJ_NODE_DEL] = on_node_del,
    [OBJ_NODE_ADDRS] = on_node_addrs,
    [OBJ_SERVICE_CIDRS] = on_service_cidrs,
    [METRICS_STATS] = on_stats,
};

const char *feed_message(void *arg, unsigned type, struct cursor *c)
{
	struct feed *f = arg;

	if (type >= sizeof(handlers) / sizeof(handlers[0]) || handlers[type] == NULL)
		return "an unknown message type";
	if (f->in_slice && type != OBJ_SLICE_PUT)
		return "another message between the parts of a slice";
	return handlers[type](f, c);
}
