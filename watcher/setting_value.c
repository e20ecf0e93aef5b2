/* The kinds of settings: text into a field, and a field as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/flag_value.h"
#include "watcher/setting.h"

#define DURATION_EXPECTED "expected a duration such as 30s, 500ms or 1h2m"

static char expected_buf[400];

static void *place(struct settings *s, size_t at)
{
	return (char *)s + at;
}

static const void *place_of(const struct settings *s, size_t at)
{
	return (const char *)s + at;
}

/* --- numbers --- */

static const char *store_number(void *at, const struct setting *row, const char *text)
{
	int64_t v;

	if (value_integer(&v, text, row->low, row->high) != 0) {
		snprintf(expected_buf, sizeof(expected_buf),
		    "expected a whole number from %" PRId64 " to %" PRId64, row->low, row->high);
		return expected_buf;
	}
	switch (row->size) {
	case sizeof(uint8_t):
		*(uint8_t *)at = (uint8_t)v;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)at = (uint16_t)v;
		break;
	default:
		*(uint32_t *)at = (uint32_t)v;
	}
	return NULL;
}

static void number_text(char *buf, const void *at, const struct setting *row)
{
	switch (row->size) {
	case sizeof(uint8_t):
		snprintf(buf, SETTING_TEXT_MAX, "%u", *(const uint8_t *)at);
		break;
	case sizeof(uint16_t):
		snprintf(buf, SETTING_TEXT_MAX, "%u", *(const uint16_t *)at);
		break;
	default:
		snprintf(buf, SETTING_TEXT_MAX, "%" PRId32, *(const int32_t *)at);
	}
}

static const char *store_milli(uint32_t *at, const struct setting *row, const char *text)
{
	uint32_t v;

	if (value_milli(&v, text) != 0)
		return "expected a number such as 5 or 0.5";
	/* 0 means the default, as in the Go client; what is kept as 0 is "no limit". */
	return v != 0 || text[0] == '-' ? (*at = v, NULL) : store_milli(at, row, row->standard);
}

static void milli_text(char *buf, uint32_t v)
{
	if (v == 0)
		snprintf(buf, SETTING_TEXT_MAX, "-1");
	else if (v % 1000 == 0)
		snprintf(buf, SETTING_TEXT_MAX, "%" PRIu32, v / 1000);
	else
		snprintf(buf, SETTING_TEXT_MAX, "%" PRIu32 ".%03" PRIu32, v / 1000, v % 1000);
}

/* --- durations --- */

static const char *store_duration(void *at, const struct setting *row, const char *text)
{
	uint64_t ms;

	if (value_duration_ms(&ms, text) != 0)
		return DURATION_EXPECTED;
	if (row->kind == SETTING_DURATION) {
		if (ms < (uint64_t)row->low)
			return DURATION_EXPECTED;
		*(uint64_t *)at = ms;
		return NULL;
	}
	if (ms > UINT64_C(1000) * INT32_MAX)
		return DURATION_EXPECTED ", at most 68 years";
	*(uint32_t *)at = (uint32_t)((ms + 999) / 1000);
	return NULL;
}

/* As Go writes it: "1h2m3s", "1.5s", "250ms", "0s". */
static void duration_text(char *buf, uint64_t ms)
{
	uint64_t h = ms / 3600000, m = ms / 60000 % 60, rest = ms % 60000;
	int n = 0;

	if (ms != 0 && ms < 1000) {
		snprintf(buf, SETTING_TEXT_MAX, "%" PRIu64 "ms", ms);
		return;
	}
	if (h != 0)
		n = snprintf(buf, SETTING_TEXT_MAX, "%" PRIu64 "h", h);
	if (h != 0 || m != 0)
		n += snprintf(buf + n, SETTING_TEXT_MAX - (size_t)n, "%" PRIu64 "m", m);
	n += snprintf(buf + n, SETTING_TEXT_MAX - (size_t)n, "%" PRIu64, rest / 1000);
	if (rest % 1000 != 0) {
		n += snprintf(buf + n, SETTING_TEXT_MAX - (size_t)n, ".%03" PRIu64, rest % 1000);
		while (buf[n - 1] == '0')
			n--;
	}
	snprintf(buf + n, SETTING_TEXT_MAX - (size_t)n, "s");
}

/* --- text and words --- */

static const char *store_text(char *at, const struct setting *row, const char *text)
{
	const char *expected = row->check != NULL ? row->check(text) : NULL;

	if (expected != NULL)
		return expected;
	if (strlcpy(at, text, row->size) < row->size)
		return NULL;
	at[0] = '\0';
	snprintf(expected_buf, sizeof(expected_buf), "expected %s of at most %zu bytes",
	    row->kind == SETTING_PATH ? "a path" : "a text", row->size - 1);
	return expected_buf;
}

static const char *store_choice(uint8_t *at, const struct setting *row, const char *text)
{
	for (size_t i = 0; row->words[i] != NULL; i++) {
		if ((i == 0 && text[0] == '\0') || strcasecmp(text, row->words[i]) == 0) {
			*at = (uint8_t)((size_t)row->low + i);
			return NULL;
		}
	}
	return row->expected;
}

