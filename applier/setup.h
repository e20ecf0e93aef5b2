/* What the parent does with privilege before it locks itself down, other than the backends' part.
 */
#ifndef APPLIER_SETUP_H
#define APPLIER_SETUP_H

#include <sys/types.h>

#include "applier/spawn.h"
#include "ipc/config.h"

/*
 * Has the unprivileged one-shot read flags and files (as user WATCHER). Fills CFG and returns the
 * sealed memfd that holds it. When the one-shot has said all there is to say (--help, a wrong
 * flag), this exits with its status.
 */
int setup_config(struct config *cfg, int argc, char **argv, const struct user *watcher);

/* Makes of CFG one that takes iptables mode's rules away. Returns a sealed memfd that holds it. */
int setup_cleanup(struct config *cfg);

/*
 * Starts watcher, planner and listener with their channels; with CFG->dry_run only the first two,
 * with cleanup only the planner. PIDS gets them in the order of USER_*. Returns the applier's end
 * of the planner's channel, or -1 with dry_run.
 */
int setup_children(const struct config *cfg, int config_fd, const struct user users[USER_COUNT],
    pid_t pids[USER_COUNT]);

/* Opens the audit log of CFG and puts it at APPLIER_FD_AUDIT. */
void setup_audit(const struct config *cfg, uid_t applier);

/* Connects to the service manager's NOTIFY_SOCKET, if set, and puts it at APPLIER_FD_NOTIFY. */
void setup_notify(void);
/* Tells the service manager STATE ("READY=1"); nothing without one. */
void notify(const char *state);

/* Puts a signalfd for SIGCHLD, SIGTERM and SIGINT at APPLIER_FD_SIGNALS and blocks these signals.
 */
void setup_signals(void);

#endif
