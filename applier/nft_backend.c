#include "applier/nft_backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/nft_describe.h"
#include "applier/nft_rules.h"
#include "common/log.h"
#include "common/netlink.h"

/* The kernel doubles what is asked for and takes no datagram longer: one transaction is one. */
#define SEND_BUFFER    (INT32_MAX / 4)
#define RECEIVE_BUFFER (4 << 20)
#define NOT_OF_A_BATCH 0x80000000u /* sequence numbers of other requests have this bit */

static struct {
	struct nft_batch batch;
	uint32_t port;	     /* our address; other senders have others */
	uint32_t seq;	     /* of the last request that is no batch */
	uint32_t generation; /* of the kernel's rules, as far as is known */
	bool drift;
	bool deaf; /* notifications have been stopped */
	_Alignas(struct nlmsghdr) uint8_t buf[NFT_MESSAGE_MAX];
} nft;

struct nft_batch *nft_backend_batch(void)
{
	return &nft.batch;
}

/* --- what comes in: answers, and others' doings --- */

static const struct nlattr *attr_of(const struct nlmsghdr *h, uint16_t type)
{
	return netlink_attr(h, sizeof(struct nfgenmsg), type);
}

/* The table's name is the first attribute of every type that is about one. */
static void notice(const struct nlmsghdr *h)
{
	const struct nlattr *first;

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    nlmsg_datalen(h) < (int)sizeof(struct nfgenmsg))
		return;
	if ((h->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
		first = attr_of(h, NFTA_GEN_ID);
		if (first != NULL)
			nft.generation = ntohl(nla_get_u32(first));
		return;
	}
	first = attr_of(h, NFTA_TABLE_NAME);
	if (h->nlmsg_pid != nft.port && first != NULL &&
	    strcmp(nla_get_string(first), NFT_TABLE) == 0)
		nft.drift = true;
}

struct answer {
	uint32_t seq, mask; /* of the request's messages */
	void (*visit)(void *arg, const struct nlmsghdr *h);
	void *arg;
	bool done;
	int error;	    /* the first */
	uint32_t error_seq; /* ... which message it is about */
	uint32_t error_at;  /* ... and where in it, 0 if that is not told */
};

static void take_error(struct answer *a, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	const struct nlattr *attr;

	a->done = true;
	if (a->error != 0 || nlmsg_datalen(h) < (int)sizeof(*e))
		return;
	a->error = -e->error;
	a->error_seq = h->nlmsg_seq;
	if ((h->nlmsg_flags & NLM_F_ACK_TLVS) == 0)
		return;
	attr =
	    netlink_attr(h, sizeof(*e), NLMSGERR_ATTR_OFFS); /* NETLINK_CAP_ACK: no copy between */
	if (attr != NULL)
		a->error_at = nla_get_u32(attr);
}

/* Reads one datagram. 0, or -1 with errno: EAGAIN if there is none. */
static int receive(struct answer *a)
{
	ssize_t n = read(APPLIER_FD_NFT, nft.buf, sizeof(nft.buf));
	int len = (int)n;

	if (n < 0 && errno == ENOBUFS) {
		nft.drift = true; /* notifications were lost; answers are not */
		return 0;
	}
	if (n < 0)
		return errno == EINTR ? 0 : -1;
	for (struct nlmsghdr *h = (void *)nft.buf; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
		if (h->nlmsg_pid != nft.port || (h->nlmsg_seq & a->mask) != a->seq)
			notice(h);
		else if (h->nlmsg_type == NLMSG_ERROR)
			take_error(a, h);
		else if (h->nlmsg_type == NLMSG_DONE)
			a->done = true;
		else if (a->visit != NULL)
			a->visit(a->arg, h);
	}
	return 0;
}

/* Reads all that waits. */
static void drain(struct answer *a)
{
	while (receive(a) == 0)
		continue;
}

/* --- requests --- */

