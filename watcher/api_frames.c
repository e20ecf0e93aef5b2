#include "watcher/api_frames.h"

#define HEAD 4 /* bytes of a length */

static const char *head_byte(struct api_frames *f, uint8_t c)
{
	f->left = f->left << 8 | c;
	if (++f->head < HEAD)
		return NULL;
	if (f->left == 0)
		return "an event without a byte";
	if (f->left > API_OBJECT_MAX)
		return "an event says that it is longer than 4 MiB; no genuine apiserver sends "
		       "that";
	return NULL;
}

const char *api_frames_feed(
    struct api_frames *f, const char *bytes, size_t len, api_line_fn fn, void *arg)
{
	while (len > 0) {
		const char *why = NULL, *frame = bytes;
		size_t n = 1;

		if (f->head < HEAD) {
			why = head_byte(f, (uint8_t)bytes[0]);
		} else {
			n = len < f->left ? len : f->left;
			f->left -= (uint32_t)n;
			if (f->left > 0 || f->part.len > 0)
				why = api_buffer_add(&f->part, bytes, n);
			if (why == NULL && f->left == 0) {
				size_t whole = n;

				if (f->part.len > 0) {
					frame = f->part.bytes;
					whole = f->part.len;
				}
				why = fn(arg, frame, whole);
				api_buffer_reset(&f->part);
				f->head = 0;
			}
		}
		if (why != NULL)
			return why;
		bytes += n;
		len -= n;
	}
	return NULL;
}
