#include "ipc/query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- over the channel --- */

void query_encode_ask(struct frame *f, const struct query *q)
{
	frame_begin(f, QUERY_ASK, 9);
	frame_uint(f, q->kind);
	frame_bool(f, q->json);
	frame_str(f, q->namespace);
	frame_str(f, q->name);
	frame_ip(f, &q->packet.src);
	frame_ip(f, &q->packet.dst);
	frame_uint(f, q->packet.port);
	frame_uint(f, q->packet.proto);
	frame_str(f, q->packet.in);
}

static bool is_packet(const struct query_packet *p)
{
	return p->src.family == p->dst.family && p->port != 0 &&
	       (p->proto == PROTO_TCP || p->proto == PROTO_UDP || p->proto == PROTO_SCTP);
}

const char *query_decode_ask(struct cursor *c, struct query *q)
{
	memset(q, 0, sizeof(*q));
	q->kind = (uint8_t)cursor_uint(c, QUERY_DIFF);
	q->json = cursor_bool(c);
	cursor_str(c, q->namespace, sizeof(q->namespace));
	cursor_str(c, q->name, sizeof(q->name));
	cursor_ip(c, &q->packet.src);
	cursor_ip(c, &q->packet.dst);
	q->packet.port = (uint16_t)cursor_uint(c, UINT16_MAX);
	q->packet.proto = (uint8_t)cursor_uint(c, UINT8_MAX);
	cursor_str(c, q->packet.in, sizeof(q->packet.in));
	if (q->kind == 0)
		cursor_fail(c, "an unknown kind of query");
	if (q->kind == QUERY_EXPLAIN && !is_packet(&q->packet))
		cursor_fail(c, "no packet");
	return cursor_end(c);
}

void query_encode_go_on(struct frame *f, enum query_message type)
{
	frame_begin(f, type, 0);
}

void query_encode_answer(struct frame *f, uint16_t status, bool last, const char *text, size_t len)
{
	frame_begin(f, QUERY_ANSWER, 3);
	frame_uint(f, status);
	frame_bool(f, last);
	frame_bin(f, text, len);
}

const char *query_decode_answer(struct cursor *c, struct query_answer *a)
{
	a->status = (uint16_t)cursor_uint(c, 599);
	a->last = cursor_bool(c);
	a->len = cursor_bytes(c, a->text, sizeof(a->text));
	if (a->status < 200)
		cursor_fail(c, "a status that is none");
	return cursor_end(c);
}

/* --- as people ask --- */

#define VALUE_MAX 128

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes LEN bytes of TEXT (RFC 3986, 2.1). False if they are not well-formed, or too many. */
static bool decode(char out[VALUE_MAX], const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			if (len - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
				return false;
			c = hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]);
			i += 2;
		}
		if (c <= ' ' || c > '~' || n + 1 == VALUE_MAX)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

static bool set_word(char *to, size_t size, const char *value)
{
	return strlcpy(to, value, size) < size;
}

static bool set_label(char to[NAME_MAX_LABEL], const char *value)
{
	return strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(value) &&
	       set_word(to, NAME_MAX_LABEL, value);
}

static bool set_port(struct query *q, const char *value)
{
	char *end;
	const unsigned long port = strtoul(value, &end, 10);

	q->packet.port = (uint16_t)port;
	return value[0] >= '0' && value[0] <= '9' && *end == '\0' && port >= 1 &&
	       port <= UINT16_MAX;
}

static bool set_proto(struct query *q, const char *value)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protos[] = {{"tcp", PROTO_TCP}, {"udp", PROTO_UDP}, {"sctp", PROTO_SCTP}};

	for (unsigned i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (strcasecmp(value, protos[i].name) == 0) {
			q->packet.proto = protos[i].number;
			return true;
		}
	return false;
}

enum parameter { P_FORMAT, P_NAMESPACE, P_NAME, P_SRC, P_DST, P_PORT, P_PROTO, P_IN, P_COUNT };

static const char *const parameters[P_COUNT] = {
    "format", "namespace", "name", "src", "dst", "port", "proto", "in"};

