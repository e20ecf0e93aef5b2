#include "applier/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

void fd_place(int fd, int number)
{
	if (fd == number)
		return;
	if (dup3(fd, number, O_CLOEXEC) < 0)
		fatal(EXIT_FAILED, "descriptor %d: %s", number, strerror(errno));
	close(fd);
}

int fd_move_up(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, APPLIER_FD_FREE);

	if (fd >= 0)
		close(fd);
	return up;
}
