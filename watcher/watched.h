/* Files of a configuration under inotify: which events can mean that one of them has changed. */
#ifndef WATCHER_WATCHED_H
#define WATCHER_WATCHED_H

#include <stdbool.h>
#include <sys/inotify.h>

/* Reads the events that wait on FD, which does not block. True if MATTERS says so of any. */
bool watched_changed(int fd, bool (*matters)(const struct inotify_event *ev));

/*
 * Can EV, of a directory that PATH (absolute) leads through, mean that PATH is another file now?
 * The directory itself; the links by which mounts of ConfigMaps are swapped; the file; and anything
 * if the file is a link. Its directory may be a busy one.
 */
bool watched_matters(const struct inotify_event *ev, const char *path);

#endif
