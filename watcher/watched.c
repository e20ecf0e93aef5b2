#include "watcher/watched.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool watched_changed(int fd, bool (*matters)(const struct inotify_event *ev))
{
	_Alignas(struct inotify_event) char buf[16384];
	bool any = false;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		const struct inotify_event *ev;

		for (char *p = buf; p < buf + n; p += sizeof(*ev) + ev->len) {
			ev = (const struct inotify_event *)(const void *)p;
			any |= matters(ev);
		}
	}
	return any;
}

bool watched_matters(const struct inotify_event *ev, const char *path)
{
	struct stat st;

	if (ev->len == 0 || strncmp(ev->name, "..", 2) == 0 ||
	    strcmp(ev->name, strrchr(path, '/') + 1) == 0)
		return true;
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}
