/* For tests, by LD_PRELOAD: a program takes the kernel for the release that $KP_RELEASE names. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* In place of the C library's. */
int uname(struct utsname *u)
{
	const char *release = getenv("KP_RELEASE");

	if (syscall(SYS_uname, u) != 0)
		return -1;
	if (release != NULL)
		snprintf(u->release, sizeof(u->release), "%s", release);
	return 0;
}
