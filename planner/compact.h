/*
 * An object of the API in one allocation, only what can be programmed of it, in a form that
 * compares as memory.
 */
#ifndef PLANNER_COMPACT_H
#define PLANNER_COMPACT_H

#include <stdbool.h>

#include "ipc/objects.h"
#include "planner/store.h"

/* The caller frees what they return. What cannot be programmed, or POLICY does not allow, is left
 * out without a word ... */
struct service_spec *compact_service(const struct service *in, const struct node_policy *policy);
/* NODE_NAME is our own. */
struct stored_slice *compact_slice(
    const struct slice *in, const char *node_name, const struct node_policy *policy);

bool compact_service_equal(const struct service_spec *a, const struct service_spec *b);
bool compact_slice_equal(const struct stored_slice *a, const struct stored_slice *b);

/* ... and these say it, once per change of the object. SPEC is compact_service(IN). */
void compact_service_explain(
    const struct service *in, const struct service_spec *spec, const struct node_policy *policy);
void compact_slice_explain(const struct slice *in, const struct node_policy *policy);

#endif
