/*
 * What a process has used: processor time, memory. The kernel tells it in /proc/PID/stat, which is
 * opened before the walls go up (for another process by that one, which hands it on) and read
 * whenever somebody asks: no file is opened later, and hidepid= does not matter.
 */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_use {
	uint64_t cpu_us; /* user and system, to the kernel's clock tick */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t started_ms; /* since the epoch */
};

struct process_stat {
	int fd;		  /* a stat file, open to be read; -1: none */
	uint64_t boot_ms; /* when the machine started, told once so that it stays the same */
};

/* Ourselves; where there is no /proc nothing can be read. */
void process_open(struct process_stat *p);
/* Whoever opened FD. */
void process_adopt(struct process_stat *p, int fd);
/* False, and *USE zeroed, if the file is none or says nothing that is understood. */
bool process_read(const struct process_stat *p, struct process_use *use);
/* The same of the LEN bytes that the file holds. Pure. */
bool process_parse(const char *text, size_t len, uint64_t boot_ms, struct process_use *use);

#endif
