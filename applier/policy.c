#include "applier/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "common/log.h"

struct policy *policy_new(const struct config *cfg, int audit_fd)
{
	struct policy *p =
	    mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fatal(EXIT_FAILED, "policy: %s", strerror(errno));
	*p = (struct policy){
	    .mode = cfg->mode,
	    .params = ipt_params_of(cfg),
	    .node = cfg->policy,
	    .relays = relay_ports_of(cfg),
	    .key = cfg->key,
	    .audit_fd = audit_fd,
	    .audit_is_syslog = strcmp(cfg->audit_log, "syslog") == 0,
	    .lock_fd = -1,
	    .ipvs_exclude_count = cfg->ipvs_exclude_count,
	    /* 50,000 services of five endpoints, both families: 600,000 chains, 1,500,000 rules */
	    .max_ops = 1000000,
	    .max_rules = 4000000,
	    .max_bytes = UINT64_C(512) << 20,
	    .max_ms = 60000,
	    .max_requests = 1000,
	};
	if (getrandom(&p->secret, sizeof(p->secret), 0) != (ssize_t)sizeof(p->secret))
		fatal(EXIT_FAILED, "policy: getrandom: %s", strerror(errno));
	memcpy(p->ipvs_exclude, cfg->ipvs_exclude, sizeof(p->ipvs_exclude));
	strlcpy(p->ipvs_scheduler, cfg->ipvs_scheduler[0] != '\0' ? cfg->ipvs_scheduler : "rr",
	    sizeof(p->ipvs_scheduler));
	return p;
}

void policy_freeze(struct policy *p)
{
	if (mprotect(p, sizeof(*p), PROT_READ) != 0)
		fatal(EXIT_FAILED, "policy: %s", strerror(errno));
}
