#include "applier/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "applier/fds.h"
#include "applier/privilege.h"
#include "common/log.h"
#include "ipc/fds.h"

#define CHILD_FDS_MAX 8 /* configuration, life line, five channels, the parent's stat file */

void users_load(struct user users[USER_COUNT])
{
	static const char *const names[USER_COUNT] = {"_kproxy-a", "_kproxy-p", "_kproxy-w",
	    "_kproxy-l", "_kproxy-c", "_kproxy-r", "_kproxy-b"};
	FILE *passwd = fopen("/etc/passwd", "re");
	const struct passwd *pw;

	for (int i = 0; i < USER_COUNT; i++)
		users[i] = (struct user){.name = names[i], .group = NO_GROUP};
	while (passwd != NULL && (pw = fgetpwent(passwd)) != NULL)
		for (int i = 0; i < USER_COUNT; i++)
			if (strcmp(pw->pw_name, users[i].name) == 0 && pw->pw_uid != 0 &&
			    pw->pw_gid != 0) {
				users[i].uid = pw->pw_uid;
				users[i].gid = pw->pw_gid;
				users[i].known = true;
			}
	if (passwd != NULL)
		fclose(passwd);
	if (users[USER_WATCHER].known)
		users[USER_ONESHOT].group = users[USER_WATCHER].gid;
}

/*
 * Opens the program beside our own binary (build tree), else in ../libexec/kube-proxy from there
 * (installed). By descriptor, since the child's own uid may not reach the directory.
 */
static int program_open(const char *program)
{
	static const char *const places[] = {"", "../libexec/kube-proxy/"};
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir;
	int fd = -1;

	self[n < 0 ? 0 : n] = '\0';
	dir = dirname(self);
	for (int i = 0; i < 2 && fd < 0; i++) {
		snprintf(path, PATH_MAX, "%s/%s%s", dir, places[i], program);
		fd = open(path, O_PATH | O_CLOEXEC);
	}
	if (fd < 0)
		fatal(EXIT_CONFIG, "%s: %s; is kube-proxy installed completely?", path,
		    strerror(errno));
	return fd;
}

/* Puts the descriptors at their fixed numbers and closes every other one. */
static void arrange_fds(const int fds[], int life, bool keep_stdout)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int up[CHILD_FDS_MAX], n = 0;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    (!keep_stdout && dup2(null, STDOUT_FILENO) < 0))
		fatal(EXIT_FAILED, "/dev/null: %s", strerror(errno));
	/* First out of the way of each other, then down. */
	up[n++] = fcntl(fds[0], F_DUPFD_CLOEXEC, 100);
	up[n++] = fcntl(life, F_DUPFD_CLOEXEC, 100);
	for (int i = 1; fds[i] >= 0 && n < CHILD_FDS_MAX; i++)
		up[n++] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
	for (int i = 0; i < n; i++)
		if (up[i] < 0 || dup2(up[i], FD_CONFIG + i) < 0)
			fatal(EXIT_FAILED, "descriptors: %s", strerror(errno));
	if (close_range((unsigned)(FD_CONFIG + n), ~0u, 0) != 0)
		fatal(EXIT_FAILED, "close_range: %s", strerror(errno));
}

/*
 * The child must not outlive the parent, hung or stopped or not. PDEATHSIG is not enough: the
 * kernel checks the dying parent's right to signal a process of another uid (kernel/exit.c,
 * check_kill_permission), and the parent has none. A hang-up on a pipe may send a signal on behalf
 * of the process that asked for it, which is the child itself (fcntl(2), F_SETSIG).
 */
static void die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		fatal(EXIT_FAILED, "PDEATHSIG: %s", strerror(errno));
	if (fcntl(FD_LIFE, F_SETOWN, getpid()) != 0 || fcntl(FD_LIFE, F_SETSIG, SIGKILL) != 0 ||
	    fcntl(FD_LIFE, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC) != 0)
		fatal(EXIT_FAILED, "life line: %s", strerror(errno));
	if (getppid() != parent)
		_exit(EXIT_FAILED); /* it died before we listened */
}

/* Bounds that no child ever comes near: no core with secrets in it, no swarm of threads. */
static void limit(void)
{
	static const struct {
		int resource;
		rlim_t max;
	} limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NPROC, 64}};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit l = {limits[i].max, limits[i].max};

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &l) != 0)
			fatal(EXIT_FAILED, "resource limits: %s", strerror(errno));
	}
}

/* When memory runs out the kernel spares the parent alone. */
static void lose_memory_privilege(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char sign;

	if (fd < 0 || read(fd, &sign, 1) != 1 || (sign == '-' && write(fd, "0", 1) != 1))
		log_warn("/proc/self/oom_score_adj cannot be set to 0: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static _Noreturn void execute(
    const char *program, char *const argv[], const struct user *user, int keep, pid_t parent)
{
	enum { KEPT_BY_ALL = 6 };
	/* A proxy's URL may have a password, so the proxy's go to the watcher alone. */
	static const char *const kept[] = {"TZ", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID",
	    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HTTPS_PROXY", "https_proxy",
	    "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"};
	char *env[sizeof(kept) / sizeof(kept[0]) + 1];
	size_t known = sizeof(kept) / sizeof(kept[0]);
	int n = 0, fd = program_open(program);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (user->known) {
		limit();
		lose_memory_privilege();
		drop_bounding_set(keep);
		drop_user(user->uid, user->gid, user->group);
	}
	drop_capabilities_before_exec(user->known ? keep : NO_CAPABILITY);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fatal(EXIT_FAILED, "no_new_privs: %s", strerror(errno));
	die_with_parent(parent);
	if (strcmp(program, "kube-proxy-watcher") != 0)
		known = KEPT_BY_ALL;
	for (size_t i = 0; i < known; i++) {
		const char *value = getenv(kept[i]);

		if (value != NULL && asprintf(&env[n], "%s=%s", kept[i], value) >= 0)
			n++;
	}
	env[n] = NULL;
	fexecve(fd, argv, env);
	fatal(EXIT_CONFIG, "cannot execute %s: %s", program, strerror(errno));
}

pid_t child_spawn(const char *program, char *const argv[], const struct user *user, unsigned marks,
    const int fds[])
{
	pid_t parent = getpid(), pid;
	int life[2]; /* a pipe of its own: owner and signal belong to the open file, not the process
		      */

	/* Our end stays for ever: no fixed number may take its place. */
	if (pipe2(life, O_CLOEXEC) != 0 || (life[1] = fd_move_up(life[1])) < 0)
		fatal(EXIT_FAILED, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fatal(EXIT_FAILED, "fork: %s", strerror(errno));
	if (pid == 0) {
		arrange_fds(fds, life[0], (marks & CHILD_STDOUT) != 0);
		execute(program, argv, user,
		    (marks & CHILD_NET_ADMIN) != 0 ? CAP_NET_ADMIN : NO_CAPABILITY, parent);
	}
	close(life[0]);
	return pid;
}
