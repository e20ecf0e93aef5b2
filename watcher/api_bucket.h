/* How often we may ask the apiserver: so many requests a second, and some at once. Pure. */
#ifndef WATCHER_API_BUCKET_H
#define WATCHER_API_BUCKET_H

#include <stdint.h>

/* Zeroed but for the first two: full. */
struct api_bucket {
	uint32_t qps_milli; /* requests in 1000 s; 0: no limit */
	uint32_t burst;	    /* how many when there was none for long; at least 1 counts */
	int64_t spent;	    /* of the burst, in millionths of a request; beyond it: promised */
	uint64_t last_ms;
};

/*
 * Takes one request's turn at NOW_MS, of a clock that never goes back: how many milliseconds the
 * request has to wait for it. Turns come in the order in which they are taken.
 */
uint64_t api_bucket_take(struct api_bucket *b, uint64_t now_ms);

#endif
