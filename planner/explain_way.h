/*
 * A packet on its way through the rules that iptables mode, userspace mode and ipvs mode have. Of
 * planner/explain_*.c.
 */
#ifndef PLANNER_EXPLAIN_WAY_H
#define PLANNER_EXPLAIN_WAY_H

#include "planner/explain.h"

struct explain_way {
	struct explain *x;
	struct ip_addr dst; /* of the packet as it is now */
	uint16_t port;
	bool translated, marked, masqueraded;
	bool quiet;		 /* no step is told */
	char masqueraded_by[64]; /* the rule */
	double share;		 /* of new clients that come by here */
	unsigned depth;
};

/* Does R match W's packet, the first of its connection, whatever the masquerade mark is? */
bool explain_matches(const struct explain_way *w, const struct ipt_rule *r);
/* ... and with the mark, which rules of the same chain change? */
bool explain_mark_matches(const struct explain_way *w, const struct ipt_rule *r);
/* What the ipset that R asks has of W's packet; NULL: nothing, or R asks none. */
const struct ipvs_item *explain_entry(const struct explain_way *w, const struct ipt_rule *r);

/* What a rule of R's template that matches W's packet is for; NULL: it is no step to tell. */
const char *explain_why(const struct explain_way *w, const struct ipt_rule *r);

/* By the jumps of a built-in chain into ours. Returns whether its way ends there. */
bool explain_hooks(struct explain_way *w, uint8_t table, const char *builtin);
/* E is chosen, for the packet W: is it masqueraded on the way there, and by which rule? */
void explain_masquerade(const struct explain_way *w, struct explain_endpoint *e);

#endif
