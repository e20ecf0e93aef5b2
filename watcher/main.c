/*
 * kube-proxy-watcher: the only process with API credentials. It reads Services, EndpointSlices and
 * its Node, from an apiserver or from manifests, and tells the planner; it takes orders from
 * nobody.
 *
 * With -C it is the one-shot instead: flags and files to one CONFIG message, before anything else
 * of the program runs.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applier/ipvs_tables.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "ipc/channel.h"
#include "ipc/config.h"
#include "ipc/fds.h"
#include "ipc/health.h"
#include "ipc/profiled.h"
#include "watcher/addresses.h"
#include "watcher/api_sandbox.h"
#include "watcher/audit_verify.h"
#include "watcher/config_watch.h"
#include "watcher/feed.h"
#include "watcher/kubeconfig.h"
#include "watcher/manifest.h"
#include "watcher/oneshot.h"
#include "watcher/source.h"
#include "watcher/stats.h"

#define PATHS_MAX 32

#define ALLOW_OPEN_TO_READ ALLOW_WITHOUT(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC)

/* The one-shot reads files and writes to what it was given. No socket, no process, no event. */
#define ONESHOT_RULES                                                                              \
	ALLOW(read), ALLOW(newfstatat), ALLOW(fstat), ALLOW(lseek), ALLOW(access),                 \
	    ALLOW(faccessat), ALLOW(faccessat2), ALLOW(write), ALLOW(getcwd),                      \
	    ALLOW(uname) /* gethostname(3) */,                                                     \
	    ALLOW(getppid) /* WATCHDOG_PID names the process that started us */,                   \
	    ALLOW(sysinfo) /* qsort: how much memory is there? */
static const struct sandbox_rule oneshot_rules[] = {ALLOW_OPEN_TO_READ, ONESHOT_RULES};
/* With --write-config-to it makes a file, as far as its user may. */
static const struct sandbox_rule oneshot_write_rules[] = {ALLOW(openat), ONESHOT_RULES};

/* Manifests: files, inotify, the channel. No socket of its own. */
static const struct sandbox_rule manifest_rules[] = {
    ALLOW_OPEN_TO_READ,
    ALLOW(read),
    ALLOW(pread64), /* what this process has used */
    ALLOW(newfstatat),
    ALLOW(fstat),
    ALLOW(lseek),
    ALLOW(access),
    ALLOW(faccessat),
    ALLOW(getdents64),
    ALLOW(readlink), /* realpath(3) */
    ALLOW(inotify_init1),
    ALLOW(inotify_add_watch),
    ALLOW(inotify_rm_watch),
    ALLOW(sysinfo), /* qsort asks for the size of the memory */
    ALLOW(write),
    ALLOW_IF(fcntl, 1, F_GETFL),
    ALLOW(poll),
    ALLOW(epoll_ctl),
    ALLOW(epoll_wait),
    ALLOW(epoll_pwait),
};

#define COUNT(rules) (sizeof(rules) / sizeof((rules)[0]))

/* --- the one-shot --- */

static int send_config(const struct config *cfg)
{
	static struct frame f;

	config_encode(&f, cfg);
	if (!f.overflow && write(FD_CONFIG, f.buf, f.len) == (ssize_t)f.len)
		return EXIT_OK;
	log_error("the configuration cannot be handed over (%s): -C is for kube-proxy to start",
	    f.overflow ? "too long" : strerror(errno));
	return EXIT_FAILED;
}

/*
 * Where the kernel takes TCP segments outside the window for valid already, they are no reason to
 * drop a packet, whoever set it.
 */
