#include "watcher/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "watcher/file.h"
#include "watcher/pem.h"

#define SIZE_MAX_FILE (4u * 1024 * 1024) /* a bundle of every public authority has 250 KiB */
#define SETTLE_MS     100		 /* a pair is written in several steps */
#define WATCH_EVENTS                                                                               \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB)

enum { CA, CERT, KEY, TOKEN, FILE_COUNT };

/* What tells a file's versions apart. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec modified, changed;
};

struct credentials {
	const struct api_access *access;
	void (*changed)(void *arg);
	void *arg;

	const char *paths[FILE_COUNT]; /* NULL: not from a file */
	struct stamp stamps[FILE_COUNT];
	struct secrets now;
	/* What is wrong with authority, pair and token, said already; "": nothing. */
	char ca_problem[512], pair_problem[512], token_problem[512];

	int inotify;
	struct event *event, *settle;
};

/* --- files --- */

static void wipe(char **secret)
{
	if (*secret != NULL)
		freezero(*secret, strlen(*secret));
	*secret = NULL;
}

static void replace(char **secret, char *by)
{
	wipe(secret);
	*secret = by;
}

/* Says PATH: WHY once; OLD is what there is instead. */
static void problem(char *said, size_t size, const char *path, const char *why, const char *old)
{
	char text[512];

	snprintf(text, sizeof(text), "%s: %s", path, why);
	if (strcmp(text, said) == 0)
		return;
	log_error("%s; %s", text,
	    old != NULL ? "going on with what it said before" : "waiting until it is renewed");
	snprintf(said, size, "%s", text);
}

static char *read_text(const char *path, const char **why)
{
	size_t len;
	char *text = file_read(path, SIZE_MAX_FILE, &len, why);

	if (text != NULL && strlen(text) != len) {
		*why = "there is a NUL byte in it";
		freezero(text, len);
		text = NULL;
	}
	return text;
}

/* NULL if TEXT, trimmed in place, can stand in a header, else what is wrong with it. */
static const char *trim_token(char *text)
{
	size_t from = strspn(text, " \t\r\n"), to = strlen(text);

	while (to > from && isspace((unsigned char)text[to - 1]))
		to--;
	memmove(text, text + from, to - from);
	text[to - from] = '\0';
	if (text[0] == '\0')
		return "empty; a token is expected";
	for (const char *p = text; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p))
			return "a blank or control character within the token";
	return NULL;
}

/* --- taking what is new; true if something was replaced --- */

static bool take_ca(struct credentials *c)
{
	const char *why = NULL, *path = c->paths[CA];
	char *text = read_text(path, &why);

	if (text != NULL)
		why = pem_check_authorities(text);
	if (why != NULL)
		problem(c->ca_problem, sizeof(c->ca_problem), path, why, c->now.ca);
	else
		c->ca_problem[0] = '\0';
	if (why != NULL || (c->now.ca != NULL && strcmp(text, c->now.ca) == 0)) {
		wipe(&text);
		return false;
	}
	if (c->now.ca != NULL)
		log_info("%s: new certificate authorities", path);
	replace(&c->now.ca, text);
	return true;
}

/* One of the pair, or both, may stand in the kubeconfig. NULL after saying what is wrong. */
static char *half_of_pair(struct credentials *c, int which)
{
	const char *data = which == CERT ? c->access->cert_data : c->access->key_data, *why = NULL;
	char *text = c->paths[which] != NULL ? read_text(c->paths[which], &why) : strdup(data);

	if (why != NULL)
		problem(
		    c->pair_problem, sizeof(c->pair_problem), c->paths[which], why, c->now.cert);
	return text;
}

static const char *name_of(const struct credentials *c, int which)
{
	if (c->paths[which] != NULL)
		return c->paths[which];
	return which == CERT ? "client-certificate-data" : "client-key-data";
}

/* Is this pair good? What is wrong with one is said. */
static bool pair_is_good(struct credentials *c, const char *cert, const char *key)
{
	char until[PEM_TIME_MAX], subject[256];
	int over = 0;
	const char *why = pem_check_pair(cert, key, until, &over);

	if (why != NULL) {
		snprintf(subject, sizeof(subject), "%s and %s", name_of(c, CERT), name_of(c, KEY));
		problem(c->pair_problem, sizeof(c->pair_problem), subject, why, c->now.cert);
		return false;
	}
	c->pair_problem[0] = '\0';
	if (c->now.cert != NULL && strcmp(cert, c->now.cert) == 0 && strcmp(key, c->now.key) == 0)
		return false;
	if (over)
		log_warn("%s: was valid until %s; renew it, or set this machine's clock",
		    name_of(c, CERT), until);
	else
		log_info("%s: valid until %s", name_of(c, CERT), until);
	return true;
}

static bool take_pair(struct credentials *c)
{
	char *cert = half_of_pair(c, CERT), *key = cert != NULL ? half_of_pair(c, KEY) : NULL;
	bool taken = cert != NULL && key != NULL && pair_is_good(c, cert, key);

	if (taken) {
		replace(&c->now.cert, cert);
		replace(&c->now.key, key);
		return true;
	}
	wipe(&cert);
	wipe(&key);
	return false;
}

static bool take_token(struct credentials *c)
{
	const char *why = NULL, *path = c->paths[TOKEN];
	char *text = read_text(path, &why);

	if (text != NULL)
		why = trim_token(text);
	if (why != NULL)
		problem(c->token_problem, sizeof(c->token_problem), path, why, c->now.token);
	else
		c->token_problem[0] = '\0';
	if (why != NULL || (c->now.token != NULL && strcmp(text, c->now.token) == 0)) {
		wipe(&text);
		return false;
	}
	if (c->now.token != NULL)
		log_debug(1, "%s: a new token", path);
	replace(&c->now.token, text);
	return true;
}

