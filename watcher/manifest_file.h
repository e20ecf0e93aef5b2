/* What one manifest file says: its Services, EndpointSlices and the own Node, decoded. */
#ifndef WATCHER_MANIFEST_FILE_H
#define WATCHER_MANIFEST_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/objects.h"

struct manifest {
	struct service *services;
	size_t service_count;
	struct slice *slices;
	size_t slice_count;
	struct node node;
	bool has_node;
};

/*
 * Parses LEN bytes of TEXT, which PATH holds, into *M (zeroed first; manifest_clear() in any case).
 * Documents may be single objects or lists (List, ServiceList, ...); a namespace that is not given
 * is "default", as with kubectl. Other kinds and other nodes than NODE_NAME are passed over. An
 * object that is wrong is logged with its line and left out.
 * 0, or -1 after logging the line at which the text is no YAML.
 */
int manifest_parse(
    struct manifest *m, const char *path, const char *text, size_t len, const char *node_name);
void manifest_clear(struct manifest *m);

#endif