static bool tcp_is_liberal(void)
{
	char c = '0';
	int fd = open("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false; /* no connection tracking yet */
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c != '0';
}

/* Is the flag there, in any of its forms? A value that happens to look so does no harm. */
static bool asks_to_write(int argc, char **argv)
{
	static const char flag[] = "--write-config-to";

	for (int i = 1; i < argc; i++) {
		size_t at = 0;

		while (at < sizeof(flag) - 1 &&
		       (argv[i][at] == flag[at] || (flag[at] == '-' && argv[i][at] == '_')))
			at++;
		if (at == sizeof(flag) - 1)
			return true;
	}
	return false;
}

static int oneshot(int argc, char **argv)
{
	static struct config cfg;
	static char out[BUFSIZ];

	log_init("kube-proxy"); /* the user sees one program */
	/* With a buffer of its own stdio does not ask whether this is a terminal (ioctl). */
	setvbuf(stdout, out, _IOFBF, sizeof(out));
	signal(SIGPIPE, SIG_IGN); /* --help | head: the write fails, and no signal is reported */
	sandbox_no_new_privs();
	if (asks_to_write(argc, argv))
		sandbox_seccomp(oneshot_write_rules, COUNT(oneshot_write_rules));
	else
		sandbox_seccomp(oneshot_rules, COUNT(oneshot_rules));
	switch (flags_parse(&cfg, argc, argv)) {
	case FLAGS_RUN:
		cfg.conntrack_tcp_be_liberal |= tcp_is_liberal();
		if (!cfg.dry_run && !cfg.check_node && !cfg.init_only &&
		    strcmp(cfg.audit_log, "stderr") == 0)
			log_warn("audit lines go to stderr, which every process here can write to; "
				 "--audit-log=FILE keeps them apart");
		return send_config(&cfg);
	case FLAGS_DONE:
		return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
	case FLAGS_BAD:
		return EXIT_USAGE;
	case FLAGS_CONFIG:
		return EXIT_CONFIG;
	}
	return EXIT_FAILED;
}

/* The parent has opened the log, as whoever asks may read it. */
static int verify(void)
{
	static char in_buf[BUFSIZ], out_buf[BUFSIZ];
	FILE *in = fdopen(FD_CONFIG, "r");

	log_init("kube-proxy");
	if (in == NULL)
		fatal(EXIT_FAILED, "the audit log: %s", strerror(errno));
	setvbuf(in, in_buf, _IOFBF, sizeof(in_buf));
	setvbuf(stdout, out_buf, _IOFBF, sizeof(out_buf));
	sandbox_no_new_privs();
	sandbox_seccomp(oneshot_rules, COUNT(oneshot_rules));
	return audit_verify(in) == 0 && fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

/* --- the daemon --- */

static size_t add_directory(const char *paths[PATHS_MAX], size_t n, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL || n >= PATHS_MAX - 1)
		return n;
	paths[n] = strndup(file, slash == file ? 1 : (size_t)(slash - file));
	if (paths[n] == NULL)
		fatal(EXIT_FAILED, "not enough memory");
	return n + 1;
}

/* FILE (may be NULL): its directory, as it is replaced by renaming, and the one a link leads to. */
static size_t add_credential(const char *paths[PATHS_MAX], size_t n, const char *file)
{
	char real[PATH_MAX];

	if (file == NULL)
		return n;
	n = add_directory(paths, n, file);
	return realpath(file, real) == NULL ? n : add_directory(paths, n, real);
}

/* For the life of the process. */
static struct config cfg;
static struct api_access api;

/* Adds the directories that FILE ("": none) is read from; DIRS are for them to live in. */
static size_t add_file(const char *paths[PATHS_MAX], size_t n, const char *file,
    char dirs[MANIFEST_DIRS_MAX][PATH_MAX])
{
	size_t count = file[0] != '\0' ? manifest_dirs(file, dirs) : 0;

	for (size_t i = 0; i < count && n < PATHS_MAX - 1; i++)
		paths[n++] = dirs[i];
	return n;
}

static void start_manifests(struct event_base *base, struct feed *feed)
{
	static char manifests[MANIFEST_DIRS_MAX][PATH_MAX], config[MANIFEST_DIRS_MAX][PATH_MAX];
	const char *paths[PATHS_MAX] = {NULL};
	size_t n = add_file(paths, 0, cfg.manifest_path, manifests);

	add_file(paths, n, cfg.config_file, config);
	sandbox_no_new_privs();
	sandbox_landlock(paths, false);
	sandbox_seccomp(manifest_rules, COUNT(manifest_rules));
	if (manifest_source_start(base, &cfg, feed) != 0)
		fatal(EXIT_CONFIG, "no manifest could be read");
}

/* The walls stand before the event loop, and so before the first byte of the network. */
static void start_api(struct event_base *base, struct feed *feed)
{
	static char config[MANIFEST_DIRS_MAX][PATH_MAX];
	static const char *paths[PATHS_MAX];
	size_t n = add_file(paths, 0, cfg.config_file, config);

	if (api_access_load(&api, &cfg) != 0)
		fatal(EXIT_CONFIG, "no way to the apiserver");
	for (size_t i = 0; api_read_paths[i] != NULL && n < PATHS_MAX - 1; i++)
		paths[n++] = api_read_paths[i];
	n = add_credential(paths, n, api.ca_file);
	n = add_credential(paths, n, api.cert_file);
	n = add_credential(paths, n, api.key_file);
	n = add_credential(paths, n, api.token_file);
	paths[n] = NULL;
	if (api_source_start(base, &cfg, &api, feed) != 0)
		fatal(EXIT_CONFIG, "the apiserver cannot be asked");
	sandbox_no_new_privs();
	sandbox_landlock(paths, true);
	sandbox_seccomp(api_syscalls, api_syscall_count);
}

static const char *on_planner(void *arg, unsigned type, struct cursor *c)
{
	static struct frame frame;
	const struct feed *feed = arg;
	const char *why;

	if (type != HEALTH_ALIVE)
		return profiled_message(type, c);
	why = cursor_end(c);
	if (why == NULL) {
		health_encode_alive(&frame);
		channel_send_wait(feed->planner, &frame);
	}
	return why;
}

static int watch(void)
{
	struct event_base *base;
	static struct feed feed;

	log_init("watcher");
	signal(SIGPIPE, SIG_IGN); /* the channel's own error tells */
	signal(SIGINT, SIG_IGN);  /* a terminal's Ctrl-C is for the parent, whose end is ours */
	config_load(&cfg, FD_CONFIG);
	base = event_base_new();
	if (base == NULL)
		fatal(EXIT_FAILED, "libevent has no event base");
	feed.planner = channel_new(base, WATCHER_FD_PLANNER, "the planner", on_planner, &feed);
	feed.node_name = cfg.node_name;
	stats_start(base, feed.planner);
	if (cfg.profiling)
		profiled_start(base, feed.planner, channel_send_wait);
	config_watch_start(base, &cfg);
	addresses_start(base, &feed, cfg.mode == MODE_IPVS ? IPVS_INTERFACE : NULL);
	if (cfg.manifest_path[0] != '\0')
		start_manifests(base, &feed);
	else
		start_api(base, &feed);
	event_base_dispatch(base);
	fatal(EXIT_FAILED, "the event loop ended");
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-C") == 0)
		return oneshot(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "-V") == 0)
		return verify();
	if (argc > 1)
		fatal(EXIT_USAGE, "kube-proxy starts this program; its flags are kube-proxy's");
	return watch();
}
