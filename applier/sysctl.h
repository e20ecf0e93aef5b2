/* The kernel's parameters that a proxy sets: once, with privilege, before the lock-down. */
#ifndef APPLIER_SYSCTL_H
#define APPLIER_SYSCTL_H

#include "ipc/config.h"

/*
 * Sets what CFG asks for, from a compiled-in list of paths: connection tracking, the processes'
 * place when memory runs out, node ports on loopback. After ipt_backend_open(), which has the
 * kernel load connection tracking. What is as it should be is not written; what cannot be set is a
 * warning with its path, and no more: a node works without.
 */
void sysctl_apply(const struct config *cfg);
/* Has PATH hold VALUE; with ONLY_RAISE at least VALUE. As above. */
void sysctl_set(const char *path, int value, bool only_raise);

#endif
