#include "broker/endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct endpoints_relay {
	uint8_t proto;
	uint32_t count;
	struct relay_endpoint *list; /* sorted */
};

const char *endpoints_open(struct endpoints *e, struct cursor *c)
{
	const char *why = relay_decode_open(c, &e->open);
	struct endpoints_relay *r;

	if (why == NULL && e->by_id[e->open.id] != NULL)
		why = "a relay that is open already";
	if (why != NULL)
		return why;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		fatal(EXIT_FAILED, "relays: out of memory");
	r->proto = e->open.proto;
	e->by_id[e->open.id] = r;
	return NULL;
}

const char *endpoints_set(struct endpoints *e, struct cursor *c)
{
	struct relay_backends *b = &e->backends;
	const char *why = relay_decode_backends(c, b);
	struct endpoints_relay *r;

	if (why == NULL)
		why = relay_backends_allowed(b, e->policy);
	if (why == NULL && e->by_id[b->id] == NULL)
		why = "endpoints of a relay that is not open";
	if (why == NULL)
		why = relay_list_add(&e->coming, b);
	if (why != NULL || !b->last)
		return why;
	r = e->by_id[b->id];
	free(r->list);
	r->list = e->coming.endpoints;
	r->count = e->coming.count;
	e->coming = (struct relay_list){0};
	return NULL;
}

const char *endpoints_close(struct endpoints *e, struct cursor *c)
{
	uint32_t id;
	const char *why = relay_decode_close(c, &id);

	if (why == NULL && (e->by_id[id] == NULL || (e->coming.open && e->coming.id == id)))
		why = "the end of a relay that is not open";
	if (why != NULL)
		return why;
	free(e->by_id[id]->list);
	free(e->by_id[id]);
	e->by_id[id] = NULL;
	return NULL;
}

static int endpoint_cmp(const void *a, const void *b)
{
	return relay_endpoint_cmp(a, b);
}

bool endpoints_allow(const struct endpoints *e, const struct dial_request *q, uint8_t *proto)
{
	const struct endpoints_relay *r = e->by_id[q->relay];

	if (r == NULL || r->count == 0 ||
	    bsearch(&q->to, r->list, r->count, sizeof(q->to), endpoint_cmp) == NULL)
		return false;
	*proto = r->proto;
	return true;
}
