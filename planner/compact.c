#include "planner/compact.h"

#include <stdlib.h>
#include <string.h>

#include "applier/ipt_tables.h"
#include "common/log.h"
#include "planner/memory.h"
#include "planner/names.h"

#define AFFINITY_MAX 86400u /* seconds; the API's own */

/* --- strings of an object, behind one another; offset 0 is the empty string --- */

struct strings {
	char *text;
	size_t len, room;
};

static uint32_t strings_add(struct strings *s, const char *text, size_t len)
{
	uint32_t at;

	s->text = memory_grow(s->text, &s->room, s->len + len + 1, 1);
	if (s->len == 0)
		s->text[s->len++] = '\0';
	if (len <= 1)
		return 0;
	at = (uint32_t)s->len;
	memcpy(s->text + s->len, text, len);
	s->len += len;
	return at;
}

/* --- services --- */

/* NULL, or why the applier would refuse a rule for this address and port. */
static const char *frontend_refusal(
    const struct service *in, const struct service_port *p, const struct ip_addr *ip)
{
	struct ipt_chain chain = {ip->family, IPT_NAT, CHAIN_SERVICES, {0}};
	struct ipt_rule r = {.template = T_CLUSTER_IP, .target_kind = CHAIN_SVC};

	r.dst = *ip;
	r.proto = p->proto;
	r.dport = p->port;
	names_service_port(r.name, in->namespace, in->name, p->name);
	return ipt_rule_check(&r, &chain);
}

static const char *port_refusal(const struct service *in, const struct service_port *p)
{
	static const struct ip_addr any = {FAMILY_4, {10, 0, 0, 1}};

	return frontend_refusal(in, p, &any);
}

static const char *ip_refusal(
    const struct service *in, const struct ip_addr *ip, const struct node_policy *policy)
{
	static const struct service_port any = {.proto = PROTO_TCP, .port = 1};
	const char *why = frontend_refusal(in, &any, ip);

	return why != NULL ? why : node_policy_frontend(policy, ip);
}

/* PORT, or 0 if it may not be a node port. */
static uint16_t node_port(const struct node_policy *policy, uint16_t port)
{
	return node_policy_port(policy, port) == NULL ? port : 0;
}

/* By name, protocol, number: of ports that would share a chain the lowest number comes first. */
static int service_port_cmp(const void *a, const void *b)
{
	const struct service_port *p = a, *q = b;
	int n = strcmp(p->name, q->name);

	if (n != 0)
		return n;
	if (p->proto != q->proto)
		return p->proto - q->proto;
	return p->port - q->port;
}

/* The ports that can be programmed, sorted. The caller frees them. */
static struct service_port *good_ports(const struct service *in, uint32_t *count)
{
	struct service_port *ports = memory_new((in->port_count + 1) * sizeof(*ports));
	uint32_t n = 0, kept = 0;

	for (uint32_t i = 0; i < in->port_count; i++)
		if (port_refusal(in, &in->ports[i]) == NULL)
			ports[n++] = in->ports[i];
	qsort(ports, n, sizeof(*ports), service_port_cmp);
	for (uint32_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(ports[kept - 1].name, ports[i].name) != 0 ||
		    ports[kept - 1].proto != ports[i].proto)
			ports[kept++] = ports[i];
	*count = kept;
	return ports;
}

/* Addresses as they came, those left out that cannot be programmed. */
static uint32_t good_ips(const struct service *in, struct ip_addr *to, const struct ip_addr *ips,
    uint32_t count, const struct node_policy *policy)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (ip_refusal(in, &ips[i], policy) == NULL)
			to[n++] = ips[i];
	return n;
}

static struct frontend_ips {
	const char *field;
	const struct ip_addr *ips;
	uint32_t count;
} ips_of(const struct service *in, enum frontend kind)
{
	switch (kind) {
	case FRONTEND_EXTERNAL:
		return (struct frontend_ips){"externalIP", in->external_ips, in->external_ip_count};
	case FRONTEND_LOAD_BALANCER:
		return (struct frontend_ips){"load-balancer IP", in->lb_ips, in->lb_ip_count};
	default:
		return (struct frontend_ips){"clusterIP", in->cluster_ips, in->cluster_ip_count};
	}
}