static int request(uint16_t type, uint16_t flags, uint8_t family, const char *table,
    const char *name, struct answer *a)
{
	const struct nfgenmsg g = {.nfgen_family = family};
	struct nl_msg *m =
	    netlink_request((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &g, sizeof(g));

	if (table != NULL)
		nla_put_string(m, NFTA_TABLE_NAME, table);
	if (name != NULL)
		nla_put_string(m, type == NFT_MSG_GETCHAIN ? NFTA_CHAIN_NAME : NFTA_SET_NAME, name);
	a->seq = ++nft.seq | NOT_OF_A_BATCH;
	a->mask = UINT32_MAX;
	errno = netlink_send(APPLIER_FD_NFT, m, a->seq);
	if (errno != 0)
		return -1;
	while (!a->done)
		if (receive(a) != 0)
			return -1;
	errno = a->error;
	return a->error == 0 ? 0 : -1;
}

/*
 * NLM_F_DUMP_INTR says that something in nf_tables was changed meanwhile, whosever it is: with
 * another program that writes all the time no long dump would ever be good. What it means for ours
 * the notifications tell.
 */
int nft_dump(
    uint8_t family, const char *set, void (*visit)(void *arg, const struct nlmsghdr *h), void *arg)
{
	struct answer a = {.visit = visit, .arg = arg};

	return request(NFT_MSG_GETSETELEM, NLM_F_DUMP, nft_nfproto[family], NFT_TABLE, set, &a);
}

/* An answer of one message has no end of its own: the acknowledgement is it. */
int nft_get(uint16_t type, uint8_t family, const char *name,
    void (*visit)(void *arg, const struct nlmsghdr *h), void *arg)
{
	struct answer a = {.visit = visit, .arg = arg};

	return request(type, NLM_F_ACK, nft_nfproto[family], NFT_TABLE, name, &a);
}

static void take_generation(void *arg, const struct nlmsghdr *h)
{
	const struct nlattr *attr = attr_of(h, NFTA_GEN_ID);

	if (attr != NULL)
		*(uint32_t *)arg = ntohl(nla_get_u32(attr));
}

static int get_generation(uint32_t *generation)
{
	struct answer a = {.visit = take_generation, .arg = generation};

	return request(NFT_MSG_GETGEN, NLM_F_ACK, AF_UNSPEC, NULL, NULL, &a);
}

/* --- transactions --- */

static void membership(int option)
{
	const int group = NFNLGRP_NFTABLES;

	if (setsockopt(APPLIER_FD_NFT, SOL_NETLINK, option, &group, sizeof(group)) != 0) {
		log_error("nf_tables' notifications: %s", strerror(errno));
		nft.drift = true;
	}
}

/* Another generation than the one known: somebody has changed something, and it was not told. */
static int check_generation(uint32_t *generation)
{
	if (get_generation(generation) != 0)
		return -1;
	if (*generation != nft.generation)
		nft.drift = true;
	nft.generation = *generation;
	return 0;
}

int nft_begin(uint32_t *generation, bool large)
{
	struct answer none = {.mask = UINT32_MAX};

	if (large)
		membership(NETLINK_DROP_MEMBERSHIP);
	nft.deaf |= large;
	drain(&none);
	/* who hears everything need not compare; and the kernel counts before it tells */
	return nft.deaf ? check_generation(generation) : get_generation(generation);
}

void nft_end(void)
{
	uint32_t generation = 0;

	if (!nft.deaf)
		return;
	membership(NETLINK_ADD_MEMBERSHIP);
	nft.deaf = false;
	if (check_generation(&generation) != 0)
		nft.drift = true;
}

int nft_send(struct nft_batch *b, uint32_t generation, char *detail, size_t size)
{
	struct answer a = {.mask = NOT_OF_A_BATCH};

	detail[0] = '\0';
	if (b->full) {
		snprintf(detail, size, "a transaction of more than %zu bytes", b->size);
		errno = EMSGSIZE;
		return -1;
	}
	nft_batch_for(b, generation);
	if (write(APPLIER_FD_NFT, b->buf, b->len) < 0)
		return -1;
	/* It is done; what went wrong waits. Nothing is acknowledged (that would cost a tenth and
	 * more). */
	drain(&a);
	if (a.error == 0) {
		nft.generation = (generation != 0 ? generation : nft.generation) + 1;
		return 0;
	}
	nft_describe(b, a.error_seq, a.error_at, detail, size);
	errno = a.error;
	return -1;
}

/* --- notifications --- */

bool nft_drift(void)
{
	struct answer none = {.mask = UINT32_MAX};

	drain(&none);
	return nft.drift;
}

void nft_drift_seen(void)
{
	nft.drift = false;
}

/* --- start --- */

static void open_socket(void)
{
	const int one = 1, out = SEND_BUFFER, in = RECEIVE_BUFFER;
	struct sockaddr_nl self = {0};
	socklen_t len = sizeof(self);
	int fd = netlink_open(NETLINK_NETFILTER);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&self, &len) != 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &out, sizeof(out)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &in, sizeof(in)) != 0)
		fatal(EXIT_FAILED, "a netlink socket for nf_tables: %s", strerror(errno));
	fd_place(fd, APPLIER_FD_NFT);
	nft.port = self.nl_pid;
}

/* Has the kernel try the rules of FAMILY, without an end: it takes everything back. */
static bool offered(const struct policy *p, uint8_t family)
{
	char detail[256];
	int error;

	nft_batch_begin(&nft.batch);
	nft_rules_install(&nft.batch, family, &p->params, p->nft_comment[family], NULL);
	nft_rules_affinity(&nft.batch, family, (nft_timeouts){1});
	if (nft_send(&nft.batch, 0, detail, sizeof(detail)) == 0)
		return true;
	error = errno; /* the kernel itself has tried to load what is named */
	log_warn("%s: nf_tables does not take the rules: %s%s%s; this family is left alone",
	    family == FAMILY_6 ? "IPv6" : "IPv4",
	    error == ENOENT ? "this kernel lacks what a rule needs" : strerror(error),
	    detail[0] == '\0' ? "" : ": ", detail);
	return false;
}

void nft_backend_open(struct policy *p)
{
	open_socket();
	membership(NETLINK_ADD_MEMBERSHIP);
	nft_batch_init(&nft.batch, p->max_bytes);
	if (get_generation(&nft.generation) != 0)
		fatal(EXIT_CONFIG, "the kernel has no nf_tables (%s); load it (modprobe nf_tables)",
		    strerror(errno));
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		uint32_t generation = nft.generation;

		nft_rules_comment(&nft.batch, (uint8_t)f, &p->params, p->nft_comment[f]);
		p->families[f] = offered(p, (uint8_t)f);
		nft.generation = generation; /* nothing was done */
		nft_batch_clear(&nft.batch);
	}
	if (!p->families[FAMILY_4] && !p->families[FAMILY_6])
		fatal(EXIT_CONFIG, "the kernel's nf_tables accepts the rules of neither family: "
				   "Linux 5.13 or later "
				   "is needed, with the modules that the warnings name; or use "
				   "--proxy-mode=iptables");
}
