/* What a source of objects (an apiserver, manifests) tells the planner. */
#ifndef WATCHER_FEED_H
#define WATCHER_FEED_H

#include <jansson.h>
#include <stdbool.h>

#include "ipc/channel.h"
#include "ipc/objects.h"

struct feed {
	struct channel *planner;
	const char *node_name;
};

/* A complete list of this kind begins and ends. */
void feed_list_begin(struct feed *f, enum object_kind kind);
void feed_list_end(struct feed *f, enum object_kind kind);
/* Decodes one object and sends it, or its deletion if it is none of ours or bad. */
void feed_service(struct feed *f, const json_t *object);
void feed_slice(struct feed *f, const json_t *object);
void feed_node(struct feed *f, const json_t *object);
/* Sends an object that was decoded before. */
void feed_put_service(struct feed *f, const struct service *s);
void feed_put_slice(struct feed *f, const struct slice *s);
void feed_put_node(struct feed *f, const struct node *n);
void feed_node_addrs(struct feed *f, const struct node_addrs_part *p);
/* The object was deleted; only its metadata is looked at. */
void feed_service_deleted(struct feed *f, const json_t *object);
void feed_slice_deleted(struct feed *f, const json_t *object);
void feed_node_deleted(struct feed *f);

/*
 * Endpoints, where the server has no EndpointSlices: the kind is KIND_SLICE. Remembers the few that
 * are more than one slice; the list begins with feed_endpoints_begin().
 */
void feed_endpoints_begin(struct feed *f);
void feed_endpoints(struct feed *f, const json_t *object);
void feed_endpoints_deleted(struct feed *f, const json_t *object);

/*
 * ServiceCIDRs: remembered (SERVICE_CIDRS_MAX ranges), and told all together when the list ends and
 * then at each change.
 */
void feed_service_cidrs_begin(struct feed *f);
void feed_service_cidrs_end(struct feed *f);
void feed_service_cidr(struct feed *f, const json_t *object);
void feed_service_cidr_deleted(struct feed *f, const json_t *object);

/*
 * A deleted object's metadata.KEY ("name"); "" if it has none shorter than SIZE, and so none that
 * could have been put.
 */
const char *feed_name_of(const json_t *object, const char *key, size_t size);
/* Sends the deletion DEL of NS/NAME, unless one is "". */
void feed_del(struct feed *f, enum object_message del, const char *ns, const char *name);

#endif