/* --- noticing --- */

/* Has the file changed since this was asked last? It may have come or gone. */
static bool has_changed(struct credentials *c, int which)
{
	struct stamp was = c->stamps[which], *is = &c->stamps[which];
	struct stat st;

	if (c->paths[which] == NULL)
		return false;
	*is = (struct stamp){0};
	if (stat(c->paths[which], &st) == 0)
		*is = (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
	return was.ino != is->ino || was.dev != is->dev || was.size != is->size ||
	       memcmp(&was.modified, &is->modified, sizeof(was.modified)) != 0 ||
	       memcmp(&was.changed, &is->changed, sizeof(was.changed)) != 0;
}

static int watch_directory(const struct credentials *c, const char *file)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(file, '/');
	int len = slash == NULL ? 1 : slash == file ? 1 : (int)(slash - file);

	snprintf(dir, sizeof(dir), "%.*s", len, slash == NULL ? "." : file);
	return inotify_add_watch(c->inotify, dir, WATCH_EVENTS);
}

/*
 * Each file's directory, as files are replaced by renaming, and the one that a link leads to now.
 * The kernel knows the directories it has already, and forgets those that go.
 */
static void watch_directories(const struct credentials *c)
{
	for (int i = 0; i < FILE_COUNT && c->inotify >= 0; i++) {
		char real[PATH_MAX];

		if (c->paths[i] == NULL)
			continue;
		if (watch_directory(c, c->paths[i]) < 0)
			log_debug(1,
			    "%s: changes are not told: %s; it is read again when a "
			    "request fails",
			    c->paths[i], strerror(errno));
		if (realpath(c->paths[i], real) != NULL)
			(void)watch_directory(c, real); /* beyond the walls, perhaps */
	}
}

static bool has_pair(const struct credentials *c)
{
	return c->paths[CERT] != NULL || c->access->cert_data != NULL;
}

static void read_again(struct credentials *c, bool all)
{
	bool ca, cert, key, token, any = false;

	watch_directories(c); /* before reading: what changes meanwhile is then told */
	ca = has_changed(c, CA);
	cert = has_changed(c, CERT);
	key = has_changed(c, KEY);
	token = has_changed(c, TOKEN);
	if (c->paths[CA] != NULL && (ca || all))
		any |= take_ca(c);
	if (has_pair(c) && (cert || key || all))
		any |= take_pair(c);
	if (c->paths[TOKEN] != NULL && (token || all))
		any |= take_token(c);
	if (any && c->changed != NULL)
		c->changed(c->arg);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	read_again(arg, false);
}

/* Which file it is about does not matter: looking whether ours have changed costs little. */
static void on_inotify(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval settle = {0, SETTLE_MS * 1000};
	struct credentials *c = arg;
	char buf[4096];

	(void)what;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	if (!event_pending(c->settle, EV_TIMEOUT, NULL))
		event_add(c->settle, &settle);
}

void credentials_doubt(struct credentials *c)
{
	read_again(c, true);
}

const struct secrets *credentials_now(const struct credentials *c)
{
	return &c->now;
}

const char *credentials_missing(const struct credentials *c)
{
	if (c->paths[CA] != NULL && c->now.ca == NULL)
		return "no usable certificate authority";
	if (has_pair(c) && c->now.cert == NULL)
		return "no usable client certificate and key";
	if (c->paths[TOKEN] != NULL && c->now.token == NULL)
		return "no usable token";
	return NULL;
}

/* --- beginning --- */

static char *copy(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

/* What stands in the kubeconfig itself never changes; the pair is read with the files. */
static void take_data(struct credentials *c)
{
	c->now.ca = copy(c->access->ca_data);
	if (c->access->token_file == NULL)
		c->now.token = copy(c->access->token);
}

static int start_noticing(struct credentials *c, struct event_base *base)
{
	bool any = false;

	for (int i = 0; i < FILE_COUNT; i++)
		any |= c->paths[i] != NULL;
	if (!any)
		return 0;
	c->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->inotify < 0) {
		log_warn("inotify: %s; renewed credentials are read only when a request fails",
		    strerror(errno));
		return 0;
	}
	c->event = event_new(base, c->inotify, EV_READ | EV_PERSIST, on_inotify, c);
	c->settle = evtimer_new(base, on_settled, c);
	return c->event == NULL || c->settle == NULL || event_add(c->event, NULL) != 0 ? -1 : 0;
}

struct credentials *credentials_new(
    struct event_base *base, const struct api_access *access, void (*changed)(void *arg), void *arg)
{
	struct credentials *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = (struct credentials){.access = access, .inotify = -1};
	c->paths[CA] = access->ca_file;
	c->paths[CERT] = access->cert_file;
	c->paths[KEY] = access->key_file;
	c->paths[TOKEN] = access->token_file;
	if (start_noticing(c, base) != 0) {
		credentials_free(c);
		return NULL;
	}
	take_data(c);
	read_again(c, true);
	c->changed = changed;
	c->arg = arg;
	return c;
}

void credentials_free(struct credentials *c)
{
	if (c == NULL)
		return;
	if (c->event != NULL)
		event_free(c->event);
	if (c->settle != NULL)
		event_free(c->settle);
	if (c->inotify >= 0)
		close(c->inotify);
	wipe(&c->now.ca);
	wipe(&c->now.cert);
	wipe(&c->now.key);
	wipe(&c->now.token);
	free(c);
}
