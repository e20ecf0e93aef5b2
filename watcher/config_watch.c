#include "watcher/config_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/config_file.h"
#include "watcher/flag_settle.h"
#include "watcher/manifest.h"
#include "watcher/watched.h"

#define SETTLE_MS 100 /* editors and mounts change things in several steps */
#define WATCH_EVENTS                                                                               \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB)

/* For the life of the process. */
static struct {
	const struct config *cfg;
	struct settings in_force, latest;
	bool known;	 /* IN_FORCE is filled in */
	bool gone;	 /* said already */
	uint64_t digest; /* of the version looked at last, good or bad */
	int inotify;
	struct event *event, *timer;
} w;

/* A kubeconfig that would end the next start with "restarting does not help". */
static bool kubeconfig_readable(const struct settings *s)
{
	if (s->cfg.kubeconfig[0] == '\0' ||
	    (w.known && strcmp(s->cfg.kubeconfig, w.in_force.cfg.kubeconfig) == 0) ||
	    access(s->cfg.kubeconfig, R_OK) == 0)
		return true;
	log_error("%s: clientConnection.kubeconfig \"%s\": expected a file that can be read: %s",
	    w.cfg->config_file, s->cfg.kubeconfig, strerror(errno));
	return false;
}

/* Looks at a version that is there now. */
static void judge(void)
{
	const char *path = w.cfg->config_file;

	strlcpy(w.latest.cfg.config_file, path, sizeof(w.latest.cfg.config_file));
	if (flags_check(&w.latest) != FLAGS_RUN || !kubeconfig_readable(&w.latest)) {
		log_error("%s has changed and is wrong; what it said before stays in force", path);
		return;
	}
	if (w.known && !config_file_differs(&w.in_force, &w.latest, path)) {
		log_info("%s has changed, but says what it said before", path);
		return;
	}
	log_info("%s has changed and is valid; exiting for a planned restart", path);
	exit(EXIT_RESTART);
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	const char *path = w.cfg->config_file;
	char *text;
	size_t len;

	(void)fd, (void)what, (void)arg;
	text = config_file_text(path, &len);
	if (text == NULL) {
		if (!w.gone)
			log_warn("%s: what it said stays in force", path);
		w.gone = true;
		return;
	}
	w.gone = false;
	if (config_file_digest(text, len) != w.digest) {
		w.digest = config_file_digest(text, len);
		settings_init(&w.latest);
		if (config_file_parse(&w.latest, path, text, len, true) == 0)
			judge();
		else
			log_error("%s has changed and is wrong; what it said before stays in force",
			    path);
	}
	free(text);
}

static bool matters(const struct inotify_event *ev)
{
	return watched_matters(ev, w.cfg->config_file);
}

static void on_inotify(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval settle = {0, SETTLE_MS * 1000};

	(void)what, (void)arg;
	if (watched_changed(fd, matters) && !event_pending(w.timer, EV_TIMEOUT, NULL))
		event_add(w.timer, &settle);
}

static int watch_directories(const char *path)
{
	static char dirs[MANIFEST_DIRS_MAX][PATH_MAX];
	size_t n = manifest_dirs(path, dirs);

	for (size_t i = 0; i < n; i++)
		if (inotify_add_watch(w.inotify, dirs[i], WATCH_EVENTS) < 0)
			return -1;
	return 0;
}

/* What is in force, if it is still what the file says. What was said about it is not said again. */
static void learn(void)
{
	size_t len;
	char *text = config_file_text(w.cfg->config_file, &len);

	if (text == NULL || config_file_digest(text, len) != w.cfg->config_digest) {
		free(text);
		return;
	}
	settings_init(&w.in_force);
	w.known = config_file_parse(&w.in_force, w.cfg->config_file, text, len, false) == 0;
	flags_check(&w.in_force); /* as LATEST is completed */
	w.digest = w.cfg->config_digest;
	free(text);
}

void config_watch_start(struct event_base *base, const struct config *cfg)
{
	if (cfg->config_file[0] == '\0' || cfg->dry_run)
		return;
	w.cfg = cfg;
	w.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w.inotify < 0 || watch_directories(cfg->config_file) != 0) {
		log_warn("%s: changes cannot be noticed: %s; restart after changing it",
		    cfg->config_file, strerror(errno));
		return;
	}
	learn();
	w.event = event_new(base, w.inotify, EV_READ | EV_PERSIST, on_inotify, NULL);
	w.timer = evtimer_new(base, look, NULL);
	if (w.event == NULL || w.timer == NULL || event_add(w.event, NULL) != 0)
		fatal(EXIT_FAILED, "%s: not enough memory", cfg->config_file);
	if (!w.known) /* it has changed since the start */
		event_active(w.timer, EV_TIMEOUT, 0);
}
