#include "applier/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

struct policy *policy_new(const struct config *cfg, int audit_fd, bool audit_is_syslog)
{
	struct policy *p =
	    mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "policy: %s", strerror(errno));
	*p = (struct policy){
	    .masq_bit = cfg->masquerade_bit,
	    .key = cfg->key,
	    .audit_fd = audit_fd,
	    .audit_is_syslog = audit_is_syslog,
	    .lock_fd = -1,
	    /* The kernel's own end is 512 MiB of table: 440,000 chains at ten endpoints a service.
	     */
	    .max_ops = 500000,
	    .max_chains = 450000,
	    .max_rules = 2000000,
	    .max_bytes = UINT64_C(256) << 20,
	    .max_requests = 1000,
	};
	return p;
}

void policy_freeze(struct policy *p)
{
	if (mprotect(p, sizeof(*p), PROT_READ) != 0)
		fatal(EXIT_FAILED, "policy: %s", strerror(errno));
}
