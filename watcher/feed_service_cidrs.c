/* ServiceCIDRs: few and rarely changed, so that all of them are told each time. */
#include <string.h>

#include "common/log.h"
#include "watcher/decode.h"
#include "watcher/feed.h"
#include "watcher/stats.h"

static struct {
	struct service_cidr objects[SERVICE_CIDRS_MAX / FAMILY_COUNT];
	uint32_t count;
	bool listing;
} known;

static void tell(struct feed *f)
{
	static struct frame frame;
	struct ip_cidr all[SERVICE_CIDRS_MAX];
	uint32_t n = 0;

	if (known.listing)
		return;
	for (uint32_t i = 0; i < known.count; i++)
		for (uint32_t k = 0; k < known.objects[i].count; k++)
			all[n++] = known.objects[i].cidrs[k];
	objects_encode_service_cidrs(&frame, all, n);
	channel_send_wait(f->planner, &frame);
}

/* The place of NAME, or where a further one goes. */
static uint32_t place_of(const char *name)
{
	uint32_t i = 0;

	while (i < known.count && strcmp(known.objects[i].name, name) != 0)
		i++;
	return i;
}

static void drop(uint32_t i)
{
	if (i < known.count)
		known.objects[i] = known.objects[--known.count];
}

void feed_service_cidrs_begin(struct feed *f)
{
	(void)f;
	known.count = 0;
	known.listing = true;
}

void feed_service_cidrs_end(struct feed *f)
{
	known.listing = false;
	tell(f);
}

void feed_service_cidr(struct feed *f, const json_t *object)
{
	struct service_cidr s;
	enum decode_result result = decode_service_cidr(object, &s);
	uint32_t i = place_of(s.name);

	if (result == DECODE_BAD)
		stats_bad_object();
	if (result != DECODE_OK) {
		drop(i);
	} else if (i == sizeof(known.objects) / sizeof(known.objects[0])) {
		log_error("ServiceCIDR %s: more than %zu; left out", s.name,
		    sizeof(known.objects) / sizeof(known.objects[0]));
		return;
	} else {
		known.objects[i] = s;
		if (i == known.count)
			known.count++;
	}
	tell(f);
}

void feed_service_cidr_deleted(struct feed *f, const json_t *object)
{
	drop(place_of(feed_name_of(object, "name", NAME_MAX_SUBDOMAIN)));
	tell(f);
}
