#include "applier/nft_rules.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "applier/nft_expr.h"
#include "applier/nft_set.h"
#include "common/siphash.h"

/* --- chains --- */

enum chain {
	NAT_PREROUTING,
	NAT_OUTPUT,
	NAT_POSTROUTING,
	FILTER_FORWARD,
	FILTER_INPUT,
	FILTER_OUTPUT,
	SERVICE,
	MARK_FOR_MASQUERADE,
	MARK_OUTSIDE,
	LOCAL_POLICY,
	CHOOSE,
	CHOOSE_LOCAL,
	AFFINITY,
	REMEMBER_CHAIN,
	UNSERVED,
	CHAINS
};

static const struct {
	const char *name, *type; /* a base chain's type; NULL: jumped to */
	uint32_t hook;
	int32_t priority;
} chains[CHAINS] = {
    [NAT_PREROUTING] = {"nat-prerouting", "nat", NF_INET_PRE_ROUTING, -100},
    [NAT_OUTPUT] = {"nat-output", "nat", NF_INET_LOCAL_OUT, -100},
    [NAT_POSTROUTING] = {"nat-postrouting", "nat", NF_INET_POST_ROUTING, 100},
    [FILTER_FORWARD] = {"filter-forward", "filter", NF_INET_FORWARD, -110},
    [FILTER_INPUT] = {"filter-input", "filter", NF_INET_LOCAL_IN, -110},
    /* after nat-output, so that what is translated is known */
    [FILTER_OUTPUT] = {"filter-output", "filter", NF_INET_LOCAL_OUT, -90},
    [SERVICE] = {.name = "service"},
    [MARK_FOR_MASQUERADE] = {.name = "mark-for-masquerade"},
    [MARK_OUTSIDE] = {.name = "mark-outside"},
    [LOCAL_POLICY] = {.name = "local-policy"},
    [CHOOSE] = {.name = "choose"},
    [CHOOSE_LOCAL] = {.name = "choose-local"},
    [AFFINITY] = {.name = "affinity"},
    [REMEMBER_CHAIN] = {.name = "remember"},
    [UNSERVED] = {.name = "unserved"},
};

/* --- rules --- */

struct row {
	uint8_t chain;
	uint8_t sets;  /* the rule is there for as many sets, from the one named on, */
	uint8_t times; /* and for each so often */
	nft_term terms[NFT_TERMS_MAX];
};
/* clang-format off */
#define ROW(chain, ...)		       {chain, 1, 1, {__VA_ARGS__}}
#define EACH(chain, sets, times, term) {chain, sets, times, {term}}
/* clang-format on */

#define IN(arg)		 NFT_TERM(NFT_TERM_IN, arg)
#define NOT_IN(arg)	 NFT_TERM(NFT_TERM_NOT_IN, arg)
#define ORIGINAL_IN(arg) NFT_TERM(NFT_TERM_ORIGINAL_IN, arg)
#define DNAT(arg)	 NFT_TERM(NFT_TERM_DNAT, arg)
#define DNAT_LOCAL(arg)	 NFT_TERM(NFT_TERM_DNAT_LOCAL, arg)
#define REMEMBER(arg)	 NFT_TERM(NFT_TERM_REMEMBER, arg)
#define JUMP(arg)	 NFT_TERM(NFT_TERM_JUMP, arg)
#define GOTO(arg)	 NFT_TERM(NFT_TERM_GOTO, arg)
#define NEW		 NFT_TERM(NFT_TERM_NEW, 0)
#define TRANSLATED	 NFT_TERM(NFT_TERM_TRANSLATED, 0)
#define LOCAL_SOURCE	 NFT_TERM(NFT_TERM_LOCAL_SOURCE, 0)
#define LOCAL_DEST	 NFT_TERM(NFT_TERM_LOCAL_DESTINATION, 0)
#define POD_IF		 NFT_TERM(NFT_TERM_POD_IF, 0)
#define UNMARKED	 NFT_TERM(NFT_TERM_UNMARKED, 0)
#define MARK		 NFT_TERM(NFT_TERM_MARK, 0)
#define CLEAR_MARK	 NFT_TERM(NFT_TERM_CLEAR_MARK, 0)
#define MASQUERADE	 NFT_TERM(NFT_TERM_MASQUERADE, 0)
#define REJECT		 NFT_TERM(NFT_TERM_REJECT, 0)
#define DROP		 NFT_TERM(NFT_TERM_DROP, 0)
#define RETURN		 NFT_TERM(NFT_TERM_RETURN, 0)

