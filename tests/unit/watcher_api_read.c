/* What the watcher reads from the apiserver: list pages and watch lines, cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/api_event.h"
#include "watcher/api_lines.h"
#include "watcher/api_list.h"

/* The names of the items or the lines seen, joined with spaces. */
struct seen {
	char text[8192];
	int stop_at; /* lines: stop at this one; 0: never */
	int count;
};

static void saw(struct seen *s, const char *bytes, size_t len)
{
	size_t used = strlen(s->text);

	snprintf(
	    s->text + used, sizeof(s->text) - used, "%s%.*s", used > 0 ? " " : "", (int)len, bytes);
	s->count++;
}

static void on_item(void *arg, const json_t *item)
{
	const char *name =
	    json_string_value(json_object_get(json_object_get(item, "metadata"), "name"));

	saw(arg, name != NULL ? name : "?", name != NULL ? strlen(name) : 1);
}

static const char *on_line(void *arg, const char *line, size_t len)
{
	struct seen *s = arg;

	saw(s, line, len);
	return s->count == s->stop_at ? "stop" : NULL;
}

/* Feeds TEXT in pieces of CHUNK bytes; NULL or the first complaint, also of the end. */
static const char *read_list(
    struct api_list *l, struct seen *s, const char *text, size_t len, size_t chunk)
{
	memset(s, 0, sizeof(*s));
	*l = (struct api_list){.fn = on_item, .arg = s};
	for (size_t at = 0; at < len; at += chunk) {
		/* A copy of its own, so that a read beyond it is seen. */
		size_t n = len - at < chunk ? len - at : chunk;
		char *piece = malloc(n);

		assert_non_null(piece);
		memcpy(piece, text + at, n);
		const char *why = api_list_feed(l, piece, n);

		free(piece);
		if (why != NULL)
			return why;
	}
	return api_list_end(l);
}

