#include "watcher/api_backoff.h"

uint32_t backoff_next(struct backoff *b, uint32_t random)
{
	if (b->ceiling_ms == 0)
		b->ceiling_ms = 2 * BACKOFF_MIN_MS;
	else if (b->ceiling_ms < BACKOFF_MAX_MS / 2)
		b->ceiling_ms *= 2;
	else
		b->ceiling_ms = BACKOFF_MAX_MS;

	uint32_t half = b->ceiling_ms / 2;

	return half + random % (b->ceiling_ms - half + 1);
}

void backoff_reset(struct backoff *b)
{
	b->ceiling_ms = 0;
}
