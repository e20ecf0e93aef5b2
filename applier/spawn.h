/*
 * Starting the children. Each gets its own uid, no capability, no group, no way to either, a fixed
 * set of descriptors and an empty environment BEFORE it is executed.
 */
#ifndef APPLIER_SPAWN_H
#define APPLIER_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* Who the processes are: sysusers.d's _kproxy-a, -p, -w, -l. */
struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	bool known; /* found in /etc/passwd */
};
enum { USER_APPLIER, USER_PLANNER, USER_WATCHER, USER_LISTENER, USER_COUNT };

/*
 * Fills USERS from /etc/passwd (files only: no name service code runs in the privileged process).
 * Returns how many are missing.
 */
int users_load(struct user users[USER_COUNT]);

#define CHILD_FDS_MAX 4

struct child {
	const char *program;	     /* file name: kube-proxy-planner ... */
	char *const *argv;	     /* NULL-terminated, with argv[0] */
	const struct user *user;     /* NULL: keep the own (started without privilege) */
	bool keep_stdout;	     /* else /dev/null */
	int config_fd;		     /* becomes FD_CONFIG */
	int channels[CHILD_FDS_MAX]; /* become FD_FIRST_CHANNEL and on; -1 ends */
};

/*
 * Forks and executes. Returns the pid; fatal() if the child cannot be started. The parent keeps the
 * other end of the child's FD_LIFE for ever: when it closes, the kernel kills the child.
 */
pid_t child_spawn(const struct child *c);

#endif
