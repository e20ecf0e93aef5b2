#include "watcher/feed.h"

#include <string.h>

#include "watcher/decode.h"
#include "watcher/stats.h"

/* The one message being written; it is sent before the next begins. */
static struct frame frame;

void feed_list_begin(struct feed *f, enum object_kind kind)
{
	objects_encode_list(&frame, OBJ_LIST_BEGIN, kind);
	channel_send_wait(f->planner, &frame);
}

void feed_list_end(struct feed *f, enum object_kind kind)
{
	objects_encode_list(&frame, OBJ_LIST_END, kind);
	channel_send_wait(f->planner, &frame);
}

void feed_put_service(struct feed *f, const struct service *s)
{
	objects_encode_service(&frame, s);
	channel_send_wait(f->planner, &frame);
}

void feed_put_slice(struct feed *f, const struct slice *s)
{
	uint32_t first = 0, part = 0;

	do {
		first = objects_encode_slice(&frame, s, first, part++);
		channel_send_wait(f->planner, &frame);
	} while (first < s->endpoint_count);
}

void feed_put_node(struct feed *f, const struct node *n)
{
	objects_encode_node(&frame, n);
	channel_send_wait(f->planner, &frame);
}

void feed_node_addrs(struct feed *f, const struct node_addrs_part *p)
{
	objects_encode_node_addrs(&frame, p);
	channel_send_wait(f->planner, &frame);
}

void feed_del(struct feed *f, enum object_message del, const char *ns, const char *name)
{
	if (ns[0] == '\0' || name[0] == '\0')
		return;
	objects_encode_del(&frame, del, ns, name);
	channel_send_wait(f->planner, &frame);
}

/* Counts what is left out because it is bad. */
static bool is_good(enum decode_result r)
{
	if (r == DECODE_BAD)
		stats_bad_object();
	return r == DECODE_OK;
}

void feed_service(struct feed *f, const json_t *object)
{
	struct service s;

	if (is_good(decode_service(object, &s)))
		feed_put_service(f, &s);
	else
		feed_del(f, OBJ_SERVICE_DEL, s.namespace, s.name);
	service_clear(&s);
}

void feed_slice(struct feed *f, const json_t *object)
{
	struct slice s;

	if (is_good(decode_slice(object, f->node_name, &s)))
		feed_put_slice(f, &s);
	else
		feed_del(f, OBJ_SLICE_DEL, s.namespace, s.name);
	slice_clear(&s);
}

void feed_node(struct feed *f, const json_t *object)
{
	struct node n;

	if (!is_good(decode_node(object, &n)))
		return; /* said; what was known of it stays */
	if (strcmp(n.name, f->node_name) == 0)
		feed_put_node(f, &n);
}

const char *feed_name_of(const json_t *object, const char *key, size_t size)
{
	const char *name =
	    json_string_value(json_object_get(json_object_get(object, "metadata"), key));

	return name != NULL && strlen(name) < size ? name : "";
}

void feed_service_deleted(struct feed *f, const json_t *object)
{
	feed_del(f, OBJ_SERVICE_DEL, feed_name_of(object, "namespace", NAME_MAX_LABEL),
	    feed_name_of(object, "name", NAME_MAX_LABEL));
}

void feed_slice_deleted(struct feed *f, const json_t *object)
{
	feed_del(f, OBJ_SLICE_DEL, feed_name_of(object, "namespace", NAME_MAX_LABEL),
	    feed_name_of(object, "name", NAME_MAX_SUBDOMAIN));
}

void feed_node_deleted(struct feed *f)
{
	objects_encode_node_del(&frame);
	channel_send_wait(f->planner, &frame);
}