static char *recording(const char *name, size_t *len)
{
	char path[256];
	char *text = malloc(1 << 20);

	snprintf(path, sizeof(path), "tests/data/recordings/%s.body", name);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_non_null(text);
	*len = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void list_recorded(void **state)
{
	static const struct {
		const char *name;
		bool more;
	} pages[] = {
	    {"services-list.json", false},
	    {"services-page1.json", true},
	    {"services-page2.json", true},
	    {"endpointslices-list.json", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		size_t len;
		char *text = recording(pages[i].name, &len);
		json_t *whole = json_loadb(text, len, 0, NULL);
		const json_t *metadata = json_object_get(whole, "metadata");

		for (size_t chunk = 1; chunk <= len; chunk = chunk * 3 + 1) {
			struct api_list l;
			struct seen s;

			assert_null(read_list(&l, &s, text, len, chunk));
			assert_int_equal(l.items, json_array_size(json_object_get(whole, "items")));
			assert_int_equal(l.bad_items, 0);
			assert_string_equal(l.resource_version,
			    json_string_value(json_object_get(metadata, "resourceVersion")));
			assert_int_equal(l.continue_token != NULL, pages[i].more);
			api_list_clear(&l);
		}
		json_decref(whole);
		free(text);
	}
}

#define META "\"metadata\":{\"resourceVersion\":\"7\"}"

static void list_shapes(void **state)
{
	static const struct {
		const char *text;
		const char *seen; /* NULL: refused ... */
		const char *why;  /* ... with these words */
	} cases[] = {
	    {"{" META ",\"items\":[]}", "", NULL},
	    {" {\r\n" META " , \"items\" : [ ] } \n", "", NULL},
	    {"{" META ",\"items\":null}", "", NULL},
	    {"{\"items\":[{\"metadata\":{\"name\":\"a\"}}]," META "}", "a", NULL},
	    {"{" META
	     ",\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{\"name\":\"b\"}}]}",
		"a b", NULL},
	    {"{" META ",\"items\":[{\"metadata\":{\"name\":\"}]\\\"\\\\\"}}]}", "}]\"\\", NULL},
	    {"{" META ",\"items\":[{\"metadata\":{\"name\":\"a\",\"x\":\"\\u0000\"}}]}", "a", NULL},
	    {"{" META ",\"a\":1,\"b\":true,\"c\":\"s\",\"d\":[1,[2]],\"e\":-1.5e3,\"items\":[]}",
		"", NULL},
	    {"{" META ",\"items\":[{\"x\":}, {\"metadata\":{\"name\":\"b\"}}]}", "b", NULL},
	    {"{" META ",\"itemsandmuchmorethananynamewelookat\":[],\"items\":[]}", "", NULL},
	    {"", NULL, "in the middle, after 0 bytes"},
	    {"{" META ",\"items\":[", NULL, "in the middle"},
	    {"{" META ",\"items\":[{", NULL, "in the middle"},
	    {"{" META ",\"items\":[]", NULL, "in the middle"},
	    {"{\"items\":[]}", NULL, "no metadata.resourceVersion"},
	    {"{}", NULL, "no metadata.resourceVersion"},
	    {"<html>", NULL, "byte 0 is 0x3c instead of {"},
	    {"[]", NULL, "instead of {"},
	    {"{,}", NULL, "instead of a member's name or }"},
	    {"{\"a\" 1}", NULL, "instead of :"},
	    {"{\"a\":}", NULL, "instead of a value"},
	    {"{\"a\":1 2}", NULL, "instead of , or }"},
	    {"{\"a\":1,}", NULL, "instead of a member's name"},
	    {"{\"a\":tru}", NULL, "\"a\" before byte 8 is no JSON"},
	    {"{\"a\":[1}]}", NULL, "is no JSON"},
	    {"{" META ",\"items\":[1]}", NULL, "instead of an object or ]"},
	    {"{" META ",\"items\":[{},]}", NULL, "instead of an object"},
	    {"{" META ",\"items\":[{} {}]}", NULL, "instead of , or ]"},
	    {"{" META ",\"items\":{}}", NULL, "\"items\" is no array"},
	    {"{" META ",\"items\":[]}x", NULL, "instead of the end"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t chunk = 1; chunk < 100; chunk += 7) {
			struct api_list l;
			struct seen s;
			const char *why =
			    read_list(&l, &s, cases[i].text, strlen(cases[i].text), chunk);

			if (cases[i].seen != NULL) {
				if (why != NULL)
					fail_msg("%s: %s", cases[i].text, why);
				assert_string_equal(s.text, cases[i].seen);
			} else if (why == NULL || strstr(why, cases[i].why) == NULL) {
				fail_msg("%s: %s", cases[i].text, why != NULL ? why : "accepted");
			}
			api_list_clear(&l);
		}
	}
}

static void list_bounds(void **state)
{
	static char many[65536];
	struct seen s = {0};
	struct api_list l = {.fn = on_item, .arg = &s};
	const char *why = api_list_feed(&l, "{\"items\":[{\"", 12);
	size_t fed = 0;

	(void)state;
	memset(many, 'a', sizeof(many));
	for (; why == NULL && fed < 2 * (size_t)API_OBJECT_MAX; fed += sizeof(many))
		why = api_list_feed(&l, many, sizeof(many));
	assert_non_null(why);
	assert_non_null(strstr(why, "longer than 4 MiB"));
	assert_true(l.value.cap <= API_OBJECT_MAX);
	api_list_clear(&l);

	l = (struct api_list){.fn = on_item, .arg = &s};
	assert_null(api_list_feed(&l, "{\"metadata\":{\"resourceVersion\":\"", 32));
	assert_null(api_list_feed(&l, many, API_VERSION_MAX));
	why = api_list_feed(&l, "\"}}", 3);
	assert_string_equal(why, "the list's resourceVersion is too long");
	api_list_clear(&l);
}

static void lines_any_cut(void **state)
{
	static const char text[] = "one\n\ntwo\nthree three\n\nfour\nfi";

	(void)state;
	for (size_t chunk = 1; chunk <= sizeof(text); chunk++) {
		struct api_lines l = {0};
		struct seen s = {0};

		for (size_t at = 0; at < sizeof(text) - 1; at += chunk) {
			size_t n = sizeof(text) - 1 - at < chunk ? sizeof(text) - 1 - at : chunk;

			assert_null(api_lines_feed(&l, text + at, n, on_line, &s));
		}
		assert_string_equal(s.text, "one two three three four");
		assert_int_equal(l.part.len, 2);
		api_buffer_clear(&l.part);
	}
}

static void lines_stop(void **state)
{
	struct api_lines l = {0};
	struct seen s = {.stop_at = 2};

	(void)state;
	assert_string_equal(api_lines_feed(&l, "a\nb\nc\n", 6, on_line, &s), "stop");
	assert_string_equal(s.text, "a b");
	api_buffer_clear(&l.part);
}

static void lines_bound(void **state)
{
	static char many[65536];
	struct api_lines l = {0};
	struct seen s = {0};
	const char *why = NULL;

	(void)state;
	memset(many, 'a', sizeof(many));
	for (size_t fed = 0; why == NULL && fed < 2 * (size_t)API_OBJECT_MAX; fed += sizeof(many))
		why = api_lines_feed(&l, many, sizeof(many), on_line, &s);
	assert_non_null(why);
	assert_true(l.part.cap <= API_OBJECT_MAX);
	api_buffer_clear(&l.part);
}

static void event_kinds(void **state)
{
	static const struct {
		const char *text;
		const char *why; /* refused with these words, or NULL */
		enum api_event_type type;
		const char *version;
		long code;
	} cases[] = {
	    {"{\"type\":\"ADDED\",\"object\":{" META "}}", NULL, EVENT_PUT, "7", 0},
	    {"{\"type\":\"MODIFIED\",\"object\":{" META "}}", NULL, EVENT_PUT, "7", 0},
	    {"{\"type\":\"DELETED\",\"object\":{" META "}}", NULL, EVENT_DELETED, "7", 0},
	    {"{\"type\":\"BOOKMARK\",\"object\":{" META "}}", NULL, EVENT_BOOKMARK, "7", 0},
	    {"{\"type\":\"RENAMED\",\"object\":{" META "}}", NULL, EVENT_UNKNOWN, "7", 0},
	    {"{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"old\"}}", NULL,
		EVENT_ERROR, "", 410},
	    {"{\"type\":\"ERROR\",\"object\":{}}", NULL, EVENT_ERROR, "", 0},
	    {"{\"type\":\"ADDED\",\"object\":{}}", "resourceVersion", 0, NULL, 0},
	    {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"\"}}}",
		"resourceVersion", 0, NULL, 0},
	    {"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}",
		"resourceVersion", 0, NULL, 0},
	    {"{\"type\":\"ADDED\",\"object\":[]}", "without", 0, NULL, 0},
	    {"{\"type\":1,\"object\":{}}", "without", 0, NULL, 0},
	    {"{}", "without", 0, NULL, 0},
	    {"[]", "without", 0, NULL, 0},
	    {"{\"type\":\"ADDED\"", "no JSON", 0, NULL, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct api_event e;
		const char *why =
		    api_event_parse(&e, FORMAT_JSON, NULL, cases[i].text, strlen(cases[i].text));

		if (cases[i].why != NULL) {
			assert_non_null(why);
			assert_non_null(strstr(why, cases[i].why));
			assert_null(e.root);
			continue;
		}
		assert_null(why);
		assert_int_equal(e.type, cases[i].type);
		assert_string_equal(e.resource_version, cases[i].version);
		assert_int_equal(e.code, cases[i].code);
		json_decref(e.root);
	}
}

static void event_recorded_expired(void **state)
{
	size_t len;
	char *text = recording("expired.json", &len);
	struct api_event e;

	(void)state;
	assert_null(api_event_parse(&e, FORMAT_JSON, NULL, text, strcspn(text, "\n")));
	assert_int_equal(e.type, EVENT_ERROR);
	assert_int_equal(e.code, 410);
	assert_string_equal(e.message, "too old resource version: 1 (57882)");
	json_decref(e.root);
	free(text);
}

static void status_messages(void **state)
{
	char buf[16];
	size_t len;
	char *text = recording("unauthorized.json", &len);

	(void)state;
	api_status_message(text, len, buf, sizeof(buf));
	assert_string_equal(buf, "Unauthorized");
	free(text);
	api_status_message("404 page not found", 18, buf, sizeof(buf));
	assert_string_equal(buf, "");
	api_status_message("", 0, buf, sizeof(buf));
	assert_string_equal(buf, "");
	api_status_message("{\"message\":\"longer than the buffer\"}", 36, buf, sizeof(buf));
	assert_string_equal(buf, "longer than the");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(list_recorded),
	    cmocka_unit_test(list_shapes),
	    cmocka_unit_test(list_bounds),
	    cmocka_unit_test(lines_any_cut),
	    cmocka_unit_test(lines_stop),
	    cmocka_unit_test(lines_bound),
	    cmocka_unit_test(event_kinds),
	    cmocka_unit_test(event_recorded_expired),
	    cmocka_unit_test(status_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
