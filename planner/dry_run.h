/* --dry-run: what would be programmed on an empty kernel, as text on stdout. */
#ifndef PLANNER_DRY_RUN_H
#define PLANNER_DRY_RUN_H

#include "planner/plan.h"

/* Prints what P, for which plan_ready() must hold, would ask for, and exits. */
_Noreturn void dry_run_print(struct plan *p);

#endif
