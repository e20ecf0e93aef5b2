/*
 * kube-proxy: the privileged parent. Starts the others, gives up what it needs no longer, then
 * executes the planner's transactions until one of its children ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "applier/conntrack.h"
#include "applier/fds.h"
#include "applier/ipt_backend.h"
#include "applier/ipvs_backend.h"
#include "applier/lockdown.h"
#include "applier/nft_backend.h"
#include "applier/policy.h"
#include "applier/privilege.h"
#include "applier/session.h"
#include "applier/setup.h"
#include "applier/spawn.h"
#include "applier/sysctl.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/config.h"
#include "ipc/frame.h"

/* The cleaner has the applier's user, and its place. */
static const char *const roles[USER_COUNT] = {
    "cleaner", "planner", "watcher", "listener", "one-shot", "relay", "broker"};

/* Descriptors 0 to 2 must be open, or a later open() becomes somebody's stderr. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		fatal(EXIT_FAILED, "/dev/null: %s", strerror(errno));
	close(fd);
}

/* Waits for watcher and planner, who print the plan; returns the exit status. */
static int dry_run(const struct config *cfg, int config_fd, const struct user users[USER_COUNT])
{
	pid_t pids[USER_COUNT] = {0};
	int code = EXIT_OK, status;

	setup_children(cfg, config_fd, users, pids);
	close(config_fd);
	while (wait(&status) > 0) /* the first failure counts: the other ends without one */
		if (code == EXIT_OK)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
	return code;
}

#define GO_ON (-1) /* in place of an exit status */

/* Logs which child ended and why. Returns the exit status that this makes ours. */
static int report_child(int role, pid_t pid, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RESTART)
		log_info("%s (pid %d) exited for a planned restart", roles[role], pid);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK)
		log_info("%s (pid %d) exited because another process did", roles[role], pid);
	else if (WIFEXITED(status))
		log_error(
		    "%s (pid %d) exited with status %d", roles[role], pid, WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		log_error("%s (pid %d) was killed by signal %d" SANDBOX_SIGSYS_HINT, roles[role],
		    pid, SIGSYS, pid);
	else
		log_error(
		    "%s (pid %d) was killed by signal %d", roles[role], pid, WTERMSIG(status));
	if (WIFEXITED(status) &&
	    (WEXITSTATUS(status) == EXIT_CONFIG || WEXITSTATUS(status) == EXIT_RESTART))
		return WEXITSTATUS(status);
	return EXIT_FAILED;
}

/*
 * Reaps whatever has ended. The exit status that the end of a child makes ours, or GO_ON: the
 * cleaner's is none, nor that of an orphan, which PID 1 of a container inherits.
 */
static int reap(const pid_t pids[USER_COUNT])
{
	int code = GO_ON, status, end;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int role = USER_COUNT - 1;

		while (role >= 0 && pids[role] != pid)
			role--;
		if (role < 0 || (role == USER_APPLIER && status == 0))
			continue;
		end = report_child(role, pid, status);
		if (role != USER_APPLIER && (code == GO_ON || end != EXIT_FAILED))
			code = end;
	}
	return code;
}

/*
 * A child ended, so all do. The end of one closes channels of others, whose end may be seen first:
 * reports each that follows at once, so that the log has the cause among them.
 */
static int all_end(const pid_t pids[USER_COUNT], int code)
{
	struct pollfd p = {.fd = APPLIER_FD_SIGNALS, .events = POLLIN};
	struct signalfd_siginfo info;
	int end;

	do {
		end = reap(pids);
		if (end != GO_ON && end != EXIT_FAILED)
			code = end;
	} while (poll(&p, 1, 200) > 0 && read(p.fd, &info, sizeof(info)) > 0);
	if (code == EXIT_RESTART)
		log_info("exiting with status %d, rules stay in place", code);
	else
		log_error("exiting with status %d, rules stay in place", code);
	return code;
}

/*
 * Handles what the signalfd says. Returns our exit status, or GO_ON: SIGHUP asks for a planned
 * restart.
 */
