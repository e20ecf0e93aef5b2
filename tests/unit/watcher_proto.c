/* The API's protobuf: what a real apiserver answered is the same as in JSON; what is broken is
 * said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/api_envelope.h"
#include "watcher/api_event.h"
#include "watcher/api_frames.h"
#include "watcher/api_list.h"
#include "watcher/decode.h"
#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

/* --- objects as the planner gets them --- */

/* Messages, one after the other. */
struct told {
	char bytes[1 << 20];
	size_t len;
	int count;
};

static void tell(struct told *t, const struct frame *f)
{
	assert_false(f->overflow);
	assert_true(f->len <= sizeof(t->bytes) - t->len);
	memcpy(t->bytes + t->len, f->buf, f->len);
	t->len += f->len;
	t->count++;
}

static void on_object(void *arg, const json_t *object)
{
	static struct frame f;
	struct service service;
	struct slice slice;
	struct node node;

	if (json_object_get(object, "addressType") != NULL) {
		if (decode_slice(object, "node-a", &slice) == DECODE_OK)
			objects_encode_slice(&f, &slice, 0, 0);
		else
			objects_encode_del(&f, OBJ_SLICE_DEL, slice.namespace, slice.name);
		slice_clear(&slice);
	} else if (json_object_get(json_object_get(object, "spec"), "type") != NULL) {
		if (decode_service(object, &service) == DECODE_OK)
			objects_encode_service(&f, &service);
		else
			objects_encode_del(&f, OBJ_SERVICE_DEL, service.namespace, service.name);
		service_clear(&service);
	} else {
		assert_int_equal(decode_node(object, &node), DECODE_OK);
		objects_encode_node(&f, &node);
	}
	tell(arg, &f);
}

/* --- readers that get the bytes in pieces --- */

struct reading {
	enum api_format format;
	const ProtobufCMessageDescriptor *type;
	struct told *told;
	/* of a watch */
	char trace[1024]; /* "PUT 17, BOOKMARK 18 end" */
};

/* Calls FEED with BYTES in pieces of CHUNK, each a copy of its own, so that reads beyond are seen.
 */
static const char *in_pieces(const char *(*feed)(void *arg, const char *bytes, size_t len),
    void *arg, const char *bytes, size_t len, size_t chunk)
{
	const char *why = NULL;

	for (size_t at = 0; at < len && why == NULL; at += chunk) {
		size_t n = len - at < chunk ? len - at : chunk;
		char *piece = malloc(n);

		assert_non_null(piece);
		memcpy(piece, bytes + at, n);
		why = feed(arg, piece, n);
		free(piece);
	}
	return why;
}

static const char *feed_list(void *arg, const char *bytes, size_t len)
{
	return api_list_feed(arg, bytes, len);
}

static const char *read_list(struct api_list *l, const char *bytes, size_t len, size_t chunk)
{
	const char *why = in_pieces(feed_list, l, bytes, len, chunk);

	return why != NULL ? why : api_list_end(l);
}

static const char *on_event(void *arg, const char *bytes, size_t len)
{
	static const char *const names[] = {"PUT", "DELETED", "BOOKMARK", "ERROR", "UNKNOWN"};
	struct reading *r = arg;
	size_t used = strlen(r->trace);
	struct api_event e;
	const char *why = api_event_parse(&e, r->format, r->type, bytes, len);

	if (why != NULL)
		return why;
	snprintf(r->trace + used, sizeof(r->trace) - used, "%s %s%s%s, ", names[e.type],
	    e.resource_version, e.initial_end ? " end" : "", e.message);
	if (e.type == EVENT_PUT || e.type == EVENT_DELETED)
		on_object(r->told, e.object);
	json_decref(e.root);
	return NULL;
}

struct watch {
	struct reading *reading;
	struct api_lines lines;
	struct api_frames frames;
};

static const char *feed_watch(void *arg, const char *bytes, size_t len)
{
	struct watch *w = arg;

	return w->reading->format == FORMAT_PROTO
		   ? api_frames_feed(&w->frames, bytes, len, on_event, w->reading)
		   : api_lines_feed(&w->lines, bytes, len, on_event, w->reading);
}

