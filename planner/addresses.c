#include "planner/addresses.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

static int entry_cmp(const void *a, const void *b)
{
	const struct address_entry *x = a, *y = b;
	int n = ip_cmp(&x->addr, &y->addr);

	if (n == 0 && x->service != y->service)
		n = strcmp(x->service->namespace, y->service->namespace);
	if (n == 0 && x->service != y->service)
		n = strcmp(x->service->name, y->service->name);
	return n;
}

void addresses_clear(struct address_list *l)
{
	free(l->e);
	memset(l, 0, sizeof(*l));
}

void addresses_add(
    struct address_list *l, const struct stored_service *v, const struct ip_addr *addr)
{
	l->e = memory_grow(l->e, &l->room, l->count + 1, sizeof(*l->e));
	l->e[l->count++] = (struct address_entry){v, *addr};
}

void addresses_sort(struct address_list *l)
{
	size_t n = 0;

	if (l->count == 0)
		return;
	qsort(l->e, l->count, sizeof(*l->e), entry_cmp);
	for (size_t i = 1; i < l->count; i++)
		if (entry_cmp(&l->e[n], &l->e[i]) != 0)
			l->e[++n] = l->e[i];
	l->count = n + 1;
}

/* Where in the sorted L, among those from LO to before HI, the first is that is not before E. */
static size_t list_find(
    const struct address_list *l, size_t lo, size_t hi, const struct address_entry *e)
{
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (entry_cmp(&l->e[mid], e) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool list_has(const struct address_list *l, const struct address_entry *e)
{
	size_t at = list_find(l, 0, l->count, e);

	return at < l->count && entry_cmp(&l->e[at], e) == 0;
}

static void list_move(struct address_list *l, size_t to, size_t from, size_t count)
{
	if (to != from && count > 0)
		memmove(&l->e[to], &l->e[from], count * sizeof(*l->e));
}

void addresses_remove(
    struct address_list *l, const struct address_list *before, const struct address_list *after)
{
	size_t out = 0, from = 0;

	for (size_t i = 0; i < before->count; i++) {
		const struct address_entry *e = &before->e[i];
		size_t at = list_find(l, from, l->count, e);

		if (at == l->count || entry_cmp(&l->e[at], e) != 0 || list_has(after, e))
			continue;
		list_move(l, out, from, at - from);
		out += at - from;
		from = at + 1;
	}
	list_move(l, out, from, l->count - from);
	l->count = out + l->count - from;
}

void addresses_insert(struct address_list *l, const struct address_list *added)
{
	struct address_list fresh = {0};
	size_t hi = l->count;

	for (size_t i = 0; i < added->count; i++)
		if (!list_has(l, &added->e[i]))
			addresses_add(&fresh, added->e[i].service, &added->e[i].addr);
	if (fresh.count == 0)
		return;
	l->e = memory_grow(l->e, &l->room, l->count + fresh.count, sizeof(*l->e));
	for (size_t i = fresh.count; i-- > 0;) {
		size_t at = list_find(l, 0, hi, &fresh.e[i]);

		list_move(l, at + i + 1, at, hi - at);
		l->e[at + i] = fresh.e[i];
		hi = at;
	}
	l->count += fresh.count;
	addresses_clear(&fresh);
}

struct address_span addresses_under(const struct address_list *l, const struct ip_cidr *net)
{
	struct address_span s = {0, l->count};
	size_t hi = s.hi;

	while (s.lo < hi) {
		size_t mid = s.lo + (hi - s.lo) / 2;

		if (ip_cmp(&l->e[mid].addr, &net->addr) < 0)
			s.lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t lo = s.lo; lo < s.hi;) {
		size_t mid = lo + (s.hi - lo) / 2;

		if (ip_cidr_contains(net, &l->e[mid].addr))
			lo = mid + 1;
		else
			s.hi = mid;
	}
	return s;
}