static int take_signal(const pid_t pids[USER_COUNT])
{
	struct signalfd_siginfo info;
	int code;

	if (read(APPLIER_FD_SIGNALS, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
	    info.ssi_signo != SIGCHLD) {
		code = info.ssi_signo == SIGHUP ? EXIT_RESTART : EXIT_OK;
		log_info("SIG%s: exiting with status %d, rules stay in place",
		    sigabbrev_np((int)info.ssi_signo), code);
		notify("STOPPING=1");
		return code;
	}
	code = reap(pids);
	return code == GO_ON ? GO_ON : all_end(pids, code);
}

static int serve(struct session *session, const pid_t pids[USER_COUNT], bool nftables)
{
	static uint8_t buf[FRAME_MAX + 1]; /* one more, so that a longer datagram shows */
	struct pollfd fds[] = {{.fd = APPLIER_FD_SIGNALS, .events = POLLIN},
	    {.fd = APPLIER_FD_PLANNER, .events = POLLIN},
	    {.fd = nftables ? APPLIER_FD_NFT : -1, .events = POLLIN}};

	for (;;) {
		const char *why = NULL;
		ssize_t n = 1;

		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			log_error("poll: %s", strerror(errno));
			return EXIT_FAILED;
		}
		if (fds[0].revents != 0) {
			int code = take_signal(pids);

			if (code != GO_ON)
				return code;
		}
		if (fds[1].revents != 0)
			n = read(APPLIER_FD_PLANNER, buf, sizeof(buf));
		if (n <= 0) {
			log_info("the planner has closed its channel");
			return all_end(pids, EXIT_FAILED);
		}
		if (why == NULL && fds[1].revents != 0)
			why = session_frame(session, buf, (size_t)n);
		/* After a frame as well: others' doings may have been read along with answers. */
		if (why == NULL && nftables)
			why = session_kernel(session);
		if (why != NULL) {
			log_error(
			    "the planner broke the rules: %s; every rule stays, all end", why);
			return EXIT_FAILED;
		}
	}
}

/* Who runs the one-shot and a dry run: the children's users if we may, else ourselves. */
static void fall_back(struct user users[USER_COUNT], bool privileged)
{
	for (int i = 0; i < USER_COUNT; i++)
		if (!privileged)
			users[i].known = false;
		else if (!users[i].known)
			users[i] = (struct user){"nobody", 65534, 65534, NO_GROUP, true};
}

#define USERS_TEXT_MAX 64

/* The names of those of USERS that are missing, each after a space. */
static const char *missing_users(char who[USERS_TEXT_MAX], const struct user users[USER_COUNT])
{
	who[0] = '\0';
	for (size_t i = 0, len = 0; i < USER_COUNT; i++)
		if (!users[i].known && len < USERS_TEXT_MAX)
			len +=
			    (size_t)snprintf(who + len, USERS_TEXT_MAX - len, " %s", users[i].name);
	return who;
}

/* An error that says what to do, unless all is well. */
static void require_preparation(const char *capabilities, const struct user users[USER_COUNT])
{
	char who[USERS_TEXT_MAX];

	if (capabilities[0] != '\0')
		fatal(EXIT_CONFIG,
		    "missing capabilities:%s. Start kube-proxy as root or by its systemd "
		    "unit; --help, --version and --dry-run work without",
		    capabilities);
	if (missing_users(who, users)[0] != '\0')
		fatal(EXIT_CONFIG,
		    "missing users:%s (not in /etc/passwd, or with uid or gid 0). Create them with "
		    "systemd-sysusers (packaging/kube-proxy.sysusers), or: for u in%s; do useradd "
		    "-r -M -s /usr/sbin/nologin $u; done",
		    who, who);
	for (size_t i = 0; i < USER_COUNT; i++)
		for (size_t k = 0; k < i; k++)
			if (users[i].uid == users[k].uid || users[i].gid == users[k].gid)
				fatal(EXIT_CONFIG, "users %s and %s share a uid or gid",
				    users[k].name, users[i].name);
}

