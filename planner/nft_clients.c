#include "planner/nft_clients.h"

#include <string.h>

static bool in_set(struct element *list, size_t count, const struct element *e, unsigned set)
{
	struct element key = *e;

	key.set = (uint8_t)set;
	key.slot = 0;
	return elements_find(list, count, &key) != NULL;
}

static bool is_affine(struct element *list, size_t count, const struct element *e)
{
	unsigned i = 0;

	while (i < NFT_AFFINITIES && !in_set(list, count, e, NFT_AFFINE + i))
		i++;
	return i < NFT_AFFINITIES;
}

static bool is_local(const struct element *e)
{
	return e->slot >= NFT_LOCAL_SLOT;
}

/*
 * Does the frontend of E, among COUNT sorted elements, still lead to E's endpoint? With the policy
 * Local it must do so for those whom E is for: outsiders or others.
 */
static bool still_leads(struct element *list, size_t count, const struct element *e)
{
	bool either = !in_set(list, count, e, NFT_LOCAL_POLICY);

	for (size_t i = 0; i < count; i++)
		if (element_draws(&list[i]) && element_same_frontend(&list[i], e) &&
		    list[i].to_port == e->to_port &&
		    memcmp(list[i].to, e->to, sizeof(e->to)) == 0 &&
		    (either || is_local(&list[i]) == is_local(e)))
			return true;
	return false;
}

/* The clients that frontend and endpoint of E have by the affinities in LIST are forgotten. */
static void forget(
    const struct nft_clients *c, struct element *list, size_t count, const struct element *e)
{
	struct nft_elem out;

	for (unsigned i = 0; i < NFT_AFFINITIES; i++) {
		if (!in_set(list, count, e, NFT_AFFINE + i))
			continue;
		element_to_wire(&out, e, "");
		out.set = (uint8_t)(NFT_AFFINITY + i);
		c->out->forget(c->arg, &out);
	}
}

void nft_clients_gone(const struct nft_clients *c, struct element *was, size_t was_count,
    const struct element *e, struct element *is, size_t is_count)
{
	/* most have no affinity, and to look whether one still leads somewhere is a walk */
	if (element_draws(e) && e->set < NFT_ALL && is_affine(was, was_count, e) &&
	    !still_leads(is, is_count, e))
		forget(c, was, was_count, e);
}

void nft_clients_elsewhere(
    const struct nft_clients *c, struct element *list, size_t count, const struct element *f)
{
	if (!is_affine(list, count, f))
		return;
	for (size_t i = 0; i < count; i++) {
		struct element local = list[i];

		if (!element_draws(&list[i]) || list[i].set >= NFT_ALL || is_local(&list[i]) ||
		    !element_same_frontend(&list[i], f))
			continue;
		local.slot += NFT_LOCAL_SLOT;
		if (!still_leads(list, count, &local))
			forget(c, list, count, &list[i]);
	}
}
