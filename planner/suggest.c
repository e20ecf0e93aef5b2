#include "planner/suggest.h"

#include <stdlib.h>
#include <string.h>

#include "common/node_policy.h"
#include "planner/memory.h"
#include "planner/own_node.h"

#define OF_A_FAMILY (NODE_POLICY_PREFIXES_MAX / FAMILY_COUNT)

/* What is in use, of one family. */
struct nets {
	struct ip_cidr *nets;
	size_t count, room;
};

static void add(struct nets *n, const struct ip_cidr *net)
{
	n->nets = memory_grow(n->nets, &n->room, n->count + 1, sizeof(*n->nets));
	n->nets[n->count++] = *net;
}

/* A as the narrowest of NETS that has it, else alone. */
static void add_address(struct nets to[FAMILY_COUNT], const struct ip_addr *a,
    const struct ip_cidr *nets, uint32_t net_count)
{
	const struct ip_cidr alone = {*a, ip_bits(a->family)}, *net = NULL;

	for (uint32_t i = 0; i < net_count; i++)
		if (ip_cidr_contains(&nets[i], a) && (net == NULL || nets[i].bits > net->bits))
			net = &nets[i];
	add(&to[a->family], net != NULL ? net : &alone);
}

static int net_cmp(const void *a, const void *b)
{
	const struct ip_cidr *x = a, *y = b;
	int n = ip_cmp(&x->addr, &y->addr);

	return n != 0 ? n : x->bits - y->bits;
}

/* How many bits A and B have in common, up to those of the shorter. */
static uint8_t common_bits(const struct ip_cidr *a, const struct ip_cidr *b)
{
	uint8_t bits = a->bits < b->bits ? a->bits : b->bits, n = 0;

	while (n < bits && ((a->addr.b[n / 8] ^ b->addr.b[n / 8]) & 0x80 >> n % 8) == 0)
		n++;
	return n;
}

static void cut(struct ip_cidr *net, uint8_t bits)
{
	net->bits = bits;
	for (unsigned i = bits; i < ip_bits(net->addr.family); i++)
		net->addr.b[i / 8] = (uint8_t)(net->addr.b[i / 8] & ~(0x80 >> i % 8));
}

/* Joins neighbours that have at least BITS in common. */
static void join(struct nets *n, uint8_t bits)
{
	size_t kept = 0;

	for (size_t i = 0; i < n->count; i++) {
		const uint8_t common = kept > 0 ? common_bits(&n->nets[kept - 1], &n->nets[i]) : 0;

		if (kept > 0 && (common >= bits || common == n->nets[kept - 1].bits))
			cut(&n->nets[kept - 1], common);
		else
			n->nets[kept++] = n->nets[i];
	}
	n->count = kept;
}

/* Prints them, no more than there may be, and frees them. */
static void print(FILE *out, const char *flag, struct nets nets[FAMILY_COUNT])
{
	const char *before = "=";
	char text[CIDR_STRLEN];

	if (nets[FAMILY_4].count + nets[FAMILY_6].count == 0)
		return;
	fprintf(out, "--%s", flag);

	for (uint8_t f = 0; f < (uint8_t)FAMILY_COUNT; f++) {
		struct nets *n = &nets[f];

		if (n->count > 0)
			qsort(n->nets, n->count, sizeof(*n->nets), net_cmp);
		join(n, ip_bits(f));
		for (uint8_t bits = ip_bits(f); n->count > OF_A_FAMILY && bits-- > 0;)
			join(n, bits);
		for (size_t i = 0; i < n->count; i++, before = ",")
			fprintf(out, "%s%s", before, ip_cidr_format(&n->nets[i], text));
		free(n->nets);
	}
	fputc('\n', out);
}

/* --- what is in use --- */

struct ports {
	uint16_t low, high;
};

static void add_port(struct ports *p, uint16_t port)
{
	if (port == 0)
		return;
	if (p->low == 0 || port < p->low)
		p->low = port;
	if (port > p->high)
		p->high = port;
}

static void add_service(const struct store *s, const struct service_spec *spec,
    struct nets frontends[FAMILY_COUNT], struct ports *ports)
{
	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			add_address(
			    frontends, &spec->ips[k][i], s->service_cidrs, s->service_cidr_count);
	for (uint32_t i = 0; i < spec->port_count; i++)
		add_port(ports, spec->ports[i].node_port);
	add_port(ports, spec->health_check_node_port);
}

static void add_slice(
    const struct store *s, const struct stored_slice *e, struct nets endpoints[FAMILY_COUNT])
{
	const struct config *cfg = s->own->cfg;

	for (uint32_t i = 0; i < e->endpoint_count; i++) {
		struct ip_addr a = {.family = e->family};

		memcpy(a.b, e->endpoints[i].addr, sizeof(a.b));
		add_address(endpoints, &a, cfg->cluster_cidrs, cfg->cluster_cidr_count);
	}
}

void suggest_policy(const struct store *s, FILE *out)
{
	struct nets frontends[FAMILY_COUNT] = {{0}}, endpoints[FAMILY_COUNT] = {{0}};
	struct stored_service *v;
	struct ports ports = {0};

	RB_FOREACH (v, service_tree, (struct service_tree *)(uintptr_t)&s->services) {
		const struct service_spec *spec = v->spec;
		const struct stored_slice *e;

		if (spec == NULL)
			continue;
		add_service(s, spec, frontends, &ports);
		LIST_FOREACH (e, &v->slices, of_service)
			add_slice(s, e, endpoints);
	}
	fprintf(out, "--policy-node-port-range=%u-%u\n", ports.low != 0 ? ports.low : 30000,
	    ports.low != 0 ? ports.high : 32767);
	print(out, "policy-frontends", frontends);
	print(out, "policy-endpoints", endpoints);
}
