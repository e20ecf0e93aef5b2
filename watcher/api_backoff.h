/* How long to wait before the next try: exponential, with jitter. Pure. */
#ifndef WATCHER_API_BACKOFF_H
#define WATCHER_API_BACKOFF_H

#include <stdint.h>

#define BACKOFF_MIN_MS 800u
#define BACKOFF_MAX_MS 30000u

/* Zeroed: no failure so far. */
struct backoff {
	uint32_t ceiling_ms; /* of the last wait */
};

/*
 * The milliseconds to wait after one more failure, BACKOFF_MIN_MS..BACKOFF_MAX_MS: between half
 * and all of a ceiling that doubles with each failure, so that the watchers of a whole cluster do
 * not come back together. RANDOM is 32 random bits.
 */
uint32_t backoff_next(struct backoff *b, uint32_t random);
/* Things work again. */
void backoff_reset(struct backoff *b);

#endif
