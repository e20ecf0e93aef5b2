/*
 * What a process may not do any more, tried behind its real filter: each attack is a program of
 * this file's own, executed, so that valgrind, which knows no seccomp, lets it be.
 */
#ifndef TESTS_LOCKDOWN_H
#define TESTS_LOCKDOWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_WAIT (SOCK_NONBLOCK | SOCK_CLOEXEC)

struct attack {
	const char *name;
	void (*run)(void); /* behind the walls; returns if nothing stopped it */
};

static const char *lockdown_self; /* argv[0] */

/* Where an attacker would like to go: an address of this machine's, nobody listens there. */
static inline struct sockaddr_in lockdown_target(void)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

/* Minus the signal that ended the attack NAME, or its exit status. */
static inline int lockdown_ends(const char *name)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		execl(lockdown_self, lockdown_self, name, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Every one of COUNT ATTACKS is killed by the filter. */
static inline void lockdown_check(const struct attack *attacks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int end = lockdown_ends(attacks[i].name);

		if (end != -SIGSYS)
			fail_msg("%s: ended with %d, not by the filter", attacks[i].name, end);
	}
	print_message("attacks tried: %zu\n", count);
}

/* In main(), with an argument: the attack of that name, behind LOCK_DOWN. */
static inline int lockdown_attack(
    const char *name, const struct attack *attacks, size_t count, void (*lock_down)(void))
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(attacks[i].name, name) == 0) {
			lock_down();
			attacks[i].run();
			return 0;
		}
	return 126;
}

#endif
