/* Which chains of iptables are a kube-proxy's, by name. Nothing else is ever removed. */
#ifndef CLEANER_NAMES_H
#define CLEANER_NAMES_H

#include <stdbool.h>

#include "ipc/leftovers.h"

/*
 * Is NAME in TABLE a chain of a kube-proxy, of any mode and release: one of applier/ipt_tables.c,
 * or of those below? The kubelet's are not.
 */
bool name_is_kube_proxys(enum leftovers_table table, const char *name);

/*
 * Does chain NAME of table filter accept what the policy of HOOK would drop: Services' forwarded
 * traffic, health checks?
 */
bool name_accepts(enum leftovers_hook hook, const char *name);

/* Is the content of NAME used by others as well: does a program that jumps to it rely on it? */
bool name_serves_others(const char *name);

#endif
