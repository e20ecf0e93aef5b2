#include "applier/nft_forget.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "applier/nft_backend.h"
#include "applier/nft_elem.h"
#include "applier/nft_snapshot.h"
#include "common/log.h"
#include "common/siphash.h"

#define TRIES 5 /* a client that times out meanwhile spoils a batch */

void nft_forget_begin(struct nft_forget *f, const struct policy *p)
{
	f->policy = p;
	f->count = 0;
	memset(f->sets, 0, sizeof(f->sets));
}

/* Of the frontend, the endpoint and the set. 64 bits under a key: one of them is not another. */
static uint64_t digest(const struct nft_forget *f, const struct nft_elem *e)
{
	struct siphash s;

	siphash_init(&s, &f->policy->key);
	siphash_update(&s, &e->set, sizeof(e->set));
	siphash_update(&s, &e->addr, sizeof(e->addr));
	siphash_update(&s, &e->proto, sizeof(e->proto));
	siphash_update(&s, &e->port, sizeof(e->port));
	siphash_update(&s, &e->to, sizeof(e->to));
	siphash_update(&s, &e->to_port, sizeof(e->to_port));
	return siphash_final(&s);
}

void nft_forget_add(struct nft_forget *f, const struct nft_elem *e)
{
	if (f->gone == NULL) { /* as much as the policy's quota ever takes, once */
		size_t size = f->policy->max_ops * sizeof(*f->gone);
		void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			return;
		f->gone = p;
	}
	f->gone[f->count++] = digest(f, e);
	f->sets[e->family] |= 1u << (e->set - NFT_AFFINITY);
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct search {
	const struct nft_forget *forget;
	size_t found;
};

static void visit(void *arg, const struct nft_elem *e)
{
	struct search *s = arg;
	uint64_t key = digest(s->forget, e);

	if (bsearch(&key, s->forget->gone, s->forget->count, sizeof(key), compare) == NULL)
		return;
	nft_batch_elem(nft_backend_batch(), e, true);
	s->found++;
}

/* 0, or why not: errno. */
static int forget_in(const struct nft_forget *f, uint8_t family, uint8_t set)
{
	struct nft_batch *b = nft_backend_batch();
	int error = 0;

	for (int i = 0; i < TRIES; i++) {
		struct search s = {.forget = f};
		uint32_t generation;
		char detail[256];

		nft_batch_begin(b);
		if (nft_dump_elems(family, set, visit, &s) != 0 ||
		    nft_begin(&generation, true) != 0)
			return errno;
		if (s.found == 0)
			return 0;
		nft_batch_end(b);
		if (nft_send(b, generation, detail, sizeof(detail)) == 0)
			return 0;
		error = errno;
	}
	return error;
}

void nft_forget_all(struct nft_forget *f)
{
	if (f->count == 0)
		return;
	qsort(f->gone, f->count, sizeof(*f->gone), compare);
	for (unsigned family = 0; family < FAMILY_COUNT; family++)
		for (unsigned i = 0; i < NFT_AFFINITIES; i++) {
			int error = 0;

			if ((f->sets[family] & 1u << i) != 0)
				error = forget_in(f, (uint8_t)family, (uint8_t)(NFT_AFFINITY + i));
			if (error != 0)
				log_warn("clients of an endpoint that has gone stay until they "
					 "time out: %s affinity-%u: %s",
				    nft_family_name[family], i, strerror(error));
		}
	nft_batch_clear(nft_backend_batch());
	madvise(f->gone, f->policy->max_ops * sizeof(*f->gone), MADV_DONTNEED);
}
