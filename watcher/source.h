/* The two sources of objects. Both run on the process's event base until it ends. */
#ifndef WATCHER_SOURCE_H
#define WATCHER_SOURCE_H

#include <event2/event.h>

#include "ipc/config.h"
#include "watcher/feed.h"
#include "watcher/kubeconfig.h"

/*
 * Reads CFG->manifest_path (a file, or a directory's *.yaml, *.yml, *.json in name order; YAML or
 * JSON, several documents, List kinds) and sends it whole; again when something there changes
 * (inotify). A file that cannot be parsed is logged with its line and its last good content stays.
 * 0, or -1 if nothing could be read at start (logged).
 */
int manifest_source_start(struct event_base *base, const struct config *cfg, struct feed *feed);

/* Lists and watches Services, EndpointSlices and the own Node. 0, or -1 after logging. */
int api_source_start(struct event_base *base, const struct config *cfg,
    const struct api_access *access, struct feed *feed);

#endif
