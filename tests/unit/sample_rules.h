/* A good rule of each template, and chains for it. */
#ifndef TESTS_UNIT_SAMPLE_RULES_H
#define TESTS_UNIT_SAMPLE_RULES_H

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "applier/ipt_tables.h"
#include "common/ip.h"

static inline struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, text), 0);
	return a;
}

static inline struct ipt_chain chain(uint8_t family, uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = {.family = family, .table = table, .kind = kind};

	if (ipt_chain_kinds[kind].hashed)
		memset(c.hash, hash, sizeof(c.hash));
	return c;
}

/* The one chain of KIND that the samples stand in or jump to. */
static inline struct ipt_chain sample_chain(uint8_t family, uint8_t table, uint8_t kind)
{
	return chain(family, table, kind, kind == CHAIN_SEP ? 2 : 1);
}

/* The first chain that TEMPLATE may stand in. */
static inline struct ipt_chain chain_of(uint8_t family, uint8_t template)
{
	const struct ipt_template *t = &ipt_templates[template];

	return sample_chain(family, t->table, (uint8_t)__builtin_ctz(t->chains));
}

static inline void set_target(struct ipt_rule *r, uint8_t kind)
{
	struct ipt_chain c = sample_chain(FAMILY_4, ipt_templates[r->template].table, kind);

	if (kind == CHAIN_NET) /* of more bits than sample_chain() */
		c.hash[0]++;

	r->target_kind = kind;
	memcpy(r->target_hash, c.hash, sizeof(r->target_hash));
}

/* A rule of TEMPLATE with every argument in order; it jumps to the first kind it may. */
static inline struct ipt_rule rule(uint8_t family, uint8_t template)
{
	struct ipt_rule r = {.template = template,
	    .proto = IPPROTO_TCP,
	    .dport = 443,
	    .to_port = 8443,
	    .probability = UINT32_C(1) << 30,
	    .seconds = 10800,
	    .dst = addr(family == FAMILY_4 ? "10.96.0.1" : "fd00:10::1"),
	    .to = addr(family == FAMILY_4 ? "10.0.0.1" : "fd00::a:1"),
	    .name = "default/kubernetes:https"};

	assert_int_equal(
	    ip_cidr_parse(&r.net, family == FAMILY_4 ? "10.244.0.0/16" : "fd00:244::/56"), 0);
	if ((ipt_templates[template].args & ARG_TARGET) != 0)
		set_target(&r, (uint8_t)__builtin_ctz(ipt_templates[template].targets));
	return r;
}

#endif