static const struct row rows[] = {
    ROW(NAT_PREROUTING, IN(NFT_SERVICES), GOTO(SERVICE)),
    ROW(NAT_OUTPUT, IN(NFT_SERVICES), GOTO(SERVICE)),
    ROW(NAT_POSTROUTING, TRANSLATED, JUMP(REMEMBER_CHAIN)),
    ROW(NAT_POSTROUTING, TRANSLATED, IN(NFT_HAIRPIN), MASQUERADE),
    ROW(NAT_POSTROUTING, UNMARKED, RETURN),
    ROW(NAT_POSTROUTING, CLEAR_MARK),
    ROW(NAT_POSTROUTING, MASQUERADE),
    ROW(FILTER_FORWARD, NEW, JUMP(UNSERVED)),
    ROW(FILTER_INPUT, NEW, JUMP(UNSERVED)),
    ROW(FILTER_OUTPUT, NEW, JUMP(UNSERVED)),

    ROW(SERVICE, IN(NFT_FIREWALL), NOT_IN(NFT_ALLOWED), DROP),
    ROW(SERVICE, IN(NFT_MASQ_ALWAYS), JUMP(MARK_FOR_MASQUERADE)),
    ROW(SERVICE, IN(NFT_MASQ_OUTSIDE), JUMP(MARK_OUTSIDE)),
    ROW(SERVICE, IN(NFT_LOCAL_POLICY), JUMP(LOCAL_POLICY)),
    ROW(SERVICE, GOTO(CHOOSE)),

    ROW(MARK_FOR_MASQUERADE, MARK),

    ROW(MARK_OUTSIDE, IN(NFT_POD_NETWORKS), RETURN),
    ROW(MARK_OUTSIDE, POD_IF, RETURN),
    ROW(MARK_OUTSIDE, GOTO(MARK_FOR_MASQUERADE)),

    ROW(LOCAL_POLICY, IN(NFT_POD_NETWORKS), RETURN),
    ROW(LOCAL_POLICY, POD_IF, RETURN),
    ROW(LOCAL_POLICY, LOCAL_SOURCE, MARK, RETURN),
    ROW(LOCAL_POLICY, GOTO(CHOOSE_LOCAL)),

    ROW(CHOOSE, JUMP(AFFINITY)),
    EACH(CHOOSE, NFT_EXACT_MAX, 1, DNAT(NFT_ENDPOINTS)),
    EACH(CHOOSE, NFT_DRAW_CLASSES, NFT_DRAWS, DNAT(NFT_DRAW)),
    EACH(CHOOSE, NFT_DRAW_CLASSES, 1, DNAT(NFT_ALL)),
    ROW(CHOOSE, DROP),

    ROW(CHOOSE_LOCAL, JUMP(AFFINITY)),
    EACH(CHOOSE_LOCAL, NFT_EXACT_MAX, 1, DNAT_LOCAL(NFT_ENDPOINTS)),
    EACH(CHOOSE_LOCAL, NFT_DRAW_CLASSES, NFT_DRAWS, DNAT_LOCAL(NFT_DRAW)),
    EACH(CHOOSE_LOCAL, NFT_DRAW_CLASSES, 1, DNAT_LOCAL(NFT_ALL)),
    ROW(CHOOSE_LOCAL, DROP),

    /* who may not come is dropped, not told that there is nothing to come to */
    ROW(UNSERVED, TRANSLATED, RETURN),
    ROW(UNSERVED, IN(NFT_FIREWALL), NOT_IN(NFT_ALLOWED), DROP),
    ROW(UNSERVED, IN(NFT_NO_ENDPOINTS), REJECT),
    /* whatever prefixes and addresses the sets hold: the node stays within reach, and of itself */
    ROW(UNSERVED, LOCAL_DEST, RETURN),
    ROW(UNSERVED, IN(NFT_CLUSTER_IPS), REJECT),
    ROW(UNSERVED, IN(NFT_SERVICE_CIDRS), DROP),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- messages --- */

static const char *chain_name(unsigned chain)
{
	return chains[chain].name;
}

static void put_rule(struct nft_batch *b, uint8_t family, const struct ipt_params *params,
    unsigned chain, const nft_term terms[NFT_TERMS_MAX], uint32_t seconds)
{
	struct nft_rule r = {
	    nft_message_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family), family,
	    params, seconds, chain_name};

	nla_put_string(r.m, NFTA_RULE_CHAIN, chains[chain].name);
	nft_rule_encode(&r, terms);
	nft_message_end(b);
}

/* How many rules ROW stands for. */
static unsigned rules_of(const struct row *row, const struct ipt_params *params)
{
	if (row->terms[0] == POD_IF && params->pod_if[0] == '\0')
		return 0;
	return (unsigned)row->sets * row->times;
}

static void put_row(
    struct nft_batch *b, uint8_t family, const struct ipt_params *params, const struct row *row)
{
	for (unsigned i = 0, n = rules_of(row, params); i < n; i++) {
		nft_term terms[NFT_TERMS_MAX];

		memcpy(terms, row->terms, sizeof(terms));
		terms[0] = (nft_term)(terms[0] + i / row->times);
		put_rule(b, family, params, row->chain, terms, 0);
	}
}

