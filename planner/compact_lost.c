#include "planner/compact_lost.h"

#include <string.h>

#include "planner/memory.h"

static bool bit(const uint8_t *bits, uint32_t i)
{
	return bits != NULL && bits[i / 8] >> i % 8 & 1;
}

/* Is every port at SPEC's address INDEX of KIND among the frontends LOST? */
static bool lost_address(
    const struct service_spec *spec, enum frontend kind, uint32_t index, const uint8_t *lost)
{
	uint32_t n = 0;

	while (n < spec->port_count && bit(lost, spec_frontend(spec, kind, index, n)))
		n++;
	return spec->port_count > 0 && n == spec->port_count;
}

/* The ports and addresses of SPEC to OUT, except what is LOST. Returns what is behind them. */
static char *copy_kept(
    struct service_spec *out, const struct service_spec *spec, const uint8_t *lost)
{
	struct stored_port *ports = (struct stored_port *)(out + 1);
	struct ip_addr *ips = (struct ip_addr *)(ports + spec->port_count);

	memcpy(ports, spec->ports, spec->port_count * sizeof(*ports));
	out->ports = ports;
	for (uint32_t i = 0; i < spec->port_count; i++)
		if (bit(lost, spec_frontend(spec, FRONTEND_COUNT, 0, i)))
			ports[i].node_port = 0;
	for (unsigned k = 0; k < FRONTEND_COUNT; k++) {
		out->ips[k] = ips;
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++)
			if (!lost_address(spec, (enum frontend)k, i, lost))
				*ips++ = spec->ips[k][i];
		out->ip_counts[k] = (uint32_t)(ips - out->ips[k]);
	}
	return (char *)ips;
}

/* What is LOST of SPEC at the addresses that OUT has, into TO, a bit each. False: nothing is. */
static bool copy_lost(const struct service_spec *out, const struct service_spec *spec,
    const uint8_t *lost, uint8_t *to)
{
	bool any = false;
	uint32_t n = 0;

	for (unsigned k = 0; k < FRONTEND_COUNT; k++)
		for (uint32_t i = 0; i < spec->ip_counts[k]; i++) {
			if (lost_address(spec, (enum frontend)k, i, lost))
				continue;
			for (uint32_t p = 0; p < out->port_count; p++, n++) {
				if (!bit(lost, spec_frontend(spec, (enum frontend)k, i, p)))
					continue;
				to[n / 8] |= (uint8_t)(1u << n % 8);
				any = true;
			}
		}
	return any;
}

struct service_spec *compact_service_without(const struct service_spec *spec, const uint8_t *lost)
{
	const char *ranges = (const char *)spec->source_ranges;
	const char *end = (const char *)(spec + 1) + spec->content_len;
	const size_t rest = (size_t)(end - ranges), bits = (spec_frontends(spec) + 7u) / 8;
	struct service_spec *out =
	    memory_new(sizeof(*out) + spec->content_len + spec->port_count * sizeof(*out->live) +
		       (lost != NULL ? bits : 0));
	char *at;

	*out = *spec;
	at = copy_kept(out, spec, lost);
	out->source_ranges = memcpy(at, ranges, rest);
	out->strings = at + (spec->strings - ranges);
	at += rest;
	if (lost != NULL && copy_lost(out, spec, lost, (uint8_t *)at)) {
		out->lost = (uint32_t)(at - (char *)(out + 1));
		at += bits;
	}
	out->content_len = (uint32_t)(at - (char *)(out + 1));
	out->live = (uint8_t *)at;
	return out;
}
