/* What is to be removed: frozen before the lock-down, except families. */
#ifndef CLEANER_PLAN_H
#define CLEANER_PLAN_H

#include <stdbool.h>

#include "applier/policy.h"
#include "ipc/leftovers.h"

struct plan {
	bool wheres[LEFTOVERS_WHERES]; /* looked at, and removed */
	bool families[FAMILY_COUNT];   /* removed; the other one is looked at only */
	bool all;		       /* --cleanup: also what a policy of DROP would keep */
	bool at_once;		       /* without waiting for connections */
	bool x_tables_canary_only;     /* the applier takes over the others itself */
	bool sees_nf_tables, sees_ipvs, sees_ipset;  /* the kernel has them, loaded */
	bool legacy[FAMILY_COUNT][LEFTOVERS_TABLES]; /* tables that x_tables has set up */
	struct policy policy; /* the lock, excluded prefixes and what the ipvs_*() need */
};

#endif
