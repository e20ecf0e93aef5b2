#include "planner/elements.h"

#include <stdlib.h>
#include <string.h>

#include "planner/memory.h"

void elements_clear(struct element_list *l)
{
	free(l->e);
	memset(l, 0, sizeof(*l));
}

void elements_add(struct element_list *l, const struct element *e)
{
	l->e = memory_grow(l->e, &l->room, l->count + 1, sizeof(*l->e));
	l->e[l->count++] = *e;
}

static int number_cmp(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

int element_cmp(const struct element *a, const struct element *b)
{
	int n;

	if (a->family != b->family)
		return a->family - b->family;
	if (a->set != b->set)
		return a->set - b->set;
	n = memcmp(a->addr, b->addr, sizeof(a->addr));
	if (n != 0)
		return n;
	if (a->proto != b->proto)
		return a->proto - b->proto;
	if (a->port != b->port)
		return a->port - b->port;
	if (a->slot != b->slot)
		return number_cmp(a->slot, b->slot);
	n = memcmp(a->net, b->net, sizeof(a->net));
	return n != 0 ? n : a->bits - b->bits;
}

bool element_same(const struct element *a, const struct element *b)
{
	return a->to_port == b->to_port && a->name == b->name &&
	       memcmp(a->to, b->to, sizeof(a->to)) == 0;
}

bool element_same_frontend(const struct element *a, const struct element *b)
{
	return a->family == b->family && a->proto == b->proto && a->port == b->port &&
	       memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

static int sort_cmp(const void *a, const void *b)
{
	return element_cmp(a, b);
}

/* Is B's prefix within A's, in the same set and for the same frontend? */
static bool contains(const struct element *a, const struct element *b)
{
	struct ip_cidr net = {{.family = a->family}, a->bits};
	struct ip_addr addr = {.family = b->family};

	if (a->set != b->set || !(nft_set(a->set)->fields & NFT_NET) || a->bits > b->bits ||
	    !element_same_frontend(a, b))
		return false;
	memcpy(net.addr.b, a->net, sizeof(net.addr.b));
	memcpy(addr.b, b->net, sizeof(addr.b));
	return ip_cidr_contains(&net, &addr);
}

void elements_sort(struct element_list *l)
{
	size_t n = 0;

	if (l->count == 0)
		return;
	qsort(l->e, l->count, sizeof(*l->e), sort_cmp);
	for (size_t i = 0; i < l->count; i++)
		if (n == 0 ||
		    (element_cmp(&l->e[n - 1], &l->e[i]) != 0 && !contains(&l->e[n - 1], &l->e[i])))
			l->e[n++] = l->e[i];
	l->count = n;
}

size_t elements_from(const struct element *e, size_t count, const struct element *key)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (element_cmp(&e[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct element *elements_find(struct element *e, size_t count, const struct element *key)
{
	size_t at = elements_from(e, count, key);

	return at < count && element_cmp(&e[at], key) == 0 ? &e[at] : NULL;
}

/* --- over the channel --- */

static void addr_out(struct ip_addr *out, uint8_t family, const uint8_t bytes[16])
{
	memset(out, 0, sizeof(*out));
	out->family = family;
	memcpy(out->b, bytes, ip_len(family));
}

void element_to_wire(struct nft_elem *out, const struct element *e, const char *name)
{
	memset(out, 0, offsetof(struct nft_elem, name));
	out->family = e->family;
	out->set = e->set;
	out->proto = e->proto;
	out->port = e->port;
	out->to_port = e->to_port;
	out->slot = e->slot;
	addr_out(&out->addr, e->family, e->addr);
	addr_out(&out->to, e->family, e->to);
	addr_out(&out->net.addr, e->family, e->net);
	out->net.bits = e->bits;
	strlcpy(out->name, name, sizeof(out->name));
}

void element_from_wire(struct element *out, const struct nft_elem *e, uint32_t name_hash)
{
	const uint16_t fields = nft_set(e->set)->fields;

	memset(out, 0, sizeof(*out));
	out->family = e->family;
	out->set = e->set;
	out->proto = e->proto;
	out->port = e->port;
	out->to_port = e->to_port;
	out->slot = fields & NFT_SLOT ? e->slot : 0;
	if (fields & NFT_ADDR)
		memcpy(out->addr, e->addr.b, ip_len(e->family));
	if (fields & NFT_TO)
		memcpy(out->to, e->to.b, ip_len(e->family));
	if (fields & NFT_NET) {
		memcpy(out->net, e->net.addr.b, ip_len(e->family));
		out->bits = e->net.bits;
	}
	out->name = name_hash;
}
