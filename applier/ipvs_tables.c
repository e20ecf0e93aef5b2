#include "applier/ipvs_tables.h"

#include <stdio.h>
#include <string.h>

#define FRONTEND (IPVS_ADDR | IPVS_PROTO | IPVS_PORT)
#define IP_PORT	 "hash:ip,port", FRONTEND
#define PORTS	 "bitmap:port", IPVS_PORT

/*
 * The names and types are upstream's, which finds them as it left them, and we as it did. A port of
 * SCTP goes with an address, for bitmap:port looks at none but TCP's and UDP's
 * (ip_set_get_ip_port()).
 */
const struct ipvs_kind_info ipvs_kinds[IPVS_KIND_COUNT] = {
    [IPVS_LOOP_BACK] = {"LOOP-BACK", "hash:ip,port,ip", FRONTEND | IPVS_TO},
    [IPVS_CLUSTER_IP] = {"CLUSTER-IP", IP_PORT},
    [IPVS_EXTERNAL_IP] = {"EXTERNAL-IP", IP_PORT},
    [IPVS_EXTERNAL_IP_LOCAL] = {"EXTERNAL-IP-LOCAL", IP_PORT},
    [IPVS_LOAD_BALANCER] = {"LOAD-BALANCER", IP_PORT},
    [IPVS_LOAD_BALANCER_LOCAL] = {"LOAD-BALANCER-LOCAL", IP_PORT},
    [IPVS_SOURCE_CIDR] = {"LOAD-BALANCER-SOURCE-CIDR", "hash:ip,port,net", FRONTEND | IPVS_NET},
    [IPVS_FIREWALL] = {"LOAD-BALANCER-FW", IP_PORT},
    [IPVS_NODE_PORT] = {"NODE-PORT-TCP", PORTS},
    [IPVS_NODE_PORT + 1] = {"NODE-PORT-UDP", PORTS},
    [IPVS_NODE_PORT + 2] = {"NODE-PORT-SCTP-HASH", IP_PORT},
    [IPVS_NODE_PORT_LOCAL] = {"NODE-PORT-LOCAL-TCP", PORTS},
    [IPVS_NODE_PORT_LOCAL + 1] = {"NODE-PORT-LOCAL-UDP", PORTS},
    [IPVS_NODE_PORT_LOCAL + 2] = {"NODE-PORT-LOCAL-SCTP-HASH", IP_PORT},
    [IPVS_HEALTH_CHECK] = {"HEALTH-CHECK-NODE-PORT", PORTS},
    [IPVS_IPS] = {"IPVS-IPS", "hash:ip", IPVS_ADDR},
    [IPVS_SERVER] = {"virtual server", NULL, FRONTEND | IPVS_SECONDS},
    [IPVS_REAL] = {"real server", NULL, FRONTEND | IPVS_TO | IPVS_TO_PORT | IPVS_WEIGHT},
    [IPVS_ADDRESS] = {"address of " IPVS_INTERFACE, NULL, IPVS_ADDR},
};

const char *ipvs_set_name(uint8_t kind, uint8_t family, char buf[IPVS_SET_NAME_MAX])
{
	/* cut to what the kernel takes, as upstream does: KUBE-6-NODE-PORT-LOCAL-SCTP-HAS */
	snprintf(buf, IPVS_SET_NAME_MAX, "KUBE-%s%s", family == FAMILY_6 ? "6-" : "",
	    ipvs_kinds[kind].name);
	return buf;
}

struct ipvs_item ipvs_item_key(enum ipvs_kind kind, const struct ipvs_item *of)
{
	const uint8_t fields = ipvs_kinds[kind].fields;
	struct ipvs_item key = {.kind = (uint8_t)kind, .family = of->family};

	if (fields & IPVS_ADDR)
		key.addr = of->addr;
	if (fields & IPVS_PROTO)
		key.proto = of->proto;
	if (fields & IPVS_PORT)
		key.port = of->port;
	if (fields & IPVS_TO)
		key.to = of->to;
	if (fields & IPVS_TO_PORT)
		key.to_port = of->to_port;
	return key;
}

static const char *check_to(const struct ipvs_item *i, uint8_t fields)
{
	const struct ip_cidr net = {i->to, i->bits};

	if (i->to.family != i->family)
		return "an endpoint or source of the other address family";
	if ((fields & IPVS_TO) != 0 && !ip_is_endpoint(&i->to))
		return "an endpoint that is no plain unicast address";
	if ((fields & IPVS_TO_PORT) != 0 && i->to_port == 0)
		return "an endpoint's port 0";
	if ((fields & IPVS_NET) != 0 && (i->bits == 0 || !ip_cidr_is_canonical(&net)))
		return "a prefix of no bits, of too many, or with host bits";
	return NULL;
}

const char *ipvs_item_check(const struct ipvs_item *i)
{
	const uint8_t fields = ipvs_kinds[i->kind].fields;

	if ((fields & IPVS_ADDR) != 0 && (i->addr.family != i->family || !ip_is_endpoint(&i->addr)))
		return "an address that is no plain unicast address of its family";
	if ((fields & IPVS_PROTO) != 0 && i->proto != IPPROTO_TCP && i->proto != IPPROTO_UDP &&
	    i->proto != IPPROTO_SCTP)
		return "a protocol other than TCP, UDP and SCTP";
	if ((fields & IPVS_PORT) != 0 && i->port == 0)
		return "a port 0";
	if (i->value > (fields & IPVS_SECONDS ? 86400u : 1u))
		return "a weight above 1, or an affinity of more than 86400 seconds";
	return (fields & (IPVS_TO | IPVS_NET)) != 0 ? check_to(i, fields) : NULL;
}

static bool is_node_port(uint8_t kind)
{
	return kind >= IPVS_NODE_PORT && kind <= IPVS_HEALTH_CHECK;
}

const char *ipvs_item_allowed(const struct ipvs_item *i, const struct node_policy *p)
{
	const uint8_t fields = ipvs_kinds[i->kind].fields;
	const char *why =
	    (fields & IPVS_PORT) != 0 ? node_policy_port(p, i->port) : "there is no port";

	if (i->kind == IPVS_LOOP_BACK)
		why = node_policy_endpoint(p, &i->addr);
	else if (why != NULL && !is_node_port(i->kind))
		why = node_policy_frontend(p, &i->addr);
	return why == NULL && (fields & IPVS_TO) != 0 ? node_policy_endpoint(p, &i->to) : why;
}

const char *ipvs_item_text(char *buf, size_t size, const struct ipvs_item *i)
{
	char set[IPVS_SET_NAME_MAX], addr[IP_STRLEN], to[IP_STRLEN];
	const char *name = ipvs_kinds[i->kind].name;

	if (i->kind < IPVS_SET_COUNT)
		name = ipvs_set_name(i->kind, i->family, set);
	snprintf(buf, size, "%s: address %s protocol %u port %u, to %s/%u port %u, value %u", name,
	    ip_format(&i->addr, addr), i->proto, i->port, ip_format(&i->to, to), i->bits,
	    i->to_port, i->value);
	return buf;
}
