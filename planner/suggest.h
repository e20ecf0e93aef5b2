/* The narrowest policy of the node (common/node_policy.h) that the present objects fit. Pure. */
#ifndef PLANNER_SUGGEST_H
#define PLANNER_SUGGEST_H

#include <stdio.h>

#include "planner/store.h"

/*
 * Prints it on OUT as flags, a line each. ServiceCIDRs and the pods' network count as wholes where
 * something of them is used, as the next ClusterIP and the next pod are anywhere in them; of more
 * than NODE_POLICY_PREFIXES_MAX addresses those that are near each other share a prefix.
 */
void suggest_policy(const struct store *s, FILE *out);

#endif
