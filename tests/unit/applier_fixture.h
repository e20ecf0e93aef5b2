/* What the applier's tests share: a network namespace of their own, a policy, sample rules. Root.
 */
#ifndef TESTS_APPLIER_FIXTURE_H
#define TESTS_APPLIER_FIXTURE_H

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "applier/ipt_backend.h"
#include "applier/ipt_tables.h"
#include "applier/policy.h"
#include "common/ip.h"

#define SAVED_MAX 65536

static inline struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(&a, text), 0);
	return a;
}

static inline struct ipt_chain chain(uint8_t family, uint8_t table, uint8_t kind, uint8_t hash)
{
	struct ipt_chain c = {.family = family, .table = table, .kind = kind};

	if (ipt_chain_kinds[kind].hashed)
		memset(c.hash, hash, sizeof(c.hash));
	return c;
}

/* A rule of TEMPLATE with every argument in order. */
static inline struct ipt_rule rule(uint8_t family, uint8_t template)
{
	struct ipt_rule r = {.template = template,
	    .proto = IPPROTO_TCP,
	    .dport = 443,
	    .to_port = 8443,
	    .probability = UINT32_C(1) << 30,
	    .dst = addr(family == FAMILY_4 ? "10.96.0.1" : "fd00:10::1"),
	    .to = addr(family == FAMILY_4 ? "10.0.0.1" : "fd00::a:1"),
	    .target_kind = template == T_CLUSTER_IP ? CHAIN_SVC : CHAIN_SEP,
	    .name = "default/kubernetes:https"};

	assert_int_equal(
	    ip_cidr_parse(&r.src, family == FAMILY_4 ? "10.244.0.0/16" : "fd00:244::/56"), 0);
	memset(r.target_hash, template == T_CLUSTER_IP ? 1 : 2, sizeof(r.target_hash));
	return r;
}

static inline void write_file(const char *path, const char *text)
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
		write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_file("/proc/self/gid_map", map);
	}
	assert_int_equal(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("kp-run", "/run", "tmpfs", 0, NULL), 0);
}

/* A namespace with the backend open in it. The policy is frozen as in the program. */
static inline const struct policy *policy_in_namespace(int audit_fd)
{
	static const struct config cfg = {.masquerade_bit = 14, .key = {1, 2}};
	struct policy *p = policy_new(&cfg, audit_fd);

	enter_namespace();
	ipt_backend_open(p);
	assert_true(p->families[FAMILY_4] && p->families[FAMILY_6]);
	policy_freeze(p);
	return p;
}

/* The -A lines that iptables-legacy-save (or ip6tables-) prints of a table. */
static inline void saved_rules(char out[SAVED_MAX], uint8_t family, uint8_t table)
{
	char command[128], line[1024];
	FILE *f;

	snprintf(command, sizeof(command), "ip%stables-legacy-save -t %s",
	    family == FAMILY_4 ? "" : "6", ipt_table_names[table]);
	out[0] = '\0';
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "-A ", 3) == 0)
			strlcat(out, line, SAVED_MAX);
	assert_int_equal(pclose(f), 0);
}

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

#endif
