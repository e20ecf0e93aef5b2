/* The walls hold: what the tables do not allow kills, what Landlock does not show cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox.h"

static const char *self; /* argv[0] */

/*
 * What the program NAME of this file ends with: its exit status, or minus the signal. Executed, not
 * forked alone, so that valgrind, which knows neither seccomp nor Landlock, lets it be.
 */
static int ends(const char *name)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		execl(self, self, name, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static const struct sandbox_rule rules[] = {
    ALLOW_IF(write, 0, STDERR_FILENO),
    ALLOW_WITHOUT(openat, 2, O_ACCMODE | O_CREAT),
    ALLOW_IF2(socket, 0, AF_INET, 1, SOCK_STREAM),
    ALLOW_WITH(fcntl, 1, 3),
    REFUSE(clone3, ENOSYS),
    REFUSE_IF(socket, 0, AF_UNIX, EAFNOSUPPORT),
};

static void lock(void)
{
	sandbox_no_new_privs();
	sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]));
}

static void allowed(void)
{
	void *p;

	lock();
	p = malloc(1 << 20);
	free(p);
	if (write(STDERR_FILENO, "", 0) != 0 || open("/dev/null", O_RDONLY) < 0 ||
	    socket(AF_INET, SOCK_STREAM, 0) < 0 || getpid() <= 0)
		_exit(1);
	if (socket(AF_UNIX, SOCK_STREAM, 0) != -1 || errno != EAFNOSUPPORT)
		_exit(2);
}

static void other_call(void)
{
	lock();
	getppid();
}
static void write_elsewhere(void)
{
	lock();
	(void)!write(STDOUT_FILENO, "", 0);
}
static void open_to_write(void)
{
	lock();
	open("/dev/null", O_WRONLY);
}
static void other_socket(void)
{
	lock();
	socket(AF_INET, SOCK_DGRAM, 0);
}
static void execute(void)
{
	char *argv[] = {NULL};

	lock();
	execv("/bin/true", argv);
}
static void make_code(void)
{
	lock();
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void what_is_not_allowed_kills(void **state)
{
	(void)state;
	assert_int_equal(ends("allowed"), 0);
	assert_int_equal(ends("other_call"), -SIGSYS);
	assert_int_equal(ends("write_elsewhere"), -SIGSYS);
	assert_int_equal(ends("open_to_write"), -SIGSYS);
	assert_int_equal(ends("other_socket"), -SIGSYS);
	assert_int_equal(ends("execute"), -SIGSYS);
#ifndef __SANITIZE_ADDRESS__ /* its runtime may map what it likes */
	assert_int_equal(ends("make_code"), -SIGSYS);
#endif
}

static void read_below_usr(void)
{
	static const char *const paths[] = {"/usr", "/nowhere", NULL};

	sandbox_no_new_privs();
	sandbox_landlock(paths, 0);
	if (open("/usr/bin/env", O_RDONLY) < 0 || open("/usr", O_RDONLY | O_DIRECTORY) < 0)
		_exit(1);
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		_exit(2);
	if (open("/usr/kp-test", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		_exit(3);
}

static void no_tcp(void)
{
	static const char *const nothing[] = {NULL};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int s;

	sandbox_no_new_privs();
	sandbox_landlock(nothing, 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	to.sin_port = htons(1);
	if (connect(s, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EACCES)
		_exit(1);
	to.sin_port = 0;
	if (bind(s, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EACCES)
		_exit(2);
}

/* As exit status, since valgrind does not know the call. */
static void abi(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	_exit(v < 0 ? 0 : (int)v);
}

static void landlock_shows_only_what_is_named(void **state)
{
	(void)state;
	if (ends("abi") < 1)
		print_message("this kernel has no Landlock\n");
	else
		assert_int_equal(ends("read_below_usr"), 0);
	if (ends("abi") < 4)
		print_message("this kernel's Landlock knows no network (before Linux 6.7)\n");
	else
		assert_int_equal(ends("no_tcp"), 0);
}

static void no_new_privs(void)
{
	sandbox_no_new_privs();
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		_exit(1);
}

static void no_new_privs_holds(void **state)
{
	(void)state;
	assert_int_equal(ends("no_new_privs"), 0);
}

static const struct {
	const char *name;
	void (*body)(void);
} programs[] = {
    {"allowed", allowed},
    {"other_call", other_call},
    {"write_elsewhere", write_elsewhere},
    {"open_to_write", open_to_write},
    {"other_socket", other_socket},
    {"execute", execute},
    {"make_code", make_code},
    {"read_below_usr", read_below_usr},
    {"no_tcp", no_tcp},
    {"abi", abi},
    {"no_new_privs", no_new_privs},
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_allowed_kills),
	    cmocka_unit_test(landlock_shows_only_what_is_named),
	    cmocka_unit_test(no_new_privs_holds),
	};

	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(argv[1], programs[i].name) == 0) {
			programs[i].body();
			return 0;
		}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
