/* Is there what somebody asks for? Reads only. */
#ifndef PLANNER_SERVICE_SEARCH_H
#define PLANNER_SERVICE_SEARCH_H

#include <stddef.h>

#include "planner/plan_view.h"
#include "planner/service_report.h"

#define SERVICE_SEARCH_MAX 512

/*
 * NULL if FILTER lets a Service pass; else says in BUF that there is no such Service or namespace,
 * and which may be meant. (A namespace is known here by its Services.) The work is bounded by the
 * number of Services times the length of a name.
 */
const char *service_search_missing(const struct plan_view *view,
    const struct service_filter *filter, char buf[SERVICE_SEARCH_MAX]);

#endif