static const char *store_words(uint8_t *at, const struct setting *row, const char *text)
{
	uint8_t bits = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ","), i = 0;

		while (row->words[i] != NULL &&
		       (strlen(row->words[i]) != len || strncmp(text, row->words[i], len) != 0))
			i++;
		if (row->words[i] == NULL)
			return row->expected;
		bits |= (uint8_t)(1u << i);
		text += len;
		if (*text == ',' && *++text == '\0')
			return row->expected;
	}
	*at = bits;
	return NULL;
}

static void words_text(char *buf, const struct setting *row, uint8_t bits)
{
	buf[0] = '\0';
	for (size_t i = 0; row->words[i] != NULL; i++) {
		if ((bits & 1u << i) == 0)
			continue;
		if (buf[0] != '\0')
			strlcat(buf, ",", SETTING_TEXT_MAX);
		strlcat(buf, row->words[i], SETTING_TEXT_MAX);
	}
}

/* A map: what is given later is added, or changes what was there. */
static const char *store_gates(char *at, const struct setting *row, const char *text)
{
	const char *expected = row->check(text);

	if (expected != NULL)
		return expected;
	while (*text != '\0') {
		size_t len = strcspn(text, ","), name = strcspn(text, "=") + 1;
		size_t had;

		for (char *p = at, *next; *p != '\0'; p = next) {
			size_t one = strcspn(p, ",");

			next = p + one + (p[one] == ',');
			if (strncmp(p, text, name) == 0) {
				memmove(p, next, strlen(next) + 1);
				next = p;
			}
		}
		had = strlen(at);
		if (had > 0 && at[had - 1] == ',')
			at[--had] = '\0';
		if (had + 1 + len + 1 > row->size)
			return "expected fewer feature gates: there is no room for so many";
		if (had > 0)
			at[had++] = ',';
		memcpy(at + had, text, len);
		at[had + len] = '\0';
		text += len + (text[len] == ',');
	}
	return NULL;
}

/* --- addresses --- */

static const char *store_address(struct ip_addr *at, const char *text)
{
	return ip_parse(at, text) == 0 ? NULL : "expected an IP address";
}

static const char *store_bind(struct setting_bind *at, const struct setting *row, const char *text)
{
	struct setting_bind b = {.nowhere = text[0] == '\0'};
	struct ip_addr alone;

	if (!b.nowhere && value_bind_address(&b.addr, &b.port, text) != 0)
		return row->expected;
	b.nowhere |= b.port == 0 && ip_parse(&alone, text) != 0; /* "IP:0" */
	*at = b;
	return NULL;
}

static void bind_text(char *buf, const struct setting_bind *b)
{
	char ip[IP_STRLEN];

	buf[0] = '\0';
	if (b->nowhere)
		return;
	ip_format(&b->addr, ip);
	if (b->port == 0)
		snprintf(buf, SETTING_TEXT_MAX, "%s", ip);
	else
		snprintf(buf, SETTING_TEXT_MAX, b->addr.family == FAMILY_6 ? "[%s]:%u" : "%s:%u",
		    ip, b->port);
}

static const char *store_ports(uint16_t *at, const char *text)
{
	return value_ports(&at[0], &at[1], text) == 0
		   ? NULL
		   : "expected a range of ports such as 30000-32767 or 30000+100, or nothing";
}

static const char *const family_names[] = {[FAMILY_4] = "IPv4", [FAMILY_6] = "IPv6"};

/* One element more. NULL, "" if it is not what is expected, or what is wrong with it. */
static const char *add_prefix(
    struct settings *s, const struct setting *row, const char *text, size_t len)
{
	static char why[CIDR_STRLEN + 160];
	struct ip_cidr *list = place(s, row->at);
	uint32_t *count = place(s, row->count_at);
	bool *primary = row->primary_at != 0 ? place(s, row->primary_at) : NULL;
	size_t room = row->size / sizeof(*list);
	char one[CIDR_STRLEN];
	struct ip_cidr cidr;

	if (len >= sizeof(one) || (primary != NULL && *primary))
		return "";
	memcpy(one, text, len);
	one[len] = '\0';
	if (primary != NULL && *count == 0 && strcmp(one, "primary") == 0) {
		*primary = true;
		return NULL;
	}
	if (ip_cidr_parse(&cidr, one) != 0) {
		if (ip_parse(&cidr.addr, one) != 0)
			return "";
		snprintf(why, sizeof(why), "%s has no prefix length (%s/%u is this one address)",
		    one, one, (unsigned)ip_bits(cidr.addr.family));
		return why;
	}
	for (uint32_t i = 0; row->marks & ONE_OF_A_FAMILY && i < *count; i++)
		if (list[i].addr.family == cidr.addr.family) {
			snprintf(
			    why, sizeof(why), "two %s prefixes", family_names[cidr.addr.family]);
			return why;
		}
	if (*count == room) {
		snprintf(why, sizeof(why), "more than %zu prefixes", room);
		return why;
	}
	list[(*count)++] = cidr;
	return NULL;
}

