/* What a piece of code says on standard output or standard error. Included by one file of a test.
 */
#ifndef TESTS_UNIT_CAPTURE_H
#define TESTS_UNIT_CAPTURE_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* What was written on FD since capture_begin(). */
static int saved_fd, capture_fd;

static void capture_begin(int fd)
{
	fflush(stdout);
	saved_fd = dup(fd);
	capture_fd = memfd_create("captured", 0);
	dup2(capture_fd, fd);
}

static void capture_end(int fd, char *buf, size_t size)
{
	ssize_t n;

	fflush(stdout);
	dup2(saved_fd, fd);
	close(saved_fd);
	n = pread(capture_fd, buf, size - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	close(capture_fd);
}

#endif