/* Copies what the specification points to behind it; it must have room. */
static void fill_spec(struct service_spec *out, const struct service *in,
    const struct service_port *ports, uint32_t port_count, const uint32_t *names,
    const struct strings *s, const struct node_policy *policy)
{
	struct stored_port *to = (struct stored_port *)(out + 1);
	struct ip_addr *ips;
	char *at;

	out->ports = to;
	out->port_count = port_count;
	for (uint32_t i = 0; i < port_count; i++)
		to[i] = (struct stored_port){.port = ports[i].port,
		    .node_port = node_port(policy, ports[i].node_port),
		    .name = names[i],
		    .proto = ports[i].proto};
	ips = (struct ip_addr *)(to + port_count);
	for (unsigned k = 0; k < FRONTEND_COUNT; k++) {
		struct frontend_ips from = ips_of(in, (enum frontend)k);

		out->ips[k] = ips;
		out->ip_counts[k] = good_ips(in, ips, from.ips, from.count, policy);
		ips += out->ip_counts[k];
	}
	at = (char *)ips;
	out->source_ranges = (struct ip_cidr *)at;
	out->source_range_count = in->source_range_count;
	if (in->source_range_count > 0)
		memcpy(at, in->source_ranges, in->source_range_count * sizeof(*in->source_ranges));
	at += in->source_range_count * sizeof(*in->source_ranges);
	out->strings = memcpy(at, s->text, s->len);
	at += s->len;
	for (uint32_t i = 0; i < out->ip_counts[FRONTEND_CLUSTER]; i++)
		out->families |= (uint8_t)(1u << out->ips[FRONTEND_CLUSTER][i].family);
	out->content_len = (uint32_t)(at - (char *)(out + 1));
	out->live = (uint8_t *)at;
}

struct service_spec *compact_service(const struct service *in, const struct node_policy *policy)
{
	struct strings s = {NULL, 0, 0};
	struct service_spec *out;
	struct service_port *ports;
	uint32_t n, *names;

	ports = good_ports(in, &n);
	names = memory_new((n + 1) * sizeof(*names));
	strings_add(&s, "", 0);
	for (uint32_t i = 0; i < n; i++)
		names[i] = strings_add(&s, ports[i].name, strlen(ports[i].name) + 1);

	out = memory_new(sizeof(*out) + n * (sizeof(*out->ports) + sizeof(*out->live)) + s.len +
			 ((size_t)in->cluster_ip_count + in->external_ip_count + in->lb_ip_count) *
			     sizeof(struct ip_addr) +
			 in->source_range_count * sizeof(struct ip_cidr));
	fill_spec(out, in, ports, n, names, &s, policy);
	out->affinity_seconds =
	    in->affinity_seconds < AFFINITY_MAX ? in->affinity_seconds : AFFINITY_MAX;
	out->internal_local = in->internal_local;
	out->external_local = in->external_local;
	out->health_check_node_port = node_port(policy, in->health_check_node_port);
	free(s.text);
	free(names);
	free(ports);
	return out;
}

bool compact_service_equal(const struct service_spec *a, const struct service_spec *b)
{
	return a->affinity_seconds == b->affinity_seconds &&
	       a->health_check_node_port == b->health_check_node_port &&
	       a->internal_local == b->internal_local && a->external_local == b->external_local &&
	       a->families == b->families && a->lost == b->lost && a->port_count == b->port_count &&
	       a->source_range_count == b->source_range_count &&
	       memcmp(a->ip_counts, b->ip_counts, sizeof(a->ip_counts)) == 0 &&
	       a->content_len == b->content_len && memcmp(a + 1, b + 1, a->content_len) == 0;
}

