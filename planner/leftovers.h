/*
 * What the cleaner says of other kube-proxies' rules in the kernel. The cleaner may end, or break
 * the protocol: its channel is closed then, and the rest goes on.
 */
#ifndef PLANNER_LEFTOVERS_H
#define PLANNER_LEFTOVERS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/leftovers.h"
#include "planner/report.h"

/* Starts zeroed. */
struct leftovers {
	struct leftovers_row rows[LEFTOVERS_WHERES][FAMILY_COUNT][LEFTOVERS_TABLES];
	struct leftovers_firewall firewalls[LEFTOVERS_FIREWALLS_MAX];
	uint32_t firewall_count;
	struct event *readable;
	int fd;		   /* the cleaner's channel; -1: there is none any more */
	uint32_t frames;   /* that came */
	uint64_t failures; /* the cleaner ended before it was done */
	bool done;	   /* it has said so */
};

/* Reads from the cleaner's channel FD, which it takes over. fatal() without memory. */
void leftovers_start(struct leftovers *l, struct event_base *base, int fd);
/* Notifies the cleaner, once, that the rules of FAMILIES are programmed. */
void leftovers_programmed(struct leftovers *l, const bool families[FAMILY_COUNT]);

/* How many rules there are in WHERE. */
uint64_t leftovers_rules(const struct leftovers *l, enum leftovers_where where);

/* The lists "leftovers" and "firewalls" into OUT, where an object is open; nothing if both are
 * empty. L may be NULL. */
void leftovers_write(const struct leftovers *l, struct report *out);
/* The list "warnings": whose rules may answer a packet of FAMILY before ours; nothing if none. */
void leftovers_write_warnings(const struct leftovers *l, uint8_t family, struct report *out);

#endif
