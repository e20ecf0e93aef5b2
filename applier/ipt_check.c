/* What may be in a rule: the arguments that ipt_rule_check() allows. */
#include <netinet/in.h>
#include <string.h>

#include "applier/ipt_tables.h"

bool svcport_name_valid(const char *name)
{
	static const char behind[] = "/:"; /* ... the labels; nothing behind the third */

	for (size_t i = 0; i < sizeof(behind); i++, name++) {
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

		if (len == 0 || len > 63 || name[0] == '-' || name[len - 1] == '-')
			return false;
		name += len;
		if (*name == '\0')
			return i > 0;
		if (*name != behind[i])
			return false;
	}
	return false;
}

static const char *check_addresses(const struct ipt_rule *r, uint16_t args, uint8_t family)
{
	if ((args & ARG_NET) != 0) {
		if (r->net.addr.family != family)
			return "a prefix of the other address family";
		if (!ip_cidr_is_canonical(&r->net))
			return "a prefix with host bits or too many bits";
	}
	if ((args & ARG_DST) != 0) {
		if (r->dst.family != family)
			return "a destination of the other address family";
		/* Nobody's loopback, metadata service or multicast is to be taken over. */
		if (!ip_is_endpoint(&r->dst))
			return "a destination that is no plain unicast address";
	}
	if ((args & ARG_TO) != 0) {
		if (r->to.family != family)
			return "an endpoint of the other address family";
		if (!ip_is_endpoint(&r->to))
			return "an endpoint that is no plain unicast address";
		if (r->to_port == 0)
			return "an endpoint's port 0";
	}
	return NULL;
}

static const char *check_target(
    const struct ipt_rule *r, const struct ipt_template *t, const struct ipt_chain *c)
{
	struct ipt_chain target = {.family = c->family, .table = c->table, .kind = r->target_kind};

	memcpy(target.hash, r->target_hash, sizeof(target.hash));
	if (!ipt_chain_valid(&target))
		return "a jump to a chain that cannot exist";
	if ((t->targets & 1u << r->target_kind) == 0)
		return "a jump to a chain this template may not jump to";
	/* among the prefixes' chains the hash's first byte is the rank */
	if (r->target_kind < c->kind ||
	    (r->target_kind == c->kind &&
		(c->kind != CHAIN_NET || r->target_hash[0] <= c->hash[0])))
		return "a jump to a chain of the same or a lower rank";
	return NULL;
}

/* NULL, or which of R's numbers is not in its set. */
static const char *check_numbers(const struct ipt_rule *r, const struct ipt_template *t)
{
	if ((t->args & ARG_PROTO) != 0 && r->proto != IPPROTO_TCP && r->proto != IPPROTO_UDP &&
	    r->proto != IPPROTO_SCTP)
		return "a protocol other than TCP, UDP and SCTP";
	/* Health checks are HTTP: a port for strangers is opened to nothing else. */
	if ((t->args & ARG_PROTO) != 0 && t->verdict == VERDICT_ACCEPT && r->proto != IPPROTO_TCP)
		return "a port accepted for other than TCP";
	if ((t->args & ARG_DPORT) != 0 && r->dport == 0)
		return "a destination port 0";
	if ((t->args & ARG_RELAY) != 0 && r->to_port == 0)
		return "a relay's port 0";
	if ((t->args & ARG_PROBABILITY) != 0 &&
	    (r->probability == 0 || r->probability > UINT32_C(1) << 31))
		return "a probability that is not in 1..2^31";
	if ((t->args & ARG_SECONDS) != 0 && (r->seconds == 0 || r->seconds > 86400))
		return "an affinity that is not of 1..86400 seconds";
	return NULL;
}

const char *ipt_rule_check(const struct ipt_rule *r, const struct ipt_chain *c)
{
	const struct ipt_template *t;
	const char *why;

	if (!ipt_chain_valid(c))
		return "a chain that cannot exist";
	if (r->template >= IPT_TEMPLATE_COUNT)
		return "an unknown template";
	t = &ipt_templates[r->template];
	if (t->table != c->table || (t->chains & 1u << c->kind) == 0)
		return "a template that may not stand in this chain";
	why = check_addresses(r, t->args, c->family);
	if (why == NULL)
		why = check_numbers(r, t);
	if (why == NULL && (t->args & ARG_NAME) != 0 && !svcport_name_valid(r->name))
		why = "a name that is not namespace/name or namespace/name:port of DNS labels";
	if (why == NULL && (t->args & ARG_TARGET) != 0)
		why = check_target(r, t, c);
	return why;
}

/* A port without an address is a node port or one of a health check; a relay's is its own check. */
const char *ipt_rule_allowed(const struct ipt_rule *r, const struct node_policy *p)
{
	const uint16_t args = ipt_templates[r->template].args;
	const char *why = NULL;

	if ((args & ARG_DST) != 0)
		why = node_policy_frontend(p, &r->dst);
	else if ((args & ARG_DPORT) != 0 && r->template != T_RELAY_REJECT)
		why = node_policy_port(p, r->dport);
	return why == NULL && (args & ARG_TO) != 0 ? node_policy_endpoint(p, &r->to) : why;
}
