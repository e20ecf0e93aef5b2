/* What the applier's tests share: a policy in a network namespace of their own, sample rules. */
#ifndef TESTS_APPLIER_FIXTURE_H
#define TESTS_APPLIER_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "applier/ipt_backend.h"
#include "applier/ipt_tables.h"
#include "applier/policy.h"

#include "netns.h"
#include "sample_rules.h"

#define SAVED_MAX 65536

/* A namespace with the backend open in it. The policy is frozen as in the program. */
static inline const struct policy *policy_in_namespace(int audit_fd)
{
	static const struct config cfg = {.masquerade_bit = 14, .key = {1, 2}};
	struct policy *p = policy_new(&cfg, audit_fd);

	strlcpy(p->params.pod_if, "cni0", sizeof(p->params.pod_if));
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

#endif
