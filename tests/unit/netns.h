/* A network namespace of the test's own, without root too. */
#ifndef TESTS_UNIT_NETNS_H
#define TESTS_UNIT_NETNS_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static inline void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/*
 * Enters a network namespace of its own, with a /run of its own for the lock file. Without root a
 * user namespace makes us root there.
 */
static inline void enter_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	assert_int_equal(unshare(CLONE_NEWNET | CLONE_NEWNS | (uid != 0 ? CLONE_NEWUSER : 0)), 0);
	if (uid != 0) {
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_text("/proc/self/gid_map", map);
	}
	assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("kp-run", "/run", "tmpfs", 0, NULL), 0);
}

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

#endif
