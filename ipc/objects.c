#include "ipc/objects.h"

#include <stdlib.h>
#include <string.h>

void service_clear(struct service *s)
{
	free(s->ports);
	free(s->external_ips);
	free(s->lb_ips);
	free(s->source_ranges);
	memset(s, 0, sizeof(*s));
}

void slice_clear(struct slice *s)
{
	free(s->ports);
	free(s->endpoints);
	memset(s, 0, sizeof(*s));
}

/* --- encoding --- */

void objects_encode_list(struct frame *f, enum object_message begin_or_end, enum object_kind k)
{
	frame_begin(f, begin_or_end, 1);
	frame_uint(f, k);
}

static void encode_ips(struct frame *f, const struct ip_addr *ips, uint32_t n)
{
	frame_array(f, n);
	for (uint32_t i = 0; i < n; i++)
		frame_ip(f, &ips[i]);
}

static void encode_cidrs(struct frame *f, const struct ip_cidr *cidrs, uint32_t n)
{
	frame_array(f, n);
	for (uint32_t i = 0; i < n; i++)
		frame_cidr(f, &cidrs[i]);
}

void objects_encode_service(struct frame *f, const struct service *s)
{
	frame_begin(f, OBJ_SERVICE_PUT, 13);
	frame_str(f, s->namespace);
	frame_str(f, s->name);
	encode_ips(f, s->cluster_ips, s->cluster_ip_count);
	frame_array(f, s->port_count);
	for (uint32_t i = 0; i < s->port_count; i++) {
		frame_array(f, 4);
		frame_str(f, s->ports[i].name);
		frame_uint(f, s->ports[i].proto);
		frame_uint(f, s->ports[i].port);
		frame_uint(f, s->ports[i].node_port);
	}
	encode_ips(f, s->external_ips, s->external_ip_count);
	encode_ips(f, s->lb_ips, s->lb_ip_count);
	encode_cidrs(f, s->source_ranges, s->source_range_count);
	frame_uint(f, s->affinity_seconds);
	frame_bool(f, s->internal_local);
	frame_bool(f, s->external_local);
	frame_uint(f, s->health_check_node_port);
	frame_uint(f, s->created);
	frame_bin(f, s->uid, sizeof(s->uid));
}

void objects_encode_del(struct frame *f, enum object_message del, const char *ns, const char *name)
{
	frame_begin(f, del, 2);
	frame_str(f, ns);
	frame_str(f, name);
}

static void encode_endpoint(struct frame *f, const struct endpoint *e)
{
	frame_array(f, 4);
	frame_ip(f, &e->addr);
	frame_uint(f, e->flags);
	frame_str(f, e->node);
	frame_array(f, e->zone_hint_count);
	for (uint32_t i = 0; i < e->zone_hint_count; i++)
		frame_str(f, e->zone_hints[i]);
}

/* An endpoint's longest form: address, flags, node, zone hints, and the heads of all. */
#define ENDPOINT_WIRE_MAX (32 + NAME_MAX_SUBDOMAIN + ZONE_HINTS_MAX * (2 + NAME_MAX_LABEL))

uint32_t objects_encode_slice(struct frame *f, const struct slice *s, uint32_t first, uint32_t part)
{
	/* As many as surely fit, were all of them of the longest form. */
	uint32_t room =
	    (FRAME_MAX - 1024 - s->port_count * (NAME_MAX_LABEL + 16)) / ENDPOINT_WIRE_MAX;
	uint32_t n = s->endpoint_count - first;
	bool last = n <= room;

	if (!last)
		n = room;
	frame_begin(f, OBJ_SLICE_PUT, 9);
	frame_str(f, s->namespace);
	frame_str(f, s->name);
	frame_str(f, s->service);
	frame_uint(f, s->family);
	frame_uint(f, part);
	frame_bool(f, last);
	frame_array(f, s->port_count);
	for (uint32_t i = 0; i < s->port_count; i++) {
		frame_array(f, 3);
		frame_str(f, s->ports[i].name);
		frame_uint(f, s->ports[i].proto);
		frame_uint(f, s->ports[i].port);
	}
	frame_array(f, n);
	for (uint32_t i = first; i < first + n; i++)
		encode_endpoint(f, &s->endpoints[i]);
	frame_uint(f, s->caused_ms);
	return first + n;
}

void objects_encode_node(struct frame *f, const struct node *n)
{
	frame_begin(f, OBJ_NODE_PUT, 5);
	frame_str(f, n->name);
	frame_str(f, n->zone);
	encode_ips(f, n->addrs, n->addr_count);
	encode_cidrs(f, n->pod_cidrs, n->pod_cidr_count);
	frame_bool(f, n->deleting);
}

