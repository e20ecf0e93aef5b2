/*
 * Starting the children. Each gets its own uid and gid, no supplementary group (the one-shot has
 * the watcher's), no way to another or to a capability (the cleaner keeps NET_ADMIN, and has the
 * applier's uid), a fixed set of descriptors and an empty environment BEFORE it is executed.
 */
#ifndef APPLIER_SPAWN_H
#define APPLIER_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* Who the processes are: sysusers.d's _kproxy-a, -p, -w, -l, -c, -r, -b. */
struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t group; /* a supplementary group, or NO_GROUP */
	bool known;  /* found in /etc/passwd */
};
enum {
	USER_APPLIER,
	USER_PLANNER,
	USER_WATCHER,
	USER_LISTENER,
	USER_ONESHOT,
	USER_RELAY,
	USER_BROKER,
	USER_COUNT
};

/*
 * Fills USERS from /etc/passwd (files only: no name service code runs in the privileged process).
 * The one-shot also has the watcher's group, which may read the configuration file.
 */
void users_load(struct user users[USER_COUNT]);

enum { CHILD_STDOUT = 1, CHILD_NET_ADMIN = 2 }; /* MARKS of child_spawn() */

/*
 * Forks and executes PROGRAM (a file name) with ARGV as USER (not KNOWN: as whom we are). FDS,
 * ended by -1, become descriptors 3 (FD_CONFIG), 5 (FD_FIRST_CHANNEL) and on; stdin is /dev/null,
 * and stdout too unless MARKS has CHILD_STDOUT. With CHILD_NET_ADMIN it keeps that
 * capability, unless it runs as whom we are. Returns the pid; fatal() if the child cannot be
 * started. The parent keeps the other end of the child's FD_LIFE for ever: when it closes, the
 * kernel kills the child.
 */
pid_t child_spawn(const char *program, char *const argv[], const struct user *user, unsigned marks,
    const int fds[]);

#endif
