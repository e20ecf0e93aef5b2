#include "watcher/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 64 /* digits of a number, however it is written */

enum word { WORD_NULL, WORD_TRUE, WORD_FALSE, WORD_NOT_JSON };

static const struct {
	const char *text;
	enum word is;
} words[] = {
    {"", WORD_NULL},
    {"~", WORD_NULL},
    {"null", WORD_NULL},
    {"Null", WORD_NULL},
    {"NULL", WORD_NULL},
    {"true", WORD_TRUE},
    {"True", WORD_TRUE},
    {"TRUE", WORD_TRUE},
    {"y", WORD_TRUE},
    {"Y", WORD_TRUE},
    {"yes", WORD_TRUE},
    {"Yes", WORD_TRUE},
    {"YES", WORD_TRUE},
    {"on", WORD_TRUE},
    {"On", WORD_TRUE},
    {"ON", WORD_TRUE},
    {"false", WORD_FALSE},
    {"False", WORD_FALSE},
    {"FALSE", WORD_FALSE},
    {"n", WORD_FALSE},
    {"N", WORD_FALSE},
    {"no", WORD_FALSE},
    {"No", WORD_FALSE},
    {"NO", WORD_FALSE},
    {"off", WORD_FALSE},
    {"Off", WORD_FALSE},
    {"OFF", WORD_FALSE},
    {".nan", WORD_NOT_JSON},
    {".NaN", WORD_NOT_JSON},
    {".NAN", WORD_NOT_JSON},
    {".inf", WORD_NOT_JSON},
    {".Inf", WORD_NOT_JSON},
    {".INF", WORD_NOT_JSON},
    {"+.inf", WORD_NOT_JSON},
    {"+.Inf", WORD_NOT_JSON},
    {"+.INF", WORD_NOT_JSON},
    {"-.inf", WORD_NOT_JSON},
    {"-.Inf", WORD_NOT_JSON},
    {"-.INF", WORD_NOT_JSON},
};

static json_t *word_value(const char *text, bool *is_word, const char **why)
{
	*is_word = true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].text) != 0)
			continue;
		switch (words[i].is) {
		case WORD_NULL:
			return json_null();
		case WORD_TRUE:
			return json_true();
		case WORD_FALSE:
			return json_false();
		case WORD_NOT_JSON:
			*why = "infinity and not-a-number cannot be used here; quote it if a "
			       "string is meant";
			return NULL;
		}
	}
	*is_word = false;
	return NULL;
}

/* The digits of an integer and their base: 0x1f, 0b101, 0o17, 017 as well as 17. */
static const char *integer_base(const char *digits, int *base)
{
	*base = 10;
	if (digits[0] != '0' || digits[1] == '\0')
		return digits;
	switch (digits[1]) {
	case 'x':
	case 'X':
		*base = 16;
		return digits + 2;
	case 'b':
	case 'B':
		*base = 2;
		return digits + 2;
	case 'o':
	case 'O':
		*base = 8;
		return digits + 2;
	default:
		*base = 8;
		return digits + 1;
	}
}

static bool all_digits_of(const char *p, int base)
{
	if (*p == '\0')
		return false;
	for (; *p != '\0'; p++) {
		int c = tolower((unsigned char)*p);
		int value = isdigit(c) ? c - '0' : isalpha(c) ? c - 'a' + 10 : 99;

		if (value >= base)
			return false;
	}
	return true;
}

static json_t *integer_value(const char *number)
{
	bool negative = *number == '-';
	const char *digits;
	unsigned long long v;
	int base;

	if (*number == '+' || *number == '-')
		number++;
	digits = integer_base(number, &base);
	if (!all_digits_of(digits, base))
		return NULL;
	errno = 0;
	v = strtoull(digits, NULL, base);
	if (errno != 0 || v > (unsigned long long)INT64_MAX)
		return NULL; /* a float then, as JSON numbers of any size are */
	return json_integer(negative ? -(json_int_t)v : (json_int_t)v);
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *p)
{
	size_t before, after = 0;

	if (*p == '+' || *p == '-')
		p++;
	before = strspn(p, "0123456789");
	p += before;
	if (*p == '.') {
		p++;
		after = strspn(p, "0123456789");
		p += after;
	}
	if (before + after == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '+' || *p == '-')
			p++;
		if (!isdigit((unsigned char)*p))
			return false;
		p += strspn(p, "0123456789");
	}
	return *p == '\0';
}

static json_t *number_value(const char *text, const char **why)
{
	char number[NUMBER_MAX];
	size_t n = 0;
	json_t *v;
	double d;

	if (strchr("+-.0123456789", text[0]) == NULL)
		return NULL;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '_')
			continue; /* 1_000 */
		if (n == sizeof(number) - 1)
			return NULL;
		number[n++] = *p;
	}
	number[n] = '\0';
	v = integer_value(number);
	if (v != NULL || !is_float(number))
		return v;
	d = strtod(number, NULL);
	if (!isfinite(d)) {
		*why = "the number is too large";
		return NULL;
	}
	return json_real(d);
}

static json_t *string_value(const char *text, size_t len, const char **why)
{
	json_t *v = json_stringn(text, len);

	if (v == NULL)
		*why = "not valid UTF-8";
	return v;
}

static json_t *plain_value(const char *text, size_t len, const char **why)
{
	bool is_word;
	json_t *v = word_value(text, &is_word, why);

	if (!is_word)
		v = number_value(text, why);
	if (v != NULL || *why != NULL)
		return v;
	return string_value(text, len, why);
}

static const struct {
	const char *tag;
	json_type type;
	json_type or_type;
} tags[] = {
    {"tag:yaml.org,2002:int", JSON_INTEGER, JSON_INTEGER},
    {"tag:yaml.org,2002:float", JSON_REAL, JSON_INTEGER},
    {"tag:yaml.org,2002:bool", JSON_TRUE, JSON_FALSE},
    {"tag:yaml.org,2002:null", JSON_NULL, JSON_NULL},
};

json_t *yaml_scalar(const char *text, size_t len, const char *tag, bool quoted, const char **why)
{
	json_t *v;

	*why = NULL;
	if (memchr(text, '\0', len) != NULL) {
		*why = "contains a NUL character";
		return NULL;
	}
	if (tag == NULL && !quoted)
		return plain_value(text, len, why);
	if (tag == NULL || strcmp(tag, "!") == 0 || strcmp(tag, "tag:yaml.org,2002:str") == 0)
		return string_value(text, len, why);
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strcmp(tag, tags[i].tag) != 0)
			continue;
		v = plain_value(text, len, why);
		if (v == NULL || json_typeof(v) == tags[i].type ||
		    json_typeof(v) == tags[i].or_type)
			return v;
		json_decref(v);
		*why = "the value does not fit its tag";
		return NULL;
	}
	*why = "its tag is not one of !!str, !!int, !!float, !!bool, !!null";
	return NULL;
}
