/* Endpoints as slices: which of an object's earlier slices are to be deleted. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "watcher/decode.h"
#include "watcher/feed.h"
#include "watcher/stats.h"

/*
 * A tree of those that are more than one slice, which takes pods whose ports differ, or more than a
 * thousand.
 */
static void *splits;

static int split_cmp(const void *a, const void *b)
{
	const struct endpoints_ids *x = a, *y = b;
	int order = strcmp(x->namespace, y->namespace);

	return order != 0 ? order : strcmp(x->name, y->name);
}

void feed_endpoints_begin(struct feed *f)
{
	/* What the list does not put is gone without being named. */
	tdestroy(splits, free);
	splits = NULL;
	feed_list_begin(f, KIND_SLICE);
}

/* IDS, of which nothing is known yet, are several slices. */
static void remember(const struct endpoints_ids *ids)
{
	struct endpoints_ids *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		fatal(EXIT_FAILED, "out of memory");
	*copy = *ids;
	if (tsearch(copy, &splits, split_cmp) == NULL)
		fatal(EXIT_FAILED, "out of memory");
}

/* The object is now IDS->slices slices, which have been put: deletes those it had beyond. */
static void settle(struct feed *f, const struct endpoints_ids *ids)
{
	struct endpoints_ids **found = tfind(ids, &splits, split_cmp);
	struct endpoints_ids *known = found != NULL ? *found : NULL;
	uint32_t had = known != NULL ? known->slices : 1;
	char name[NAME_MAX_SUBDOMAIN];

	for (uint32_t i = ids->slices; i < had; i++) {
		endpoints_slice_name(name, ids->name, i);
		feed_del(f, OBJ_SLICE_DEL, ids->namespace, name);
	}
	if (known != NULL && ids->slices > 1) {
		known->slices = ids->slices;
	} else if (known != NULL) {
		tdelete(known, &splits, split_cmp);
		free(known);
	} else if (ids->slices > 1) {
		remember(ids);
	}
}

static void put(void *arg, const struct slice *s)
{
	feed_put_slice(arg, s);
}

void feed_endpoints(struct feed *f, const json_t *object)
{
	struct endpoints_ids ids;

	if (decode_endpoints(object, &ids, put, f) == DECODE_BAD)
		stats_bad_object();
	settle(f, &ids);
}

void feed_endpoints_deleted(struct feed *f, const json_t *object)
{
	struct endpoints_ids ids = {.slices = 0};

	strlcpy(ids.namespace, feed_name_of(object, "namespace", sizeof(ids.namespace)),
	    sizeof(ids.namespace));
	strlcpy(ids.name, feed_name_of(object, "name", sizeof(ids.name)), sizeof(ids.name));
	settle(f, &ids);
}
