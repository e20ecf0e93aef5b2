#include "planner/ipvs_print.h"

#include "ipc/objects.h"
#include "planner/names.h"

void ipvs_print_begin(FILE *out)
{
	char name[IPVS_SET_NAME_MAX];

	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++)
		for (uint8_t k = 0; k < (uint8_t)IPVS_SET_COUNT; k++) {
			fprintf(out, "create %s %s", ipvs_set_name(k, f, name), ipvs_kinds[k].type);
			fputs(ipvs_kinds[k].fields == IPVS_PORT ? " range 0-65535\n"
			      : f == FAMILY_4			? " family inet maxelem 1048576\n"
								: " family inet6 maxelem 1048576\n",
			    out);
		}
}

void ipvs_print_entry(FILE *out, const struct ipvs_item *i)
{
	const uint8_t fields = ipvs_kinds[i->kind].fields;
	char addr[IP_STRLEN];

	if (fields & IPVS_ADDR)
		fputs(ip_format(&i->addr, addr), out);
	if (fields & IPVS_PROTO)
		fprintf(out, ",%s:", names_proto(i->proto));
	if (fields & IPVS_PORT)
		fprintf(out, "%u", i->port);
	if (fields & (IPVS_TO | IPVS_NET))
		fprintf(out, ",%s", ip_format(&i->to, addr));
	if (fields & IPVS_NET)
		fprintf(out, "/%u", i->bits);
}

void ipvs_print_server(FILE *out, const struct ipvs_item *i)
{
	static const char *const options[] = {"-t", "-u", "--sctp-service"};
	char text[ENDPOINT_STRLEN];

	fprintf(out, "%s %s",
	    options[i->proto == PROTO_TCP   ? 0
		    : i->proto == PROTO_UDP ? 1
					    : 2],
	    names_endpoint(text, &i->addr, i->port));
}

void ipvs_print_item(FILE *out, const struct ipvs_item *i, const struct config *cfg)
{
	char text[ENDPOINT_STRLEN], name[IPVS_SET_NAME_MAX];

	if (i->kind < IPVS_SET_COUNT) {
		fprintf(out, "add %s ", ipvs_set_name(i->kind, i->family, name));
		ipvs_print_entry(out, i);
		fputc('\n', out);
	} else if (i->kind == IPVS_ADDRESS) {
		fprintf(out, "# ip address add %s/%u dev " IPVS_INTERFACE "\n",
		    ip_format(&i->addr, text), ip_bits(i->family));
	} else if (i->kind == IPVS_SERVER) {
		fputs("-A ", out);
		ipvs_print_server(out, i);
		fprintf(out, " -s %s", cfg->ipvs_scheduler[0] != '\0' ? cfg->ipvs_scheduler : "rr");
		if (i->value > 0)
			fprintf(out, " -p %u", i->value);
		fputc('\n', out);
	} else {
		fputs("-a ", out);
		ipvs_print_server(out, i);
		fprintf(
		    out, " -r %s -m -w %u\n", names_endpoint(text, &i->to, i->to_port), i->value);
	}
}
