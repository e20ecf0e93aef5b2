#include "common/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_MAX 1024 /* bytes; 52 numbers of at most 20 digits, most of them 0 */

/* USER_HZ, which is part of the kernel's interface. */
#define TICKS_PER_SECOND 100u
#define TICK_MS		 (1000 / TICKS_PER_SECOND)

/* proc(5) counts the fields from 1; the ones before STATE are the pid and the name. */
enum { STATE = 3, UTIME = 14, STIME = 15, STARTTIME = 22, VSIZE = 23, RSS = 24, FIELDS };

bool process_parse(const char *text, size_t len, uint64_t boot_ms, struct process_use *use)
{
	const char *at = memrchr(text, ')', len); /* a name may have blanks and parentheses */
	uint64_t field[FIELDS] = {0};
	int n = STATE;

	memset(use, 0, sizeof(*use));
	if (at == NULL)
		return false;
	for (at++; at < text + len && n < FIELDS; at++) {
		if (*at == ' ' && at[-1] != ')')
			n++;
		else if (*at >= '0' && *at <= '9' && n < FIELDS)
			field[n] = field[n] * 10 + (uint64_t)(*at - '0');
	}
	if (n < FIELDS)
		return false;
	use->cpu_us = (field[UTIME] + field[STIME]) * TICK_MS * 1000;
	use->resident_bytes = field[RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
	use->virtual_bytes = field[VSIZE];
	use->started_ms = boot_ms + field[STARTTIME] * TICK_MS;
	return true;
}

static uint64_t ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void process_adopt(struct process_stat *p, int fd)
{
	p->fd = fd;
	p->boot_ms = ms_of(CLOCK_REALTIME) - ms_of(CLOCK_BOOTTIME);
}

void process_open(struct process_stat *p)
{
	process_adopt(p, open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
}

bool process_read(const struct process_stat *p, struct process_use *use)
{
	char text[STAT_MAX];
	ssize_t n = p->fd < 0 ? -1 : pread(p->fd, text, sizeof(text), 0);

	memset(use, 0, sizeof(*use));
	return n > 0 && process_parse(text, (size_t)n, p->boot_ms, use);
}
