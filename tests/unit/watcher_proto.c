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
#include "watcher/json_memory.h"
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
	char why[256];
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

	if (why != NULL) {
		snprintf(r->why, sizeof(r->why), "%s", why);
		return r->why;
	}
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

/* --- what no server sends --- */

/* A message being built. */
struct bytes {
	char b[1 << 16];
	size_t len;
};

static void add(struct bytes *to, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(to->b) - to->len);
	memcpy(to->b + to->len, bytes, len);
	to->len += len;
}

static void add_number(struct bytes *to, uint64_t n)
{
	for (; n > 127; n >>= 7)
		add(to, &(uint8_t){(uint8_t)(n | 128)}, 1);
	add(to, &(uint8_t){(uint8_t)n}, 1);
}

/* A field of LEN bytes; -1: of a string. */
static void add_field(struct bytes *to, unsigned field, const void *bytes, int len)
{
	size_t n = len < 0 ? strlen(bytes) : (size_t)len;

	add_number(to, field << 3 | 2);
	add_number(to, n);
	add(to, bytes, n);
}

/* "k8s\0" and an Unknown of KIND with RAW in it. */
static void envelop(struct bytes *to, const char *kind, const struct bytes *raw)
{
	struct bytes type = {.len = 0};

	add_field(&type, 2, kind, -1);
	add(to, "k8s", 4);
	add_field(to, 1, type.b, (int)type.len);
	add_field(to, 2, raw->b, (int)raw->len);
}

/* A list of one Service "a" and the metadata that a list has. */
static struct bytes small_list(void)
{
	struct bytes meta = {.len = 0}, object = {.len = 0}, item = {.len = 0}, list = {.len = 0},
		     whole = {.len = 0};

	add_field(&meta, 2, "77", -1);
	add_field(&object, 1, "a", -1);
	add_field(&item, 1, object.b, (int)object.len);
	add_field(&list, 1, meta.b, (int)meta.len);
	add_field(&list, 2, item.b, (int)item.len);
	envelop(&whole, "ServiceList", &list);
	return whole;
}

static void count_item(void *arg, const json_t *item)
{
	(void)item;
	++*(int *)arg;
}

static const char *list_says(struct api_list *l, const struct bytes *text, size_t chunk)
{
	static int items;

	items = 0;
	*l = (struct api_list){.format = FORMAT_PROTO,
	    .type = &kube__service__descriptor,
	    .fn = count_item,
	    .arg = &items};
	return read_list(l, text->b, text->len, chunk);
}

static void expect_list(const struct bytes *text, const char *says)
{
	for (size_t chunk = 1; chunk < 40; chunk += 6) {
		struct api_list l;
		const char *why = list_says(&l, text, chunk);

		if (says == NULL)
			assert_null(why);
		else if (why == NULL || strstr(why, says) == NULL)
			fail_msg("expected \"%s\", got \"%s\"", says, why != NULL ? why : "");
		api_list_clear(&l);
	}
}

/* A good list with BYTES behind it. */
static void expect_behind(const char *bytes, size_t len, const char *says)
{
	struct bytes text = small_list();

	add(&text, bytes, len);
	expect_list(&text, says);
}

