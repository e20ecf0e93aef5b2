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

#endif
