/*
 * What strangers send to the listener. The first byte says where the network cuts it: the parser
 * sees the beginning, then all, as the server does.
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/query.h"
#include "listener/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parses a copy of exactly LEN bytes, so that a read beyond them is seen. */
static int parse(const uint8_t *data, size_t len, struct http_request *r)
{
	char *copy = malloc(len > 0 ? len : 1);
	int status;

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	status = http_parse(copy, len, r);
	free(copy);
	return status;
}

/* What handlers look for. */
static void ask(const struct http_request *r)
{
	char value[16];
	struct query q;

	if (query_parse(&q, r->path, r->query) == NULL &&
	    (q.kind == 0 || q.packet.src.family != q.packet.dst.family ||
		strnlen(q.name, sizeof(q.name)) == sizeof(q.name) ||
		strnlen(q.packet.in, sizeof(q.packet.in)) == sizeof(q.packet.in)))
		abort();
	http_query(r, "a", value, sizeof(value));
	if (strnlen(value, sizeof(value)) == sizeof(value) || strlen(r->query) >= HTTP_QUERY_MAX ||
	    strlen(r->accept) >= HTTP_ACCEPT_MAX || http_accepts(r, "text/plain") > 1000)
		abort();
}

static void check(int status, const struct http_request *r)
{
	static const int statuses[] = {HTTP_INCOMPLETE, 200, 400, 405, 414, 431, 505};
	size_t i = 0, len = strnlen(r->path, sizeof(r->path));

	while (i < sizeof(statuses) / sizeof(statuses[0]) && statuses[i] != status)
		i++;
	if (i == sizeof(statuses) / sizeof(statuses[0]) || len == sizeof(r->path))
		abort();
	if (status == 200 && (r->path[0] != '/' || strpbrk(r->path, "? \r\n") != NULL))
		abort();
	if (status != 200 && r->keep_alive)
		abort();
	ask(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request first, all;
	int early, late;

	if (size < 1)
		return 0;
	early = parse(data + 1, (size - 1) * data[0] / 256, &first);
	late = parse(data + 1, size - 1, &all);
	check(early, &first);
	check(late, &all);
	/* An answer does not depend on what comes after the request. */
	if (early != HTTP_INCOMPLETE && (early != late || memcmp(&first, &all, sizeof(all)) != 0))
		abort();
	return 0;
}
