#include "applier/nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/mman.h>

#include "applier/nft_elem.h"
#include "common/log.h"
#include "common/netlink.h"

#define LIST_MAX (NFT_MESSAGE_MAX - 4096) /* an element has less than a page */

const uint8_t nft_nfproto[FAMILY_COUNT] = {NFPROTO_IPV4, NFPROTO_IPV6};
const char *const nft_family_name[FAMILY_COUNT] = {"ip", "ip6"};

void nft_batch_init(struct nft_batch *b, size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "%zu bytes for nf_tables: %s", size, strerror(errno));
	*b = (struct nft_batch){.buf = p, .size = size, .m = netlink_new(NFT_MESSAGE_MAX)};
}

void nft_batch_clear(struct nft_batch *b)
{
	madvise(b->buf, b->len, MADV_DONTNEED);
	*b = (struct nft_batch){.buf = b->buf, .size = b->size, .m = b->m};
}

static void message(
    struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	const struct nfgenmsg g = {family, NFNETLINK_V0, htons(resource)};

	netlink_begin(b->m, type, flags, &g, sizeof(g));
	nlmsg_hdr(b->m)->nlmsg_seq = b->seq++;
}

void nft_message_end(struct nft_batch *b)
{
	struct nlmsghdr *h = nlmsg_hdr(b->m);

	b->full |= b->size - b->len < h->nlmsg_len;
	if (b->full)
		return;
	memcpy(b->buf + b->len, h, h->nlmsg_len);
	b->len += h->nlmsg_len;
}

static void end_elems(struct nft_batch *b)
{
	if (b->list == NULL)
		return;
	nla_nest_end(b->m, b->list);
	nft_message_end(b);
	b->list = NULL;
}

void nft_batch_begin(struct nft_batch *b)
{
	b->len = b->seq = 0;
	b->full = false;
	b->list = NULL;
	message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nla_put_u32(b->m, NFNL_BATCH_GENID, 0);
	nft_message_end(b);
}

void nft_batch_for(struct nft_batch *b, uint32_t generation)
{
	struct nlmsghdr *h = (struct nlmsghdr *)b->buf;
	struct nlattr *attr = nlmsg_attrdata(h, sizeof(struct nfgenmsg));

	generation = htonl(generation);
	memcpy(nla_data(attr), &generation, sizeof(generation));
}

struct nl_msg *nft_message_begin(struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	end_elems(b);
	message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, nft_nfproto[family], 0);
	nla_put_string(b->m, NFTA_TABLE_NAME, NFT_TABLE);
	return b->m;
}

void nft_batch_elem(struct nft_batch *b, const struct nft_elem *e, bool delete)
{
	uint16_t type = delete ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;

	if (b->list == NULL || b->elems_type != type || b->elems_set != e->set ||
	    b->elems_family != e->family || nlmsg_hdr(b->m)->nlmsg_len > LIST_MAX) {
		nft_message_begin(b, type, delete ? 0 : NLM_F_CREATE | NLM_F_EXCL, e->family);
		b->elems_type = type;
		b->elems_family = e->family;
		b->elems_set = e->set;
		nla_put_string(b->m, NFTA_SET_ELEM_LIST_SET, nft_set(e->set)->name);
		b->list = nla_nest_start(b->m, NFTA_SET_ELEM_LIST_ELEMENTS);
	}
	nft_elem_encode(b->m, e, delete);
}

void nft_batch_flush_set(struct nft_batch *b, uint8_t family, unsigned set)
{
	nla_put_string(nft_message_begin(b, NFT_MSG_DELSETELEM, 0, family), NFTA_SET_ELEM_LIST_SET,
	    nft_set(set)->name);
	nft_message_end(b);
}

bool nft_batch_empty(const struct nft_batch *b)
{
	return b->seq == 1 && !b->full;
}

void nft_batch_end(struct nft_batch *b)
{
	end_elems(b);
	message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	nft_message_end(b);
}
