#include "applier/nft_tables.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const struct nft_set fixed[NFT_AFFINE] = {
    [NFT_SERVICES] = {"services", NFT_FRONTEND | NFT_NAME, false, 0},
    [NFT_MASQ_ALWAYS] = {"masquerade-always", NFT_FRONTEND, false, 0},
    [NFT_MASQ_OUTSIDE] = {"masquerade-outside", NFT_FRONTEND, false, 0},
    [NFT_LOCAL_POLICY] = {"local-policy", NFT_FRONTEND, false, 0},
    [NFT_NO_ENDPOINTS] = {"no-endpoints", NFT_FRONTEND | NFT_NAME, false, 0},
    [NFT_FIREWALL] = {"firewall", NFT_FRONTEND | NFT_NAME, false, 0},
    [NFT_ALLOWED] = {"allowed", NFT_FRONTEND | NFT_NET, false, 0},
    [NFT_CLUSTER_IPS] = {"cluster-ips", NFT_ADDR, false, 0},
    [NFT_SERVICE_CIDRS] = {"service-cidrs", NFT_NET, false, 0},
    [NFT_POD_NETWORKS] = {"pod-networks", NFT_NET, false, 0},
    [NFT_HAIRPIN] = {"hairpin", NFT_ADDR, true, 0},
    [NFT_TIMEOUTS] = {"affinity-timeouts", NFT_SLOT | NFT_SECONDS, false, NFT_AFFINITIES},
};

static struct nft_set make(unsigned id)
{
	struct nft_set s = {.fields = NFT_FRONTEND | NFT_SLOT | NFT_TO | NFT_NAME};

	if (id < NFT_AFFINE)
		return fixed[id];
	if (id < NFT_AFFINITY) {
		s.fields = NFT_FRONTEND;
		snprintf(s.name, sizeof(s.name), "affine-%u", id - NFT_AFFINE);
	} else if (id < NFT_ENDPOINTS) {
		s.fields = NFT_CLIENT | NFT_FRONTEND | NFT_TO;
		snprintf(s.name, sizeof(s.name), "affinity-%u", id - NFT_AFFINITY);
	} else if (id < NFT_DRAW) {
		s.slots = id - NFT_ENDPOINTS + 1;
		snprintf(s.name, sizeof(s.name), "endpoints-%u", s.slots);
	} else {
		bool all = id >= NFT_ALL;

		s.slots = 1u << ((all ? id - NFT_ALL : id - NFT_DRAW) + NFT_DRAW_FIRST);
		snprintf(s.name, sizeof(s.name), "%s-%u", all ? "all" : "draw", s.slots);
	}
	return s;
}

const struct nft_set *nft_set(unsigned id)
{
	static struct nft_set sets[NFT_SET_COUNT]; /* asked for several times an element */

	if (sets[id].fields == 0)
		sets[id] = make(id);
	return &sets[id];
}

static const char *check_addresses(const struct nft_elem *e, uint16_t fields)
{
	if ((fields & NFT_ADDR) != 0 && (e->addr.family != e->family || !ip_is_endpoint(&e->addr)))
		return "an address of the other family, or no plain unicast one";
	if ((fields & NFT_TO) != 0 && (e->to.family != e->family || !ip_is_endpoint(&e->to)))
		return "an endpoint of the other family, or no plain unicast address";
	if ((fields & NFT_TO) != 0 && e->to_port == 0)
		return "an endpoint's port 0";
	if ((fields & NFT_NET) != 0 &&
	    (e->net.addr.family != e->family || !ip_cidr_is_canonical(&e->net)))
		return "a prefix of the other family, with host bits, or with too many bits";
	return NULL;
}

static const char *check_numbers(const struct nft_elem *e, const struct nft_set *s)
{
	uint32_t slot = e->slot < NFT_LOCAL_SLOT ? e->slot : e->slot - NFT_LOCAL_SLOT;

	if ((s->fields & NFT_PROTO) != 0 && e->proto != IPPROTO_TCP && e->proto != IPPROTO_UDP &&
	    e->proto != IPPROTO_SCTP)
		return "a protocol other than TCP, UDP and SCTP";
	if ((s->fields & NFT_PORT) != 0 && e->port == 0)
		return "a port 0";
	if ((s->fields & NFT_SLOT) != 0 && slot >= s->slots)
		return "a number that is never drawn";
	if ((s->fields & NFT_SECONDS) != 0 && (e->seconds == 0 || e->seconds > 86400))
		return "a time-out that is not of 1..86400 seconds";
	return NULL;
}

const char *nft_elem_check(const struct nft_elem *e, bool delete)
{
	const struct nft_set *s = nft_set(e->set);
	uint16_t fields = delete ? (uint16_t)(s->fields & ~(NFT_TO | NFT_NAME)) : s->fields;
	const char *why = nft_set_dynamic(e->set) || e->set == NFT_TIMEOUTS
			      ? "a set that is not the planner's to fill"
			      : check_addresses(e, fields);

	if (why == NULL)
		why = check_numbers(e, s);
	if (why == NULL && (fields & NFT_NAME) != 0 && !svcport_name_valid(e->name))
		why = "a name that is not namespace/name or namespace/name:port of DNS labels";
	return why;
}

const char *nft_elem_allowed(const struct nft_elem *e, const struct node_policy *p)
{
	const uint16_t fields = nft_set(e->set)->fields;
	const bool node_port = (fields & NFT_PORT) != 0 && node_policy_port(p, e->port) == NULL;
	const char *why = NULL;

	if (e->set == NFT_SERVICE_CIDRS)
		why = node_policy_drop(p, &e->net);
	else if (e->set == NFT_HAIRPIN)
		why = node_policy_endpoint(p, &e->addr);
	else if ((fields & NFT_ADDR) != 0 && !node_port)
		why = node_policy_frontend(p, &e->addr);
	return why == NULL && (fields & NFT_TO) != 0 ? node_policy_endpoint(p, &e->to) : why;
}
