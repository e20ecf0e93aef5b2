/* The applier's lock-down; any failure is fatal(). */
#ifndef APPLIER_LOCKDOWN_H
#define APPLIER_LOCKDOWN_H

#include <stddef.h>
#include <sys/capability.h>
#include <sys/types.h>

#include "ipc/config.h"

/*
 * Writes the names of the capabilities that the parent needs at start and has not into BUF, each
 * after a space. Returns how many are missing.
 */
int capabilities_missing(char *buf, size_t size);

/*
 * The parent's lock-down, once everything is open and every child is started: uid, CAP_NET_ADMIN
 * alone, no new privileges, Landlock, seccomp. Afterwards it can neither execute, fork, open,
 * connect, nor change who it is. MODE (enum proxy_mode) says what it needs.
 */
void lockdown(uid_t uid, gid_t gid, uint8_t mode);

#endif
