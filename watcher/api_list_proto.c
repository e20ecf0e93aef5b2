/*
 * A list in protobuf: "k8s\0", then an Unknown whose field 2 is the list, whose fields are metadata
 * and, one after the other, the items. This reads these two levels byte by byte and gives every
 * value in them, whole, to protobuf-c. Nothing is believed of a length but that it is a bound.
 */
#include <inttypes.h>
#include <string.h>

#include "watcher/api_envelope.h"
#include "watcher/api_list.h"
#include "watcher/complain.h"
#include "watcher/kube.pb-c.h"
#include "watcher/proto_json.h"

enum state {
	MAGIC,	/* within the first four bytes */
	TAG,	/* a field's number and wire type; with shift 0 before it */
	NUMBER, /* a field that is a number: nothing that we read */
	LENGTH, /* of a field's value */
	COLLECT,
	SKIP,
};

/* Wire types. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static const char magic[] = API_ENVELOPE_MAGIC;

/* --- values --- */

static const char *type_done(struct api_list *l)
{
	const Kube__TypeMeta *t =
	    proto_unpack(&kube__type_meta__descriptor, l->value.bytes, l->value.len);
	const char *kind = t != NULL && t->kind != NULL ? t->kind : "";
	size_t len = strlen(kind);

	if (len < 4 || strcmp(kind + len - 4, "List") != 0)
		return api_list_wrong(l, "the answer is a \"%.60s\" and no list", kind);
	return NULL;
}

static const char *encoding_done(struct api_list *l)
{
	return l->value.len == 0 ? NULL : "the list has a contentEncoding, which is not read";
}

static const char *metadata_done(struct api_list *l)
{
	const Kube__ListMeta *m =
	    proto_unpack(&kube__list_meta__descriptor, l->value.bytes, l->value.len);

	if (m == NULL)
		return "the list's metadata is none";
	return api_list_metadata(l, m->resourceversion, m->continue_);
}

static const char *item_done(struct api_list *l)
{
	json_t *item;
	const char *why = proto_to_json(&item, l->type, l->value.bytes, l->value.len);

	if (why != NULL) {
		complain_warn("an object of the list, the %zu bytes before byte %zu: %s; left out",
		    l->value.len, l->offset, why);
		l->bad_items++;
		return NULL;
	}
	l->items++;
	l->fn(l->arg, item);
	json_decref(item);
	return NULL;
}

/* What is done with a field's value; NULL: it is skipped. */
static const char *(*const outer[])(struct api_list *l) = {
    [1] = type_done,
    [3] = encoding_done,
};
static const char *(*const inner[])(struct api_list *l) = {
    [1] = metadata_done,
    [2] = item_done,
};
enum { OUTER_LIST = 2 };

static const char *(*use_of(const struct api_list *l))(struct api_list *)
{
	uint32_t field = l->proto.field;

	if (l->proto.in_list)
		return field < sizeof(inner) / sizeof(inner[0]) ? inner[field] : NULL;
	return field < sizeof(outer) / sizeof(outer[0]) ? outer[field] : NULL;
}

static bool is_list(const struct api_list *l)
{
	return !l->proto.in_list && l->proto.field == OUTER_LIST;
}

static const char *value_done(struct api_list *l)
{
	const char *(*use)(struct api_list *) = use_of(l);
	const char *why = l->proto.state == COLLECT && use != NULL ? use(l) : NULL;

	proto_release();
	api_buffer_reset(&l->value);
	l->proto.state = TAG;
	return why;
}

/* --- framing --- */

static const char *value_begin(struct api_list *l, int state, uint64_t len)
{
	if (len > API_OBJECT_MAX)
		return api_list_wrong(l,
		    "a field of %" PRIu64 " bytes at byte %zu; the limit is %u", len, l->offset,
		    API_OBJECT_MAX);
	if (l->proto.in_list && len > l->proto.list_left)
		return api_list_wrong(l,
		    "a field of %" PRIu64 " bytes at byte %zu, where the list has %" PRIu64 " left",
		    len, l->offset, l->proto.list_left);
	l->proto.state = state;
	l->proto.value_left = len;
	return len == 0 ? value_done(l) : NULL;
}

