#include "planner/nft_print.h"

#include <stdio.h>

#include "planner/names.h"

static const char *const families[FAMILY_COUNT] = {"ip", "ip6"};

void nft_print_key(FILE *out, const struct nft_elem *e)
{
	const struct nft_set *s = nft_set(e->set);
	char addr[IP_STRLEN], net[CIDR_STRLEN];
	const char *between = "";

	if (s->fields & NFT_ADDR) {
		fprintf(out, "%s", ip_format(&e->addr, addr));
		between = " . ";
		if (s->twice)
			fprintf(out, " . %s", addr);
	}
	if (s->fields & NFT_PROTO)
		fprintf(out, "%s%s", between, names_proto(e->proto));
	if (s->fields & NFT_PORT)
		fprintf(out, " . %u", e->port);
	if (s->fields & NFT_SLOT)
		fprintf(out, " . %u", e->slot);
	if (s->fields & NFT_NET)
		fprintf(out, "%s%s", between, ip_cidr_format(&e->net, net));
}

static void print_command(
    FILE *out, const char *verb, const struct nft_elem *e, const struct nft_set *s)
{
	fprintf(out, "%s element %s " NFT_TABLE " %s { ", verb, families[e->family], s->name);
	nft_print_key(out, e);
}

static const char *print_install(void *arg, uint8_t family)
{
	fprintf(arg, "# the constant rules of table %s " NFT_TABLE "\n", families[family]);
	return NULL;
}

static const char *print_put(void *arg, const struct nft_elem *e)
{
	const struct nft_set *s = nft_set(e->set);
	char addr[IP_STRLEN];

	print_command(arg, "add", e, s);
	if ((s->fields & NFT_NAME) != 0 && e->name[0] != '\0')
		fprintf(arg, " comment \"%s\"", e->name);
	if (s->fields & NFT_TO)
		fprintf(arg, " : %s . %u", ip_format(&e->to, addr), e->to_port);
	fputs(" }\n", arg);
	return NULL;
}

static const char *print_remove_elem(void *arg, const struct nft_elem *e)
{
	const struct nft_set *s = nft_set(e->set);

	print_command(arg, "delete", e, s);
	fputs(" }\n", arg);
	return NULL;
}

static const char *print_affinity(void *arg, uint8_t family, unsigned number, uint32_t seconds)
{
	fprintf(arg, "# session affinity %u of table %s " NFT_TABLE " is of %u seconds\n", number,
	    families[family], seconds);
	return NULL;
}

static const char *print_forget(void *arg, const struct nft_elem *e)
{
	(void)arg;
	(void)e;
	return NULL; /* an empty kernel has no clients to forget */
}

const struct nft_visitor nft_print_operations = {
    print_install, print_put, print_remove_elem, print_affinity, print_forget};
