#include "applier/nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/mman.h>

#include "applier/nft_elem.h"
#include "common/log.h"

#define LIST_MAX (NFT_MESSAGE_MAX - 4096) /* an element has less than a page */

const uint8_t nft_nfproto[FAMILY_COUNT] = {NFPROTO_IPV4, NFPROTO_IPV6};
const char *const nft_family_name[FAMILY_COUNT] = {"ip", "ip6"};

void nft_batch_init(struct nft_batch *b, size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "%zu bytes for nf_tables: %s", size, strerror(errno));
	*b = (struct nft_batch){.buf = p, .size = size};
}

void nft_batch_clear(struct nft_batch *b)
{
	madvise(b->buf, b->len, MADV_DONTNEED);
	*b = (struct nft_batch){.buf = b->buf, .size = b->size};
}

/* A message's head. One that would not fit is written over the last that did. */
static struct nlmsghdr *message(
    struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	struct nlmsghdr *h;
	struct nfgenmsg *g;

	if (b->size - b->len < NFT_MESSAGE_MAX) {
		b->full = true;
		b->len = 0;
	}
	h = mnl_nlmsg_put_header(b->buf + b->len);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = b->seq++;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(resource);
	return h;
}

void nft_message_end(struct nft_batch *b, struct nlmsghdr *h)
{
	b->len += h->nlmsg_len;
}

static void end_elems(struct nft_batch *b)
{
	if (b->elems == NULL)
		return;
	mnl_attr_nest_end(b->elems, b->list);
	nft_message_end(b, b->elems);
	b->elems = NULL;
}

void nft_batch_begin(struct nft_batch *b)
{
	struct nlmsghdr *h;

	b->len = b->seq = 0;
	b->full = false;
	b->elems = NULL;
	h = message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	mnl_attr_put_u32(h, NFNL_BATCH_GENID, 0);
	nft_message_end(b, h);
}

void nft_batch_for(struct nft_batch *b, uint32_t generation)
{
	struct nlmsghdr *h = (struct nlmsghdr *)b->buf;
	struct nlattr *attr = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));

	generation = htonl(generation);
	memcpy(mnl_attr_get_payload(attr), &generation, sizeof(generation));
}

struct nlmsghdr *nft_message_begin(
    struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h;

	end_elems(b);
	h = message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, nft_nfproto[family], 0);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, NFT_TABLE);
	return h;
}

void nft_batch_elem(struct nft_batch *b, const struct nft_elem *e, bool delete)
{
	uint16_t type = delete ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;

	if (b->elems == NULL || b->elems_type != type || b->elems_set != e->set ||
	    b->elems_family != e->family || b->elems->nlmsg_len > LIST_MAX) {
		struct nlmsghdr *h =
		    nft_message_begin(b, type, delete ? 0 : NLM_F_CREATE | NLM_F_EXCL, e->family);

		b->elems = h;
		b->elems_type = type;
		b->elems_family = e->family;
		b->elems_set = e->set;
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set(e->set)->name);
		b->list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
	}
	nft_elem_encode(b->elems, e, delete);
}

void nft_batch_flush_set(struct nft_batch *b, uint8_t family, unsigned set)
{
	struct nlmsghdr *h = nft_message_begin(b, NFT_MSG_DELSETELEM, 0, family);

	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, nft_set(set)->name);
	nft_message_end(b, h);
}

bool nft_batch_empty(const struct nft_batch *b)
{
	return b->seq == 1 && !b->full;
}

void nft_batch_end(struct nft_batch *b)
{
	end_elems(b);
	nft_message_end(b, message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}
