/*
 * Giving up privilege, step by step, each checked; any failure is fatal(). The applier and the
 * cleaner take all steps; each child takes some between fork and exec.
 */
#ifndef APPLIER_PRIVILEGE_H
#define APPLIER_PRIVILEGE_H

#include <sys/capability.h>
#include <sys/types.h>

#define NO_CAPABILITY (-1)
#define NO_GROUP      ((gid_t)-1)

/*
 * Empties the bounding set and locks the securebits: exec gains nothing. The ambient set is empty
 * afterwards, except for THROUGH_EXEC, which an executed program has too (NO_CAPABILITY: none).
 */
void drop_bounding_set(int through_exec);
/* Becomes UID and GID for good, with GROUP as the only supplementary group (NO_GROUP: none). */
void drop_user(uid_t uid, gid_t gid, gid_t group);
/* Keeps only capability KEEP, permitted and effective (NO_CAPABILITY: none), for this program. */
void drop_capabilities(int keep);
/* The same, and the ambient set stays what drop_bounding_set() made it. */
void drop_capabilities_before_exec(int keep);
/* Tries to regain root's uid and a dropped capability: success is fatal(). */
void try_to_regain(void);

#endif