static void lists_that_are_none(void **state)
{
	struct bytes text = small_list(), empty = {.len = 0}, other = {.len = 0};

	(void)state;
	expect_list(&text, NULL);
	for (size_t len = 0; len < text.len; len++) {
		struct bytes part = text;

		part.len = len;
		expect_list(&part, "the list ends in the middle, after ");
	}
	text.b[2] = 'x';
	expect_list(&text, "not the API's protobuf: byte 2 is 0x78");
	envelop(&other, "Status", &empty);
	expect_list(&other, "the answer is a \"Status\" and no list");
	other.len = 0;
	envelop(&other, "ServiceList", &empty);
	expect_list(&other, "no metadata.resourceVersion");
	/* Unknown fields of every kind are passed over, and empty encodings. */
	expect_behind("\x20\x96\x01\x29"
		      "12345678\x35"
		      "1234\x3a\x02zz\x1a\x00\x22\x00",
	    25, NULL);
	expect_behind("\x1a\x04gzip", 6, "contentEncoding");
	expect_behind("\x12\x00", 2, "two lists in one envelope");
	expect_behind("\x10\x01", 2, "has wire type 0 instead of 2");
	expect_behind("\x23", 1, "wire type 3");
	expect_behind("\x02\x00", 2, "no field has the number");
	expect_behind("\x80\x80\x80\x80\x80\x01", 6, "no field has the number");
	expect_behind("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "a number too long");
	expect_behind("\x2a\x81\x80\x80\x02", 5, "a field of 4194305 bytes");
	expect_behind("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11,
	    "a field of 18446744073709551615 bytes");
}

/* A list whose raw length says something else than its fields do. */
static void lists_that_overlap(void **state)
{
	struct bytes text = {.len = 0};

	(void)state;
	add(&text, "k8s\0\x12\x04\x12\x7f", 8); /* 4 bytes of list, an item of 127 */
	add(&text, "12", 2);
	expect_list(&text, "a field of 127 bytes at byte 8, where the list has 2 left");
	text.len = 0;
	add(&text, "k8s\0\x12\x01\x12\x02", 8); /* the list ends within the item's tag */
	expect_list(&text, "a field goes beyond the list's end at byte 7");
	text.len = 0;
	add(&text, "k8s\0\x12\x03\x1d\x01\x02", 9); /* a number of 4 bytes in the 2 left */
	expect_list(&text, "a field of 4 bytes");
}

/* One that is broken is left out, and said; the others count. */
static void items_that_are_none(void **state)
{
	struct bytes meta = {.len = 0}, list = {.len = 0}, text = {.len = 0};
	struct api_list l;

	(void)state;
	add_field(&meta, 2, "77", -1);
	add_field(&list, 2, "\x0a\x05", 2);		/* shorter than it says */
	add_field(&list, 2, "\x0a\x03\x0a\x01\xff", 5); /* a name that is not UTF-8 */
	add_field(&list, 2, "\x0b\x0b\x0b\x0b", 4);	/* groups within groups */
	add_field(&list, 2, "\x0a\x03\x0a\x01z", 5);
	add_field(&list, 1, meta.b, (int)meta.len);
	envelop(&text, "ServiceList", &list);
	assert_null(list_says(&l, &text, 7));
	assert_int_equal(l.items, 1);
	assert_int_equal(l.bad_items, 3);
	assert_string_equal(l.resource_version, "77");
	api_list_clear(&l);
}

/* Two bytes that stand for two hundred, two million times. */
static void amplified(void **state)
{
	size_t len = API_OBJECT_MAX;
	char *bytes = malloc(len);
	json_t *json;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < len; i += 2)
		memcpy(bytes + i, "\x12\x00", 2); /* an endpoint of a slice */
	assert_non_null(proto_to_json(&json, &kube__endpoint_slice__descriptor, bytes, len));
	assert_null(json);
	proto_release();
	assert_non_null(proto_to_json(
	    &json, &kube__endpoint_slice__descriptor, bytes, 2 * (PROTO_REPEATED_MAX + 1)));
	assert_null(json);
	proto_release();
	assert_null(proto_to_json(
	    &json, &kube__endpoint_slice__descriptor, bytes, 2 * (size_t)PROTO_REPEATED_MAX));
	assert_int_equal(json_array_size(json_object_get(json, "endpoints")), PROTO_REPEATED_MAX);
	json_decref(json);
	proto_release();
	/* The same message given again and again is one, merged each time. */
	for (size_t i = 0; i + 4 <= len; i += 4)
		memcpy(bytes + i, "\x12\x02\x0a\x00", 4); /* a Service's spec with a port */
	assert_non_null(proto_to_json(&json, &kube__service__descriptor, bytes, len));
	proto_release();
	free(bytes);
}

