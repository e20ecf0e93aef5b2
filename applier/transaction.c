#include "applier/transaction.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/log.h"

/* Memory that is taken when it is written to, and given back after the transaction. */
static void *reserve(size_t size)
{
	void *p = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "%zu bytes for transactions: %s", size, strerror(errno));
	return p;
}

void transaction_init(struct transaction *t, const struct policy *p)
{
	*t = (struct transaction){.policy = p, .frames = reserve(p->max_bytes)};
}

void transaction_begin(struct transaction *t, uint64_t generation)
{
	*t = (struct transaction){
	    .policy = t->policy, .frames = t->frames, .generation = generation};
}

uint64_t transaction_ops(const struct transaction *t)
{
	return (uint64_t)t->puts + t->deletes + t->hooks + t->others;
}

const char *transaction_add(struct transaction *t, struct cursor *c, const void *frame, size_t len,
    transaction_decoder check)
{
	uint32_t n = (uint32_t)len;
	const char *why;

	if (t->policy->max_bytes - t->bytes < sizeof(n) + len)
		return "more bytes than a transaction may have";
	why = check(c, t);
	if (why != NULL)
		return why;
	memcpy(t->frames + t->bytes, &n, sizeof(n));
	memcpy(t->frames + t->bytes + sizeof(n), frame, len);
	t->bytes += sizeof(n) + len;
	return NULL;
}

static uint64_t used_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void transaction_start_clock(struct transaction *t)
{
	t->began_ms = used_ms();
}

static int give_up(const struct transaction *t, bool limited)
{
	sigset_t waiting;

	/* They are blocked, and taken by the signalfd; the end of a child is not in question. */
	if (sigpending(&waiting) == 0 &&
	    (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1))
		return -EINTR;
	return limited && used_ms() - t->began_ms > t->policy->max_ms ? -ETIME : 0;
}

/* The frames are the ones that were checked: nobody else can write them. */
int transaction_read(
    const struct transaction *t, bool limited, transaction_decoder decode, void *arg)
{
	struct cursor c;
	uint32_t len;
	unsigned type;

	for (size_t at = 0; at < t->bytes; at += len) {
		const int over = give_up(t, limited);

		if (over != 0)
			return over;
		memcpy(&len, t->frames + at, sizeof(len));
		at += sizeof(len);
		if (frame_open(t->frames + at, len, &type, &c) != NULL || decode(&c, arg) != NULL)
			return -1;
	}
	return 0;
}

void transaction_clear(struct transaction *t)
{
	madvise(t->frames, t->policy->max_bytes, MADV_DONTNEED);
	malloc_trim(0); /* libiptc takes ten times the table and gives it back to malloc alone */
}
