#include "watcher/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/siphash.h"
#include "watcher/file.h"
#include "watcher/manifest_file.h"
#include "watcher/source.h"
#include "watcher/stats.h"
#include "watcher/watched.h"

#define MANIFEST_SIZE_MAX (64u * 1024 * 1024) /* parsing takes forty times as much memory */
#define SETTLE_MS	  50 /* editors and mounts change things in several steps */
#define WATCH_EVENTS                                                                               \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB |        \
	    IN_DELETE_SELF | IN_MOVE_SELF)

struct manifest_file {
	char *name;
	uint64_t digest; /* of the bytes read last, good or bad */
	bool loaded;	 /* CONTENT is of a version that could be parsed */
	struct manifest content;
};

/* For the life of the process. */
static struct {
	const struct config *cfg;
	struct feed *feed;
	int inotify;
	int watches[MANIFEST_DIRS_MAX];
	size_t watch_count;
	struct event *event, *timer;
	struct manifest_file *files; /* in name order */
	size_t file_count;
	bool sent, node_sent;
} source;

/* --- reading --- */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool has_suffix(const char *name)
{
	static const char *const suffixes[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);

		if (name[0] != '.' && len > n && strcmp(name + len - n, suffixes[i]) == 0)
			return true;
	}
	return false;
}

static int is_manifest(const struct dirent *entry)
{
	return has_suffix(entry->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The file called NAME as it was known before, or a new one. */
static struct manifest_file take_known(const char *name)
{
	struct manifest_file fresh = {.name = NULL};

	for (size_t i = 0; i < source.file_count; i++) {
		struct manifest_file *f = &source.files[i];

		if (f->name != NULL && strcmp(f->name, name) == 0) {
			fresh = *f;
			f->name = NULL; /* taken */
			return fresh;
		}
	}
	fresh.name = strdup(name);
	return fresh;
}

/* Reads PATH into F. True if its content is now another one. */
static bool read_file(struct manifest_file *f, const char *path)
{
	const char *why, *kept = f->loaded ? "; what it said before stays" : "";
	struct manifest content;
	struct siphash h;
	uint64_t digest;
	size_t len;
	char *text = file_read(path, MANIFEST_SIZE_MAX, &len, &why);
	int r;

	if (text == NULL) {
		log_error("%s: cannot be read: %s%s", path, why, kept);
		return false;
	}
	siphash_init(&h, &source.cfg->key);
	siphash_update(&h, text, len);
	digest = siphash_final(&h);
	if (f->digest == digest) {
		free(text);
		return false;
	}
	f->digest = digest;
	r = manifest_parse(&content, path, text, len, source.cfg->node_name);
	free(text);
	if (r != 0) {
		manifest_clear(&content);
		log_error("%s: not used%s", path, kept);
		return false;
	}
	manifest_clear(&f->content);
	f->content = content;
	f->loaded = true;
	return true;
}

/* Replaces the known files by those called NAMES. True if anything changed. */
static bool read_files(const char *dir, struct dirent **names, size_t count)
{
	struct manifest_file *files = calloc(count > 0 ? count : 1, sizeof(*files));
	bool changed = false;

	if (files == NULL)
		fatal(EXIT_FAILED, "manifests: not enough memory");
	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		files[i] = take_known(names[i]->d_name);
		changed |= read_file(&files[i], path);
	}
	for (size_t i = 0; i < source.file_count; i++) {
		if (source.files[i].name == NULL)
			continue;
		log_info("%s/%s: removed", dir, source.files[i].name);
		changed |= source.files[i].loaded;
		free(source.files[i].name);
		manifest_clear(&source.files[i].content);
	}
	free(source.files);
	source.files = files;
	source.file_count = count;
	return changed;
}

static bool read_directory(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, is_manifest, by_name);
	bool changed;

	if (n < 0) {
		log_error("%s: cannot be read: %s%s", path, strerror(errno),
		    source.sent ? "; what it said before stays" : "");
		return false;
	}
	changed = read_files(path, names, (size_t)n);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return changed || (n == 0 && !source.sent);
}

static bool read_single(const char *path)
{
	if (source.files == NULL) {
		source.files = calloc(1, sizeof(*source.files));
		if (source.files == NULL || (source.files->name = strdup(path)) == NULL)
			fatal(EXIT_FAILED, "manifests: not enough memory");
		source.file_count = 1;
	}
	return read_file(source.files, path);
}

/* --- sending --- */

/* Warns if another file has the object already: the one in the later file wins. */
static void note_owner(json_t *owners, const struct manifest_file *f, const char *kind,
    const char *ns, const char *name)
{
	char key[NAME_MAX_LABEL + NAME_MAX_SUBDOMAIN + 20];
	const char *before;

	snprintf(key, sizeof(key), "%s %s/%s", kind, ns, name);
	before = json_string_value(json_object_get(owners, key));
	if (before != NULL)
		log_warn("%s: is in %s and in %s; the latter counts", key, before,
		    f->name != NULL ? f->name : "the same file");
	json_object_set_new(owners, key, json_string(f->name != NULL ? f->name : "the file"));
}

