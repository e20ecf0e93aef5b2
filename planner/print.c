#include "planner/print.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "applier/ipt_entry.h"
#include "applier/ipt_ext.h"
#include "planner/ipvs_print.h"
#include "planner/memory.h"
#include "planner/names.h"

/* --- a rule: what stands in it is the template's; here is only how iptables-save spells it --- */

struct line {
	FILE *out;
	const struct ipt_rule *rule;
	const struct ipt_template *template;
	const struct ipt_chain *chain;
	uint8_t family;
	uint32_t mark;
	const struct ipt_params *params;
};

static const char *const loopbacks[FAMILY_COUNT] = {"127.0.0.0/8", "::1/128"};

/* MATCH_HAIRPIN's: load a word of the source, of the destination, compare; 1 or 0. */
static const char *const hairpin_programs[FAMILY_COUNT] = {
    "6,32 0 0 12,7 0 0 0,32 0 0 16,29 0 1 0,6 0 0 1,6 0 0 0",
    "18,32 0 0 8,7 0 0 0,32 0 0 24,29 0 13 0,32 0 0 12,7 0 0 0,32 0 0 28,29 0 9 0,"
    "32 0 0 16,7 0 0 0,32 0 0 32,29 0 5 0,32 0 0 20,7 0 0 0,32 0 0 36,29 0 1 0,6 0 0 1,6 0 0 0",
};

static void print_address(
    const struct line *l, const char *option, const struct ip_addr *a, unsigned bits)
{
	char ip[IP_STRLEN];

	fprintf(l->out, " %s %s/%u", option, ip_format(a, ip), bits);
}

/* The name stands before the text, or where that has a %. */
static void print_comment(const struct line *l, const char *endpoint)
{
	const char *text = l->template->comment, *at = strchr(text, '%');

	fprintf(l->out, " -m comment --comment \"%.*s%s%s%s\"", at != NULL ? (int)(at - text) : 0,
	    text, l->template->args & ARG_NAME ? l->rule->name : "", at != NULL ? at + 1 : text,
	    endpoint);
}

