/* What the parent does with privilege before it locks itself down, other than the backends' part.
 */
#ifndef APPLIER_SETUP_H
#define APPLIER_SETUP_H

#include <sys/types.h>

#include "applier/spawn.h"
#include "ipc/config.h"

/*
 * Has the unprivileged one-shot read flags and files (as USER). Fills CFG and returns the
 * sealed memfd that holds it. When the one-shot has said all there is to say (--help, a wrong
 * flag), this exits with its status.
 */
int setup_config(struct config *cfg, int argc, char **argv, const struct user *user);

/*
 * Starts the cleaner as USER; ARGS are its arguments, ended by NULL. CHANNEL is its end of the
 * channel to the planner, or -1: it then has the parent's stdout. Returns its pid.
 */
pid_t setup_cleaner(const struct config *cfg, int config_fd, const struct user *user, int channel,
    const char *const args[]);
/*
 * The pid of a kube-proxy, of whatever make, that runs in our network namespace, or 0 if there is
 * none or /proc does not show it. OURS: only that of this program's planner. At least root must
 * ask, as --cleanup does.
 */
pid_t setup_find_running(bool ours);

/*
 * Starts watcher, planner, listener, relay (if CFG wants relays) and cleaner with their channels;
 * with CFG->dry_run only the first two. PIDS gets them in the order of USER_*; the cleaner, which
 * has the applier's user, is in the applier's place. Returns the applier's end of the planner's
 * channel, or -1 with dry_run.
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