void objects_encode_node_del(struct frame *f)
{
	frame_begin(f, OBJ_NODE_DEL, 0);
}

void objects_encode_node_addrs(struct frame *f, const struct node_addrs_part *p)
{
	frame_begin(f, OBJ_NODE_ADDRS, 3);
	frame_bool(f, p->first);
	frame_bool(f, p->last);
	encode_ips(f, p->addrs, p->count);
}

void objects_encode_service_cidrs(struct frame *f, const struct ip_cidr *cidrs, uint32_t n)
{
	frame_begin(f, OBJ_SERVICE_CIDRS, 1);
	encode_cidrs(f, cidrs, n);
}

/* --- decoding --- */

/* Room for N elements, N bounded by its caller; NULL with *C failed if there is no memory. */
static void *elements(struct cursor *c, uint32_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	if (p == NULL)
		cursor_fail(c, "out of memory");
	return p;
}

static uint8_t decode_proto(struct cursor *c)
{
	uint8_t proto = (uint8_t)cursor_uint(c, UINT8_MAX);

	if (c->error == NULL && proto != PROTO_TCP && proto != PROTO_UDP && proto != PROTO_SCTP)
		cursor_fail(c, "an unknown protocol");
	return proto;
}

static uint16_t decode_port(struct cursor *c)
{
	uint16_t port = (uint16_t)cursor_uint(c, UINT16_MAX);

	if (c->error == NULL && port == 0)
		cursor_fail(c, "port 0");
	return port;
}

static void decode_ips(
    struct cursor *c, uint32_t max, struct ip_addr *fixed, struct ip_addr **list, uint32_t *count)
{
	struct cursor in = cursor_array(c, max);
	struct ip_addr *to = fixed;

	if (list != NULL)
		to = *list = elements(&in, in.left, sizeof(**list));
	for (uint32_t n = in.left; in.error == NULL && *count < n; ++*count)
		cursor_ip(&in, &to[*count]);
	cursor_leave(c, &in);
}

static void decode_cidrs(
    struct cursor *c, uint32_t max, struct ip_cidr *fixed, struct ip_cidr **list, uint32_t *count)
{
	struct cursor in = cursor_array(c, max);
	struct ip_cidr *to = fixed;

	if (list != NULL)
		to = *list = elements(&in, in.left, sizeof(**list));
	for (uint32_t n = in.left; in.error == NULL && *count < n; ++*count)
		cursor_cidr(&in, &to[*count]);
	cursor_leave(c, &in);
}

const char *objects_decode_list(struct cursor *c, enum object_kind *k)
{
	*k = (enum object_kind)cursor_uint(c, KIND_SLICE);
	if (c->error == NULL && *k < KIND_SERVICE)
		cursor_fail(c, "an unknown kind");
	return cursor_end(c);
}

static void decode_service_ports(struct cursor *c, struct service *s)
{
	struct cursor ports = cursor_array(c, SERVICE_PORTS_MAX);

	s->ports = elements(&ports, ports.left, sizeof(*s->ports));
	for (uint32_t n = ports.left; ports.error == NULL && s->port_count < n; s->port_count++) {
		struct service_port *p = &s->ports[s->port_count];
		struct cursor in = cursor_array(&ports, 4);

		cursor_str(&in, p->name, sizeof(p->name));
		p->proto = decode_proto(&in);
		p->port = decode_port(&in);
		p->node_port = (uint16_t)cursor_uint(&in, UINT16_MAX);
		cursor_leave(&ports, &in);
	}
	cursor_leave(c, &ports);
}

const char *objects_decode_service(struct cursor *c, struct service *s)
{
	memset(s, 0, sizeof(*s));
	cursor_str(c, s->namespace, sizeof(s->namespace));
	cursor_str(c, s->name, sizeof(s->name));
	decode_ips(c, FAMILY_COUNT, s->cluster_ips, NULL, &s->cluster_ip_count);
	decode_service_ports(c, s);
	decode_ips(c, SERVICE_IPS_MAX, NULL, &s->external_ips, &s->external_ip_count);
	decode_ips(c, SERVICE_IPS_MAX, NULL, &s->lb_ips, &s->lb_ip_count);
	decode_cidrs(c, SERVICE_IPS_MAX, NULL, &s->source_ranges, &s->source_range_count);
	s->affinity_seconds = (uint32_t)cursor_uint(c, UINT32_MAX);
	s->internal_local = cursor_bool(c);
	s->external_local = cursor_bool(c);
	s->health_check_node_port = (uint16_t)cursor_uint(c, UINT16_MAX);
	s->created = cursor_uint(c, UINT64_MAX);
	cursor_bin(c, s->uid, sizeof(s->uid));
	return cursor_end(c);
}