static void explain_ips(
    const struct service *in, enum frontend kind, const struct node_policy *policy)
{
	struct frontend_ips from = ips_of(in, kind);
	char ip[IP_STRLEN];

	for (uint32_t i = 0; i < from.count; i++) {
		const char *why = ip_refusal(in, &from.ips[i], policy);

		if (why != NULL)
			log_warn("service %s/%s: %s %s is left out: %s", in->namespace, in->name,
			    from.field, ip_format(&from.ips[i], ip), why);
	}
}

static void explain_node_port(
    const struct service *in, uint16_t port, const struct node_policy *policy)
{
	const char *why = port != 0 ? node_policy_port(policy, port) : NULL;

	if (why != NULL)
		log_warn("service %s/%s: node port %u is left out: %s (%u-%u)", in->namespace,
		    in->name, port, why, policy->node_port_low, policy->node_port_high);
}

/* Returns how many ports can be programmed. */
static uint32_t explain_ports(const struct service *in, const struct node_policy *policy)
{
	uint32_t good = 0;

	for (uint32_t i = 0; i < in->port_count; i++) {
		const struct service_port *p = &in->ports[i];
		const char *why = port_refusal(in, p);

		good += why == NULL;
		if (why != NULL)
			log_warn("service %s/%s: port %u \"%s\" is left out: %s", in->namespace,
			    in->name, p->port, p->name, why);
		else
			explain_node_port(in, p->node_port, policy);
	}
	return good;
}

void compact_service_explain(
    const struct service *in, const struct service_spec *spec, const struct node_policy *policy)
{
	uint32_t good = explain_ports(in, policy);

	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		explain_ips(in, (enum frontend)k, policy);
	explain_node_port(in, in->health_check_node_port, policy);
	if (good > spec->port_count)
		log_warn("service %s/%s: %u ports share name and protocol with another and are "
			 "left out; "
			 "give each port a name of its own",
		    in->namespace, in->name, good - spec->port_count);
	if (in->affinity_seconds > AFFINITY_MAX)
		log_warn("service %s/%s: session affinity of %u seconds is taken for %u, the most "
			 "there is",
		    in->namespace, in->name, in->affinity_seconds, AFFINITY_MAX);
}

/* --- slices --- */

/* NULL, or why nothing is sent on to E. */
static const char *endpoint_refusal(
    const struct slice *in, const struct endpoint *e, const struct node_policy *policy)
{
	if (e->addr.family != in->family)
		return "not of the slice's address type";
	if (!ip_is_endpoint(&e->addr))
		return "not a unicast address that packets may be sent on to";
	return node_policy_endpoint(policy, &e->addr);
}

static bool port_good(const struct slice_port *p)
{
	return p->port != 0 && names_proto(p->proto)[0] != '\0';
}

/* Adds the zones of E as "a\0b\0\0", or finds the same ones among the COUNT endpoints before it. */
static uint32_t add_zones(struct strings *s, const struct endpoint *e,
    const struct stored_endpoint *before, uint32_t count)
{
	char set[ZONE_HINTS_MAX * NAME_MAX_LABEL + 1];
	size_t len = 0;

	for (uint32_t i = 0; i < e->zone_hint_count; i++) {
		size_t n = strlen(e->zone_hints[i]);

		if (n == 0) /* no zone's name; it would end the set */
			continue;
		memcpy(set + len, e->zone_hints[i], n + 1);
		len += n + 1;
	}
	if (len == 0)
		return 0;
	set[len++] = '\0';
	for (uint32_t i = count; i-- > 0;)
		if (before[i].zones != 0 && before[i].zones + len <= s->len &&
		    memcmp(s->text + before[i].zones, set, len) == 0)
			return before[i].zones;
	return strings_add(s, set, len);
}

static bool is_local(const struct endpoint *e, const char *node_name)
{
	return e->node[0] != '\0' && strcmp(e->node, node_name) == 0;
}

