#include "applier/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"

/* While CAP is in the bounding set: afterwards it could not become inheritable. */
static void raise_ambient(cap_value_t cap)
{
	cap_t caps = cap_get_proc();

	if (caps == NULL || cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_SET) != 0 ||
	    cap_set_proc(caps) != 0 || cap_set_ambient(cap, CAP_SET) != 0)
		fatal(EXIT_FAILED, "ambient set: %s", strerror(errno));
	cap_free(caps);
}

void drop_bounding_set(int through_exec)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (cap_reset_ambient() != 0)
		fatal(EXIT_FAILED, "ambient set: %s", strerror(errno));
	if (through_exec != NO_CAPABILITY)
		raise_ambient(through_exec);
	for (cap_value_t c = 0; c < cap_max_bits(); c++)
		if (cap_drop_bound(c) != 0 || cap_get_bound(c) != 0)
			fatal(EXIT_FAILED, "bounding set: %s", strerror(errno));
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0 ||
	    prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != (int)bits)
		fatal(EXIT_FAILED, "securebits: %s", strerror(errno));
}

void drop_user(uid_t uid, gid_t gid, gid_t group)
{
	const int groups = group != NO_GROUP;
	uid_t r, e, s;
	gid_t rg, eg, sg, also = group;

	if (setgroups((size_t)groups, &group) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		fatal(EXIT_FAILED, "becoming uid %u, gid %u: %s", uid, gid, strerror(errno));
	if (getresuid(&r, &e, &s) != 0 || r != uid || e != uid || s != uid ||
	    getresgid(&rg, &eg, &sg) != 0 || rg != gid || eg != gid || sg != gid ||
	    getgroups(1, &also) != groups || also != group)
		fatal(EXIT_FAILED, "uid %u, gid %u did not take", uid, gid);
}

static void set_capabilities(int keep, bool through_exec)
{
	cap_t caps = cap_init(), now;

	if (caps == NULL ||
	    (keep != NO_CAPABILITY &&
		(cap_set_flag(caps, CAP_PERMITTED, 1, &keep, CAP_SET) != 0 ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &keep, CAP_SET) != 0 ||
		    (through_exec &&
			cap_set_flag(caps, CAP_INHERITABLE, 1, &keep, CAP_SET) != 0))) ||
	    cap_set_proc(caps) != 0)
		fatal(EXIT_FAILED, "capabilities: %s", strerror(errno));
	now = cap_get_proc();
	if (now == NULL || cap_compare(now, caps) != 0)
		fatal(EXIT_FAILED, "capabilities did not take");
	cap_free(now);
	cap_free(caps);
}

void drop_capabilities(int keep)
{
	set_capabilities(keep, false);
}

void drop_capabilities_before_exec(int keep)
{
	set_capabilities(keep, true);
}

void try_to_regain(void)
{
	cap_t caps = cap_from_text("cap_net_admin,cap_setuid,cap_sys_admin=ep");

	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		fatal(EXIT_FAILED, "root's id could be regained");
	if (caps == NULL || cap_set_proc(caps) == 0)
		fatal(EXIT_FAILED, "a dropped capability could be regained");
	cap_free(caps);
}
