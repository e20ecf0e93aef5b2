/*
 * A list is {"kind": ..., "metadata": {...}, "items": [{...}, ...]}. This reads that outer shape
 * byte by byte and gives every value in it, whole, to jansson.
 */
#include "watcher/api_list.h"

#include <string.h>

#include "watcher/complain.h"

enum state {
	BEFORE,	     /* the list's { */
	KEY_OR_END,  /* a member's name or, of an empty object, } */
	KEY,	     /* a member's name */
	COLON,	     /* after the name */
	VALUE,	     /* the first byte of a member's value */
	AFTER_VALUE, /* , or } */
	ITEM_OR_END, /* the first item's { or, of an empty list, ] */
	ITEM,	     /* an item's { */
	AFTER_ITEM,  /* , or ] */
	AFTER,	     /* the list's } */
	/* within a value: its bytes are collected */
	IN_KEY,
	IN_MEMBER,
	IN_ITEM,
};

static const char *const expected[] = {
    [BEFORE] = "{",
    [KEY_OR_END] = "a member's name or }",
    [KEY] = "a member's name",
    [COLON] = ":",
    [VALUE] = "a value",
    [AFTER_VALUE] = ", or }",
    [ITEM_OR_END] = "an object or ]",
    [ITEM] = "an object",
    [AFTER_ITEM] = ", or ]",
    [AFTER] = "the end",
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *unexpected(struct api_list *l, char c)
{
	return api_list_wrong(l, "not a list of objects: byte %zu is 0x%02x instead of %s",
	    l->offset, (unsigned)(unsigned char)c, expected[l->json.state]);
}

/* NUL is allowed in strings: whoever may annotate one Service must not stop all the others. */
static json_t *parse(const struct api_list *l, json_error_t *error)
{
	return json_loadb(l->value.bytes, l->value.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

static const char *key_done(struct api_list *l)
{
	size_t n = l->value.len - 2; /* without the quotes */

	/* A longer name is none that is looked at. */
	if (n > sizeof(l->json.key) - 1)
		n = sizeof(l->json.key) - 1;
	memcpy(l->json.key, l->value.bytes + 1, n);
	l->json.key[n] = '\0';
	return NULL;
}

static const char *metadata_done(struct api_list *l, const json_t *metadata)
{
	return api_list_metadata(l, json_string_value(json_object_get(metadata, "resourceVersion")),
	    json_string_value(json_object_get(metadata, "continue")));
}

/* A member of the list itself, other than an array of items. */
static const char *member_done(struct api_list *l)
{
	json_error_t error;
	json_t *value = parse(l, &error);
	const char *why = NULL;

	if (value == NULL)
		return api_list_wrong(
		    l, "\"%s\" before byte %zu is no JSON: %s", l->json.key, l->offset, error.text);
	if (strcmp(l->json.key, "metadata") == 0)
		why = metadata_done(l, value);
	else if (strcmp(l->json.key, "items") == 0 && !json_is_null(value)) /* Go's empty list */
		why = "\"items\" is no array";
	json_decref(value);
	return why;
}

static const char *item_done(struct api_list *l)
{
	json_error_t error;
	json_t *item = parse(l, &error);

	if (item == NULL) {
		complain_warn(
		    "an object of the list, the %zu bytes before byte %zu, is no JSON: %s; "
		    "left out",
		    l->value.len, l->offset, error.text);
		l->bad_items++;
		return NULL;
	}
	l->items++;
	l->fn(l->arg, item);
	json_decref(item);
	return NULL;
}

/* What to do with a collected value, and where that leads. */
static const char *value_done(struct api_list *l)
{
	static const struct {
		const char *(*done)(struct api_list *l);
		enum state next;
	} ends[] = {
	    /* IN_KEY */ {key_done, COLON},
	    /* IN_MEMBER */ {member_done, AFTER_VALUE},
	    /* IN_ITEM */ {item_done, AFTER_ITEM},
	};
	const char *why = ends[l->json.state - IN_KEY].done(l);

	l->json.state = (int)ends[l->json.state - IN_KEY].next;
	api_buffer_reset(&l->value);
	return why;
}

static void value_begin(struct api_list *l, enum state within)
{
	l->json.state = (int)within;
	l->json.depth = 0;
	l->json.in_string = false;
	l->json.escaped = false;
}

/* One byte of the outer shape. *TAKEN is set to false if it is the first byte of a value. */
static const char *shape(struct api_list *l, char c, bool *taken)
{
	static const struct {
		int state;
		char c;
		int next;
	} steps[] = {
	    {BEFORE, '{', KEY_OR_END},
	    {KEY_OR_END, '}', AFTER},
	    {COLON, ':', VALUE},
	    {AFTER_VALUE, ',', KEY},
	    {AFTER_VALUE, '}', AFTER},
	    {ITEM_OR_END, ']', AFTER_VALUE},
	    {AFTER_ITEM, ',', ITEM},
	    {AFTER_ITEM, ']', AFTER_VALUE},
	};

	*taken = true;
	if (is_space(c))
		return NULL;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i].state == l->json.state && steps[i].c == c) {
			l->json.state = steps[i].next;
			return NULL;
		}
	}
	if (l->json.state == VALUE && c == '[' && strcmp(l->json.key, "items") == 0) {
		l->json.state = ITEM_OR_END;
		return NULL;
	}
	*taken = false;
	if ((l->json.state == KEY || l->json.state == KEY_OR_END) && c == '"')
		value_begin(l, IN_KEY);
	else if ((l->json.state == ITEM || l->json.state == ITEM_OR_END) && c == '{')
		value_begin(l, IN_ITEM);
	else if (l->json.state == VALUE && strchr(",:]}", c) == NULL)
		value_begin(l, IN_MEMBER);
	else
		return unexpected(l, c);
	return NULL;
}

/*
 * How far the value goes on in BYTES: the count of bytes that belong to it; *ENDED if the last of
 * them (or, of a number or word, the one behind it) ends it. A wrong closing bracket ends nothing
 * here: jansson will refuse the value.
 */
static size_t value_span(struct api_list *l, const char *bytes, size_t len, bool *ended)
{
	*ended = true;
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		if (l->json.in_string) {
			if (l->json.escaped)
				l->json.escaped = false;
			else if (c == '\\')
				l->json.escaped = true;
			else if (c == '"') {
				l->json.in_string = false;
				if (l->json.depth == 0)
					return i + 1;
			}
		} else if (c == '"') {
			l->json.in_string = true;
		} else if (c == '{' || c == '[') {
			l->json.depth++;
		} else if (l->json.depth == 0) {
			if (c == ',' || c == '}' || c == ']' || is_space(c))
				return i;
		} else if ((c == '}' || c == ']') && --l->json.depth == 0) {
			return i + 1;
		}
	}
	*ended = false;
	return len;
}

const char *api_list_json_feed(struct api_list *l, const char *bytes, size_t len)
{
	while (len > 0) {
		const char *why;
		size_t n;

		if (l->json.state < IN_KEY) {
			bool taken;

			why = shape(l, bytes[0], &taken);
			n = taken ? 1 : 0;
			l->offset += n;
		} else {
			bool ended;

			n = value_span(l, bytes, len, &ended);
			l->offset += n;
			why = api_buffer_add(&l->value, bytes, n);
			if (why == NULL && ended)
				why = value_done(l);
		}
		if (why != NULL)
			return why;
		bytes += n;
		len -= n;
	}
	return NULL;
}

bool api_list_json_whole(const struct api_list *l)
{
	return l->json.state == AFTER;
}
