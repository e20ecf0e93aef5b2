/* --dry-run: what would be programmed on an empty kernel, as text on stdout. */
#ifndef PLANNER_DRY_RUN_H
#define PLANNER_DRY_RUN_H

#include "planner/plan.h"

/* Gives P a snapshot of a kernel that has both families and nothing of ours. */
void dry_run_assume_nothing(struct plan *p, const struct config *cfg);
/* Prints what P, for which plan_ready() must hold, would ask for, and exits. */
_Noreturn void dry_run_print(struct plan *p, const struct config *cfg);

#endif
