#include "common/heap.h"

#include <execinfo.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/profile.h"

#define SAMPLES_MAX 32768 /* at a time; what is beyond is not sampled */
#define DEPTH_MAX   24
#define OWN_FRAMES  2 /* sample() and malloc() or its like */
#define TEXT_MAX    (24u << 20)

/* glibc's own, which the names below would hide. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

struct sample {
	void *block; /* NULL: it is free */
	size_t size;
	uint32_t next; /* + 1, in the same list; 0: none */
	uint32_t depth;
	void *frames[DEPTH_MAX];
};

static struct {
	_Atomic bool on;
	atomic_long left;  /* bytes until the next sample */
	atomic_flag taken; /* what follows is */
	struct sample *samples;
	uint32_t used, unused; /* ever; and a list of those that are free again, + 1 */
	uint32_t lists[SAMPLES_MAX];
	uint64_t random;
	char *text;
} heap = {.taken = ATOMIC_FLAG_INIT};

static void *map(size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void lock(void)
{
	while (atomic_flag_test_and_set(&heap.taken))
		continue;
}

static uint32_t *list_of(const void *block)
{
	return &heap.lists[((uintptr_t)block * 0x9e3779b97f4a7c15u >> 32) % SAMPLES_MAX];
}

/*
 * To the next sample, HEAP_PERIOD on average and without a pattern: pprof takes each byte to be as
 * likely as any other. An exponential distribution is the sum over its binary digits of even ones,
 * near enough: minus the logarithm to the base 2 of a random number, times the period, times ln 2.
 */
static long next_distance(void)
{
	uint64_t r = heap.random = heap.random * 6364136223846793005u + 1442695040888963407u;
	const int zeros = r >> 16 == 0 ? 47 : __builtin_clzll(r >> 16) - 16;
	const uint64_t rest =
	    (r >> 16 << (zeros + 16)) >> 32 & 0x7fffffff; /* below the first one */

	return (long)((((uint64_t)(zeros + 1) << 31) - rest) * HEAP_PERIOD / 3098164009u);
}

static __attribute__((noinline)) void sample(void *block, size_t size)
{
	void *frames[OWN_FRAMES + DEPTH_MAX];
	const int n = backtrace(frames, OWN_FRAMES + DEPTH_MAX) - OWN_FRAMES;
	struct sample *s = NULL;
	uint32_t at, *list;

	lock();
	atomic_store(&heap.left, next_distance());
	at = heap.unused != 0 ? heap.unused - 1 : heap.used;
	if (n > 0 && at < SAMPLES_MAX)
		s = &heap.samples[at];
	if (s != NULL) {
		if (heap.unused != 0)
			heap.unused = s->next;
		else
			heap.used++;
		list = list_of(block);
		s->block = block;
		s->size = size;
		s->depth = (uint32_t)n;
		for (int i = 0; i < n; i++)
			s->frames[i] = frames[OWN_FRAMES + i];
		s->next = *list;
		*list = at + 1;
	}
	atomic_flag_clear(&heap.taken);
}

static inline void *noted(void *block, size_t size)
{
	if (heap.on && block != NULL && atomic_fetch_sub(&heap.left, (long)size) < (long)size)
		sample(block, size);
	return block;
}

static void gone(void *block)
{
	uint32_t *at;

	if (!heap.on || block == NULL)
		return;
	lock();
	for (at = list_of(block); *at != 0; at = &heap.samples[*at - 1].next) {
		const uint32_t found = *at;
		struct sample *s = &heap.samples[found - 1];

		if (s->block != block)
			continue;
		*at = s->next;
		s->block = NULL;
		s->next = heap.unused;
		heap.unused = found;
		break;
	}
	atomic_flag_clear(&heap.taken);
}

/* --- in front of glibc's --- */

void *malloc(size_t size)
{
	return noted(__libc_malloc(size), size);
}

void *calloc(size_t count, size_t size)
{
	return noted(__libc_calloc(count, size), count * size);
}

void *realloc(void *block, size_t size)
{
	void *p;

	gone(block); /* before its address can be another's */
	p = __libc_realloc(block, size);
	return noted(p, size);
}

void free(void *block)
{
	gone(block);
	__libc_free(block);
}

/* --- for people --- */

void heap_begin(void)
{
	heap.samples = map(SAMPLES_MAX * sizeof(*heap.samples));
	heap.text = map(TEXT_MAX);
	heap.random = (uintptr_t)heap.samples;
	heap.on = heap.samples != NULL && heap.text != NULL;
}

static __attribute__((format(printf, 2, 3))) void add(size_t *len, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(heap.text + *len, TEXT_MAX - *len, format, args);
	va_end(args);
	*len += n > 0 ? (size_t)n : 0;
}

const void *heap_profile(size_t *len)
{
	size_t count = 0, bytes = 0, at = 0;

	*len = 0;
	if (!heap.on)
		return NULL;
	lock();
	for (uint32_t i = 0; i < heap.used; i++) {
		count += heap.samples[i].block != NULL;
		bytes += heap.samples[i].block != NULL ? heap.samples[i].size : 0;
	}
	/* All that was ever allocated is not counted: pprof is told what there is, twice. */
	add(&at, "heap profile: %zu: %zu [%zu: %zu] @ heap_v2/%d\n", count, bytes, count, bytes,
	    HEAP_PERIOD);
	for (uint32_t i = 0; i < heap.used; i++) {
		const struct sample *s = &heap.samples[i];

		if (s->block == NULL)
			continue;
		add(&at, "1: %zu [1: %zu] @", s->size, s->size);
		for (uint32_t k = 0; k < s->depth; k++)
			add(&at, " %p", s->frames[k]);
		add(&at, "\n");
	}
	atomic_flag_clear(&heap.taken);
	add(&at, "\nMAPPED_LIBRARIES:\n");
	at += profile_maps(heap.text + at, TEXT_MAX - at);
	*len = at;
	return heap.text;
}
