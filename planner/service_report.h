/*
 * What the proxy makes of a service port: its frontends and what becomes of packets to them, its
 * endpoints and why each is used or not. Reads only.
 */
#ifndef PLANNER_SERVICE_REPORT_H
#define PLANNER_SERVICE_REPORT_H

#include "planner/plan_view.h"
#include "planner/report.h"

/* The place of a service port in a list of all: of this service, or of the first one after it. */
struct service_place {
	char namespace[NAME_MAX_LABEL], name[NAME_MAX_LABEL]; /* "", "": before all */
	uint32_t port;
	uint8_t family;
};

/* Whose service ports are asked for; "": all. */
struct service_filter {
	char namespace[NAME_MAX_LABEL], name[NAME_MAX_LABEL];
};

/*
 * Adds the service port at AT, or the next one there is that FILTER lets pass, to the list that is
 * open in OUT, and moves AT behind it. False if there is none.
 */
bool service_report_next(const struct plan_view *view, const struct service_filter *filter,
    struct service_place *at, struct report *out);

/* --- for the modes --- */

/* The frontends that V's port INDEX has in FAMILY, into the list that is open in OUT. */
void service_report_ipvs(const struct plan_view *view, struct report *out,
    const struct stored_service *v, uint32_t index, uint8_t family);

#endif
