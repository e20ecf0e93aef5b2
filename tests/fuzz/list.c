/*
 * What an apiserver answers, cut into pieces by the network: list pages if the first byte is even,
 * watch lines if it is odd; the rest of that byte is the pieces' length. However it is cut, the
 * same objects must come out of it.
 */
#include "tests/fuzz/objects.h"
#include "watcher/api_event.h"
#include "watcher/api_lines.h"
#include "watcher/api_list.h"
#include "watcher/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t objects, bytes;
	bool failed;
};

static void on_object(void *arg, const json_t *object)
{
	struct seen *seen = arg;
	struct service service;
	struct slice slice;
	struct node node;

	seen->objects++;
	if (decode_service(object, &service) == DECODE_OK)
		send_service(&service);
	service_clear(&service);
	if (decode_slice(object, "node-a", &slice) == DECODE_OK)
		send_slice(&slice);
	slice_clear(&slice);
	if (decode_node(object, &node) == DECODE_OK)
		send_node(&node);
}

static const char *on_line(void *arg, const char *line, size_t len)
{
	struct seen *seen = arg;
	struct api_event e;
	char message[32];
	const char *why = api_event_parse(&e, FORMAT_JSON, NULL, line, len);

	seen->bytes += len;
	api_status_message(line, len, message, sizeof(message));
	if (why != NULL)
		return why;
	if (e.type == EVENT_PUT)
		on_object(seen, e.object);
	json_decref(e.root);
	return NULL;
}

/* Each piece is a copy of its own, so that a read beyond it is seen. */
static struct seen read_pieces(const uint8_t *data, size_t size, size_t piece, bool is_list)
{
	struct seen seen = {0};
	struct api_list list = {.fn = on_object, .arg = &seen};
	struct api_lines lines = {0};

	for (size_t at = 0; at < size && !seen.failed; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		char *copy = malloc(n);

		if (copy == NULL)
			abort();
		memcpy(copy, data + at, n);
		seen.failed = (is_list ? api_list_feed(&list, copy, n)
				       : api_lines_feed(&lines, copy, n, on_line, &seen)) != NULL;
		free(copy);
	}
	if (is_list && !seen.failed)
		seen.failed = api_list_end(&list) != NULL;
	seen.bytes += list.items + list.bad_items;
	api_list_clear(&list);
	api_buffer_clear(&lines.part);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;
	bool is_list;

	if (size < 2)
		return 0;
	is_list = data[0] % 2 == 0;
	whole = read_pieces(data + 1, size - 1, size, is_list);
	cut = read_pieces(data + 1, size - 1, data[0] / 2 + 1u, is_list);
	if (whole.objects != cut.objects || whole.bytes != cut.bytes || whole.failed != cut.failed)
		abort();
	return 0;
}
