/* What the manifest source needs of the file system, for the walls of the watcher. */
#ifndef WATCHER_MANIFEST_H
#define WATCHER_MANIFEST_H

#include <limits.h>
#include <stddef.h>

#define MANIFEST_DIRS_MAX 3

/*
 * The directories that the manifests at PATH are read from, into DIRS; returns how many. For a file
 * its directory, since editors and ConfigMap mounts replace files by renaming; for a symbolic link
 * where it points as well.
 */
size_t manifest_dirs(const char *path, char dirs[MANIFEST_DIRS_MAX][PATH_MAX]);

#endif
