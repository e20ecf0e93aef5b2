/* An answer to a query, made a part at a time. Reads the plan only. */
#ifndef PLANNER_INSPECTION_H
#define PLANNER_INSPECTION_H

#include "ipc/query.h"
#include "planner/diff.h"
#include "planner/plan_view.h"
#include "planner/report.h"
#include "planner/service_report.h"

struct inspection {
	struct query query;
	uint16_t status;   /* of HTTP */
	struct report out; /* what is written and not taken yet */
	bool ended;	   /* nothing more comes */
	bool changed;	   /* the plan has changed since it began */
	struct service_place at;
};

/* I is zeroed, or ended and emptied. */
void inspection_begin(struct inspection *i, const struct query *q);
/*
 * Writes more, unless there is enough for a part or everything was said. Of a query for
 * differences nothing: that is inspection_differences().
 */
void inspection_write(struct inspection *i, const struct plan_view *view);
/* Writes the whole answer to a query for differences. Returns how many there are. */
uint64_t inspection_differences(struct inspection *i, const struct plan_view *view, struct diff *d);
/* Ends it with STATUS, which counts if nothing was sent yet, and WHY. */
void inspection_refuse(struct inspection *i, uint16_t status, const char *why);
void inspection_clear(struct inspection *i);

#endif
