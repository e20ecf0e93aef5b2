/*
 * A watch's body in protobuf: before each event its length, four bytes, the first the highest. Cut
 * anywhere by the network.
 */
#ifndef WATCHER_API_FRAMES_H
#define WATCHER_API_FRAMES_H

#include <stdint.h>

#include "watcher/api_lines.h"

/* Zeroed: nothing so far. Free with api_buffer_clear(&f->part). */
struct api_frames {
	struct api_buffer part; /* the beginning of a frame whose end has not come */
	unsigned head;		/* bytes of its length seen */
	uint32_t left;		/* bytes of it to come, once head is 4 */
};

/*
 * Takes LEN bytes and calls FN with each frame they complete. NULL, or what FN returned (the rest
 * is then dropped), or that a frame is empty or beyond API_OBJECT_MAX.
 */
const char *api_frames_feed(
    struct api_frames *f, const char *bytes, size_t len, api_line_fn fn, void *arg);

#endif
