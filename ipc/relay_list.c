#include "ipc/relay_list.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

const char *relay_list_add(struct relay_list *l, const struct relay_backends *b)
{
	uint32_t count = l->count + b->count;

	if (b->first ? l->open : !l->open || l->id != b->id)
		return "a part of a list without the one before";
	if (count > RELAY_BACKENDS_MAX)
		return "more endpoints than a relay may have";
	if (l->count > 0 && b->count > 0 &&
	    relay_endpoint_cmp(&l->endpoints[l->count - 1], &b->endpoints[0]) >= 0)
		return "endpoints out of order";
	if (count > l->room) {
		l->endpoints = reallocarray(l->endpoints, count, sizeof(*l->endpoints));
		l->room = count;
		if (l->endpoints == NULL)
			fatal(EXIT_FAILED, "relays: out of memory");
	}
	if (b->count > 0)
		memcpy(&l->endpoints[l->count], b->endpoints, b->count * sizeof(*l->endpoints));
	l->count = count;
	l->id = b->id;
	l->open = !b->last;
	return NULL;
}