const char *objects_decode_del(
    struct cursor *c, char ns[NAME_MAX_LABEL], char name[NAME_MAX_SUBDOMAIN])
{
	cursor_str(c, ns, NAME_MAX_LABEL);
	cursor_str(c, name, NAME_MAX_SUBDOMAIN);
	return cursor_end(c);
}

static void decode_slice_ports(struct cursor *c, struct slice *s)
{
	struct cursor ports = cursor_array(c, SLICE_PORTS_MAX);

	s->ports = elements(&ports, ports.left, sizeof(*s->ports));
	for (uint32_t n = ports.left; ports.error == NULL && s->port_count < n; s->port_count++) {
		struct slice_port *p = &s->ports[s->port_count];
		struct cursor in = cursor_array(&ports, 3);

		cursor_str(&in, p->name, sizeof(p->name));
		p->proto = decode_proto(&in);
		p->port = decode_port(&in);
		cursor_leave(&ports, &in);
	}
	cursor_leave(c, &ports);
}

static void decode_endpoint(struct cursor *c, uint8_t family, struct endpoint *e)
{
	struct cursor in = cursor_array(c, 4), hints;

	cursor_ip(&in, &e->addr);
	if (in.error == NULL && e->addr.family != family)
		cursor_fail(&in, "an endpoint of the other family");
	e->flags = (uint8_t)cursor_uint(&in, 2 * EP_NODE_HINT_OURS - 1);
	cursor_str(&in, e->node, sizeof(e->node));
	hints = cursor_array(&in, ZONE_HINTS_MAX);
	for (uint32_t n = hints.left; e->zone_hint_count < n; e->zone_hint_count++)
		cursor_str(&hints, e->zone_hints[e->zone_hint_count], NAME_MAX_LABEL);
	cursor_leave(&in, &hints);
	cursor_leave(c, &in);
}

const char *objects_decode_slice(struct cursor *c, struct slice *s)
{
	struct cursor eps;

	memset(s, 0, sizeof(*s));
	cursor_str(c, s->namespace, sizeof(s->namespace));
	cursor_str(c, s->name, sizeof(s->name));
	cursor_str(c, s->service, sizeof(s->service));
	s->family = (uint8_t)cursor_uint(c, FAMILY_6);
	s->part = (uint32_t)cursor_uint(c, SLICE_ENDPOINTS_MAX);
	s->last_part = cursor_bool(c);
	decode_slice_ports(c, s);
	eps = cursor_array(c, SLICE_ENDPOINTS_MAX);
	s->endpoints = elements(&eps, eps.left, sizeof(*s->endpoints));
	for (uint32_t n = eps.left; eps.error == NULL && s->endpoint_count < n; s->endpoint_count++)
		decode_endpoint(&eps, s->family, &s->endpoints[s->endpoint_count]);
	cursor_leave(c, &eps);
	s->caused_ms = cursor_uint(c, INT64_MAX);
	return cursor_end(c);
}

const char *objects_decode_node(struct cursor *c, struct node *n)
{
	memset(n, 0, sizeof(*n));
	cursor_str(c, n->name, sizeof(n->name));
	cursor_str(c, n->zone, sizeof(n->zone));
	decode_ips(c, sizeof(n->addrs) / sizeof(n->addrs[0]), n->addrs, NULL, &n->addr_count);
	decode_cidrs(c, FAMILY_COUNT, n->pod_cidrs, NULL, &n->pod_cidr_count);
	n->deleting = cursor_bool(c);
	return cursor_end(c);
}

const char *objects_decode_node_addrs(struct cursor *c, struct node_addrs_part *p)
{
	p->first = cursor_bool(c);
	p->last = cursor_bool(c);
	p->count = 0;
	decode_ips(c, NODE_ADDRS_PART_MAX, p->addrs, NULL, &p->count);
	return cursor_end(c);
}

const char *objects_decode_service_cidrs(struct cursor *c, struct ip_cidr **cidrs, uint32_t *n)
{
	*cidrs = NULL;
	*n = 0;
	decode_cidrs(c, SERVICE_CIDRS_MAX, NULL, cidrs, n);
	return cursor_end(c);
}
