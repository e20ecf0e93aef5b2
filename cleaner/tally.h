/* What a scan has found, by place, and what of it the planner and the log have been told. */
#ifndef CLEANER_TALLY_H
#define CLEANER_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/leftovers.h"

/* Starts zeroed. */
struct tally {
	struct leftovers_row rows[LEFTOVERS_WHERES][FAMILY_COUNT][LEFTOVERS_TABLES];
	struct leftovers_row told[LEFTOVERS_WHERES][FAMILY_COUNT][LEFTOVERS_TABLES];
	struct leftovers_firewall firewalls[LEFTOVERS_FIREWALLS_MAX];
	uint32_t firewall_count;
	bool firewalls_told;
};

/* The row of a place, emptied: what is there is counted into it. */
struct leftovers_row *tally_begin(
    struct tally *t, enum leftovers_where where, uint8_t family, enum leftovers_table table);
/* NAME is an example of what is in R, while there is room for one. */
void tally_name(struct leftovers_row *r, const char *name);
/* ... for this reason it stays: examples of what was found before are forgotten. */
void tally_stays(struct leftovers_row *r, enum leftovers_why why, const char *name);

/* What is there of FAMILY stays: it is not programmed. */
void tally_keep_family(struct tally *t, unsigned family);

/* Is nothing left anywhere? Is what is left all kept for ever, so that nothing remains to do? */
bool tally_empty(const struct tally *t);
bool tally_settled(const struct tally *t);

/* What is there now is nothing to report. */
void tally_remember(struct tally *t);
/*
 * Logs what has changed since the last call and, unless FD is -1, sends it there. False if the
 * planner is gone.
 */
bool tally_report(struct tally *t, int fd);

#endif
