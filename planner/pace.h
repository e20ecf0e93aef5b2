/*
 * How often to write: a bucket of two tokens, one more per period (upstream's
 * BoundedFrequencyRunner has the same burst). The clock is the caller's.
 */
#ifndef PLANNER_PACE_H
#define PLANNER_PACE_H

#include <stdint.h>

struct pace {
	uint64_t period_ms; /* 0: no limit */
	uint64_t credit_ms; /* at most two periods; one write costs one */
	uint64_t at_ms;	    /* when the credit was counted */
};

/* NOW_MS is of any clock that never goes back. */
void pace_init(struct pace *p, uint64_t period_ms, uint64_t now_ms);
/* Milliseconds until a write is allowed; 0: now. */
uint64_t pace_wait(struct pace *p, uint64_t now_ms);
/* A write was made. */
void pace_spend(struct pace *p, uint64_t now_ms);

#endif
