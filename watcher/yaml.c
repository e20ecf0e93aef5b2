#include "watcher/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "watcher/yaml_compose.h"

void *yaml_grow(void *array, size_t count, size_t size)
{
	if ((count & (count - 1)) != 0) /* full at 0, 1, 2, 4, ... */
		return array;
	return reallocarray(array, count == 0 ? 1 : count * 2, size);
}

int yaml_add_document(struct yaml *y, json_t *value)
{
	json_t **documents = yaml_grow(y->documents, y->count, sizeof(json_t *));

	if (documents == NULL) {
		json_decref(value);
		return -1;
	}
	y->documents = documents;
	documents[y->count++] = value;
	return 0;
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len &&
	       (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
		at++;
	return at;
}

/*
 * JSON that is no YAML: surrogate pairs (\ud83d\ude00), and tabs where YAML wants blanks. 0 if TEXT
 * is a sequence of JSON objects.
 */
static int parse_json(struct yaml *y, const char *text, size_t len)
{
	size_t at = skip_blanks(text, len, 0);

	if (at == len || text[at] != '{')
		return -1;
	while (at < len) {
		json_error_t err;
		json_t *value = json_loadb(
		    text + at, len - at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &err);

		if (value == NULL || yaml_add_document(y, value) != 0)
			return -1;
		at = skip_blanks(text, len, at + (size_t)err.position);
	}
	return 0;
}

static int parse(struct yaml *y, const char *text, size_t len, struct yaml_error *err,
    const struct yaml_twice *twice)
{
	int r;

	memset(y, 0, sizeof(*y));
	memset(err, 0, sizeof(*err));
	if (yaml_compose(y, text, len, err, twice) == 0)
		return 0;
	yaml_clear(y);
	r = parse_json(y, text, len);
	if (r != 0)
		yaml_clear(y);
	return r;
}

int yaml_parse(struct yaml *y, const char *text, size_t len, struct yaml_error *err)
{
	return parse(y, text, len, err, NULL);
}

int yaml_parse_lenient(struct yaml *y, const char *text, size_t len, struct yaml_error *err,
    void (*twice)(void *arg, unsigned line, const char *key), void *arg)
{
	const struct yaml_twice t = {twice, arg};

	return parse(y, text, len, err, &t);
}

void yaml_clear(struct yaml *y)
{
	for (size_t i = 0; i < y->count; i++)
		json_decref(y->documents[i]);
	free(y->documents);
	free(y->lines);
	json_decref(y->replaced);
	memset(y, 0, sizeof(*y));
}

static int compare_lines(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct yaml_line *)a)->value;
	uintptr_t y = (uintptr_t)((const struct yaml_line *)b)->value;

	return x < y ? -1 : x > y;
}

static unsigned line_of(struct yaml *y, const void *value)
{
	const struct yaml_line key = {.value = value}, *found;

	if (y->line_count == 0)
		return 0;
	if (!y->lines_sorted)
		qsort(y->lines, y->line_count, sizeof(*y->lines), compare_lines);
	y->lines_sorted = true;
	found = bsearch(&key, y->lines, y->line_count, sizeof(*y->lines), compare_lines);
	return found == NULL ? 0 : found->line;
}

unsigned yaml_line(struct yaml *y, const json_t *value)
{
	return line_of(y, value);
}

unsigned yaml_member_line(struct yaml *y, json_t *object, const char *key)
{
	void *member = json_object_iter_at(object, key);
	unsigned line = member == NULL ? 0 : line_of(y, json_object_iter_value(member));

	return line != 0 || member == NULL ? line : line_of(y, json_object_iter_key(member));
}
