#include "planner/conntrack.h"

#include <string.h>

#include "common/log.h"

void conntrack_init(struct conntrack *c, struct udp_index *udp, txn_sink send, void *arg)
{
	memset(c, 0, sizeof(*c));
	c->udp = udp;
	c->send = send;
	c->arg = arg;
}

void conntrack_want(struct conntrack *c, unsigned families)
{
	c->wanted |= families;
	if (c->running || c->wanted == 0)
		return;
	c->family = c->wanted & 1u << FAMILY_4 ? FAMILY_4 : FAMILY_6;
	c->wanted &= ~(1u << c->family);
	c->running = true;
	udp_pass_begins(c->udp, c->family);
	flows_encode_request(&c->frame, c->family);
	c->send(c->arg, &c->frame);
}

const char *conntrack_part(struct conntrack *c, struct cursor *in)
{
	const char *why = flows_decode_part(in, &c->part);
	struct flows_choice choice = {0};

	if (why == NULL && !c->running)
		why = "flows nobody asked for";
	if (why != NULL)
		return why;
	for (uint32_t i = 0; i < c->part.count; i++)
		if (udp_is_stale(c->udp, &c->part.flows[i]))
			choice.places[choice.count++] = (uint16_t)i;
	flows_encode_choice(&c->frame, &choice);
	c->send(c->arg, &c->frame);
	return NULL;
}

const char *conntrack_end(struct conntrack *c, struct cursor *in)
{
	struct flows_end e;
	const char *why = flows_decode_end(in, &e);
	int family = c->family == FAMILY_4 ? 4 : 6;

	if (why == NULL && !c->running)
		why = "the end of flows nobody asked for";
	if (why != NULL)
		return why;
	log_debug(2, "IPv%d: %llu of %llu UDP flows were stale and are deleted", family,
	    (unsigned long long)e.deleted, (unsigned long long)e.seen);
	if (e.error != 0 && !c->failed)
		log_warn(
		    "IPv%d: stale UDP flows may stay: %s; needs connection tracking over netlink "
		    "(nf_conntrack_netlink)",
		    family, strerror(e.error));
	c->failed = e.error != 0;
	c->deleted = e.deleted;
	c->running = false;
	udp_pass_ended(c->udp, c->family);
	conntrack_want(c, 0);
	return NULL;
}
