/* YAML text to JSON values: typing, errors with their lines, bounds on hostile text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "watcher/yaml.h"

/* Parses TEXT, which must be good, and compares the documents, printed one after another. */
static void check(const char *text, const char *json)
{
	struct yaml y;
	struct yaml_error err;
	char got[4096] = "";

	if (yaml_parse(&y, text, strlen(text), &err) != 0)
		fail_msg("%s: line %u: %s", text, err.line, err.text);
	for (size_t i = 0; i < y.count; i++) {
		char *one =
		    json_dumps(y.documents[i], JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

		assert_non_null(one);
		strncat(got, one, sizeof(got) - strlen(got) - 1);
		free(one);
	}
	assert_string_equal(got, json);
	yaml_clear(&y);
}

static void check_error(const char *text, size_t len, unsigned line, const char *says)
{
	struct yaml y;
	struct yaml_error err;

	if (yaml_parse(&y, text, len, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(y.count, 0);
	if (strstr(err.text, says) == NULL)
		fail_msg("%s: said \"%s\", not \"%s\"", text, err.text, says);
	if (err.line != line)
		fail_msg("%s: line %u, not %u", text, err.line, line);
	yaml_clear(&y);
}

static void test_types(void **state)
{
	static const struct {
		const char *yaml, *json;
	} cases[] = {
	    {"80", "80"},
	    {"-80", "-80"},
	    {"+7", "7"},
	    {"0x1F", "31"},
	    {"0o17", "15"},
	    {"017", "15"},
	    {"0b101", "5"},
	    {"1_000", "1000"},
	    {"08", "8.0"},
	    {"1.5", "1.5"},
	    {".5", "0.5"},
	    {"1e3", "1000.0"},
	    {"9223372036854775808", "9.2233720368547758e18"},
	    {"1.2.3.4", "\"1.2.3.4\""},
	    {"10.0.0.0/8", "\"10.0.0.0/8\""},
	    {"12:30", "\"12:30\""},
	    {"2026-11-22", "\"2026-11-22\""},
	    {"- 1", "[1]"},
	    {"-", "[null]"},
	    {"--1", "\"--1\""},
	    {"+-1", "\"+-1\""},
	    {"0x", "\"0x\""},
	    {"true", "true"},
	    {"Yes", "true"},
	    {"off", "false"},
	    {"yES", "\"yES\""},
	    {"~", "null"},
	    {"NULL", "null"},
	    {"\"80\"", "\"80\""},
	    {"'true'", "\"true\""},
	    {"!!str 80", "\"80\""},
	    {"!!int \"80\"", "80"},
	    {"!!float 3", "3"},
	    {"! 80", "\"80\""},
	    {"|\n  two\n  lines\n", "\"two\\nlines\\n\""},
	    {"\"\\u00fc \\/\"", "\"\xc3\xbc /\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].yaml, cases[i].json);
}

static void test_structure(void **state)
{
	(void)state;
	check("", "");
	check("# nothing\n---\n# here\n", "");
	check("a: 1\n---\n---\nb: [x, {c: }]\n...\n", "{\"a\":1}{\"b\":[\"x\",{\"c\":null}]}");
	check("80: a\ntrue: b\n1.5: c\n", "{\"1.5\":\"c\",\"80\":\"a\",\"true\":\"b\"}");
	check("a: &x [1, 2]\nb: *x\n", "{\"a\":[1,2],\"b\":[1,2]}");
	check("- &x {a: 1, b: 2}\n- {b: 3, <<: *x}\n- {<<: [{c: 9}, *x], d: 4}",
	    "[{\"a\":1,\"b\":2},{\"a\":1,\"b\":3},{\"a\":1,\"b\":2,\"c\":9,\"d\":4}]");
	check("&a x: 1\n", "{\"x\":1}");
}

/* What is JSON but no YAML 1.1. */
static void test_json(void **state)
{
	static const char twice[] = "{\"a\": 1, \"a\": \"\\ud83d\\ude00\"}";

	(void)state;
	check("{\"a\": \"\\ud83d\\ude00\"}\n{\"b\": 1}\n", "{\"a\":\"\xf0\x9f\x98\x80\"}{\"b\":1}");
	check("{\n\t\"a\": [\n\t\t1\n\t]\n}\n", "{\"a\":[1]}");
	check_error(twice, strlen(twice), 1, "escape code"); /* refused as JSON too */
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *says;
	} cases[] = {
	    {"a: 1\nb: 2\na: 3\n", 3, "duplicate key \"a\""},
	    {"80: 1\n\"80\": 2\n", 2, "duplicate key \"80\""},
	    {"a:\n  b: [1, 2\nc: 3\n", 3, "did not find expected"},
	    {"a: 1\n\tb: 2\n", 2, "tab character"},
	    {"a: *b\n", 1, "*b has no anchor"},
	    {"a: 1\n---\n&x b: 1\n---\n- *x\n", 5, "no anchor"},
	    {"a: &x\n  - *x\n", 2, "inside its own anchor"},
	    {"? [a, b]\n: 1\n", 1, "must be a scalar"},
	    {"~: 1\n", 1, "empty or null"},
	    {"a: .inf\n", 1, "infinity"},
	    {"a: 1e999\n", 1, "too large"},
	    {"a: !!binary aGk=\n", 1, "tag"},
	    {"a: !!int x\n", 1, "does not fit"},
	    {"a: !!set {x}\n", 1, "tag"},
	    {"a: \"x\\0y\"\n", 1, "NUL"},
	    {"<<: 5\n", 1, "merge key"},
	    {"a: 1\nb: \xff\n", 2, "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_error(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].says);
}

static void test_lines(void **state)
{
	static const char text[] = "a: one\nb:\n  c: [x,\n    z]\n---\nd: 5\ne: true\n";
	struct yaml y;
	struct yaml_error err;
	json_t *b;

	(void)state;
	assert_int_equal(yaml_parse(&y, text, strlen(text), &err), 0);
	b = json_object_get(y.documents[0], "b");
	assert_int_equal(yaml_line(&y, y.documents[0]), 1);
	assert_int_equal(yaml_line(&y, b), 3);
	assert_int_equal(yaml_line(&y, json_array_get(json_object_get(b, "c"), 1)), 4);
	assert_int_equal(yaml_line(&y, json_object_get(y.documents[1], "d")), 6);
	assert_int_equal(yaml_line(&y, json_object_get(y.documents[1], "e")), 0);
	yaml_clear(&y);
}

/* Each level stands for ten of the one before: 10^9 values in a few hundred bytes. */
static void test_alias_bomb(void **state)
{
	char text[1024] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";

	(void)state;
	for (int i = 1; i < 9; i++) {
		char line[128];

		snprintf(line, sizeof(line), "a%d: &a%d [", i, i);
		strcat(text, line);
		for (int k = 0; k < 10; k++) {
			snprintf(line, sizeof(line), "*a%d%s", i - 1, k < 9 ? "," : "]\n");
			strcat(text, line);
		}
	}
	check_error(text, strlen(text), 5, "aliases stand for more than");
}

static void test_depth(void **state)
{
	char text[100000];

	(void)state;
	memset(text, '[', sizeof(text));
	check_error(text, sizeof(text), 1, "nested more than 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_structure),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_alias_bomb),
	    cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