static const char *set(struct query *q, enum parameter p, const char *value)
{
	switch (p) {
	case P_FORMAT:
		q->json = strcmp(value, "json") == 0;
		return q->json || strcmp(value, "text") == 0 ? NULL : "format is text or json";
	case P_NAMESPACE:
		return set_label(q->namespace, value) ? NULL : "namespace is no namespace's name";
	case P_NAME:
		return set_label(q->name, value) ? NULL : "name is no service's name";
	case P_SRC:
		return ip_parse(&q->packet.src, value) == 0 ? NULL : "src is no IP address";
	case P_DST:
		return ip_parse(&q->packet.dst, value) == 0 ? NULL : "dst is no IP address";
	case P_PORT:
		return set_port(q, value) ? NULL : "port is none of 1 to 65535";
	case P_PROTO:
		return set_proto(q, value) ? NULL : "proto is none of tcp, udp and sctp";
	case P_IN:
		return set_word(q->packet.in, sizeof(q->packet.in), value)
			   ? NULL
			   : "in is no interface's name";
	case P_COUNT:
		break;
	}
	return "an unknown parameter";
}

static const struct kind {
	const char *path;
	uint8_t kind;
	unsigned takes, needs; /* bit per parameter */
	const char *what;
} kinds[] = {
    {"/services", QUERY_SERVICES, 1u << P_FORMAT | 1u << P_NAMESPACE | 1u << P_NAME, 0,
	"the parameters are namespace, name and format (text or json)"},
    {"/explain", QUERY_EXPLAIN,
	1u << P_FORMAT | 1u << P_SRC | 1u << P_DST | 1u << P_PORT | 1u << P_PROTO | 1u << P_IN,
	1u << P_SRC | 1u << P_DST | 1u << P_PORT,
	"the parameters are src, dst, port, proto (tcp, unless it is udp or sctp), in (an "
	"interface) and format (text or json); the first three must be there"},
    {"/diff", QUERY_DIFF, 1u << P_FORMAT, 0, "the parameter is format (text or json)"},
};

/* Reads NAME=VALUE in LEN bytes of TEXT. */
static const char *parse_one(
    struct query *q, const struct kind *k, const char *text, size_t len, unsigned *seen)
{
	const char *equals = memchr(text, '=', len);
	const size_t name = equals != NULL ? (size_t)(equals - text) : len;
	char value[VALUE_MAX];
	unsigned p = 0;

	while (p < P_COUNT &&
	       (strlen(parameters[p]) != name || memcmp(parameters[p], text, name) != 0))
		p++;
	if (p == P_COUNT || !(k->takes & 1u << p) || equals == NULL)
		return k->what;
	if (*seen & 1u << p)
		return "a parameter is there twice";
	*seen |= 1u << p;
	if (!decode(value, equals + 1, len - name - 1))
		return "a value is not printable, or too long";
	return set(q, (enum parameter)p, value);
}

static const char *parse_all(struct query *q, const struct kind *k, const char *text)
{
	const char *why = NULL;
	unsigned seen = 0;

	while (why == NULL && *text != '\0') {
		const size_t len = strcspn(text, "&");

		why = parse_one(q, k, text, len, &seen);
		text += len + (text[len] == '&');
	}
	if (why == NULL && (seen & k->needs) != k->needs)
		why = k->what;
	if (why == NULL && q->kind == QUERY_EXPLAIN && q->packet.src.family != q->packet.dst.family)
		why = "src and dst are of different families";
	return why;
}

const char *query_parse_url(struct query *q, const char *url)
{
	const size_t len = strcspn(url, "?");
	char path[32] = "";

	if (len < sizeof(path))
		memcpy(path, url, len);
	return query_parse(q, path, url + len + (url[len] == '?'));
}

const char *query_parse(struct query *q, const char *path, const char *text)
{
	memset(q, 0, sizeof(*q));
	q->packet.proto = PROTO_TCP;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(path, kinds[i].path) == 0) {
			q->kind = kinds[i].kind;
			return parse_all(q, &kinds[i], text);
		}
	return "the paths are /services, /explain and /diff";
}
