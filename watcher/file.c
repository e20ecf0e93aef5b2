#include "watcher/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *reason(int err)
{
	if (err == EACCES || err == EPERM)
		return "permission denied: it must be readable by the group _kproxy-w (and the "
		       "directories above it must be searchable)";
	return strerror(err);
}

/* Reads FD to its end. The file may be growing: what counts is what read() gives. */
static char *read_all(int fd, size_t size, size_t max, size_t *len, const char **why)
{
	static char bound[40];
	char *text = NULL;

	*len = 0;
	for (;;) {
		char *bigger;
		ssize_t n;

		if (size > max) {
			snprintf(bound, sizeof(bound), "it is longer than %zu MiB", max >> 20);
			*why = bound;
			break;
		}
		bigger = realloc(text, size + 1);
		if (bigger == NULL) {
			*why = strerror(errno);
			break;
		}
		text = bigger;
		while (*len < size && (n = read(fd, text + *len, size - *len)) != 0) {
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0) {
				*why = reason(errno);
				free(text);
				return NULL;
			}
			*len += (size_t)n;
		}
		if (*len < size) {
			text[*len] = '\0';
			return text;
		}
		size *= 2;
	}
	free(text);
	return NULL;
}

char *file_read(const char *path, size_t max, size_t *len, const char **why)
{
	/* NONBLOCK: opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *text = NULL;

	if (fd < 0) {
		*why = reason(errno);
		return NULL;
	}
	if (fstat(fd, &st) != 0)
		*why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		*why = S_ISDIR(st.st_mode) ? "it is a directory, not a file"
					   : "it is not a regular file";
	else
		text = read_all(fd, (size_t)st.st_size + 1, max + 1, len, why);
	close(fd);
	return text;
}

bool file_is_denied(const char *path)
{
	return access(path, R_OK) != 0 && errno == EACCES;
}
