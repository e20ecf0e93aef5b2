#include "planner/local.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static int addr_cmp(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

bool node_is_local(const struct local_addrs *l, const struct ip_addr *addr)
{
	return l->count > 0 &&
	       bsearch(addr, l->addrs, l->count, sizeof(*l->addrs), addr_cmp) != NULL;
}

static bool is_link_local(const struct ip_addr *a)
{
	return a->family == FAMILY_4 ? a->b[0] == 169 && a->b[1] == 254
				     : a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* The list that came takes the place of the one before. */
static unsigned replace(struct local_addrs *l)
{
	struct local_addrs old = *l;
	unsigned grew = 0;

	for (size_t i = 0; i < l->coming_count; i++)
		if (!node_is_local(l, &l->coming[i]) && !is_link_local(&l->coming[i]))
			grew |= 1u << l->coming[i].family;
	l->addrs = old.coming;
	l->count = old.coming_count;
	l->room = old.coming_room;
	l->coming = old.addrs;
	l->coming_room = old.room;
	l->before_count = old.count;
	l->in_list = false;
	return grew;
}

const char *local_addrs_add(
    struct local_addrs *l, const struct node_addrs_part *part, unsigned *grew)
{
	*grew = 0;
	if (part->first == l->in_list)
		return part->first ? "a list of addresses within another"
				   : "a part without the first one";
	if (part->first)
		l->coming_count = 0;
	l->in_list = true;
	for (uint32_t i = 0; i < part->count; i++) {
		if (l->coming_count > 0 &&
		    ip_cmp(&part->addrs[i], &l->coming[l->coming_count - 1]) <= 0)
			return "addresses out of order";
		l->coming = memory_grow(
		    l->coming, &l->coming_room, l->coming_count + 1, sizeof(*l->coming));
		l->coming[l->coming_count++] = part->addrs[i];
	}
	if (part->last)
		*grew = replace(l);
	return NULL;
}

void local_addrs_moved(
    const struct local_addrs *l, void (*fn)(void *arg, const struct ip_addr *addr), void *arg)
{
	size_t i = 0, k = 0;

	while (i < l->count || k < l->before_count) {
		const int n = i == l->count	     ? 1
			      : k == l->before_count ? -1
						     : ip_cmp(&l->addrs[i], &l->coming[k]);

		if (n != 0)
			fn(arg, n < 0 ? &l->addrs[i] : &l->coming[k]);
		i += n <= 0;
		k += n >= 0;
	}
}

void local_addrs_clear(struct local_addrs *l)
{
	free(l->addrs);
	free(l->coming);
	memset(l, 0, sizeof(*l));
}