static void put_chain(struct nft_batch *b, uint8_t family, unsigned chain)
{
	struct nl_msg *m = nft_message_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
	struct nlattr *hook;

	nla_put_string(m, NFTA_CHAIN_NAME, chains[chain].name);
	if (chains[chain].type != NULL) {
		nla_put_string(m, NFTA_CHAIN_TYPE, chains[chain].type);
		nla_put_u32(m, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
		hook = nla_nest_start(m, NFTA_CHAIN_HOOK);
		nla_put_u32(m, NFTA_HOOK_HOOKNUM, htonl(chains[chain].hook));
		nla_put_u32(m, NFTA_HOOK_PRIORITY, htonl((uint32_t)chains[chain].priority));
		nla_nest_end(m, hook);
	}
	nft_message_end(b);
}

/* Whether it is there or not. */
static void delete_table(struct nft_batch *b, uint8_t family)
{
	nft_message_begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
	nft_message_end(b);
	nft_message_begin(b, NFT_MSG_DELTABLE, 0, family);
	nft_message_end(b);
}

static void put_table(struct nft_batch *b, uint8_t family, const char *comment)
{
	struct nl_msg *m = nft_message_begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, family);
	uint8_t udata[2 + NFT_COMMENT_MAX] = {0 /* a comment */, (uint8_t)(strlen(comment) + 1)};

	memcpy(udata + 2, comment, udata[1]);
	nla_put(m, NFTA_TABLE_USERDATA, 2 + udata[1], udata);
	nft_message_end(b);
}

void nft_rules_install(struct nft_batch *b, uint8_t family, const struct ipt_params *params,
    const char *comment, const uint32_t elements[NFT_SET_COUNT])
{
	delete_table(b, family);
	put_table(b, family, comment);
	for (unsigned set = 0; set < NFT_SET_COUNT; set++) {
		struct nl_msg *m = nft_message_begin(b, NFT_MSG_NEWSET, NLM_F_CREATE, family);

		nft_set_encode(m, set, family,
		    elements != NULL && elements[set] >= NFT_SIZE_FROM ? 2 * elements[set] : 0);
		nft_message_end(b);
	}
	for (unsigned chain = 0; chain < CHAINS; chain++)
		put_chain(b, family, chain);
	for (const struct row *row = rows; row < rows + ROWS; row++)
		put_row(b, family, params, row);
}

/* --- session affinity: per number in use, a rule to follow what is remembered and one to remember
 * --- */

static void flush_chain(struct nft_batch *b, uint8_t family, unsigned chain)
{
	struct nl_msg *m = nft_message_begin(b, NFT_MSG_DELRULE, 0, family);

	nla_put_string(m, NFTA_RULE_CHAIN, chains[chain].name);
	nft_message_end(b);
}

void nft_rules_affinity(struct nft_batch *b, uint8_t family, const nft_timeouts timeouts)
{
	static const struct ipt_params none; /* their rules have nothing of it */

	flush_chain(b, family, AFFINITY);
	flush_chain(b, family, REMEMBER_CHAIN);
	for (unsigned i = 0; i < NFT_AFFINITIES; i++) {
		const nft_term follow[NFT_TERMS_MAX] = {IN(NFT_AFFINE + i), DNAT(NFT_AFFINITY + i)};
		const nft_term remember[NFT_TERMS_MAX] = {
		    ORIGINAL_IN(NFT_AFFINE + i), REMEMBER(NFT_AFFINITY + i)};

		if (timeouts[i] == 0)
			continue;
		put_rule(b, family, &none, AFFINITY, follow, 0);
		put_rule(b, family, &none, REMEMBER_CHAIN, remember, timeouts[i]);
	}
}

/* --- what can be told of a table --- */

const char *nft_rules_chain(
    unsigned chain, const struct ipt_params *params, unsigned affinities, uint32_t *uses)
{
	if (chain >= CHAINS)
		return NULL;
	*uses = chain == AFFINITY || chain == REMEMBER_CHAIN ? affinities : 0;
	for (const struct row *row = rows; row < rows + ROWS; row++) {
		*uses += row->chain == chain ? rules_of(row, params) : 0;
		for (unsigned i = 0; i < NFT_TERMS_MAX; i++)
			*uses += row->terms[i] == JUMP(chain) || row->terms[i] == GOTO(chain);
	}
	return chains[chain].name;
}

void nft_rules_comment(struct nft_batch *b, uint8_t family, const struct ipt_params *params,
    char comment[NFT_COMMENT_MAX])
{
	static const struct siphash_key key; /* it is told apart, not kept from anybody */
	static const nft_timeouts all = {1, 1, 1, 1, 1, 1, 1, 1};
	struct siphash s;

	nft_batch_begin(b);
	nft_rules_install(b, family, params, "", NULL);
	nft_rules_affinity(b, family, all);
	siphash_init(&s, &key);
	siphash_update(&s, b->buf, b->len);
	snprintf(comment, NFT_COMMENT_MAX, "rules %016llx", (unsigned long long)siphash_final(&s));
}
