#include "applier/setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "applier/audit.h"
#include "applier/fds.h"
#include "applier/ipt_backend.h"
#include "applier/log_file.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/relay.h"

#define CLEANER_ARGS_MAX 3

static void channel_pair(int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
		fatal(EXIT_FAILED, "socketpair: %s", strerror(errno));
}

/* A memfd with DATA that nobody, we included, can change any more. */
static int seal(const void *data, size_t len)
{
	int fd = fd_move_up(memfd_create("kube-proxy-config", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd < 0 || write(fd, data, len) != (ssize_t)len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		fatal(EXIT_FAILED, "sealing the configuration: %s", strerror(errno));
	return fd;
}

int setup_config(struct config *cfg, int argc, char **argv, const struct user *user)
{
	static uint8_t buf[FRAME_MAX + 1];
	char **args = calloc((size_t)argc + 2, sizeof(*args));
	int sv[2], fds[2] = {-1, -1}, status;
	const char *why;
	pid_t pid;
	ssize_t n;

	if (args == NULL)
		fatal(EXIT_FAILED, "out of memory");
	args[0] = (char[]){"kube-proxy-watcher"};
	args[1] = (char[]){"-C"};
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	channel_pair(sv);
	fds[0] = sv[1];
	pid = child_spawn("kube-proxy-watcher", args, user, CHILD_STDOUT, fds);
	close(sv[1]);
	n = read(sv[0], buf, sizeof(buf));
	close(sv[0]);
	free(args);
	if (waitpid(pid, &status, 0) != pid)
		fatal(EXIT_FAILED, "waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		fatal(EXIT_FAILED,
		    "the one-shot that reads the configuration (pid %d) was killed by signal "
		    "%d" SANDBOX_SIGSYS_HINT,
		    pid, SIGSYS, pid);
	if (!WIFEXITED(status))
		fatal(EXIT_FAILED,
		    "the one-shot that reads the configuration (pid %d) was killed by signal %d",
		    pid, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0 || n <= 0)
		exit(WEXITSTATUS(status));
	why = config_decode(cfg, buf, (size_t)n);
	if (why != NULL)
		fatal(EXIT_FAILED, "the configuration is broken: %s", why);
	log_configure(cfg->verbosity, cfg->vmodule, cfg->log_json);
	return seal(buf, (size_t)n);
}

static pid_t start(const char *program, const struct user *user, bool keep_stdout, const int fds[])
{
	char *argv[] = {(char *)(uintptr_t)program, NULL}; /* exec writes nothing there */

	return child_spawn(program, argv, user, keep_stdout ? CHILD_STDOUT : 0, fds);
}

/*
 * Opens what the cleaner's user may not. What is not there is empty; what may not be read even by
 * us becomes a descriptor that read(2) and flock(2) refuse, so that the cleaner knows.
 */
static int open_for_cleaner(const char *path, int flags)
{
	int fd = fd_move_up(open(path, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0600));

	if (fd < 0 && errno == ENOENT)
		fd = fd_move_up(open("/dev/null", O_RDONLY | O_CLOEXEC));
	else if (fd < 0)
		fd = fd_move_up(open("/", O_PATH | O_CLOEXEC));
	if (fd < 0)
		fatal(EXIT_FAILED, "%s: %s", path, strerror(errno));
	return fd;
}

pid_t setup_cleaner(const struct config *cfg, int config_fd, const struct user *user, int channel,
    const char *const args[])
{
	char *argv[CLEANER_ARGS_MAX + 2] = {(char[]){"kube-proxy-cleaner"}};
	/* A lock of its own: descriptors of one open file share it. */
	int fds[] = {config_fd, channel,
	    open_for_cleaner(IPT_LOCK_FILE, cfg->check_node ? 0 : O_CREAT),
	    open_for_cleaner("/proc/net/ip_tables_names", 0),
	    open_for_cleaner("/proc/net/ip6_tables_names", 0), -1};
	pid_t pid;

	for (int i = 0; i < CLEANER_ARGS_MAX && args[i] != NULL; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	if (channel < 0)
		fds[1] = open_for_cleaner("/dev/null", 0);
	pid = child_spawn("kube-proxy-cleaner", argv, user,
	    channel < 0 ? CHILD_NET_ADMIN | CHILD_STDOUT : CHILD_NET_ADMIN, fds);
	for (int i = 1; fds[i] >= 0; i++)
		close(fds[i]);
	return pid;
}

/* Is PID a process in the network namespace NETNS whose name begins with NAME? */
static bool is_called(const char *pid, const struct stat *netns, const char *name)
{
	const size_t len = strlen(name);
	char path[64], comm[16];
	struct stat st;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, comm, sizeof(comm));
		close(fd);
	}
	snprintf(path, sizeof(path), "/proc/%.16s/ns/net", pid);
	return n >= (ssize_t)len && memcmp(comm, name, len) == 0 && stat(path, &st) == 0 &&
	       st.st_dev == netns->st_dev && st.st_ino == netns->st_ino;
}

pid_t setup_find_running(bool ours)
{
	/* Nobody else has a planner; the kernel keeps 15 bytes of its name. */
	const char *name = ours ? "kube-proxy-plan" : "kube-proxy";
	DIR *proc = opendir("/proc");
	const struct dirent *d;
	struct stat netns;
	pid_t found = 0;

	if (proc == NULL || stat("/proc/self/ns/net", &netns) != 0)
		return 0;
	while (found == 0 && (d = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		if (pid > 0 && pid != getpid() && is_called(d->d_name, &netns, name))
			found = pid;
	}
	closedir(proc);
	return found;
}

/* The relay and the broker before it. Returns the planner's channel to them. */
static int start_relay(int config_fd, const struct user users[USER_COUNT], pid_t pids[USER_COUNT])
{
	int planner[2], relay[2], dial[2];

	channel_pair(planner);
	channel_pair(relay);
	channel_pair(dial);
	pids[USER_BROKER] = start("kube-proxy-broker", &users[USER_BROKER], false,
	    (int[]){config_fd, planner[1], relay[0], dial[0], -1});
	pids[USER_RELAY] = start("kube-proxy-relay", &users[USER_RELAY], false,
	    (int[]){config_fd, relay[1], dial[1], -1});
	for (int i = 0; i < 2; i++) {
		close(relay[i]);
		close(dial[i]);
	}
	close(planner[1]);
	return planner[0];
}

int setup_children(const struct config *cfg, int config_fd, const struct user users[USER_COUNT],
    pid_t pids[USER_COUNT])
{
	int watcher[2], applier[2] = {-1, -1}, listener[2] = {-1, -1}, cleaner[2] = {-1, -1};
	int relay = -1;
	/* What we use is the planner's to read and to tell: numbers the kernel shows everybody. */
	int use = cfg->dry_run ? -1 : open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	channel_pair(watcher);
	if (!cfg->dry_run) {
		channel_pair(applier);
		channel_pair(cleaner);
		channel_pair(listener);
		pids[USER_LISTENER] = start("kube-proxy-listener", &users[USER_LISTENER], false,
		    (int[]){config_fd, listener[1], -1});
		close(listener[1]);
	}
	if (!cfg->dry_run && relays_wanted(cfg))
		relay = start_relay(config_fd, users, pids);
	pids[USER_PLANNER] = start("kube-proxy-planner", &users[USER_PLANNER], cfg->dry_run,
	    (int[]){config_fd, watcher[0], applier[1], listener[0], use, cleaner[0], relay, -1});
	close(use);
	close(watcher[0]);
	close(applier[1]);
	close(listener[0]);
	close(cleaner[0]);
	close(relay);
	pids[USER_WATCHER] = start(
	    "kube-proxy-watcher", &users[USER_WATCHER], false, (int[]){config_fd, watcher[1], -1});
	close(watcher[1]);
	if (!cfg->dry_run)
		pids[USER_APPLIER] = setup_cleaner(
		    cfg, config_fd, &users[USER_APPLIER], cleaner[1], (const char *const[]){NULL});
	return applier[0];
}

/* A datagram socket connected to PATH ("@name": abstract), or -1 with errno. */
static int connect_datagram(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The next line is chained to the last one. Once locked down nothing reads FD. */
static int continue_log(int fd)
{
	char tail[128];
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(
	    fd, tail, sizeof(tail), end > (off_t)sizeof(tail) ? end - (off_t)sizeof(tail) : 0);

	if (end < 0 || n < 0)
		return -1;
	audit_continue(tail, (size_t)n);
	return fd;
}

void setup_audit(const struct config *cfg, uid_t applier)
{
	int fd;

	if (strcmp(cfg->audit_log, "syslog") == 0)
		fd = connect_datagram("/dev/log");
	else if (strcmp(cfg->audit_log, "stderr") == 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, APPLIER_FD_FREE);
	else
		fd = continue_log(log_file_open(cfg->audit_log, applier));
	if (fd < 0)
		fatal(EXIT_CONFIG, "--audit-log=%s: %s", cfg->audit_log, strerror(errno));
	fd_place(fd, APPLIER_FD_AUDIT);
}

static bool have_notify;

void setup_notify(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int fd;

	if (path == NULL || path[0] == '\0')
		return;
	fd = connect_datagram(path);
	if (fd < 0) {
		log_warn("NOTIFY_SOCKET %s: %s; the service manager will not hear of us", path,
		    strerror(errno));
		return;
	}
	fd_place(fd, APPLIER_FD_NOTIFY);
	have_notify = true;
}

void notify(const char *state)
{
	if (have_notify && write(APPLIER_FD_NOTIFY, state, strlen(state)) < 0)
		log_warn("telling the service manager: %s", strerror(errno));
}

void setup_signals(void)
{
	/* A child that stops has not ended. */
	const struct sigaction ended = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || sigaction(SIGCHLD, &ended, NULL) != 0 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR || (fd = signalfd(-1, &set, SFD_CLOEXEC)) < 0)
		fatal(EXIT_FAILED, "signals: %s", strerror(errno));
	fd_place(fd, APPLIER_FD_SIGNALS);
}