/* --cleanup, --check-node: the cleaner alone, whose exit status is ours. */
static int run_cleaner(const struct config *cfg, int config_fd, const struct user *user,
    const char *missing_capabilities, const struct user users[USER_COUNT])
{
	const pid_t running = cfg->cleanup ? setup_find_running(cfg->cleanup_keep != 0) : 0;
	char who[USERS_TEXT_MAX];
	int status;
	pid_t pid;

	if (running != 0)
		fatal(EXIT_FAILED,
		    "cleanup: a kube-proxy runs in this network namespace (pid %d) and would "
		    "put its rules back: stop it first (systemctl stop kube-proxy); nothing was "
		    "removed",
		    running);
	pid = setup_cleaner(cfg, config_fd, user, -1,
	    (const char *const[]){missing_capabilities, missing_users(who, users), NULL});
	if (waitpid(pid, &status, 0) != pid)
		fatal(EXIT_FAILED, "waitpid: %s", strerror(errno));
	if (!WIFEXITED(status))
		fatal(EXIT_FAILED, "the cleaner was killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* Opened as whoever asks may, read by a child that may nothing. Returns the exit status. */
static int verify_audit_log(const char *path, const struct user *user)
{
	char *argv[] = {(char[]){"kube-proxy-watcher"}, (char[]){"-V"}, NULL};
	int fds[] = {fd_move_up(open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC)), -1}, status;
	pid_t pid;

	if (fds[0] < 0)
		fatal(EXIT_CONFIG, "--verify-audit-log=%s: %s", path, strerror(errno));
	pid = child_spawn("kube-proxy-watcher", argv, user, CHILD_STDOUT, fds);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		fatal(EXIT_FAILED, "--verify-audit-log: the child that reads the log was killed");
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	static const char verify[] = "--verify-audit-log=";
	static struct config cfg;
	struct user users[USER_COUNT], unready[USER_COUNT];
	char missing_capabilities[128];
	pid_t pids[USER_COUNT] = {0};
	struct session *session;
	struct policy *policy;
	int config_fd;

	open_standard_fds();
	log_init("kube-proxy");
	umask(077);
	users_load(users);
	memcpy(unready, users, sizeof(users));
	fall_back(
	    unready, capabilities_missing(missing_capabilities, sizeof(missing_capabilities)) == 0);
	if (argc == 2 && strncmp(argv[1], verify, sizeof(verify) - 1) == 0)
		return verify_audit_log(argv[1] + sizeof(verify) - 1, &unready[USER_ONESHOT]);
	config_fd = setup_config(&cfg, argc, argv, &unready[USER_ONESHOT]);
	if (cfg.dry_run)
		return dry_run(&cfg, config_fd, unready);
	if (cfg.check_node)
		return run_cleaner(
		    &cfg, config_fd, &unready[USER_APPLIER], missing_capabilities, users);
	require_preparation(missing_capabilities, users);
	if (cfg.cleanup)
		return run_cleaner(&cfg, config_fd, &users[USER_APPLIER], "", users);
	policy = policy_new(&cfg, APPLIER_FD_AUDIT);
	if (cfg.mode == MODE_NFTABLES)
		nft_backend_open(policy);
	else
		ipt_backend_open(policy);
	if (cfg.mode == MODE_IPVS)
		ipvs_backend_open(policy, &cfg);
	policy_freeze(policy);
	sysctl_apply(&cfg);
	if (cfg.init_only)
		return EXIT_OK;
	setup_audit(&cfg, users[USER_APPLIER].uid);
	setup_notify();
	conntrack_open();
	setup_signals();
	fd_place(setup_children(&cfg, config_fd, users, pids), APPLIER_FD_PLANNER);
	close(config_fd);
	session = session_new(policy, APPLIER_FD_PLANNER);
	lockdown(users[USER_APPLIER].uid, users[USER_APPLIER].gid, cfg.mode);
	log_info("kube-proxy " VERSION ": planner %d, watcher %d, listener %d; locked down",
	    pids[USER_PLANNER], pids[USER_WATCHER], pids[USER_LISTENER]);
	notify("READY=1\nSTATUS=starting");
	return serve(session, pids, cfg.mode == MODE_NFTABLES);
}
