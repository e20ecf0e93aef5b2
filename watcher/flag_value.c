#include "watcher/flag_value.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int value_bool(bool *out, const char *text)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = {
	    {"1", true},
	    {"t", true},
	    {"T", true},
	    {"true", true},
	    {"True", true},
	    {"TRUE", true},
	    {"0", false},
	    {"f", false},
	    {"F", false},
	    {"false", false},
	    {"False", false},
	    {"FALSE", false},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i].text) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return -1;
}

int value_number(uint64_t *out, const char *text, uint64_t low, uint64_t high)
{
	uint64_t v = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return -1;
	}
	if (v < low || v > high)
		return -1;
	*out = v;
	return 0;
}

/* The base that *TEXT's prefix names, which is passed; a 0 alone is a number. */
static unsigned base_of(const char **text)
{
	const char *p = *text;

	if (p[0] != '0' || p[1] == '\0')
		return 10;
	switch (p[1] | 0x20) { /* lower case */
	case 'x':
		*text += 2;
		return 16;
	case 'o':
		*text += 2;
		return 8;
	case 'b':
		*text += 2;
		return 2;
	default:
		*text += 1;
		return 8;
	}
}

int value_integer(int64_t *out, const char *text, int64_t low, int64_t high)
{
	static const char digits[] = "0123456789abcdef";
	bool minus = *text == '-';
	unsigned base;
	int64_t v = 0;

	text += minus || *text == '+';
	base = base_of(&text);
	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		const char *d = memchr(digits, tolower((unsigned char)*text), base);

		if (d == NULL || __builtin_mul_overflow(v, (int64_t)base, &v) ||
		    __builtin_add_overflow(v, (int64_t)(d - digits), &v))
			return -1;
	}
	v = minus ? -v : v;
	if (v < low || v > high)
		return -1;
	*out = v;
	return 0;
}

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
    /* Longer names before those that they begin with. */
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* micro sign */
    {"\xce\xbcs", 1000}, /* Greek mu */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60000000000},
    {"h", 3600000000000},
};

/* One "12.5h". *TEXT moves behind it; its nanoseconds are added to *NS. */
static int duration_part(uint64_t *ns, const char **text)
{
	const char *p = *text;
	uint64_t whole = 0, fraction = 0, scale = 1, v;
	size_t digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -1;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits++) {
			if (scale >= 1000000)
				continue; /* a millionth of a unit is enough */
			fraction = fraction * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
	}
	if (digits == 0)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(p, units[i].name, len) != 0)
			continue;
		if (__builtin_mul_overflow(whole, units[i].ns, &v) ||
		    __builtin_add_overflow(v, fraction * units[i].ns / scale, &v) ||
		    __builtin_add_overflow(*ns, v, ns))
			return -1;
		*text = p + len;
		return 0;
	}
	return -1;
}

int value_duration_ms(uint64_t *out, const char *text)
{
	uint64_t ns = 0;

	if (*text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*out = 0;
		return 0;
	}
	do {
		if (duration_part(&ns, &text) != 0)
			return -1;
	} while (*text != '\0');
	if (ns > INT64_MAX)
		return -1; /* Go's own limit, 292 years */
	*out = ns / 1000000 + (ns % 1000000 != 0);
	return 0;
}

/* The LEN bytes at TEXT as an address. */
static int address(struct ip_addr *addr, const char *text, size_t len)
{
	char buf[IP_STRLEN];

	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return ip_parse(addr, buf);
}

int value_bind_address(struct ip_addr *addr, uint16_t *port, const char *text)
{
	const char *end, *colon;
	struct ip_addr a;
	uint64_t number;
	int r;

	if (ip_parse(&a, text) == 0) {
		*addr = a;
		return 0;
	}
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || end[1] != ':')
			return -1;
		colon = end + 1;
		r = address(&a, text + 1, (size_t)(end - text) - 1);
	} else {
		colon = strchr(text, ':');
		if (colon == NULL)
			return -1;
		r = address(&a, text, (size_t)(colon - text));
	}
	if (r != 0 || value_number(&number, colon + 1, 0, 65535) != 0)
		return -1;
	*addr = a;
	*port = (uint16_t)number;
	return 0;
}

int value_milli(uint32_t *out, const char *text)
{
	char *end;
	double v;

	if (text[0] == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
		return -1; /* strtod would take blanks, "inf", "nan" and hexadecimal */
	v = strtod(text, &end);
	if (*end != '\0' || v > UINT32_MAX / 1000)
		return -1;
	*out = v <= 0 ? 0 : v < 0.001 ? 1 : (uint32_t)(v * 1000 + 0.5);
	return 0;
}

int value_ports(uint16_t *low, uint16_t *high, const char *text)
{
	size_t len = strcspn(text, "-+");
	uint64_t first, last;
	char one[8];

	if (text[0] == '\0') {
		*low = *high = 0;
		return 0;
	}
	if (len >= sizeof(one))
		return -1;
	memcpy(one, text, len);
	one[len] = '\0';
	if (value_number(&first, one, 0, 65535) != 0)
		return -1;
	last = first;
	if (text[len] != '\0' && value_number(&last, text + len + 1, 0, 65535) != 0)
		return -1;
	if (text[len] == '+')
		last += first;
	if (last > 65535 || last < first || (first == 0 && last != 0))
		return -1;
	*low = (uint16_t)first;
	*high = (uint16_t)last;
	return 0;
}
