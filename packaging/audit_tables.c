/* Prints the applier's compile-time tables for `make audit`: chains, hooks, templates. */
#include <stdio.h>

#include "applier/ipt_tables.h"
#include "applier/ipvs_tables.h"

static const char *const tables[IPT_TABLE_COUNT] = {"nat", "filter"};

static const struct {
	unsigned bit;
	const char *text;
} matches[] = {
    {MATCH_SRC, " from NET"},
    {MATCH_NOT_SRC, " not from NET"},
    {MATCH_DST, " to NET"},
    {MATCH_LOCALNET, " from outside to loopback"},
    {MATCH_POD_IF, " from the pods' interface"},
    {MATCH_NOT_POD_IF, " not from the pods' interface"},
    {MATCH_SRC_TO, " from the endpoint itself"},
    {MATCH_CTSTATE_INVALID, " state INVALID"},
    {MATCH_CTSTATE_NEW, " state NEW"},
    {MATCH_CTSTATE_EST, " state RELATED,ESTABLISHED"},
    {MATCH_CTSTATE_DNAT, " translated before"},
    {MATCH_CTSTATE_ALIEN, " neither RELATED,ESTABLISHED nor translated"},
    {MATCH_HAIRPIN, " to its own source"},
    {MATCH_LOCAL_DST, " to a local address"},
    {MATCH_LOCAL_SRC, " from a local address"},
    {MATCH_MARKED, " marked"},
    {MATCH_UNMARKED, " unmarked"},
    {MATCH_STATISTIC, " with PROBABILITY"},
    {MATCH_RECENT, " from clients of the last SECONDS"},
    {MATCH_RECENT_SET, " (remember the client)"},
    {MATCH_NOT_LOOPBACK, " not to loopback"},
    {MATCH_PROTO, " PROTO"},
};

static const char *const verdicts[] = {
    [VERDICT_JUMP] = "jump",
    [VERDICT_GOTO] = "go to",
    [VERDICT_DNAT] = "DNAT to the endpoint",
    [VERDICT_SET_MARK] = "set the mark",
    [VERDICT_CLEAR_MARK] = "clear the mark",
    [VERDICT_MASQUERADE] = "MASQUERADE",
    [VERDICT_REJECT] = "REJECT",
    [VERDICT_ACCEPT] = "ACCEPT",
    [VERDICT_DROP] = "DROP",
    [VERDICT_RETURN] = "RETURN",
    [VERDICT_REDIRECT] = "REDIRECT to a relay's port",
};

/* A kind's name, padded to WIDTH. */
static void print_chain_name(unsigned kind, int width)
{
	char name[CHAIN_NAME_LEN + 8];

	snprintf(name, sizeof(name), "%s%s", ipt_chain_kinds[kind].name,
	    ipt_chain_kinds[kind].hashed ? "<hash>" : "");
	printf("%-*s", width, name);
}

/* Those of KINDS, a bit each. */
static void print_chain_names(unsigned kinds)
{
	for (unsigned k = 0; kinds >> k != 0; k++)
		if (kinds & 1u << k) {
			print_chain_name(k, 0);
			if (kinds >> k > 1)
				printf(" or ");
		}
}

static void print_chains(void)
{
	puts("\nCHAINS  the only ones it can make, change or delete");
	for (unsigned k = 0; k < CHAIN_KIND_COUNT; k++) {
		printf("  ");
		print_chain_name(k, 24);
		for (unsigned t = 0; t < IPT_TABLE_COUNT; t++)
			if (ipt_chain_kinds[k].tables & 1u << t)
				printf(" %s", tables[t]);
		putchar('\n');
		if (k + 1 == CHAIN_LEFTOVERS)
			puts("  userspace mode's, and what other kube-proxies leave, to be "
			     "deleted:");
	}
}

static void print_hooks(void)
{
	static const char *const only[] = {
	    [HOOK_ANY] = "", [HOOK_NEW] = "state NEW", [HOOK_LOCAL] = "to a local address"};

	puts("\nHOOKS  the only rules it can put into or take out of a built-in chain");
	for (unsigned i = 0; i < IPT_HOOK_COUNT; i++) {
		const struct ipt_hook *h = &ipt_hooks[i];

		printf("  %2u  %-6s  %-11s -> %-22s %s\n", i, tables[h->table], h->builtin,
		    ipt_chain_kinds[h->kind].name, only[h->only]);
		if (i + 1 == IPT_HOOK_LEFTOVERS)
			puts("  userspace mode's, and what other kube-proxies leave, to be "
			     "removed:");
	}
}

static void print_set(const struct ipt_template *t)
{
	char name[IPVS_SET_NAME_MAX];

	if (t->matches & (MATCH_SET | MATCH_SET_FROM))
		printf("%s in %s", t->matches & MATCH_SET ? "" : " source and port",
		    ipvs_set_name((uint8_t)(t->matches / MATCH_SET_NUMBER), FAMILY_4, name));
}

static void print_template(const struct ipt_template *t)
{
	printf("  %-29s %-6s ", t->name, tables[t->table]);
	print_chain_names(t->chains);
	printf(":");
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
		if (t->matches & matches[i].bit)
			printf("%s", matches[i].text);
	print_set(t);
	if (t->args & ARG_DST)
		printf(" to DST");
	if (t->args & ARG_DPORT)
		printf(" port DPORT");
	printf(" => %s", verdicts[t->verdict]);
	if (t->targets != 0)
		putchar(' ');
	print_chain_names(t->targets);
	putchar('\n');
}

static void print_items(void)
{
	static const char *const fields[] = {
	    "ip", "proto", "port", "endpoint", "its port", "sources", "seconds", "weight"};
	char name[IPVS_SET_NAME_MAX];

	puts("\nITEMS  of ipvs mode: all that it can put, change or delete there");
	for (unsigned k = 0; k < IPVS_KIND_COUNT; k++) {
		printf("  %-32s", k < IPVS_SET_COUNT ? ipvs_set_name((uint8_t)k, FAMILY_4, name)
						     : ipvs_kinds[k].name);
		for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (ipvs_kinds[k].fields & 1u << i)
				printf(" [%s]", fields[i]);
		putchar('\n');
	}
}

int main(void)
{
	print_chains();
	print_hooks();
	puts("\nTEMPLATES  every rule that can exist; NET, DST ... are checked arguments");
	for (unsigned i = 0; i < IPT_TEMPLATE_COUNT; i++)
		print_template(&ipt_templates[i]);
	print_items();
	return 0;
}
