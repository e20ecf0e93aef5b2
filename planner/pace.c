#include "planner/pace.h"

#define BURST 2

void pace_init(struct pace *p, uint64_t period_ms, uint64_t now_ms)
{
	p->period_ms = period_ms;
	p->credit_ms = BURST * period_ms;
	p->at_ms = now_ms;
}

uint64_t pace_wait(struct pace *p, uint64_t now_ms)
{
	uint64_t room = BURST * p->period_ms - p->credit_ms, passed = now_ms - p->at_ms;

	p->credit_ms += passed < room ? passed : room;
	p->at_ms = now_ms;
	return p->credit_ms >= p->period_ms ? 0 : p->period_ms - p->credit_ms;
}

void pace_spend(struct pace *p, uint64_t now_ms)
{
	pace_wait(p, now_ms); /* what was waited is not to count once more */
	p->credit_ms -= p->credit_ms >= p->period_ms ? p->period_ms : p->credit_ms;
}