static const char *store_prefixes(struct settings *s, const struct setting *row, const char *text)
{
	if (row->marks & WHOLE)
		*(uint32_t *)place(s, row->count_at) = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		const char *why = add_prefix(s, row, text, len);

		if (why != NULL) {
			snprintf(expected_buf, sizeof(expected_buf), "%s%s%s", why,
			    why[0] != '\0' ? "; " : "", row->expected);
			return expected_buf;
		}
		text += len;
		if (*text == ',' && *++text == '\0')
			return row->expected;
	}
	return NULL;
}

static void prefixes_text(char *buf, const struct settings *s, const struct setting *row)
{
	const struct ip_cidr *list = place_of(s, row->at);
	uint32_t count = *(const uint32_t *)place_of(s, row->count_at);
	size_t n = 0;

	buf[0] = '\0';
	if (row->primary_at != 0 && *(const bool *)place_of(s, row->primary_at))
		strlcpy(buf, "primary", SETTING_TEXT_MAX);
	for (uint32_t i = 0; i < count; i++) {
		char one[CIDR_STRLEN];

		n += (size_t)snprintf(buf + n, SETTING_TEXT_MAX - n, "%s%s", i > 0 ? "," : "",
		    ip_cidr_format(&list[i], one));
	}
}

/* --- all of them --- */

static const char *store_switch(bool *at, const char *text)
{
	return value_bool(at, text) == 0 ? NULL : "expected true or false";
}

static const char *store(struct settings *s, const struct setting *row, const char *text)
{
	void *at = place(s, row->at);

	switch (row->kind) {
	case SETTING_SWITCH:
		return store_switch(at, text);
	case SETTING_NUMBER:
		return store_number(at, row, text);
	case SETTING_MILLI:
		return store_milli(at, row, text);
	case SETTING_DURATION:
	case SETTING_SECONDS:
		return store_duration(at, row, text);
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_VMODULE:
		return store_text(at, row, text);
	case SETTING_CHOICE:
		return store_choice(at, row, text);
	case SETTING_WORDS:
		return store_words(at, row, text);
	case SETTING_ADDRESS:
		return store_address(at, text);
	case SETTING_BIND:
		return store_bind(at, row, text);
	case SETTING_PORTS:
		return store_ports(at, text);
	case SETTING_PREFIXES:
		return store_prefixes(s, row, text);
	case SETTING_GATES:
		return store_gates(at, row, text);
	}
	return "expected nothing: this setting has no kind";
}

const char *setting_store(struct settings *s, const struct setting *row, const char *text)
{
	const char *expected = store(s, row, text);

	/* Of prefixes it says which one is wrong, and why. */
	return expected != NULL && row->expected != NULL && row->kind != SETTING_PREFIXES
		   ? row->expected
		   : expected;
}

bool setting_is_empty(const struct setting *row, const char *text)
{
	uint64_t ms;

	switch (row->kind) {
	case SETTING_DURATION:
		return value_duration_ms(&ms, text) == 0 && ms == 0;
	case SETTING_NUMBER:
	case SETTING_MILLI:
		return strtod(text, NULL) == 0;
	default:
		return text[0] == '\0';
	}
}

const char *setting_text(
    const struct settings *s, const struct setting *row, char buf[SETTING_TEXT_MAX])
{
	const void *at = place_of(s, row->at);
	const uint16_t *ports = at;

	switch (row->kind) {
	case SETTING_SWITCH:
		strlcpy(buf, *(const bool *)at ? "true" : "false", SETTING_TEXT_MAX);
		break;
	case SETTING_NUMBER:
		number_text(buf, at, row);
		break;
	case SETTING_MILLI:
		milli_text(buf, *(const uint32_t *)at);
		break;
	case SETTING_DURATION:
		duration_text(buf, *(const uint64_t *)at);
		break;
	case SETTING_SECONDS:
		duration_text(buf, *(const uint32_t *)at * UINT64_C(1000));
		break;
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_VMODULE:
	case SETTING_GATES:
		strlcpy(buf, at, SETTING_TEXT_MAX);
		break;
	case SETTING_CHOICE:
		strlcpy(buf, row->words[*(const uint8_t *)at - row->low], SETTING_TEXT_MAX);
		break;
	case SETTING_WORDS:
		words_text(buf, row, *(const uint8_t *)at);
		break;
	case SETTING_ADDRESS:
		ip_format(at, buf);
		break;
	case SETTING_BIND:
		bind_text(buf, at);
		break;
	case SETTING_PORTS:
		if (ports[0] == 0)
			buf[0] = '\0';
		else
			snprintf(buf, SETTING_TEXT_MAX, "%u-%u", ports[0], ports[1]);
		break;
	case SETTING_PREFIXES:
		prefixes_text(buf, s, row);
		break;
	}
	return buf;
}