static const char *tag_done(struct api_list *l)
{
	struct api_list_proto *p = &l->proto;

	p->wire_type = p->number & 7;
	p->field = p->number >> 3 <= UINT32_MAX >> 3 ? (uint32_t)(p->number >> 3) : 0;
	if (p->field == 0)
		return api_list_wrong(l, "no field has the number before byte %zu", l->offset);
	if ((use_of(l) != NULL || is_list(l)) && p->wire_type != BYTES)
		return api_list_wrong(l, "field %u before byte %zu has wire type %u instead of 2",
		    p->field, l->offset, p->wire_type);
	switch (p->wire_type) {
	case VARINT:
		p->state = NUMBER;
		return NULL;
	case BYTES:
		p->state = LENGTH;
		return NULL;
	case FIXED64:
		return value_begin(l, SKIP, 8);
	case FIXED32:
		return value_begin(l, SKIP, 4);
	default:
		return api_list_wrong(l, "wire type %u before byte %zu", p->wire_type, l->offset);
	}
}

static const char *length_done(struct api_list *l)
{
	struct api_list_proto *p = &l->proto;

	if (!is_list(l))
		return value_begin(l, use_of(l) != NULL ? COLLECT : SKIP, p->number);
	if (p->had_list)
		return "two lists in one envelope";
	p->had_list = true;
	p->in_list = true;
	p->list_left = p->number;
	p->state = TAG;
	return NULL;
}

/* A byte of the number that state TAG, NUMBER or LENGTH is about. */
static const char *number_byte(struct api_list *l, uint8_t c)
{
	struct api_list_proto *p = &l->proto;

	if (p->shift == 0)
		p->number = 0;
	if (p->shift == 63 && c > 1)
		return api_list_wrong(l, "a number too long before byte %zu", l->offset);
	p->number |= (uint64_t)(c & 0x7f) << p->shift;
	p->shift += 7;
	if ((c & 0x80) != 0)
		return NULL;
	p->shift = 0;
	if (p->state == TAG)
		return tag_done(l);
	if (p->state == LENGTH)
		return length_done(l);
	p->state = TAG;
	return NULL;
}

static const char *magic_byte(struct api_list *l, uint8_t c)
{
	struct api_list_proto *p = &l->proto;

	if (c != (uint8_t)magic[p->magic])
		return api_list_wrong(
		    l, "not the API's protobuf: byte %u is 0x%02x", p->magic, (unsigned)c);
	if (++p->magic == sizeof(magic))
		p->state = TAG;
	return NULL;
}

const char *api_list_proto_feed(struct api_list *l, const char *bytes, size_t len)
{
	struct api_list_proto *p = &l->proto;

	while (len > 0) {
		const char *why = NULL;
		bool value = p->state == COLLECT || p->state == SKIP;
		size_t n = 1;

		if (value)
			n = len < p->value_left ? len : (size_t)p->value_left;
		l->offset += n;
		if (p->in_list)
			p->list_left -= n;
		if (value) {
			if (p->state == COLLECT)
				why = api_buffer_add(&l->value, bytes, n);
			p->value_left -= n;
			if (why == NULL && p->value_left == 0)
				why = value_done(l);
		} else {
			why = p->state == MAGIC ? magic_byte(l, (uint8_t)bytes[0])
						: number_byte(l, (uint8_t)bytes[0]);
		}
		if (why != NULL)
			return why;
		if (p->in_list && p->list_left == 0) {
			if (p->state != TAG || p->shift != 0)
				return api_list_wrong(
				    l, "a field goes beyond the list's end at byte %zu", l->offset);
			p->in_list = false;
		}
		bytes += n;
		len -= n;
	}
	return NULL;
}

bool api_list_proto_whole(const struct api_list *l)
{
	const struct api_list_proto *p = &l->proto;

	return p->state == TAG && p->shift == 0 && p->had_list && !p->in_list;
}
