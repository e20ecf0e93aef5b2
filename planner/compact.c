#include "planner/compact.h"

#include <stdlib.h>
#include <string.h>

#include "applier/ipt_tables.h"
#include "common/log.h"
#include "planner/memory.h"
#include "planner/names.h"

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

static const char *ip_refusal(const struct service *in, const struct ip_addr *ip)
{
	static const struct service_port any = {.proto = PROTO_TCP, .port = 1};

	return frontend_refusal(in, &any, ip);
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

struct service_spec *compact_service(const struct service *in)
{
	struct strings s = {NULL, 0, 0};
	struct service_spec *out;
	struct stored_port *to;
	struct service_port *ports;
	uint32_t n, *names;
	char *text;

	ports = good_ports(in, &n);
	names = memory_new((n + 1) * sizeof(*names));
	strings_add(&s, "", 0);
	for (uint32_t i = 0; i < n; i++)
		names[i] = strings_add(&s, ports[i].name, strlen(ports[i].name) + 1);

	out = memory_new(sizeof(*out) + n * sizeof(*to) + s.len + n);
	to = (struct stored_port *)(out + 1);
	text = (char *)(to + n);
	for (uint32_t i = 0; i < n; i++)
		to[i] = (struct stored_port){ports[i].port, ports[i].proto, 0, names[i]};
	memcpy(text, s.text, s.len);
	for (uint32_t i = 0; i < in->cluster_ip_count; i++)
		if (ip_refusal(in, &in->cluster_ips[i]) == NULL)
			out->ips[out->ip_count++] = in->cluster_ips[i];
	out->port_count = n;
	out->ports = to;
	out->strings = text;
	out->strings_len = (uint32_t)s.len;
	out->live = (uint8_t *)text + s.len;
	free(s.text);
	free(names);
	free(ports);
	return out;
}

bool compact_service_equal(const struct service_spec *a, const struct service_spec *b)
{
	return a->ip_count == b->ip_count && a->port_count == b->port_count &&
	       a->strings_len == b->strings_len && memcmp(a->ips, b->ips, sizeof(a->ips)) == 0 &&
	       memcmp(a->ports, b->ports, a->port_count * sizeof(*a->ports)) == 0 &&
	       memcmp(a->strings, b->strings, a->strings_len) == 0;
}

void compact_service_explain(const struct service *in, const struct service_spec *spec)
{
	uint32_t good = 0;
	const char *why;
	char ip[IP_STRLEN];

	for (uint32_t i = 0; i < in->cluster_ip_count; i++) {
		why = ip_refusal(in, &in->cluster_ips[i]);
		if (why != NULL)
			log_warn("service %s/%s: clusterIP %s is left out: %s", in->namespace,
			    in->name, ip_format(&in->cluster_ips[i], ip), why);
	}
	for (uint32_t i = 0; i < in->port_count; i++) {
		why = port_refusal(in, &in->ports[i]);
		good += why == NULL;
		if (why != NULL)
			log_warn("service %s/%s: port %u \"%s\" is left out: %s", in->namespace,
			    in->name, in->ports[i].port, in->ports[i].name, why);
	}
	if (good > spec->port_count)
		log_warn("service %s/%s: %u ports share name and protocol with another and are "
			 "left out; "
			 "give each port a name of its own",
		    in->namespace, in->name, good - spec->port_count);
}

/* --- slices --- */

static bool endpoint_good(const struct slice *in, const struct endpoint *e)
{
	return e->addr.family == in->family && ip_is_endpoint(&e->addr);
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

static uint32_t compact_endpoints(
    const struct slice *in, struct stored_endpoint *to, struct strings *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < in->endpoint_count; i++) {
		const struct endpoint *e = &in->endpoints[i];

		if (!endpoint_good(in, e))
			continue;
		memcpy(to[n].addr, e->addr.b, sizeof(to[n].addr));
		to[n].flags = e->flags;
		to[n].zones = add_zones(s, e, to, n);
		n++;
	}
	return n;
}

struct stored_slice *compact_slice(const struct slice *in)
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
			ports[port_count++] = (struct stored_port){
			    p->port, p->proto, 0, strings_add(&s, p->name, strlen(p->name) + 1)};
	}
	end_count = compact_endpoints(in, ends, &s);

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

void compact_slice_explain(const struct slice *in)
{
	char ip[IP_STRLEN];

	for (uint32_t i = 0; i < in->endpoint_count; i++)
		if (!endpoint_good(in, &in->endpoints[i]))
			log_warn("slice %s/%s: endpoint %s is left out: %s", in->namespace,
			    in->name, ip_format(&in->endpoints[i].addr, ip),
			    in->endpoints[i].addr.family != in->family
				? "not of the slice's address type"
				: "not a unicast address that packets may be sent on to");
	for (uint32_t i = 0; i < in->port_count; i++)
		if (!port_good(&in->ports[i]))
			log_warn(
			    "slice %s/%s: port %u \"%s\" is left out: no such port or protocol",
			    in->namespace, in->name, in->ports[i].port, in->ports[i].name);
}
