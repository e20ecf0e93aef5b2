/* The node's policy in words, for who starts the proxy and who asks it. */
#include <stdio.h>
#include <string.h>

#include "common/node_policy.h"

static void add(char *buf, size_t size, const char *text)
{
	strlcat(buf, text, size);
}

static void add_prefixes(char *buf, size_t size, const struct node_prefixes *list)
{
	char text[CIDR_STRLEN];

	for (uint32_t i = 0; i < list->count; i++) {
		add(buf, size, i > 0 ? "," : "");
		add(buf, size, ip_cidr_format(&list->nets[i], text));
	}
}

static void add_allowed(char *buf, size_t size, const struct node_prefixes *list)
{
	if (list->count == 0)
		add(buf, size, "any unicast address");
	add_prefixes(buf, size, list);
}

const char *node_policy_text(const struct node_policy *p, char buf[NODE_POLICY_TEXT_MAX])
{
	const size_t size = NODE_POLICY_TEXT_MAX;

	if (p->node_port_high != 0)
		snprintf(buf, size, "node ports %u-%u", p->node_port_low, p->node_port_high);
	else
		strlcpy(buf, "any node port", size);
	add(buf, size, "; frontends: ");
	add_allowed(buf, size, &p->frontends);
	add(buf, size, "; endpoints: ");
	add_allowed(buf, size, &p->endpoints);
	if (p->denied_endpoints.count > 0)
		add(buf, size, ", but none in ");
	add_prefixes(buf, size, &p->denied_endpoints);
	return buf;
}
