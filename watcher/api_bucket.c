#include "watcher/api_bucket.h"

#define REQUEST 1000000 /* millionths; qps_milli of them come back each millisecond */

uint64_t api_bucket_take(struct api_bucket *b, uint64_t now_ms)
{
	int64_t full = (int64_t)(b->burst > 0 ? b->burst : 1) * REQUEST, over;
	uint64_t passed = now_ms > b->last_ms ? now_ms - b->last_ms : 0;

	if (b->qps_milli == 0)
		return 0;
	b->last_ms = now_ms;
	if (passed >= (uint64_t)b->spent / b->qps_milli + 1)
		b->spent = 0;
	else
		b->spent -= (int64_t)(passed * b->qps_milli);
	b->spent += REQUEST;
	over = b->spent - full;
	return over <= 0 ? 0 : ((uint64_t)over + b->qps_milli - 1) / b->qps_milli;
}
