#include "ipc/metrics.h"

#include <string.h>

/* --- histograms --- */

#define MS(n) ((n)*1000ull)
#define S(n)  ((n)*1000000ull)
/* clang-format off */
#define FIVE(from) S(from), S((from) + 1), S((from) + 2), S((from) + 3), S((from) + 4)
#define TEN(from)  FIVE(from), FIVE((from) + 5)

static const uint64_t sync_us[METRICS_SYNC_BOUNDS] = {
    MS(1), MS(2), MS(4), MS(8), MS(16), MS(32), MS(64), MS(128), MS(256), MS(512), MS(1024),
    MS(2048), MS(4096), MS(8192), MS(16384),
};
/* Up to a minute by seconds, up to two by five, up to five by thirty. */
static const uint64_t network_us[METRICS_NETWORK_BOUNDS] = {
    0, MS(250), MS(500),
    S(1), S(2), S(3), S(4), S(5), S(6), S(7), S(8), S(9),
    TEN(10), TEN(20), TEN(30), TEN(40), TEN(50),
    S(60), S(65), S(70), S(75), S(80), S(85), S(90), S(95), S(100), S(105), S(110), S(115),
    S(120), S(150), S(180), S(210), S(240), S(270), S(300),
};
static const uint64_t request_us[METRICS_REQUEST_BOUNDS] = {
    MS(5), MS(25), MS(100), MS(250), MS(500), S(1), S(2), S(4), S(8), S(15), S(30), S(60),
};
/* clang-format on */

const struct metrics_bounds metrics_sync_bounds = {METRICS_SYNC_BOUNDS, sync_us};
const struct metrics_bounds metrics_network_bounds = {METRICS_NETWORK_BOUNDS, network_us};
const struct metrics_bounds metrics_request_bounds = {METRICS_REQUEST_BOUNDS, request_us};

void metrics_observe(uint64_t *histogram, const struct metrics_bounds *bounds, uint64_t us)
{
	unsigned i = 0;

	while (i < bounds->count && us > bounds->us[i])
		i++;
	histogram[i]++;
	histogram[bounds->count + 1] += us;
}

const uint16_t metrics_status_codes[METRICS_STATUS_CODES] = {
    200, 301, 400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504};

/* --- messages --- */

/* The structs are numbers all through, so each is an array of them. */
#define NUMBERS(type) (sizeof(type) / sizeof(uint64_t))
_Static_assert(sizeof(struct metrics_watcher) % sizeof(uint64_t) == 0, "numbers only");
_Static_assert(sizeof(struct metrics_planner) % sizeof(uint64_t) == 0, "numbers only");

static void encode_numbers(struct frame *f, const void *from, size_t n)
{
	uint64_t v;

	frame_array(f, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		memcpy(&v, (const char *)from + i * sizeof(v), sizeof(v));
		frame_uint(f, v);
	}
}

static void decode_numbers(struct cursor *c, void *to, size_t n)
{
	struct cursor inner = cursor_array(c, (uint32_t)n);
	uint64_t v;

	for (size_t i = 0; i < n; i++) {
		v = cursor_uint(&inner, UINT64_MAX);
		memcpy((char *)to + i * sizeof(v), &v, sizeof(v));
	}
	cursor_leave(c, &inner);
}

void metrics_encode_stats(struct frame *f, const char *apiserver, const struct metrics_watcher *w)
{
	frame_begin(f, METRICS_STATS, 2);
	frame_str(f, apiserver);
	encode_numbers(f, w, NUMBERS(*w));
}

const char *metrics_decode_stats(struct cursor *c, struct metrics *m)
{
	cursor_str(c, m->apiserver, sizeof(m->apiserver));
	decode_numbers(c, &m->watcher, NUMBERS(m->watcher));
	return cursor_end(c);
}

void metrics_encode_request(struct frame *f)
{
	frame_begin(f, METRICS_REQUEST, 0);
}

void metrics_encode_use(struct frame *f, const struct metrics_relay *use)
{
	frame_begin(f, METRICS_USE, 1);
	encode_numbers(f, use, NUMBERS(*use));
}

const char *metrics_decode_use(struct cursor *c, struct metrics_relay *use)
{
	decode_numbers(c, use, NUMBERS(*use));
	return cursor_end(c);
}

void metrics_encode_all(struct frame *f, const struct metrics *m)
{
	frame_begin(f, METRICS_ALL, 3);
	frame_str(f, m->apiserver);
	encode_numbers(f, &m->watcher, NUMBERS(m->watcher));
	encode_numbers(f, &m->planner, NUMBERS(m->planner));
}

const char *metrics_decode_all(struct cursor *c, struct metrics *m)
{
	cursor_str(c, m->apiserver, sizeof(m->apiserver));
	decode_numbers(c, &m->watcher, NUMBERS(m->watcher));
	decode_numbers(c, &m->planner, NUMBERS(m->planner));
	return cursor_end(c);
}