static const char *read_watch(struct reading *r, const char *bytes, size_t len, size_t chunk)
{
	struct watch w = {.reading = r};
	const char *why;

	r->trace[0] = '\0';
	r->told->len = 0;
	r->told->count = 0;
	why = in_pieces(feed_watch, &w, bytes, len, chunk);
	api_buffer_clear(&w.lines.part);
	api_buffer_clear(&w.frames.part);
	return why;
}

/* --- recordings --- */

static char *recording(const char *name, const char *format, size_t *len)
{
	char path[256];
	char *text = malloc(1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/recordings/%s.%s.body", name, format);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(text);
	*len = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static const ProtobufCMessageDescriptor *type_of(const char *name)
{
	return name[0] == 's' ? &kube__service__descriptor : &kube__endpoint_slice__descriptor;
}

static struct told as_json, as_proto;

static void same(void)
{
	assert_int_equal(as_proto.count, as_json.count);
	assert_int_equal(as_proto.len, as_json.len);
	assert_memory_equal(as_proto.bytes, as_json.bytes, as_json.len);
}

static void recorded_lists(void **state)
{
	static const char *const lists[] = {
	    "services-list", "services-page1", "endpointslices-list"};
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t json_len, len;
		char *json = recording(lists[i], "json", &json_len);
		char *proto = recording(lists[i], "proto", &len);
		struct api_list a = {.format = FORMAT_JSON, .fn = on_object, .arg = &as_json};

		as_json.len = 0;
		as_json.count = 0;
		assert_null(read_list(&a, json, json_len, json_len));
		assert_true(a.items >= 4);
		for (size_t chunk = 1; chunk <= len; chunk = chunk * 3 + 1) {
			struct api_list b = {.format = FORMAT_PROTO,
			    .type = type_of(lists[i]),
			    .fn = on_object,
			    .arg = &as_proto};

			as_proto.len = 0;
			as_proto.count = 0;
			assert_null(read_list(&b, proto, len, chunk));
			assert_int_equal(b.items, a.items);
			assert_int_equal(b.bad_items, 0);
			/* The two were asked for one after the other; each token has its time. */
			assert_int_equal(b.continue_token != NULL, a.continue_token != NULL);
			assert_string_equal(b.resource_version, a.resource_version);
			same();
			api_list_clear(&b);
		}
		api_list_clear(&a);
		free(json);
		free(proto);
	}
}

static void recorded_watches(void **state)
{
	static const char *const names[] = {"services-watch", "services-watchlist",
	    "endpointslices-watch", "endpointslices-watchlist"};
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t json_len, len;
		char *json = recording(names[i], "json", &json_len);
		char *proto = recording(names[i], "proto", &len);
		struct reading a = {.format = FORMAT_JSON, .told = &as_json};
		struct reading b = {
		    .format = FORMAT_PROTO, .type = type_of(names[i]), .told = &as_proto};

		assert_null(read_watch(&a, json, json_len, json_len));
		assert_true(as_json.count > 2);
		assert_int_equal(strstr(a.trace, " end") != NULL, strstr(names[i], "list") != NULL);
		for (size_t chunk = 1; chunk <= len; chunk = chunk * 3 + 1) {
			assert_null(read_watch(&b, proto, len, chunk));
			assert_string_equal(b.trace, a.trace);
			same();
		}
		free(json);
		free(proto);
	}
}

static void recorded_node(void **state)
{
	size_t json_len, len;
	char *json = recording("node-get", "json", &json_len);
	char *proto = recording("node-get", "proto", &len);
	json_t *a = json_loadb(json, json_len, 0, NULL), *b;
	const void *raw = api_envelope_open(proto, &len);

	(void)state;
	assert_non_null(a);
	assert_non_null(raw);
	assert_null(proto_to_json(&b, &kube__node__descriptor, raw, len));
	proto_release();
	as_json.len = as_proto.len = 0;
	as_json.count = as_proto.count = 0;
	on_object(&as_json, a);
	on_object(&as_proto, b);
	same();
	json_decref(a);
	json_decref(b);
	free(json);
	free(proto);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(recorded_lists),
	    cmocka_unit_test(recorded_watches),
	    cmocka_unit_test(recorded_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