/* The clients' list is the endpoint's: it has the name of the chain jumped to or stood in. */
static void print_recent_list(const struct line *l)
{
	char name[CHAIN_NAME_LEN];
	struct ipt_chain target;
	bool jump = ipt_rule_target(l->rule, l->chain, &target);

	fprintf(l->out, " --name %s --mask %s --rsource",
	    ipt_chain_name(jump ? &target : l->chain, name),
	    l->family == FAMILY_4 ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void print_set(const struct line *l, enum ipt_match match)
{
	static const char *const fields[] = {"dst", "dst,dst", "dst,dst,src"};
	char name[IPVS_SET_NAME_MAX];
	uint8_t dimensions, set = ipt_rule_set(l->rule, &dimensions);

	fprintf(l->out, " -m set --match-set %s %s", ipvs_set_name(set, l->family, name),
	    match == MATCH_SET_FROM ? "src,dst" : fields[dimensions - 1]);
}

static void print_match(const struct line *l, enum ipt_match match)
{
	const struct ipt_rule *r = l->rule;
	char endpoint[ENDPOINT_STRLEN];

	switch (match) {
	case MATCH_SRC:
	case MATCH_NOT_SRC:
	case MATCH_SRC_TO:
	case MATCH_DST:
	case MATCH_NOT_LOOPBACK:
	case MATCH_LOCALNET:
	case MATCH_POD_IF:
	case MATCH_NOT_POD_IF: /* stand before all others, with the addresses */
		break;
	case MATCH_CTSTATE_INVALID:
		fputs(" -m conntrack --ctstate INVALID", l->out);
		break;
	case MATCH_CTSTATE_EST:
		fputs(" -m conntrack --ctstate RELATED,ESTABLISHED", l->out);
		break;
	case MATCH_CTSTATE_DNAT:
		fputs(" -m conntrack --ctstate DNAT", l->out);
		break;
	case MATCH_HAIRPIN:
		fprintf(l->out, " -m bpf --bytecode \"%s\"", hairpin_programs[l->family]);
		break;
	case MATCH_CTSTATE_ALIEN:
		fputs(" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", l->out);
		break;
	case MATCH_COMMENT:
	case MATCH_COMMENT_TO:
		print_comment(
		    l, match == MATCH_COMMENT ? "" : names_endpoint(endpoint, &r->to, r->to_port));
		break;
	case MATCH_LOCAL_DST:
		fputs(" -m addrtype --dst-type LOCAL", l->out);
		break;
	case MATCH_LOCAL_SRC:
		fputs(" -m addrtype --src-type LOCAL", l->out);
		break;
	case MATCH_MARKED:
		fprintf(l->out, " -m mark --mark 0x%x/0x%x", l->mark, l->mark);
		break;
	case MATCH_UNMARKED:
		fprintf(l->out, " -m mark ! --mark 0x%x/0x%x", l->mark, l->mark);
		break;
	case MATCH_STATISTIC: /* a probability counts in parts of 2^31 */
		fprintf(l->out, " -m statistic --mode random --probability %.11f",
		    r->probability / 2147483648.0);
		break;
	case MATCH_RECENT:
		fprintf(l->out, " -m recent --rcheck --seconds %u --reap", r->seconds);
		print_recent_list(l);
		break;
	case MATCH_RECENT_SET:
		fputs(" -m recent --set", l->out);
		print_recent_list(l);
		break;
	case MATCH_PROTO:
		fprintf(l->out, " -m %s", names_proto(r->proto));
		if (l->template->args & ARG_DPORT)
			fprintf(l->out, " --dport %u", r->dport);
		break;
	case MATCH_CTSTATE_NEW:
		fputs(" -m conntrack --ctstate NEW", l->out);
		break;
	case MATCH_SET:
	case MATCH_SET_FROM:
		print_set(l, match);
		break;
	}
}

static void print_matches(const struct line *l)
{
	const struct ipt_rule *r = l->rule;
	unsigned matches = l->template->matches % MATCH_SET_NUMBER, args = l->template->args;

	if (matches & MATCH_NOT_SRC)
		fputs(" !", l->out);
	if (matches & (MATCH_SRC | MATCH_NOT_SRC) && r->net.bits > 0)
		print_address(l, "-s", &r->net.addr, r->net.bits);
	if (matches & MATCH_SRC_TO)
		print_address(l, "-s", &r->to, ip_bits(l->family));
	if (args & ARG_DST)
		print_address(l, "-d", &r->dst, ip_bits(l->family));
	if (matches & MATCH_LOCALNET)
		fprintf(l->out, " ! -s %s -d %s", loopbacks[l->family], loopbacks[l->family]);
	if (matches & MATCH_DST)
		print_address(l, "-d", &r->net.addr, r->net.bits);
	if (matches & MATCH_NOT_LOOPBACK)
		fprintf(l->out, " ! -d %s", loopbacks[l->family]);
	if (matches & (MATCH_POD_IF | MATCH_NOT_POD_IF))
		fprintf(l->out, "%s -i %s%s", matches & MATCH_NOT_POD_IF ? " !" : "",
		    l->params->pod_if, l->params->pod_if_prefix ? "+" : "");
	if (args & ARG_PROTO)
		fprintf(l->out, " -p %s", names_proto(r->proto));
	for (unsigned m = 1; m <= matches; m <<= 1)
		if (matches & m)
			print_match(l, (enum ipt_match)m);
}

static void print_verdict(const struct line *l)
{
	char text[ENDPOINT_STRLEN], name[CHAIN_NAME_LEN];
	struct ipt_chain target;

	switch ((enum ipt_verdict)l->template->verdict) {
	case VERDICT_JUMP:
		ipt_rule_target(l->rule, l->chain, &target);
		fprintf(l->out, " -j %s\n", ipt_chain_name(&target, name));
		break;
	case VERDICT_GOTO:
		ipt_rule_target(l->rule, l->chain, &target);
		fprintf(l->out, " -g %s\n", ipt_chain_name(&target, name));
		break;
	case VERDICT_DNAT:
		fprintf(l->out, " -j DNAT --to-destination %s\n",
		    names_endpoint(text, &l->rule->to, l->rule->to_port));
		break;
	case VERDICT_SET_MARK:
		fprintf(l->out, " -j MARK --set-xmark 0x%x/0x%x\n", l->mark, l->mark);
		break;
	case VERDICT_CLEAR_MARK:
		fprintf(l->out, " -j MARK --set-xmark 0x%x/0x0\n", l->mark);
		break;
	case VERDICT_MASQUERADE:
		fputs(" -j MASQUERADE --random-fully\n", l->out);
		break;
	case VERDICT_REJECT:
		fprintf(l->out, " -j REJECT --reject-with %s\n",
		    l->family == FAMILY_4 ? "icmp-port-unreachable" : "icmp6-port-unreachable");
		break;
	case VERDICT_ACCEPT:
		fputs(" -j ACCEPT\n", l->out);
		break;
	case VERDICT_DROP:
		fputs(" -j DROP\n", l->out);
		break;
	case VERDICT_RETURN:
		fputs(" -j RETURN\n", l->out);
		break;
	case VERDICT_REDIRECT:
		fprintf(l->out, " -j REDIRECT --to-ports %u\n", l->rule->to_port);
		break;
	}
}

void print_rule(
    FILE *out, const struct ipt_rule *r, const struct ipt_chain *c, const struct ipt_params *params)
{
	struct line l = {
	    out, r, &ipt_templates[r->template], c, c->family, 1u << params->masq_bit, params};
	char name[CHAIN_NAME_LEN];

	fprintf(out, "-A %s", ipt_chain_name(c, name));
	print_matches(&l);
	print_verdict(&l);
}

/* --- the whole state --- */

struct printed_chain {
	struct ipt_chain chain;
	char name[CHAIN_NAME_LEN];
	long at, end; /* its rules' text */
};

struct printer {
	const struct ipt_params *params;
	const struct config *cfg;
	FILE *items; /* onto items_text; NULL: none */
	char *items_text;
	size_t items_len;
	uint32_t hooks[FAMILY_COUNT];
	struct printed_chain *chains;
	size_t count, room;
	FILE *rules; /* onto text */
	char *text;
	size_t len;
};

struct printer *printer_new(const struct ipt_params *params, const struct config *cfg)
{
	struct printer *p = memory_new(sizeof(*p));

	p->params = params;
	p->cfg = cfg;
	p->rules = open_memstream(&p->text, &p->len);
	p->items = open_memstream(&p->items_text, &p->items_len);
	if (p->rules != NULL && p->items != NULL)
		return p;
	printer_free(p);
	return NULL;
}

void printer_free(struct printer *p)
{
	if (p == NULL)
		return;
	if (p->rules != NULL)
		fclose(p->rules);
	if (p->items != NULL)
		fclose(p->items);
	free(p->text);
	free(p->items_text);
	free(p->chains);
	free(p);
}

static const char *printer_chain_put(void *arg, const struct ipt_chain *c)
{
	struct printer *p = arg;
	struct printed_chain *pc;

	p->chains = memory_grow(p->chains, &p->room, p->count + 1, sizeof(*p->chains));
	pc = &p->chains[p->count++];
	pc->chain = *c;
	ipt_chain_name(c, pc->name);
	pc->at = pc->end = ftell(p->rules);
	return NULL;
}

static const char *printer_rule(void *arg, const struct ipt_rule *r)
{
	struct printer *p = arg;
	struct printed_chain *pc = &p->chains[p->count - 1];

	print_rule(p->rules, r, &pc->chain, p->params);
	pc->end = ftell(p->rules);
	return NULL;
}

static const char *printer_chain_delete(void *arg, const struct ipt_chain *c)
{
	(void)arg;
	(void)c;
	return "nothing to delete in an empty kernel";
}

static const char *printer_hook(void *arg, uint8_t family, unsigned number, bool on)
{
	struct printer *p = arg;

	if (on)
		p->hooks[family] |= 1u << number;
	return NULL;
}

static const char *printer_item(void *arg, enum txn_op op, const struct ipvs_item *i)
{
	struct printer *p = arg;

	if (op == OP_ITEM_PUT)
		ipvs_print_item(p->items, i, p->cfg);
	return NULL;
}

const struct txn_visitor printer_operations = {
    .item = printer_item,
    .chain_put = printer_chain_put,
    .rule = printer_rule,
    .chain_delete = printer_chain_delete,
    .hook = printer_hook,
};

static int printed_chain_cmp(const void *a, const void *b)
{
	const struct printed_chain *x = a, *y = b;

	if (x->chain.family != y->chain.family)
		return x->chain.family - y->chain.family;
	if (x->chain.table != y->chain.table)
		return x->chain.table - y->chain.table;
	return strcmp(x->name, y->name);
}

/* Each hook is prepended when it is made: the last of a built-in chain comes first. */
static void write_hooks(
    const struct printer *p, FILE *out, uint8_t family, uint8_t table, const char *builtin)
{
	static const char *const only[] = {[HOOK_ANY] = "",
	    [HOOK_NEW] = " -m conntrack --ctstate NEW",
	    [HOOK_LOCAL] = " -m addrtype --dst-type LOCAL"};

	for (unsigned i = IPT_HOOK_COUNT; i-- > 0;) {
		const struct ipt_hook *h = &ipt_hooks[i];

		if (h->table != table || !(p->hooks[family] & 1u << i) ||
		    strcmp(h->builtin, builtin) != 0)
			continue;
		fprintf(out, "-A %s%s -m comment --comment \"%s\" -j %s\n", builtin, only[h->only],
		    h->comment, ipt_chain_kinds[h->kind].name);
	}
}

static void write_table(const struct printer *p, FILE *out, uint8_t family, uint8_t table)
{
	static const struct {
		const char *name;
		const char *builtins[4]; /* in the kernel's order */
	} tables[IPT_TABLE_COUNT] = {
	    [IPT_NAT] = {"nat", {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}},
	    [IPT_FILTER] = {"filter", {"INPUT", "FORWARD", "OUTPUT", NULL}},
	};
	const struct printed_chain *end = p->chains + p->count, *c;

	fprintf(out, "*%s\n", tables[table].name);
	for (c = p->chains; c < end; c++)
		if (c->chain.family == family && c->chain.table == table)
			fprintf(out, ":%s - [0:0]\n", c->name);
	for (int i = 0; i < 4 && tables[table].builtins[i] != NULL; i++)
		write_hooks(p, out, family, table, tables[table].builtins[i]);
	for (c = p->chains; c < end; c++)
		if (c->chain.family == family && c->chain.table == table)
			fwrite(p->text + c->at, 1, (size_t)(c->end - c->at), out);
	fputs("COMMIT\n", out);
}

void printer_write(struct printer *p, FILE *out)
{
	static const char *const titles[FAMILY_COUNT] = {"# IPv4\n", "# IPv6\n"};

	fflush(p->rules);
	fflush(p->items);
	if (p->cfg->mode == MODE_IPVS)
		ipvs_print_begin(out);
	fwrite(p->items_text, 1, p->items_len, out);
	if (p->count > 0)
		qsort(p->chains, p->count, sizeof(*p->chains), printed_chain_cmp);
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		fputs(titles[f], out);
		for (unsigned t = 0; t < IPT_TABLE_COUNT; t++)
			write_table(p, out, (uint8_t)f, (uint8_t)t);
	}
}
