/*
 * The walls a process builds around itself once it needs nothing more from outside: no new
 * privileges, Landlock, seccomp. Everything is fatal() if it fails, but for Landlock on a kernel
 * that lacks it, which is said once in the log.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/*
 * One system call that is allowed, or answered with an errno where a library has another way (all
 * others kill the process). With ARG >= 0 only if that argument, under MASK, equals VALUE.
 */
struct sandbox_rule {
	int syscall; /* SCMP_SYS(name) */
	int error;   /* 0: allowed */
	int arg[2];  /* up to two argument conditions; -1: none */
	uint64_t mask[2];
	uint64_t value[2];
};

/* clang-format off */
#define SANDBOX_RULE(name, error, a, m, v, b, n, w) {SCMP_SYS(name), error, {a, b}, {m, n}, {v, w}}
#define ALLOW(name)		     SANDBOX_RULE(name, 0, -1, 0, 0, -1, 0, 0)
#define ALLOW_IF(name, a, v)	     SANDBOX_RULE(name, 0, a, UINT64_MAX, v, -1, 0, 0)
#define ALLOW_IF2(name, a, v, b, w)  SANDBOX_RULE(name, 0, a, UINT64_MAX, v, b, UINT64_MAX, w)
/* Only if none of the bits in M is set in argument A; only if all of them are. */
#define ALLOW_WITHOUT(name, a, m)    SANDBOX_RULE(name, 0, a, m, 0, -1, 0, 0)
#define ALLOW_WITH(name, a, m)	     SANDBOX_RULE(name, 0, a, m, m, -1, 0, 0)
#define REFUSE(name, error)	     SANDBOX_RULE(name, error, -1, 0, 0, -1, 0, 0)
#define REFUSE_IF(name, a, v, error) SANDBOX_RULE(name, error, a, UINT64_MAX, v, -1, 0, 0)
/* clang-format on */

/* Sets NO_NEW_PRIVS and DUMPABLE 0; checks both. */
void sandbox_no_new_privs(void);

/*
 * Landlock: afterwards only reading below READ[] is possible, and with NETWORK false no TCP bind or
 * connect (kernel 6.7, ABI 4). A path that does not exist is left out. READ ends with NULL.
 */
void sandbox_landlock(const char *const read[], int network);

/*
 * Follows "pid N was killed by signal 31" in a log line; takes the pid once more. The kernel logs
 * each process that a filter kills (audit_seccomp(), kernel/auditsc.c), with auditd running to its
 * log instead.
 */
#define SANDBOX_SIGSYS_HINT                                                                        \
	": its seccomp filter does not allow a system call that it made. The kernel logs which: "  \
	"search journalctl -k, dmesg or ausearch -m SECCOMP for type=1326 and pid=%d; ausyscall "  \
	"or scmp_sys_resolver translates the record's syscall= number"

/*
 * seccomp: kills the process at any system call that neither RULES (COUNT of them) nor the list
 * common to every process allows (memory, clock, exit, signal return).
 */
void sandbox_seccomp(const struct sandbox_rule *rules, size_t count);

/* These too, in the process's one sandbox_seccomp() that follows. RULES must live until then. */
void sandbox_allow_also(const struct sandbox_rule *rules, size_t count);

#endif
