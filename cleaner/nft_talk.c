#include "cleaner/nft_talk.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
#include "common/netlink.h"

/* The kernel takes no datagram longer than the buffer, which is doubled: one batch is one. */
#define SEND_BUFFER (INT32_MAX / 4)
#define BATCH_MAX   (256u << 20) /* 250,000 chains take 50 MiB */

int nft_talk_open(void)
{
	const int out = SEND_BUFFER;
	int fd = netlink_open(NETLINK_NETFILTER);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &out, sizeof(out)) != 0)
		return -1;
	fd_place(fd, CLEANER_FD_NFT);
	return 0;
}

/* --- requests --- */

static int talk(struct nl_msg *m, nft_visit visit, void *arg)
{
	static uint32_t seq;
	static _Alignas(struct nlmsghdr) uint8_t buf[NETLINK_BYTES];
	const uint32_t mine = ++seq | 0x80000000u; /* a batch's have not this bit */
	int error = netlink_send(CLEANER_FD_NFT, m, mine);
	ssize_t n = 0;

	while (error == 0 && (n = read(CLEANER_FD_NFT, buf, sizeof(buf))) > 0) {
		struct nlmsghdr *h = (void *)buf;

		for (int left = (int)n; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != mine)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR)
				return nlmsg_datalen(h) < (int)sizeof(struct nlmsgerr)
					   ? EPROTO
					   : -((const struct nlmsgerr *)nlmsg_data(h))->error;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			visit(arg, h);
		}
	}
	return error != 0 ? error : n < 0 ? errno : EPROTO;
}

static struct nl_msg *request(uint16_t type, uint16_t flags, uint8_t nfproto)
{
	const struct nfgenmsg g = {.nfgen_family = nfproto};

	return netlink_request((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &g, sizeof(g));
}

static void take_generation(void *arg, const struct nlmsghdr *h)
{
	nft_read_generation(h, arg);
}

int nft_get_generation(uint32_t *generation)
{
	*generation = 0;
	return talk(
	    request(NFT_MSG_GETGEN, NLM_F_ACK, NFPROTO_UNSPEC), take_generation, generation);
}

int nft_dump_chains(uint8_t nfproto, nft_visit visit, void *arg)
{
	return talk(request(NFT_MSG_GETCHAIN, NLM_F_DUMP, nfproto), visit, arg);
}

int nft_dump_rules(uint8_t nfproto, const char *table, nft_visit visit, void *arg)
{
	struct nl_msg *m = request(NFT_MSG_GETRULE, NLM_F_DUMP, nfproto);

	nla_put_string(m, NFTA_RULE_TABLE, table);
	return talk(m, visit, arg);
}

/* --- batches --- */

static void append(struct batch *b, struct nl_msg *m)
{
	struct nlmsghdr *h = nlmsg_hdr(m);
	const size_t need = b->len + h->nlmsg_len;

	h->nlmsg_seq = b->seq++;
	if (b->failed == 0 && need > BATCH_MAX)
		b->failed = EMSGSIZE;
	if (b->failed == 0 && need > b->room) {
		size_t room = b->room == 0 ? 65536 : 2 * b->room;
		void *bytes = realloc(b->bytes, room);

		if (bytes == NULL) {
			b->failed = ENOMEM;
		} else {
			b->bytes = bytes;
			b->room = room;
		}
	}
	if (b->failed != 0)
		return;
	memcpy(b->bytes + b->len, h, h->nlmsg_len);
	b->len = need;
}

static struct nl_msg *edge(uint16_t type)
{
	const struct nfgenmsg g = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};

	return netlink_request(type, 0, &g, sizeof(g));
}

void batch_begin(struct batch *b, uint8_t nfproto, uint32_t generation)
{
	struct nl_msg *m = edge(NFNL_MSG_BATCH_BEGIN);

	b->len = b->seq = 0;
	b->failed = 0;
	b->family = nfproto;
	nla_put_u32(m, NFNL_BATCH_GENID, htonl(generation));
	append(b, m);
}

/* The attributes of table and chain are 1 and 2 for a rule; for a chain 1 and 3. */
void batch_delete_rule(struct batch *b, const char *table, const char *chain, uint64_t handle)
{
	struct nl_msg *m = request(NFT_MSG_DELRULE, 0, b->family);

	nla_put_string(m, NFTA_RULE_TABLE, table);
	nla_put_string(m, NFTA_RULE_CHAIN, chain);
	if (handle != 0)
		nla_put_u64(m, NFTA_RULE_HANDLE, htobe64(handle));
	append(b, m);
}

void batch_flush_chain(struct batch *b, const char *table, const char *chain)
{
	batch_delete_rule(b, table, chain, 0);
}

void batch_delete_chain(struct batch *b, const char *table, const char *chain)
{
	struct nl_msg *m = request(NFT_MSG_DELCHAIN, 0, b->family);

	nla_put_string(m, NFTA_CHAIN_TABLE, table);
	nla_put_string(m, NFTA_CHAIN_NAME, chain);
	append(b, m);
}

void batch_delete_table(struct batch *b, const char *table)
{
	struct nl_msg *m = request(NFT_MSG_DELTABLE, 0, b->family);

	nla_put_string(m, NFTA_TABLE_NAME, table);
	append(b, m);
}

int batch_send(struct batch *b, char table[NFT_READ_NAME_MAX], char chain[NFT_READ_NAME_MAX])
{
	_Alignas(struct nlmsghdr) uint8_t buf[NETLINK_BYTES];
	int error = 0;
	ssize_t n;

	table[0] = chain[0] = '\0';
	append(b, edge(NFNL_MSG_BATCH_END));
	if (b->failed != 0)
		return b->failed;
	if (write(CLEANER_FD_NFT, b->bytes, b->len) < 0)
		return errno;
	/* It is done or not; what went wrong waits, and nothing else does. The first counts. */
	while ((n = read(CLEANER_FD_NFT, buf, sizeof(buf))) > 0) {
		struct nlmsghdr *h = (void *)buf;

		for (int left = (int)n; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = nlmsg_data(h);

			if (error != 0 || h->nlmsg_type != NLMSG_ERROR ||
			    nlmsg_datalen(h) < (int)sizeof(*e) || e->error == 0)
				continue;
			error = -e->error;
			if (!nft_read_refused_chain(h, table, chain))
				table[0] = chain[0] = '\0';
		}
	}
	return n < 0 && errno == ENOBUFS && error == 0 ? ENOBUFS : error;
}

void batch_free(struct batch *b)
{
	free(b->bytes);
	*b = (struct batch){0};
}