static void send_services(json_t *owners)
{
	feed_list_begin(source.feed, KIND_SERVICE);
	for (size_t i = 0; i < source.file_count; i++) {
		const struct manifest_file *f = &source.files[i];

		for (size_t k = 0; k < f->content.service_count; k++) {
			const struct service *s = &f->content.services[k];

			note_owner(owners, f, "Service", s->namespace, s->name);
			feed_put_service(source.feed, s);
		}
	}
	feed_list_end(source.feed, KIND_SERVICE);
}

static void send_slices(json_t *owners)
{
	feed_list_begin(source.feed, KIND_SLICE);
	for (size_t i = 0; i < source.file_count; i++) {
		const struct manifest_file *f = &source.files[i];

		for (size_t k = 0; k < f->content.slice_count; k++) {
			const struct slice *s = &f->content.slices[k];

			note_owner(owners, f, "EndpointSlice", s->namespace, s->name);
			feed_put_slice(source.feed, s);
		}
	}
	feed_list_end(source.feed, KIND_SLICE);
}

/* Manifests need not have a Node: that there is none is told as well, if the rules wait for it. */
static void send_node(void)
{
	const struct node *n = NULL;

	for (size_t i = 0; i < source.file_count; i++)
		if (source.files[i].content.has_node)
			n = &source.files[i].content.node;
	if (n != NULL)
		feed_put_node(source.feed, n);
	else if (source.node_sent || !source.sent)
		feed_node_deleted(source.feed);
	source.node_sent = n != NULL;
}

static void send_all(void)
{
	json_t *owners = json_object();
	size_t services = 0, slices = 0;

	send_node();
	send_services(owners);
	send_slices(owners);
	json_decref(owners);
	source.sent = true;
	stats_manifests_read();
	for (size_t i = 0; i < source.file_count; i++) {
		services += source.files[i].content.service_count;
		slices += source.files[i].content.slice_count;
	}
	log_info("manifests: %zu Services and %zu EndpointSlices of %zu file%s", services, slices,
	    source.file_count, source.file_count == 1 ? "" : "s");
}

/* --- watching --- */

/* The directory that PATH is in. */
static void parent_of(const char *path, char dir[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	if (slash == path)
		slash++;
	snprintf(dir, PATH_MAX, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

size_t manifest_dirs(const char *path, char dirs[MANIFEST_DIRS_MAX][PATH_MAX])
{
	struct stat st;
	bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	char real[PATH_MAX];
	size_t n = 0;

	if (is_directory(path))
		snprintf(dirs[n++], PATH_MAX, "%s", path);
	else if (link && realpath(path, real) != NULL)
		parent_of(real, dirs[n++]);
	if (n == 0 || link)
		parent_of(path, dirs[n++]);
	return n;
}

/* Anew after every change: a link may point elsewhere now. The kernel knows directories it has. */
static void watch(const char *path)
{
	static char dirs[MANIFEST_DIRS_MAX][PATH_MAX];
	int before[MANIFEST_DIRS_MAX];
	size_t count = source.watch_count, n = manifest_dirs(path, dirs);

	memcpy(before, source.watches, sizeof(before));
	source.watch_count = 0;
	for (size_t i = 0; i < n; i++) {
		int w = inotify_add_watch(source.inotify, dirs[i], WATCH_EVENTS);

		if (w >= 0)
			source.watches[source.watch_count++] = w;
		else
			log_error("%s: changes cannot be noticed: %s; restart after changing it",
			    dirs[i], strerror(errno));
	}
	for (size_t i = 0; i < count; i++) {
		bool kept = false;

		for (size_t k = 0; k < source.watch_count; k++)
			kept |= source.watches[k] == before[i];
		if (!kept)
			inotify_rm_watch(source.inotify, before[i]);
	}
}

static void reload(evutil_socket_t fd, short what, void *arg)
{
	const char *path = source.cfg->manifest_path;
	bool changed;

	(void)fd, (void)what, (void)arg;
	watch(path); /* before reading: what changes meanwhile is then told */
	changed = is_directory(path) ? read_directory(path) : read_single(path);
	malloc_trim(0); /* a file's YAML takes several times what is kept of it */
	if (changed)
		send_all();
}

static bool matters(const struct inotify_event *ev)
{
	const char *path = source.cfg->manifest_path;

	return watched_matters(ev, path) ||
	       (ev->len > 0 && has_suffix(ev->name) && is_directory(path));
}

static void on_inotify(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval settle = {0, SETTLE_MS * 1000};

	(void)what, (void)arg;
	if (watched_changed(fd, matters) && !event_pending(source.timer, EV_TIMEOUT, NULL))
		event_add(source.timer, &settle);
}

int manifest_source_start(struct event_base *base, const struct config *cfg, struct feed *feed)
{
	source.cfg = cfg;
	source.feed = feed;
	source.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (source.inotify < 0) {
		log_error("inotify: %s", strerror(errno));
		return -1;
	}
	source.event = event_new(base, source.inotify, EV_READ | EV_PERSIST, on_inotify, NULL);
	source.timer = evtimer_new(base, reload, NULL);
	if (source.event == NULL || source.timer == NULL || event_add(source.event, NULL) != 0) {
		log_error("manifests: not enough memory");
		return -1;
	}
	reload(-1, 0, NULL);
	return source.sent ? 0 : -1;
}
