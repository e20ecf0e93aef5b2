/* --check-node: what a start would find and change on this node, in words. Changes nothing. */
#ifndef CLEANER_CHECK_H
#define CLEANER_CHECK_H

#include "cleaner/plan.h"
#include "ipc/config.h"

/* Exit status of --check-node. */
enum { CHECK_GOOD = 0, CHECK_WARNINGS = 1, CHECK_FAILS = 2 };

/*
 * Prints the report on stdout. ARGV[1] are the capabilities that a start lacks, ARGV[2] the users,
 * each after a space. Returns the exit status.
 */
int check_node(struct plan *p, const struct config *cfg, int argc, char **argv);

#endif
