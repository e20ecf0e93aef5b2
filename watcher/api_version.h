/* resourceVersions: opaque, but for their order where they are numbers. Pure. */
#ifndef WATCHER_API_VERSION_H
#define WATCHER_API_VERSION_H

#include <stdbool.h>

/*
 * Is A surely older than B? Numbers are compared (KEP-5504: what every apiserver on etcd has always
 * had); of anything else nothing is known.
 */
bool api_version_older(const char *a, const char *b);

#endif