static uint32_t compact_endpoints(const struct slice *in, const char *node_name,
    struct stored_endpoint *to, struct strings *s, const struct node_policy *policy)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < in->endpoint_count; i++) {
		const struct endpoint *e = &in->endpoints[i];

		if (endpoint_refusal(in, e, policy) != NULL)
			continue;
		memcpy(to[n].addr, e->addr.b, sizeof(to[n].addr));
		to[n].flags = (uint8_t)(e->flags | (is_local(e, node_name) ? EP_LOCAL : 0));
		to[n].anywhere = e->node[0] == '\0';
		to[n].zones = add_zones(s, e, to, n);
		n++;
	}
	return n;
}

struct stored_slice *compact_slice(
    const struct slice *in, const char *node_name, const struct node_policy *policy)
{
	struct stored_endpoint *ends = memory_new((in->endpoint_count + 1) * sizeof(*ends)),
			       *to_ends;
	struct stored_port *ports = memory_new((in->port_count + 1) * sizeof(*ports)), *to_ports;
	size_t name_len = strlen(in->name) + 1;
	struct strings s = {NULL, 0, 0};
	uint32_t end_count, port_count = 0;
	struct stored_slice *out;
	char *text;

	strings_add(&s, "", 0);
	for (uint32_t i = 0; i < in->port_count; i++) {
		const struct slice_port *p = &in->ports[i];

		if (port_good(p))
			ports[port_count++] = (struct stored_port){.port = p->port,
			    .name = strings_add(&s, p->name, strlen(p->name) + 1),
			    .proto = p->proto};
	}
	end_count = compact_endpoints(in, node_name, ends, &s, policy);

	out = memory_new(sizeof(*out) + end_count * sizeof(*ends) + port_count * sizeof(*ports) +
			 s.len + name_len);
	to_ends = (struct stored_endpoint *)(out + 1);
	to_ports = (struct stored_port *)(to_ends + end_count);
	text = (char *)(to_ports + port_count);
	memcpy(to_ends, ends, end_count * sizeof(*ends));
	memcpy(to_ports, ports, port_count * sizeof(*ports));
	memcpy(text, s.text, s.len);
	memcpy(text + s.len, in->name, name_len);
	out->family = in->family;
	out->endpoint_count = end_count;
	out->endpoints = to_ends;
	out->port_count = port_count;
	out->ports = to_ports;
	out->strings = text;
	out->strings_len = (uint32_t)s.len;
	out->name = text + s.len;
	for (uint32_t i = 0; i < end_count; i++)
		out->zone_hints |= to_ends[i].zones != 0;
	free(s.text);
	free(ports);
	free(ends);
	return out;
}

bool compact_slice_equal(const struct stored_slice *a, const struct stored_slice *b)
{
	return a->family == b->family && a->endpoint_count == b->endpoint_count &&
	       a->port_count == b->port_count && a->strings_len == b->strings_len &&
	       memcmp(a->endpoints, b->endpoints, a->endpoint_count * sizeof(*a->endpoints)) == 0 &&
	       memcmp(a->ports, b->ports, a->port_count * sizeof(*a->ports)) == 0 &&
	       memcmp(a->strings, b->strings, a->strings_len) == 0;
}

void compact_slice_explain(const struct slice *in, const struct node_policy *policy)
{
	char ip[IP_STRLEN];

	for (uint32_t i = 0; i < in->endpoint_count; i++) {
		const char *why = endpoint_refusal(in, &in->endpoints[i], policy);

		if (why != NULL)
			log_warn("slice %s/%s: endpoint %s is left out: %s", in->namespace,
			    in->name, ip_format(&in->endpoints[i].addr, ip), why);
	}
	for (uint32_t i = 0; i < in->port_count; i++)
		if (!port_good(&in->ports[i]))
			log_warn(
			    "slice %s/%s: port %u \"%s\" is left out: no such port or protocol",
			    in->namespace, in->name, in->ports[i].port, in->ports[i].name);
}