/* The same in JSON. */
static void amplified_json(void **state)
{
	static const char begin[] = "{\"items\":[{\"x\":[", end[] = "{}]}],\"metadata\":"
								    "{\"resourceVersion\":\"7\"}}";
	size_t len = API_OBJECT_MAX - 100;
	char *bytes = malloc(len);
	struct api_list l = {.format = FORMAT_JSON, .fn = count_item, .arg = &(int){0}};

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < len; i += 3)
		memcpy(bytes + i, "{},", len - i < 3 ? 1 : 3);
	json_memory_limit();
	assert_null(api_list_feed(&l, begin, strlen(begin)));
	assert_null(api_list_feed(&l, bytes, len / 3 * 3));
	assert_true(json_memory_used() == 0);
	assert_null(api_list_feed(&l, end, strlen(end)));
	assert_null(api_list_end(&l));
	assert_int_equal(l.items, 0);
	assert_int_equal(l.bad_items, 1);
	assert_int_equal(json_memory_used(), 0);
	api_list_clear(&l);
	json_set_alloc_funcs(malloc, free);
	free(bytes);
}

static void frames(void **state)
{
	struct reading r = {
	    .format = FORMAT_PROTO, .type = &kube__service__descriptor, .told = &as_proto};

	(void)state;
	assert_string_equal(read_watch(&r, "\0\0\0\0", 4, 1), "an event without a byte");
	assert_non_null(strstr(read_watch(&r, "\0\x40\0\x01", 4, 2), "longer than 4 MiB"));
	assert_non_null(strstr(read_watch(&r, "\0\0\0\x01\x00", 5, 3), "without type and object"));
	assert_null(read_watch(&r, "\0\0\0\x02\x0a", 5, 5)); /* more is to come */
}

static const char *event_says(
    const char *type, const char *kind, const struct bytes *object, struct reading *r)
{
	struct bytes enveloped = {.len = 0}, raw = {.len = 0}, event = {.len = 0};

	envelop(&enveloped, kind, object);
	add_field(&raw, 1, enveloped.b, (int)enveloped.len);
	add_field(&event, 1, type, -1);
	add_field(&event, 2, raw.b, (int)raw.len);
	r->trace[0] = '\0';
	return on_event(r, event.b, event.len);
}

static void events(void **state)
{
	struct reading r = {
	    .format = FORMAT_PROTO, .type = &kube__service__descriptor, .told = &as_proto};
	struct bytes status = {.len = 0}, object = {.len = 0}, empty = {.len = 0};
	char message[32];

	(void)state;
	add_field(&status, 3, "too old", -1);
	add(&status, "\x30\x9a\x03", 3);
	assert_null(event_says("ERROR", "Status", &status, &r));
	assert_string_equal(r.trace, "ERROR too old, ");
	add_field(&object, 1,
	    "\x32\x01"
	    "9",
	    3);
	assert_null(event_says("BOOKMARK", "Service", &object, &r));
	assert_string_equal(r.trace, "BOOKMARK 9, ");
	assert_null(event_says("RENAMED", "Service", &object, &r));
	assert_string_equal(r.trace, "UNKNOWN 9, ");
	assert_string_equal(
	    event_says("ADDED", "Service", &empty, &r), "an event without type and object");
	add(&empty, "\x0a\x00", 2); /* its metadata */
	assert_string_equal(event_says("ADDED", "Service", &empty, &r),
	    "an event's object without a metadata.resourceVersion");
	object.len = 0;
	add(&object, "\x0a\x05", 2);
	assert_non_null(
	    strstr(event_says("ADDED", "Service", &object, &r), "an event's object of"));
	empty.len = 0;
	envelop(&empty, "Status", &status);
	api_status_message(empty.b, empty.len, message, sizeof(message));
	assert_string_equal(message, "too old");
	api_status_message(empty.b, empty.len - 1, message, sizeof(message));
	assert_string_equal(message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(recorded_lists),
	    cmocka_unit_test(recorded_watches),
	    cmocka_unit_test(recorded_node),
	    cmocka_unit_test(lists_that_are_none),
	    cmocka_unit_test(lists_that_overlap),
	    cmocka_unit_test(items_that_are_none),
	    cmocka_unit_test(amplified),
	    cmocka_unit_test(amplified_json),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
