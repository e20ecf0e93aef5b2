#include "watcher/decode_meta.h"

#include <string.h>

#include "ipc/objects.h"

static bool copy_name(struct fields *f, char *to, size_t size, const char *name, const char *what,
    bool (*valid)(const char *))
{
	if (valid(name) && strlen(name) < size) {
		memcpy(to, name, strlen(name) + 1);
		return true;
	}
	field_bad(f, "metadata.%s: %s", what,
	    name[0] == '\0' ? "is missing" : "is no valid name (a-z, 0-9, \"-\")");
	return false;
}

bool meta_open(struct fields *f, const char *kind, const json_t *object, char *ns, size_t ns_size,
    char *name, size_t name_size)
{
	const json_t *meta;
	bool good;

	*f = (struct fields){.kind = kind, .namespace = "", .name = ""};
	meta = field_object(f, object, "", "metadata");
	f->name = field_string(f, meta, "metadata", "name");
	if (ns != NULL)
		f->namespace = field_string(f, meta, "metadata", "namespace");
	if (f->bad)
		return false;
	good = copy_name(f, name, name_size, f->name, "name",
	    name_size > NAME_MAX_LABEL ? is_dns_subdomain : is_dns_label);
	if (ns != NULL && !copy_name(f, ns, ns_size, f->namespace, "namespace", is_dns_label))
		good = false;
	return good;
}

const char *meta_label(const json_t *object, const char *key)
{
	const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");

	return json_string_value(json_object_get(labels, key));
}

/* Days from the epoch to a date of the Gregorian calendar. */
static int64_t days_to(int64_t year, int64_t month, int64_t day)
{
	/* Years begin in March, so that the day that some of them have more is their last. */
	int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Takes N digits and what stands behind them (0: anything) from *AT; -1 if they are not there. */
static int take_digits(const char **at, int n, char behind)
{
	int value = 0;

	for (; n > 0; n--, ++*at) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	if (behind == '\0')
		return value;
	if (**at != behind)
		return -1;
	++*at;
	return value;
}

/* RFC 3339 in UTC, as the controllers write it: "2026-01-02T03:04:05.678Z". 0 if it is none. */
static uint64_t parse_time_ms(const char *at)
{
	static const struct {
		int digits, least, most;
		char behind;
	} parts[] = {{4, 1970, 9999, '-'}, {2, 1, 12, '-'}, {2, 1, 31, 'T'}, {2, 0, 23, ':'},
	    {2, 0, 59, ':'}, {2, 0, 60, '\0'}};
	int v[sizeof(parts) / sizeof(parts[0])];
	uint64_t ms = 0, unit = 100;
	int64_t seconds;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		v[i] = take_digits(&at, parts[i].digits, parts[i].behind);
		if (v[i] < parts[i].least || v[i] > parts[i].most)
			return 0;
	}
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
			ms += unit * (uint64_t)(*at - '0');
	if (strcmp(at, "Z") != 0)
		return 0;
	seconds = days_to(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5];
	return (uint64_t)seconds * 1000 + ms;
}

uint64_t meta_caused_ms(const json_t *object)
{
	const json_t *annotations =
	    json_object_get(json_object_get(object, "metadata"), "annotations");
	const char *text = json_string_value(
	    json_object_get(annotations, "endpoints.kubernetes.io/last-change-trigger-time"));

	return text != NULL ? parse_time_ms(text) : 0;
}

/* The value of a hexadecimal digit; -1: it is none. */
static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	if (at == NULL)
		return -1;
	return (int)(at - digits) % 16 + (at - digits >= 16 ? 10 : 0);
}

/* "01234567-89ab-cdef-0123-456789abcdef" */
static bool parse_uuid(const char *text, uint8_t uuid[SERVICE_UID_LEN])
{
	for (size_t i = 0; i < SERVICE_UID_LEN; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high >= 0 ? hex_digit(text[1]) : -1;
		if (low < 0)
			return false;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

void meta_identity(const json_t *object, uint64_t *created, uint8_t uid[SERVICE_UID_LEN])
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *text = json_string_value(json_object_get(meta, "creationTimestamp"));

	*created = text != NULL ? parse_time_ms(text) / 1000 : 0;
	memset(uid, 0, SERVICE_UID_LEN);
	text = json_string_value(json_object_get(meta, "uid"));
	if (text != NULL && !parse_uuid(text, uid)) {
		memset(uid, 0, SERVICE_UID_LEN);
		memcpy(uid, text, strnlen(text, SERVICE_UID_LEN));
	}
}

/* IANA number of a protocol's name, "" being TCP; 0 after logging at PATH.protocol. */
static uint8_t decode_protocol(struct fields *f, const char *text, const char *path)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {
	    {"", PROTO_TCP}, {"TCP", PROTO_TCP}, {"UDP", PROTO_UDP}, {"SCTP", PROTO_SCTP}};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(text, protocols[i].name) == 0)
			return protocols[i].number;
	field_bad(f, "%s.protocol: \"%s\" is not TCP, UDP or SCTP", path, text);
	return 0;
}

bool decode_address(const struct fields *f, struct ip_addr *a, const char *text, const char *path)
{
	if (ip_parse(a, text) != 0) {
		field_warn(f, "%s: \"%s\" is no IP address; left out", path, text);
		return false;
	}
	if (!ip_is_endpoint(a)) {
		field_warn(f, "%s: %s is no plain unicast address; left out", path, text);
		return false;
	}
	return true;
}

void decode_port_kind(struct fields *f, const json_t *json, const char *path,
    char name[NAME_MAX_LABEL], uint8_t *proto)
{
	const char *text = field_string(f, json, path, "name");

	if (text[0] != '\0' && !is_dns_label(text))
		field_bad(
		    f, "%s.name: \"%.80s\" is no DNS label; this port is left out", path, text);
	else
		memcpy(name, text, strlen(text) + 1);
	*proto = decode_protocol(f, field_string(f, json, path, "protocol"), path);
}
