#include "applier/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define DIRECTORY (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static _Noreturn void fail(const char *path, const char *part)
{
	fatal(EXIT_CONFIG, "--audit-log=%s: %s cannot be opened: %s%s", path, part, strerror(errno),
	    errno == ELOOP || errno == ENOTDIR
		? "; symbolic links are not followed, give the path itself"
	    : errno == EROFS  ? "; under systemd use a path below /var/log/kube-proxy"
	    : errno == EACCES ? "; the file and its directory must belong to _kproxy-a"
	    : errno == ENXIO  ? "; expected a regular file"
			      : "");
}

/* Of what is open as FD: PART of PATH, owned by root or OWNER, none of the bits REFUSED in its
 * mode. */
static void require_safe(
    const char *path, const char *part, const struct stat *st, uid_t owner, mode_t refused)
{
	if (st->st_uid != 0 && st->st_uid != owner)
		fatal(EXIT_CONFIG,
		    "--audit-log=%s: %s belongs to uid %u; expected root or _kproxy-a: chown "
		    "_kproxy-a %s",
		    path, part, st->st_uid, part);
	if ((st->st_mode & refused) != 0)
		fatal(EXIT_CONFIG,
		    "--audit-log=%s: mode %04o lets other users write to %s: chmod go-w %s", path,
		    st->st_mode & 07777, part, part);
}

/* In a sticky directory nobody can replace what belongs to root or OWNER. */
static void check_directory(const char *path, const char *part, int dir, uid_t owner, bool last)
{
	mode_t refused = S_IWGRP | S_IWOTH;
	struct stat st;

	if (fstat(dir, &st) != 0)
		fail(path, part);
	if ((st.st_mode & S_ISVTX) != 0)
		refused = 0;
	else if (!last && st.st_uid == 0)
		refused = S_IWOTH;
	require_safe(path, part, &st, owner, refused);
}

int log_file_open(const char *path, uid_t owner)
{
	char part[PATH_MAX], *name = part, *slash; /* PART: as much of PATH as is open */
	int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), up, fd;
	struct stat st;

	if (path[0] != '/' || strlcpy(part, path, sizeof(part)) >= sizeof(part))
		fatal(EXIT_CONFIG, "--audit-log=%s: expected an absolute path", path);
	check_directory(path, "/", dir, owner, false);
	for (; (slash = strchr(name + 1, '/')) != NULL; name = slash) {
		*slash = '\0';
		up = dir;
		dir = openat(up, name[1] == '\0' ? "." : name + 1, DIRECTORY);
		if (dir < 0)
			fail(path, part);
		close(up);
		check_directory(path, part, dir, owner, strchr(slash + 1, '/') == NULL);
		*slash = '/';
	}
	/* It is read once, for its last line. O_NONBLOCK: nothing that it may be is waited for. */
	fd = openat(dir, name + 1,
	    O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	if (fd < 0)
		fail(path, part);
	close(dir);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		fatal(EXIT_CONFIG, "--audit-log=%s: expected a regular file", path);
	if (st.st_nlink != 1)
		fatal(EXIT_CONFIG,
		    "--audit-log=%s: the file has %lu names (hard links); expected one: give a "
		    "file of its own",
		    path, (unsigned long)st.st_nlink);
	require_safe(path, part, &st, owner, S_IWGRP | S_IWOTH);
	return fd;
}
