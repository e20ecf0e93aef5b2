#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

/* Younger than Debian 12's headers (Linux 6.7). */
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP	(1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif

struct ruleset_attr { /* struct landlock_ruleset_attr as of ABI 4 */
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
};

void sandbox_no_new_privs(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		fatal(EXIT_FAILED, "no_new_privs: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal(EXIT_FAILED, "dumpable: %s", strerror(errno));
}

/* What an ABI version can deny of file access; each version added to the one before. */
static uint64_t fs_rights(long abi)
{
	uint64_t all = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1; /* ABI 1: bits up to MAKE_SYM */

	if (abi >= 2)
		all |= 1ULL << 13; /* REFER */
	if (abi >= 3)
		all |= 1ULL << 14; /* TRUNCATE */
	if (abi >= 5)
		all |= 1ULL << 15; /* IOCTL_DEV */
	return all;
}

static void allow_reading(int ruleset, const char *path, uint64_t handled)
{
	struct landlock_path_beneath_attr below = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0) {
		if (errno == ENOENT || errno == EACCES || errno == ENOTDIR)
			return; /* nothing to read there */
		fatal(EXIT_FAILED, "Landlock: %s: %s", path, strerror(errno));
	}
	below.parent_fd = fd;
	below.allowed_access =
	    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) & handled;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0) {
		/* A file takes no directory right. */
		below.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
		if (syscall(
			SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
			fatal(EXIT_FAILED, "Landlock: %s: %s", path, strerror(errno));
	}
	close(fd);
}

void sandbox_landlock(const char *const read[], int network)
{
	struct ruleset_attr attr = {0};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	size_t size = sizeof(attr);
	int ruleset;

	if (abi < 1) {
		log_info("this kernel has no Landlock; the other walls stand");
		return;
	}
	attr.handled_access_fs = fs_rights(abi);
	if (abi < 4)
		size = sizeof(attr.handled_access_fs);
	else if (!network)
		attr.handled_access_net =
		    LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		fatal(EXIT_FAILED, "Landlock: %s", strerror(errno));
	for (size_t i = 0; read[i] != NULL; i++)
		allow_reading(ruleset, read[i], attr.handled_access_fs);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		fatal(EXIT_FAILED, "Landlock: %s", strerror(errno));
	close(ruleset);
}

/* Memory, time, signals' return and the end: what any of our processes does. */
static const struct sandbox_rule common_rules[] = {
    ALLOW(brk),
    ALLOW_WITHOUT(mmap, 2, 4 /* PROT_EXEC */),
    ALLOW_WITHOUT(mprotect, 2, 4 /* PROT_EXEC */),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(futex),
    ALLOW(clock_gettime),
    ALLOW(gettimeofday),
    ALLOW(time), /* a system call where the kernel gives no vDSO, as User-mode Linux */
    ALLOW(getpid),
    ALLOW(gettid),
    ALLOW(getrandom),
    ALLOW(rt_sigreturn),
    ALLOW(rt_sigprocmask),
    ALLOW(restart_syscall),
    ALLOW(close),
    ALLOW(exit),
    ALLOW(exit_group),
};

#if defined(__has_feature) /* clang's way to say it */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* What the sanitizers' runtime does; leaks it would look for by ptrace(2), valgrind finds them. */
static const struct sandbox_rule sanitizer_rules[] = {
    ALLOW(mmap),
    ALLOW(mprotect),
    ALLOW(sigaltstack),
    ALLOW(prctl),
    ALLOW(sched_yield),
    ALLOW(rt_sigaction),
    ALLOW(readlink),
    ALLOW_IF(write, 0, STDERR_FILENO),
};

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static void add_rules(scmp_filter_ctx ctx, const struct sandbox_rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sandbox_rule *r = &rules[i];
		struct scmp_arg_cmp cmp[2];
		unsigned n = 0;
		int rc;

		for (int j = 0; j < 2; j++)
			if (r->arg[j] >= 0)
				cmp[n++] = (struct scmp_arg_cmp){(unsigned)r->arg[j],
				    SCMP_CMP_MASKED_EQ, r->mask[j], r->value[j]};
		rc = seccomp_rule_add_array(ctx,
		    r->error != 0 ? SCMP_ACT_ERRNO((uint32_t)r->error) : SCMP_ACT_ALLOW, r->syscall,
		    n, cmp);
		if (rc != 0 && rc != -EDOM) /* EDOM: this architecture has no such call */
			fatal(EXIT_FAILED, "seccomp rule for system call %d: %s", r->syscall,
			    strerror(-rc));
	}
}

static const struct sandbox_rule *further_rules;
static size_t further_count;

void sandbox_allow_also(const struct sandbox_rule *rules, size_t count)
{
	further_rules = rules;
	further_count = count;
}

void sandbox_seccomp(const struct sandbox_rule *rules, size_t count)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc;

	if (ctx == NULL)
		fatal(EXIT_FAILED, "seccomp: cannot make a filter");
	add_rules(ctx, common_rules, sizeof(common_rules) / sizeof(common_rules[0]));
	add_rules(ctx, rules, count);
	add_rules(ctx, further_rules, further_count);
#ifdef __SANITIZE_ADDRESS__
	add_rules(ctx, sanitizer_rules, sizeof(sanitizer_rules) / sizeof(sanitizer_rules[0]));
#endif
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree, not a list */
	if (rc != 0)
		fatal(EXIT_FAILED, "seccomp: %s", strerror(-rc));
	rc = seccomp_load(ctx);
	if (rc != 0)
		fatal(EXIT_FAILED, "seccomp: %s", strerror(-rc));
	seccomp_release(ctx);
}
