/* The anchors of a YAML document, which its aliases name. */
#ifndef WATCHER_YAML_ANCHOR_H
#define WATCHER_YAML_ANCHOR_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

struct anchor {
	char *name;
	json_t *value; /* owned; NULL while the value is still being read */
	size_t values; /* how many it and those within it are */
};

/* All zero: none. */
struct anchors {
	struct anchor *list;
	size_t count;
};

/* Begins the anchor NAME, which may have been there before. Its index, or -1 without memory. */
ssize_t anchors_open(struct anchors *a, const char *name);
/* The last anchor NAME, or NULL. */
const struct anchor *anchors_find(const struct anchors *a, const char *name);
void anchors_clear(struct anchors *a);

#endif
