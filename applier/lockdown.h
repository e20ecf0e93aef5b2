/*
 * Giving up privilege, step by step, each checked; any failure is fatal(). Used whole by the
 * parent, and in parts by each child between fork and exec.
 */
#ifndef APPLIER_LOCKDOWN_H
#define APPLIER_LOCKDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/types.h>

#include "ipc/config.h"

/*
 * Writes the names of the capabilities that the parent needs at start and has not into BUF, each
 * after a space. Returns how many are missing.
 */
int capabilities_missing(char *buf, size_t size);

/* Empties the bounding and ambient sets and locks the securebits: exec never gains anything. */
void drop_bounding_set(void);
/* Becomes UID and GID for good, with no other group. */
void drop_user(uid_t uid, gid_t gid);
/* Keeps only the COUNT capabilities of KEEP, permitted and effective; nothing inheritable. */
void drop_capabilities(const cap_value_t *keep, int count);

/*
 * The parent's lock-down, once everything is open and every child is started: uid, CAP_NET_ADMIN
 * alone, no new privileges, Landlock, seccomp. Afterwards it can neither execute, fork, open,
 * connect, nor change who it is. MODE (enum proxy_mode) says what it needs.
 */
void lockdown(uid_t uid, gid_t gid, uint8_t mode);

#endif
