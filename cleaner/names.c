#include "cleaner/names.h"

#include <stddef.h>
#include <string.h>

#include "applier/ipt_tables.h"

/* What applier/ipt_tables.c has no use for. */
static const struct {
	enum leftovers_table table;
	const char *name;
} others[] = {
    {LEFTOVERS_MANGLE, "KUBE-PROXY-CANARY"},
    {LEFTOVERS_NAT, "KUBE-FIRE-WALL"}, /* ipvs mode of old releases */
};

bool name_is_kube_proxys(enum leftovers_table table, const char *name)
{
	struct ipt_chain c = {.table = table == LEFTOVERS_FILTER ? IPT_FILTER : IPT_NAT};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i].table == table && strcmp(others[i].name, name) == 0)
			return true;
	return table != LEFTOVERS_MANGLE && ipt_chain_parse(&c, name);
}

bool name_accepts(enum leftovers_hook hook, const char *name)
{
	if (hook == LEFTOVERS_FORWARD)
		return strcmp(name, "KUBE-FORWARD") == 0;
	/* iptables mode's, and ipvs mode's */
	return strcmp(name, "KUBE-NODEPORTS") == 0 || strcmp(name, "KUBE-NODE-PORT") == 0;
}

bool name_serves_others(const char *name)
{
	/* CNI's portmap plug-in can be told to mark with it (externalSetMarkChain). */
	return strcmp(name, "KUBE-MARK-MASQ") == 0;
}
