/*
 * What an apiserver answers in protobuf, cut into pieces by the network. The first byte says what:
 * its lowest bit a list or a watch, the next three of which resource, the rest is the pieces'
 * length. However it is cut, the same objects must come out of it.
 */
#include "tests/fuzz/objects.h"
#include "watcher/api_event.h"
#include "watcher/api_frames.h"
#include "watcher/api_list.h"
#include "watcher/decode.h"
#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &kube__service__descriptor,
    &kube__endpoint_slice__descriptor,
    &kube__endpoint_slice_v1beta1__descriptor,
    &kube__endpoints__descriptor,
    &kube__node__descriptor,
    &kube__service_cidr__descriptor,
};

struct seen {
	const ProtobufCMessageDescriptor *type;
	size_t objects, bytes;
	bool failed;
};

static void on_slice(void *arg, const struct slice *s)
{
	(void)arg;
	send_slice(s);
}

static void on_object(void *arg, const json_t *object)
{
	struct seen *seen = arg;
	struct service service;
	struct slice slice;
	struct node node;
	struct endpoints_ids ids;
	struct service_cidr cidr;

	seen->objects++;
	if (decode_service(object, &service) == DECODE_OK)
		send_service(&service);
	service_clear(&service);
	if (decode_slice(object, "node-a", &slice) == DECODE_OK)
		send_slice(&slice);
	slice_clear(&slice);
	if (decode_node(object, &node) == DECODE_OK)
		send_node(&node);
	decode_endpoints(object, &ids, on_slice, NULL);
	decode_service_cidr(object, &cidr);
}

static const char *on_frame(void *arg, const char *bytes, size_t len)
{
	struct seen *seen = arg;
	struct api_event e;
	char message[32];
	const char *why = api_event_parse(&e, FORMAT_PROTO, seen->type, bytes, len);

	seen->bytes += len;
	api_status_message(bytes, len, message, sizeof(message));
	if (why != NULL)
		return why;
	if (e.type == EVENT_PUT)
		on_object(seen, e.object);
	json_decref(e.root);
	return NULL;
}

/* Each piece is a copy of its own, so that a read beyond it is seen. */
static struct seen read_pieces(const uint8_t *data, size_t size, size_t piece, uint8_t what)
{
	bool is_list = what % 2 == 0;
	struct seen seen = {.type = types[what / 2 % 8 % (sizeof(types) / sizeof(types[0]))]};
	struct api_list list = {
	    .format = FORMAT_PROTO, .type = seen.type, .fn = on_object, .arg = &seen};
	struct api_frames frames = {0};

	for (size_t at = 0; at < size && !seen.failed; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		char *copy = malloc(n);

		if (copy == NULL)
			abort();
		memcpy(copy, data + at, n);
		seen.failed =
		    (is_list ? api_list_feed(&list, copy, n)
			     : api_frames_feed(&frames, copy, n, on_frame, &seen)) != NULL;
		free(copy);
	}
	if (is_list && !seen.failed)
		seen.failed = api_list_end(&list) != NULL;
	seen.bytes += list.items + list.bad_items;
	api_list_clear(&list);
	api_buffer_clear(&frames.part);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;

	if (size < 2)
		return 0;
	whole = read_pieces(data + 1, size - 1, size, data[0]);
	cut = read_pieces(data + 1, size - 1, data[0] / 16 + 1u, data[0]);
	if (whole.objects != cut.objects || whole.bytes != cut.bytes || whole.failed != cut.failed)
		abort();
	return 0;
}
