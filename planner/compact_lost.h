/* A service's specification without what it may not have, in the form of planner/compact.h. */
#ifndef PLANNER_COMPACT_LOST_H
#define PLANNER_COMPACT_LOST_H

#include "planner/store.h"

/*
 * A copy of SPEC, which has all that it asks for, without the frontends that are LOST: a bit each,
 * as spec_frontend() numbers them; NULL: with all. The caller frees it.
 */
struct service_spec *compact_service_without(const struct service_spec *spec, const uint8_t *lost);

#endif
